/* pool.c - average and maximum pooling, each one pass over memory.
 *
 * An image is a number of planes: one of C lanes channels-last, C/8 of eight
 * lanes blocked. The innermost loop runs over a plane's lanes, which lie side
 * by side; eight of them are a case of their own for the compiler. */
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "src/backend/checks.h"

#define INLINE static inline __attribute__((always_inline))
#define MOST_LANES 4096 /* whose maxima are found at a time */

/* A plane of the input and of the output. */
typedef struct pool_plane {
  const surge_pool *a;
  size_t lanes;
  size_t in, out; /* offset of the plane's first element */
} pool_plane;

static size_t lanes_of(const surge_pool *a) {
  return a->in.layout == SURGE_BLOCKED8 ? 8 : (size_t)a->in.c;
}

static size_t planes_of(const surge_pool *a) {
  return a->images * ((size_t)a->in.c / lanes_of(a));
}

static pool_plane plane_at(const surge_pool *a, size_t i) {
  size_t lanes = lanes_of(a);
  return (pool_plane){
      .a = a, .lanes = lanes,
      .in = i * lanes * (size_t)a->in.h * (size_t)a->in.w,
      .out = i * lanes * (size_t)a->out.h * (size_t)a->out.w};
}

/* Offset of (y, x) in a plane whose rows are w long. */
static size_t at(int32_t y, int32_t x, int32_t w, size_t lanes) {
  return ((size_t)y * (size_t)w + (size_t)x) * lanes;
}

/* Runs `plane` with its number of lanes as a constant where it is eight. */
#define FOR_EACH_PLANE(context, a, plane)                                      \
  do {                                                                         \
    size_t planes_ = planes_of(a);                                             \
    _Pragma("omp parallel for num_threads(context->threads) schedule(static)") \
    for (size_t i_ = 0; i_ < planes_; i_++) {                                  \
      pool_plane p_ = plane_at(a, i_);                                         \
      if (p_.lanes == 8)                                                       \
        plane(&p_, 8);                                                         \
      else                                                                     \
        plane(&p_, p_.lanes);                                                  \
    }                                                                          \
  } while (0)

/* --- average -------------------------------------------------------------- */

INLINE void average_window(float *restrict y, const float *restrict x, int32_t w,
                           int32_t kernel, size_t lanes) {
  float share = 1.0f / (float)(kernel * kernel);
  for (size_t l = 0; l < lanes; l++) y[l] = 0.0f;
  for (int32_t ky = 0; ky < kernel; ky++)
    for (int32_t kx = 0; kx < kernel; kx++) {
      const float *restrict from = x + at(ky, kx, w, lanes);
      for (size_t l = 0; l < lanes; l++) y[l] += from[l];
    }
  for (size_t l = 0; l < lanes; l++) y[l] *= share;
}

INLINE void average_plane(const pool_plane *p, size_t lanes) {
  const surge_pool *a = p->a;
  float *y = a->y + p->out;
  for (int32_t oy = 0; oy < a->out.h; oy++)
    for (int32_t ox = 0; ox < a->out.w; ox++, y += lanes)
      average_window(y, a->x + p->in + at(oy * a->stride, ox * a->stride, a->in.w, lanes),
                     a->in.w, a->kernel, lanes);
}

/* Windows first..last of `count` cover position i. */
typedef struct cover {
  int32_t first, last;
} cover;

static cover cover_of(int32_t i, int32_t count, int32_t kernel, int32_t stride) {
  int32_t before = i - kernel + stride; /* floor, where it is not negative */
  cover c = {before < 0 ? 0 : before / stride, i / stride};
  if (c.last >= count) c.last = count - 1;
  return c;
}

/* dx of one pixel: its share of every window that covers it. */
INLINE void spread_pixel(float *restrict dx, const float *restrict dy, cover rows,
                         cover columns, int32_t w, float share, bool add,
                         size_t lanes) {
  if (!add)
    for (size_t l = 0; l < lanes; l++) dx[l] = 0.0f;
  for (int32_t oy = rows.first; oy <= rows.last; oy++)
    for (int32_t ox = columns.first; ox <= columns.last; ox++) {
      const float *restrict from = dy + at(oy, ox, w, lanes);
      for (size_t l = 0; l < lanes; l++) dx[l] += share * from[l];
    }
}

