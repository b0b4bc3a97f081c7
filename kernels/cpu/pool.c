/* pool.c - average and maximum pooling.
 *
 * Both layouts are planes of pixels whose `lanes` channels lie side by side: a
 * plane is a channel block of an image (8 lanes), or a whole image (C lanes).
 * One loop serves both. Channels are taken eight at a time, each a loop of
 * constant length that becomes one vector operation, and the rest one by one.
 * Planes fit the second-level cache, so that windows which overlap, and a
 * gradient that is cleared and then added to, cost no traffic of memory. */
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "src/backend/checks.h"

#define WIDTH 8 /* lanes of a vector */

/* One plane of a call: its arrays (those that the op has) and its geometry. */
typedef struct plane {
  float *y, *dx;
  const float *x, *dy;
  size_t lanes;         /* floats from a pixel to the next                    */
  size_t row;           /* floats from a row of x to the next                 */
  size_t kernel, stride, out_h, out_w;
  size_t elements;      /* of x                                               */
  bool add;
} plane;

static size_t planes_per_image(const surge_pool *a) {
  return a->in.layout == SURGE_BLOCKED8 ? (size_t)a->in.c / 8 : 1;
}

static plane plane_at(const surge_pool *a, size_t i) {
  size_t lanes = (size_t)a->in.c / planes_per_image(a);
  size_t in = (size_t)a->in.h * (size_t)a->in.w * lanes;
  size_t out = (size_t)a->out.h * (size_t)a->out.w * lanes;
  return (plane){.y = a->y ? a->y + i * out : NULL,
                 .dx = a->dx ? a->dx + i * in : NULL,
                 .x = a->x ? a->x + i * in : NULL,
                 .dy = a->dy ? a->dy + i * out : NULL,
                 .lanes = lanes,
                 .row = (size_t)a->in.w * lanes,
                 .kernel = (size_t)a->kernel,
                 .stride = (size_t)a->stride,
                 .out_h = (size_t)a->out.h,
                 .out_w = (size_t)a->out.w,
                 .elements = in,
                 .add = a->mode == SURGE_ADD};
}

/* What an op does with `width` lanes of one window: `in` is the index of its
 * first pixel in x and dx, `out` its index in y and dy. */
typedef void window_function(const plane *p, size_t in, size_t out,
                             size_t width);

#define INLINED static inline __attribute__((always_inline))

/* Calls `each` for all windows of a plane; inlined, so that `each` is too. */
INLINED void each_window(const plane *p, window_function *each) {
  for (size_t oy = 0; oy < p->out_h; oy++)
    for (size_t ox = 0; ox < p->out_w; ox++) {
      size_t in = oy * p->stride * p->row + ox * p->stride * p->lanes;
      size_t out = (oy * p->out_w + ox) * p->lanes, lane = 0;
      for (; lane + WIDTH <= p->lanes; lane += WIDTH)
        each(p, in + lane, out + lane, WIDTH);
      for (; lane < p->lanes; lane++) each(p, in + lane, out + lane, 1);
    }
}

/* Runs a plane function over all planes: each writes its own plane alone. */
static void run_planes(const surge_context *context, const surge_pool *a,
                       void (*each)(const plane *p)) {
  size_t count = a->images * planes_per_image(a);
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t i = 0; i < count; i++) {
    plane p = plane_at(a, i);
    each(&p);
  }
}

static void clear_gradient(const plane *p) {
  if (!p->add) memset(p->dx, 0, p->elements * sizeof(float));
}

/* --- average -------------------------------------------------------------- */

/* Row by row, so that errors grow with 2*kernel, not with kernel^2. */
INLINED void average(const plane *p, size_t in, size_t out, size_t width) {
  float sum[WIDTH] = {0}, elements = (float)(p->kernel * p->kernel);
  for (size_t y = 0; y < p->kernel; y++) {
    const float *x = p->x + in + y * p->row;
    float row[WIDTH] = {0};
    for (size_t i = 0; i < p->kernel; i++, x += p->lanes)
      for (size_t l = 0; l < width; l++) row[l] += x[l];
    for (size_t l = 0; l < width; l++) sum[l] += row[l];
  }
  for (size_t l = 0; l < width; l++) p->y[out + l] = sum[l] / elements;
}

