/* layers.c - see layers.h. */
#include "tests/ref64/layers.h"

#include <math.h>
#include <stdlib.h>

#include "tests/support/values.h"

ref_sum ref_sum_create(size_t count) {
  return (ref_sum){.value = calloc(count, sizeof(double)),
                   .abs = calloc(count, sizeof(double)),
                   .count = count};
}

void ref_sum_free(ref_sum *sum) {
  free(sum->value);
  free(sum->abs);
  *sum = (ref_sum){0};
}

double ref_inner(const double *a, const double *b, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += a[i] * b[i];
  return sum;
}

/* Integers up to 256 are numbers of bf16. */
static double rounding_of(double value, ref_tolerance t) {
  double size = fabs(value) + (double)t.part;
  if (t.part <= 0 || (t.exact && size <= 256)) return 0;
  return test_half_ulp(size);
}

void ref_expect(const char *name, const char *what, const test_buffer *got,
                const ref_sum *wanted, ref_tolerance t) {
  double before = (double)t.before;
  ref_sum all = ref_sum_create(wanted->count); /* its abs: the bound */
  for (size_t i = 0; i < wanted->count; i++) {
    double sum = wanted->abs[i] + fabs(before);
    all.value[i] = wanted->value[i] + before;
    all.abs[i] = t.exact ? 0 : test_bound(t.terms, sum);
    all.abs[i] += rounding_of(fabs(wanted->value[i]) + all.abs[i], t);
  }
  test_expect_near(name, what, got, all.value, all.abs);
  ref_sum_free(&all);
}

float *ref_values(uint64_t seed, size_t count, bool integers) {
  if (!integers) return test_random(seed, count, -1, 1);
  float *values = test_random(seed, count, -3, 4);
  for (size_t i = 0; i < count; i++) values[i] = floorf(values[i]);
  return values;
}

static void add(ref_sum *sum, size_t i, double term) {
  sum->value[i] += term;
  sum->abs[i] += fabs(term);
}

/* Index of element (y, x, c) of image n. */
static size_t at(const surge_map *map, size_t n, int32_t y, int32_t x,
                 int32_t c) {
  return n * surge_map_elements(map) + surge_offset_of(map, y, x, c);
}

/* --- convolution ---------------------------------------------------------- */

size_t ref_conv2d_weights(const surge_conv2d_shape *s) {
  return (size_t)(s->out.c * (s->in.c / s->groups) * s->kernel * s->kernel);
}

/* What one product of a convolution connects: indices into y, x and w. */
typedef void connect(void *state, size_t y, size_t x, size_t w);

/* All products of one output pixel and one channel k of image n. */
static void each_tap(const surge_conv2d_shape *s, size_t n, int32_t oy,
                     int32_t ox, int32_t k, connect *f, void *state) {
  int32_t per_group = s->in.c / s->groups;
  int32_t first = k / (s->out.c / s->groups) * per_group;
  for (int32_t ky = 0; ky < s->kernel; ky++)
    for (int32_t kx = 0; kx < s->kernel; kx++)
      for (int32_t c = 0; c < per_group; c++) {
        int32_t y = oy * s->stride - s->pad + ky;
        int32_t x = ox * s->stride - s->pad + kx;
        if (y < 0 || y >= s->in.h || x < 0 || x >= s->in.w) continue;
        int32_t w = ((k * s->kernel + ky) * s->kernel + kx) * per_group + c;
        f(state, at(&s->out, n, oy, ox, k), at(&s->in, n, y, x, first + c),
          (size_t)w);
      }
}

static void each_product(const surge_conv2d_shape *s, size_t images, connect *f,
                         void *state) {
  for (size_t n = 0; n < images; n++)
    for (int32_t oy = 0; oy < s->out.h; oy++)
      for (int32_t ox = 0; ox < s->out.w; ox++)
        for (int32_t k = 0; k < s->out.c; k++)
          each_tap(s, n, oy, ox, k, f, state);
}

typedef struct product {
  ref_sum sum;
  const double *y, *x, *w; /* the two that are factors */
} product;

static void to_y(void *state, size_t y, size_t x, size_t w) {
  product *p = state;
  add(&p->sum, y, p->x[x] * p->w[w]);
}

static void to_x(void *state, size_t y, size_t x, size_t w) {
  product *p = state;
  add(&p->sum, x, p->y[y] * p->w[w]);
}

static void to_w(void *state, size_t y, size_t x, size_t w) {
  product *p = state;
  add(&p->sum, w, p->y[y] * p->x[x]);
}

ref_sum ref_conv2d_forward(const surge_conv2d_shape *s, size_t images,
                           const double *x, const double *w, const double *b) {
  size_t count = images * surge_map_elements(&s->out);
  product p = {.sum = ref_sum_create(count), .x = x, .w = w};
  each_product(s, images, to_y, &p);
  for (size_t i = 0; b && i < count; i++)
    add(&p.sum, i,
        b[surge_channel_of(&s->out, i % surge_map_elements(&s->out))]);
  return p.sum;
}

ref_sum ref_conv2d_backward_data(const surge_conv2d_shape *s, size_t images,
                                 const double *dy, const double *w) {
  size_t count = images * surge_map_elements(&s->in);
  product p = {.sum = ref_sum_create(count), .y = dy, .w = w};
  each_product(s, images, to_x, &p);
  return p.sum;
}

ref_sum ref_conv2d_backward_weights(const surge_conv2d_shape *s, size_t images,
                                    const double *dy, const double *x) {
  product p = {.sum = ref_sum_create(ref_conv2d_weights(s)), .y = dy, .x = x};
  each_product(s, images, to_w, &p);
  return p.sum;
}

