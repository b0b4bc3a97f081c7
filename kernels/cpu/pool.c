/* pool.c - average and maximum pooling.
 *
 * Both layouts are planes of pixels whose `lanes` channels lie side by side: a
 * plane is a channel block of an image (8 lanes), or a whole image (C lanes).
 * One loop serves both. Channels are taken eight at a time, as the compiler's
 * vectors: loops over eight floats are left in memory by it, and slow.
 * Planes fit the second-level cache, so that windows which overlap, and a
 * gradient that is cleared and then added to, cost no traffic of memory. */
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "src/backend/checks.h"

#define WIDTH 8 /* lanes of a vector */
#define INLINED static inline __attribute__((always_inline))

typedef float vector __attribute__((vector_size(4 * WIDTH)));
typedef int32_t lanes_int __attribute__((vector_size(4 * WIDTH)));

/* The first `width` lanes from and to memory; WIDTH in almost all calls. By
 * pointer: without AVX, compilers complain of vectors as arguments. */
INLINED void load(vector *v, const float *from, size_t width) {
  *v = (vector){0};
  memcpy(v, from, width * sizeof *from);
}

INLINED void store(float *to, const vector *v, size_t width) {
  memcpy(to, v, width * sizeof *to);
}

/* to[lanes] += v */
INLINED void add_lanes(float *to, const vector *v, size_t width) {
  vector sum;
  load(&sum, to, width);
  sum += *v;
  store(to, &sum, width);
}

/* One plane of a call: its arrays (those that the op has) and its geometry. */
typedef struct plane {
  float *y, *dx;
  const float *x, *dy;
  size_t lanes; /* floats from a pixel to the next                    */
  size_t row;   /* floats from a row of x to the next                 */
  size_t kernel, stride, pad, in_h, in_w, out_h, out_w;
  size_t elements; /* of x                                               */
  bool add;
} plane;

static size_t planes_per_image(const surge_pool *a) {
  return a->in.layout == SURGE_BLOCKED8 ? (size_t)a->in.c / 8 : 1;
}

static plane plane_at(const surge_pool *a, size_t i) {
  size_t lanes = (size_t)a->in.c / planes_per_image(a);
  size_t in = (size_t)a->in.h * (size_t)a->in.w * lanes;
  size_t out = (size_t)a->out.h * (size_t)a->out.w * lanes;
  return (plane){.y = a->y ? surge_cpu_to(a->y, i * out) : NULL,
                 .dx = a->dx ? surge_cpu_to(a->dx, i * in) : NULL,
                 .x = a->x ? surge_cpu_from(a->x, i * in) : NULL,
                 .dy = a->dy ? surge_cpu_from(a->dy, i * out) : NULL,
                 .lanes = lanes,
                 .row = (size_t)a->in.w * lanes,
                 .kernel = (size_t)a->kernel,
                 .stride = (size_t)a->stride,
                 .pad = (size_t)a->pad,
                 .in_h = (size_t)a->in.h,
                 .in_w = (size_t)a->in.w,
                 .out_h = (size_t)a->out.h,
                 .out_w = (size_t)a->out.w,
                 .elements = in,
                 .add = a->mode == SURGE_ADD};
}

/* Pixels of a window that lie in the map, of one lane: `in` is the index of
 * the first in x and dx, `out` the window's in y and dy. */
typedef struct window {
  size_t in, out, rows, columns;
} window;

/* What an op does with `width` lanes of one window. */
typedef void window_function(const plane *p, window w, size_t width);

/* Of window `at` along a side: its first pixel in the map, and how many are. */
INLINED size_t begin_of(const plane *p, size_t at) {
  size_t padded = at * p->stride;
  return padded > p->pad ? padded - p->pad : 0;
}

INLINED size_t length_of(const plane *p, size_t at, size_t side) {
  if (p->pad == 0) return p->kernel;
  size_t end = at * p->stride + p->kernel - p->pad;
  return (end < side ? end : side) - begin_of(p, at);
}