INLINED void spread(const plane *p, size_t in, size_t out, size_t width) {
  float share[WIDTH], elements = (float)(p->kernel * p->kernel);
  for (size_t l = 0; l < width; l++) share[l] = p->dy[out + l] / elements;
  for (size_t y = 0; y < p->kernel; y++) {
    float *dx = p->dx + in + y * p->row;
    for (size_t i = 0; i < p->kernel; i++, dx += p->lanes)
      for (size_t l = 0; l < width; l++) dx[l] += share[l];
  }
}

static void average_plane(const plane *p) { each_window(p, average); }

static void spread_plane(const plane *p) {
  clear_gradient(p);
  each_window(p, spread);
}

surge_status surge_cpu_avgpool_forward(surge_context *context,
                                       const surge_pool *a) {
  SURGE_TRY(surge_check_pool_forward("avgpool_forward", a));
  run_planes(context, a, average_plane);
  return SURGE_OK;
}

surge_status surge_cpu_avgpool_backward(surge_context *context,
                                        const surge_pool *a) {
  SURGE_TRY(surge_check_pool_backward("avgpool_backward", a));
  run_planes(context, a, spread_plane);
  return SURGE_OK;
}

/* --- maximum -------------------------------------------------------------- */

/* The maximum of each lane of a window, and which pixel (row-major) has it
 * first. NaN beats every number, as in PyTorch: a fault must not vanish here. */
INLINED void find_maximum(const plane *p, size_t in, size_t width, float *best,
                          uint32_t *where) {
  uint32_t pixel = 0;
  for (size_t l = 0; l < width; l++) {
    best[l] = p->x[in + l];
    where[l] = 0;
  }
  for (size_t y = 0; y < p->kernel; y++) {
    const float *x = p->x + in + y * p->row;
    for (size_t i = 0; i < p->kernel; i++, x += p->lanes, pixel++)
      for (size_t l = 0; l < width; l++) {
        bool beats = x[l] > best[l] || x[l] != x[l];
        best[l] = beats ? x[l] : best[l];
        where[l] = beats ? pixel : where[l];
      }
  }
}

INLINED void maximum(const plane *p, size_t in, size_t out, size_t width) {
  float best[WIDTH];
  uint32_t where[WIDTH];
  find_maximum(p, in, width, best, where);
  for (size_t l = 0; l < width; l++) p->y[out + l] = best[l];
}

/* Adds dy or 0 to every pixel: vectors cannot go to a place of each lane. */
INLINED void route(const plane *p, size_t in, size_t out, size_t width) {
  float best[WIDTH];
  uint32_t where[WIDTH], pixel = 0;
  find_maximum(p, in, width, best, where);
  for (size_t y = 0; y < p->kernel; y++) {
    float *dx = p->dx + in + y * p->row;
    for (size_t i = 0; i < p->kernel; i++, dx += p->lanes, pixel++)
      for (size_t l = 0; l < width; l++)
        dx[l] += where[l] == pixel ? p->dy[out + l] : 0;
  }
}

static void maximum_plane(const plane *p) { each_window(p, maximum); }

static void route_plane(const plane *p) {
  clear_gradient(p);
  each_window(p, route);
}

surge_status surge_cpu_maxpool_forward(surge_context *context,
                                       const surge_pool *a) {
  SURGE_TRY(surge_check_pool_forward("maxpool_forward", a));
  run_planes(context, a, maximum_plane);
  return SURGE_OK;
}

surge_status surge_cpu_maxpool_backward(surge_context *context,
                                        const surge_pool *a) {
  SURGE_TRY(surge_check_pool_backward("maxpool_backward", a));
  run_planes(context, a, route_plane);
  return SURGE_OK;
}