ref_sum ref_bias(const surge_map *out, size_t images, const double *dy) {
  ref_sum db = ref_sum_create((size_t)out->c);
  size_t elements = surge_map_elements(out);
  for (size_t i = 0; i < images * elements; i++)
    add(&db, (size_t)surge_channel_of(out, i % elements), dy[i]);
  return db;
}

/* --- linear --------------------------------------------------------------- */

/* f for each image, output and feature. */
static void each_weight(const surge_map *in, int32_t out, size_t images,
                        connect *f, void *state) {
  for (size_t n = 0; n < images; n++)
    for (int32_t o = 0; o < out; o++)
      for (int32_t y = 0; y < in->h; y++)
        for (int32_t x = 0; x < in->w; x++)
          for (int32_t c = 0; c < in->c; c++)
            f(state, n * (size_t)out + (size_t)o, at(in, n, y, x, c),
              (size_t)(((o * in->h + y) * in->w + x) * in->c + c));
}

ref_sum ref_linear_forward(const surge_map *in, int32_t out, size_t images,
                           const double *x, const double *w, const double *b) {
  size_t count = images * (size_t)out;
  product p = {.sum = ref_sum_create(count), .x = x, .w = w};
  each_weight(in, out, images, to_y, &p);
  for (size_t i = 0; b && i < count; i++) add(&p.sum, i, b[i % (size_t)out]);
  return p.sum;
}

ref_sum ref_linear_backward_data(const surge_map *in, int32_t out,
                                 size_t images, const double *dy,
                                 const double *w) {
  size_t count = images * surge_map_elements(in);
  product p = {.sum = ref_sum_create(count), .y = dy, .w = w};
  each_weight(in, out, images, to_x, &p);
  return p.sum;
}

ref_sum ref_linear_backward_weights(const surge_map *in, int32_t out,
                                    size_t images, const double *dy,
                                    const double *x) {
  size_t count = (size_t)out * surge_map_elements(in);
  product p = {.sum = ref_sum_create(count), .y = dy, .x = x};
  each_weight(in, out, images, to_w, &p);
  return p.sum;
}

/* --- pooling -------------------------------------------------------------- */

/* f for each window and element of it in the map: indices into y and x; w
 * counts the elements of the window in row-major order. */
static void each_element(const surge_pool *p, connect *f, void *state) {
  for (size_t n = 0; n < p->images; n++)
    for (int32_t oy = 0; oy < p->out.h; oy++)
      for (int32_t ox = 0; ox < p->out.w; ox++)
        for (int32_t c = 0; c < p->in.c; c++)
          for (int32_t i = 0; i < p->kernel * p->kernel; i++) {
            int32_t iy = oy * p->stride - p->pad + i / p->kernel;
            int32_t ix = ox * p->stride - p->pad + i % p->kernel;
            if (iy >= 0 && iy < p->in.h && ix >= 0 && ix < p->in.w)
              f(state, at(&p->out, n, oy, ox, c), at(&p->in, n, iy, ix, c),
                (size_t)i);
          }
}

static void to_mean(void *state, size_t y, size_t x, size_t w) {
  product *p = state;
  (void)w;
  add(&p->sum, y, p->x[x] * p->w[0]);
}

static void to_each(void *state, size_t y, size_t x, size_t w) {
  product *p = state;
  (void)w;
  add(&p->sum, x, p->y[y] * p->w[0]);
}

ref_sum ref_avgpool_forward(const surge_pool *pool, const double *x) {
  double share = 1.0 / (pool->kernel * pool->kernel);
  size_t count = pool->images * surge_map_elements(&pool->out);
  product p = {.sum = ref_sum_create(count), .x = x, .w = &share};
  each_element(pool, to_mean, &p);
  return p.sum;
}

ref_sum ref_avgpool_backward(const surge_pool *pool, const double *dy) {
  double share = 1.0 / (pool->kernel * pool->kernel);
  size_t count = pool->images * surge_map_elements(&pool->in);
  product p = {.sum = ref_sum_create(count), .y = dy, .w = &share};
  each_element(pool, to_each, &p);
  return p.sum;
}

/* Where each window has its first maximum: index into x, by index into y;
 * NOWHERE at first. */
#define NOWHERE SIZE_MAX
typedef struct maxima {
  const double *x;
  size_t *first;
} maxima;

static void to_first(void *state, size_t y, size_t x, size_t w) {
  maxima *m = state;
  (void)w;
  if (m->first[y] == NOWHERE || m->x[x] > m->x[m->first[y]]) m->first[y] = x;
}

static size_t *find_maxima(const surge_pool *pool, const double *x) {
  size_t count = pool->images * surge_map_elements(&pool->out);
  maxima m = {.x = x, .first = malloc(count * sizeof(size_t))};
  for (size_t i = 0; i < count; i++) m.first[i] = NOWHERE;
  each_element(pool, to_first, &m);
  return m.first;
}

ref_sum ref_maxpool_forward(const surge_pool *pool, const double *x) {
  ref_sum y = ref_sum_create(pool->images * surge_map_elements(&pool->out));
  size_t *first = find_maxima(pool, x);
  for (size_t i = 0; i < y.count; i++) add(&y, i, x[first[i]]);
  free(first);
  return y;
}

ref_sum ref_maxpool_backward(const surge_pool *pool, const double *dy,
                             const double *x) {
  ref_sum dx = ref_sum_create(pool->images * surge_map_elements(&pool->in));
  size_t outputs = pool->images * surge_map_elements(&pool->out);
  size_t *first = find_maxima(pool, x);
  for (size_t i = 0; i < outputs; i++) add(&dx, first[i], dy[i]);
  free(first);
  return dx;
}