INLINE void average_back(const pool_plane *p, size_t lanes) {
  const surge_pool *a = p->a;
  float share = 1.0f / (float)(a->kernel * a->kernel);
  float *dx = a->dx + p->in;
  for (int32_t y = 0; y < a->in.h; y++) {
    cover rows = cover_of(y, a->out.h, a->kernel, a->stride);
    for (int32_t x = 0; x < a->in.w; x++, dx += lanes)
      spread_pixel(dx, a->dy + p->out, rows,
                   cover_of(x, a->out.w, a->kernel, a->stride), a->out.w, share,
                   a->mode == SURGE_ADD, lanes);
  }
}

/* --- maximum -------------------------------------------------------------- */

INLINE void maximum_window(float *restrict y, const float *restrict x, int32_t w,
                           int32_t kernel, size_t lanes) {
  memcpy(y, x, lanes * sizeof *y);
  for (int32_t ky = 0; ky < kernel; ky++)
    for (int32_t kx = 0; kx < kernel; kx++) {
      const float *restrict from = x + at(ky, kx, w, lanes);
      for (size_t l = 0; l < lanes; l++) y[l] = from[l] > y[l] ? from[l] : y[l];
    }
}

INLINE void maximum_plane(const pool_plane *p, size_t lanes) {
  const surge_pool *a = p->a;
  float *y = a->y + p->out;
  for (int32_t oy = 0; oy < a->out.h; oy++)
    for (int32_t ox = 0; ox < a->out.w; ox++, y += lanes)
      maximum_window(y, a->x + p->in + at(oy * a->stride, ox * a->stride, a->in.w, lanes),
                     a->in.w, a->kernel, lanes);
}

/* dy to the first maximum of `lanes` lanes (at most MOST_LANES) of a window. */
INLINE void route_window(float *restrict dx, const float *restrict dy,
                         const float *restrict x, int32_t w, int32_t kernel,
                         size_t stride, size_t lanes) {
  float best[MOST_LANES];
  int32_t where[MOST_LANES];
  for (size_t l = 0; l < lanes; l++) {
    best[l] = x[l];
    where[l] = 0;
  }
  for (int32_t k = 1; k < kernel * kernel; k++) {
    const float *restrict from = x + at(k / kernel, k % kernel, w, stride);
    for (size_t l = 0; l < lanes; l++) {
      where[l] = from[l] > best[l] ? k : where[l];
      best[l] = from[l] > best[l] ? from[l] : best[l];
    }
  }
  for (int32_t k = 0; k < kernel * kernel; k++) {
    float *restrict to = dx + at(k / kernel, k % kernel, w, stride);
    for (size_t l = 0; l < lanes; l++) to[l] += where[l] == k ? dy[l] : 0.0f;
  }
}

INLINE void maximum_back(const pool_plane *p, size_t lanes) {
  const surge_pool *a = p->a;
  float *dx = a->dx + p->in;
  const float *dy = a->dy + p->out;
  if (a->mode == SURGE_WRITE)
    memset(dx, 0, lanes * (size_t)a->in.h * (size_t)a->in.w * sizeof *dx);
  for (int32_t oy = 0; oy < a->out.h; oy++)
    for (int32_t ox = 0; ox < a->out.w; ox++, dy += lanes) {
      size_t corner = at(oy * a->stride, ox * a->stride, a->in.w, lanes);
      for (size_t l = 0; l < lanes; l += MOST_LANES) {
        size_t rest = lanes - l, width = rest < MOST_LANES ? rest : MOST_LANES;
        route_window(dx + corner + l, dy + l, a->x + p->in + corner + l, a->in.w,
                     a->kernel, lanes, width);
      }
    }
}

/* --- the ops -------------------------------------------------------------- */

surge_status surge_cpu_avgpool_forward(surge_context *context, const surge_pool *a) {
  SURGE_TRY(surge_check_pool_forward("avgpool_forward", a));
  FOR_EACH_PLANE(context, a, average_plane);
  return SURGE_OK;
}

surge_status surge_cpu_avgpool_backward(surge_context *context,
                                        const surge_pool *a) {
  SURGE_TRY(surge_check_pool_backward("avgpool_backward", a));
  FOR_EACH_PLANE(context, a, average_back);
  return SURGE_OK;
}

surge_status surge_cpu_maxpool_forward(surge_context *context, const surge_pool *a) {
  SURGE_TRY(surge_check_pool_forward("maxpool_forward", a));
  FOR_EACH_PLANE(context, a, maximum_plane);
  return SURGE_OK;
}

surge_status surge_cpu_maxpool_backward(surge_context *context,
                                        const surge_pool *a) {
  SURGE_TRY(surge_check_pool_backward("maxpool_backward", a));
  SURGE_TRY(surge_check_pointer("maxpool_backward", "x", a->x));
  FOR_EACH_PLANE(context, a, maximum_back);
  return SURGE_OK;
}