/* Calls `each` for all windows of a plane; inlined, so that `each` is too. */
INLINED void walk(const plane *p, window_function *each) {
  for (size_t oy = 0; oy < p->out_h; oy++)
    for (size_t ox = 0; ox < p->out_w; ox++) {
      window w = {begin_of(p, oy) * p->row + begin_of(p, ox) * p->lanes,
                  (oy * p->out_w + ox) * p->lanes, length_of(p, oy, p->in_h),
                  length_of(p, ox, p->in_w)};
      size_t lane = 0;
      for (; lane + WIDTH <= p->lanes; lane += WIDTH) {
        each(p, w, WIDTH);
        w.in += WIDTH;
        w.out += WIDTH;
      }
      for (; lane < p->lanes; lane++, w.in++, w.out++) each(p, w, 1);
    }
}

/* The same, compiled a second time for the common case, blocked 2x2: with
 * sizes that it knows the compiler unrolls all loops within a window. From a
 * copy, because stores to y might change *p. */
INLINED void each_window(const plane *p, window_function *each) {
  plane copy = *p;
  if (p->lanes == WIDTH && p->kernel == 2 && p->pad == 0) {
    copy.lanes = WIDTH;
    copy.kernel = 2;
    copy.pad = 0;
    walk(&copy, each);
  } else {
    walk(&copy, each);
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
INLINED void average(const plane *p, window w, size_t width) {
  vector sum = {0}, element;
  for (size_t y = 0; y < w.rows; y++) {
    const float *x = p->x + w.in + y * p->row;
    vector row = {0};
    for (size_t i = 0; i < w.columns; i++, x += p->lanes) {
      load(&element, x, width);
      row += element;
    }
    sum += row;
  }
  sum /= (float)(p->kernel * p->kernel);
  store(p->y + w.out, &sum, width);
}

INLINED void spread(const plane *p, window w, size_t width) {
  vector share;
  load(&share, p->dy + w.out, width);
  share /= (float)(p->kernel * p->kernel);
  for (size_t y = 0; y < w.rows; y++) {
    float *dx = p->dx + w.in + y * p->row;
    for (size_t i = 0; i < w.columns; i++, dx += p->lanes)
      add_lanes(dx, &share, width);
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
 * first. NaN beats every number, as in PyTorch: a fault must not vanish. */
INLINED void find_maximum(const plane *p, window w, size_t width, vector *best,
                          lanes_int *where) {
  int32_t pixel = 0;
  vector v;
  load(best, p->x + w.in, width);
  *where = (lanes_int){0};
  for (size_t y = 0; y < w.rows; y++) {
    const float *x = p->x + w.in + y * p->row;
    for (size_t i = 0; i < w.columns; i++, x += p->lanes, pixel++) {
      load(&v, x, width);
      lanes_int beats =
          (v > *best) | (v != v); /* all bits of a lane, or none */
      *best = (vector)((beats & (lanes_int)v) | (~beats & (lanes_int)*best));
      *where = (beats & pixel) | (~beats & *where);
    }
  }
}

INLINED void maximum(const plane *p, window w, size_t width) {
  vector best;
  lanes_int where;
  find_maximum(p, w, width, &best, &where);
  store(p->y + w.out, &best, width);
}

/* Adds dy or 0 to every pixel: vectors cannot go to a place of each lane. */
INLINED void route(const plane *p, window w, size_t width) {
  vector best, dy;
  lanes_int where;
  int32_t pixel = 0;
  find_maximum(p, w, width, &best, &where);
  load(&dy, p->dy + w.out, width);
  for (size_t y = 0; y < w.rows; y++) {
    float *dx = p->dx + w.in + y * p->row;
    for (size_t i = 0; i < w.columns; i++, dx += p->lanes, pixel++) {
      vector share = (vector)((lanes_int)dy & (where == pixel));
      add_lanes(dx, &share, width);
    }
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
