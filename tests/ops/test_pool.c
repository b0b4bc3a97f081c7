/* test_pool.c - is the reference of pooling right, does a backend compute it,
 * and does it give the same bits with every number of threads? */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "tests/ref64/layers.h"
#include "tests/support/support.h"
#include "tests/support/refused.h"
#include "tests/support/values.h"

#define LAST SURGE_CHANNELS_LAST
#define BLOCK SURGE_BLOCKED8
#define BEFORE .75f /* what a gradient holds before it is added to */

typedef struct pool_case {
  const char *name;
  surge_map in;
  int32_t kernel, stride;
  size_t images;
  int32_t pad;
} pool_case;

static const pool_case cases[] = {
    {"one element", {1, 1, 1, LAST}, 1, 1, 1},
    {"2x2", {4, 6, 8, BLOCK}, 2, 2, 5},
    {"2x2, rest", {5, 7, 16, BLOCK}, 2, 2, 17},
    {"2x2, channels-last", {6, 4, 8, LAST}, 2, 2, 5},
    {"2x2, odd channels", {6, 7, 5, LAST}, 2, 2, 16},
    {"2x2, 8 and some", {4, 5, 19, LAST}, 2, 2, 130},
    {"overlapping", {9, 7, 8, BLOCK}, 3, 2, 5},
    {"overlapping, odd", {5, 6, 3, LAST}, 3, 1, 5},
    {"with gaps", {11, 8, 8, BLOCK}, 2, 3, 5},
    {"every second", {7, 7, 3, LAST}, 1, 2, 5},
    {"global", {7, 7, 24, BLOCK}, 7, 7, 17},
    {"global, odd", {5, 5, 10, LAST}, 5, 1, 1},
    {"many planes", {2, 2, 64, BLOCK}, 2, 2, 130},
    {"padded", {7, 8, 8, BLOCK}, 3, 2, 5, 1},
    {"padded, odd", {8, 5, 3, LAST}, 3, 2, 17, 1},
    {"padded 2x2", {3, 4, 8, BLOCK}, 2, 2, 5, 1},
    {"padding alone on both sides", {2, 1, 8, LAST}, 5, 1, 5, 2},
};
#define CASES (sizeof cases / sizeof *cases)

/* --- inputs and outputs of a case ----------------------------------------- */

typedef struct problem {
  const pool_case *c;
  surge_pool pool; /* geometry */
  size_t ins, outs;
  float *x, *dy;
  double *wide_x, *wide_dy;
} problem;

static problem problem_create(const pool_case *c, bool integers,
                              surge_dtype type) {
  int32_t h = (c->in.h + 2 * c->pad - c->kernel) / c->stride + 1;
  int32_t w = (c->in.w + 2 * c->pad - c->kernel) / c->stride + 1;
  problem p = {
      .c = c,
      .pool = {.in = test_map(c->in),
               .out = test_map((surge_map){h, w, c->in.c, c->in.layout}),
               .kernel = c->kernel,
               .stride = c->stride,
               .pad = c->pad,
               .images = c->images}};
  p.ins = c->images * surge_map_elements(&p.pool.in);
  p.outs = c->images * surge_map_elements(&p.pool.out);
  p.pool.in.type = p.pool.out.type = type;
  p.x = ref_values(1, p.ins, integers);
  p.dy = ref_values(2, p.outs, integers);
  test_round(p.x, p.ins, type);
  test_round(p.dy, p.outs, type);
  p.wide_x = test_widened(p.x, p.ins);
  p.wide_dy = test_widened(p.dy, p.outs);
  return p;
}

static void problem_free(problem *p) {
  free(p->x);
  free(p->dy);
  free(p->wide_x);
  free(p->wide_dy);
}

enum { AVG, AVG_DX, AVG_ADDED, MAX, MAX_DX, MAX_ADDED, OUTPUTS };
static const char *const output_name[OUTPUTS] = {
    "average", "average dx", "average dx added",
    "maximum", "maximum dx", "maximum dx added"};

typedef struct result {
  surge_context *context;
  test_buffer out[OUTPUTS];
} result;

typedef surge_status pool_op(surge_context *, const surge_pool *);

static void call(pool_op *op, const result *r, const surge_pool *a) {
  cr_assert_eq(op(r->context, a), SURGE_OK, "%s", surge_last_error());
}

/* Forward, backward and adding backward of one kind of pool. */
static void run_kind(const problem *p, result *r, int first, pool_op *forward,
                     pool_op *backward) {
  test_buffer *out = &r->out[first];
  surge_dtype type = p->pool.in.type;
  test_buffer x = test_copied_as(r->context, p->x, p->ins, type);
  test_buffer dy = test_copied_as(r->context, p->dy, p->outs, type);
  out[0] = test_poisoned_as(r->context, p->outs, type);
  out[1] = test_poisoned_as(r->context, p->ins, type);
  out[2] = test_filled_as(r->context, p->ins, BEFORE, type);
  surge_pool a = p->pool;
  a.x = x.device;
  a.y = out[0].device;
  call(forward, r, &a);
  a.y = NULL;
  a.x = first == MAX ? x.device : NULL;
  a.dy = dy.device;
  a.dx = out[1].device;
  call(backward, r, &a);
  a.dx = out[2].device;
  a.mode = SURGE_ADD;
  call(backward, r, &a);
  test_release(&x);
  test_release(&dy);
}

static result run_case(const problem *p, int threads) {
  const surge_backend *b = test_backend();
  result r = {.context = test_context(threads)};
  run_kind(p, &r, AVG, b->avgpool_forward, b->avgpool_backward);
  run_kind(p, &r, MAX, b->maxpool_forward, b->maxpool_backward);
  return r;
}

static void result_free(result *r) {
  for (size_t i = 0; i < OUTPUTS; i++) test_release(&r->out[i]);
  test_backend()->close(r->context);
}

/* Depths: a window's rows, then their sum; windows that share a pixel. The
 * maximum is one of its inputs, to the bit. Means of integers are exact where
 * the window's size is a power of two. */
static void expect_reference(const problem *p, const result *r, bool integers) {
  const pool_case *c = p->c;
  int32_t overlap = (c->kernel + c->stride - 1) / c->stride;
  bool power = !(c->kernel & (c->kernel - 1));
  ref_tolerance y = {2 * c->kernel, 0, integers && power};
  ref_tolerance dx = {overlap * overlap, 0, integers && power};
  ref_tolerance added = {dx.terms + 1, BEFORE, dx.exact};
  ref_sum mean = ref_avgpool_forward(&p->pool, p->wide_x);
  ref_sum mean_dx = ref_avgpool_backward(&p->pool, p->wide_dy);
  ref_sum max = ref_maxpool_forward(&p->pool, p->wide_x);
  ref_sum max_dx = ref_maxpool_backward(&p->pool, p->wide_dy, p->wide_x);
  ref_expect(c->name, output_name[AVG], &r->out[AVG], &mean, y);
  ref_expect(c->name, output_name[AVG_DX], &r->out[AVG_DX], &mean_dx, dx);
  ref_expect(c->name, output_name[AVG_ADDED], &r->out[AVG_ADDED], &mean_dx,
             added);
  dx.exact = added.exact = integers;
  ref_expect(c->name, output_name[MAX], &r->out[MAX], &max,
             (ref_tolerance){.exact = true});
  ref_expect(c->name, output_name[MAX_DX], &r->out[MAX_DX], &max_dx, dx);
  ref_expect(c->name, output_name[MAX_ADDED], &r->out[MAX_ADDED], &max_dx,
             added);
  ref_sum_free(&mean);
  ref_sum_free(&mean_dx);
  ref_sum_free(&max);
  ref_sum_free(&max_dx);
}

/* --- questions ------------------------------------------------------------ */

static void compare(bool integers) {
  for (size_t i = 0; i < CASES * (size_t)test_types(); i++) {
    problem p =
        problem_create(&cases[i % CASES], integers, test_type[i / CASES]);
    result r = run_case(&p, 2);
    expect_reference(&p, &r, integers);
    result_free(&r);
    problem_free(&p);
  }
}

Test(pool, equals_the_reference) { compare(false); }

/* Integers also make ties, as spikes do: the first maximum takes all. */
Test(pool, exact_on_integers) { compare(true); }

Test(pool, same_bits_with_any_threads_and_again) {
  const int threads[] = {2, 2, 3};
  for (size_t i = 0; i < CASES * (size_t)test_types(); i++) {
    problem p = problem_create(&cases[i % CASES], false, test_type[i / CASES]);
    result one = run_case(&p, 1);
    for (size_t k = 0; k < sizeof threads / sizeof *threads; k++) {
      result other = run_case(&p, threads[k]);
      for (size_t o = 0; o < OUTPUTS; o++)
        test_expect_same(p.c->name, output_name[o], &one.out[o], &other.out[o]);
      result_free(&other);
    }
    result_free(&one);
    problem_free(&p);
  }
}

/* A fault must not vanish in a pool: the maximum of NaN and 1 is NaN. */
Test(pool, maximum_keeps_nan) {
  const surge_backend *b = test_backend();
  for (size_t i = 0; i < 4; i++) {
    surge_context *context = test_context(1);
    float values[4] = {1, 2, 3, 1};
    values[i] = NAN;
    test_buffer x = test_copied(context, values, 4);
    test_buffer y = test_filled(context, 1, 0);
    surge_map in = {2, 2, 1, LAST}, out = {1, 1, 1, LAST};
    surge_pool a = {.y = y.device,
                    .x = x.device,
                    .in = in,
                    .out = out,
                    .kernel = 2,
                    .stride = 2,
                    .images = 1};
    cr_expect_eq(b->maxpool_forward(context, &a), SURGE_OK);
    float *found = test_download(&y, "y");
    cr_expect(isnan(found[0]), "NaN at %zu: found %g", i, (double)found[0]);
    free(found);
    test_release(&x);
    test_release(&y);
    b->close(context);
  }
}

/* --- the reference -------------------------------------------------------- */

Test(pool, reference_by_hand) {
  surge_pool p = {.in = {2, 5, 1, LAST},
                  .out = {1, 2, 1, LAST},
                  .kernel = 2,
                  .stride = 2,
                  .images = 1};
  const double x[10] = {1, 5, 4, 2, 9, 5, 3, 0, 6, 9}, dy[2] = {10, 20};
  const double average_dx[10] = {2.5, 2.5, 5, 5, 0, 2.5, 2.5, 5, 5, 0};
  const double maximum_dx[10] = {0, 10, 0, 0, 0, 0, 0, 0, 20, 0};
  ref_sum average = ref_avgpool_forward(&p, x);
  ref_sum maximum = ref_maxpool_forward(&p, x);
  ref_sum spread = ref_avgpool_backward(&p, dy);
  ref_sum routed = ref_maxpool_backward(&p, dy, x);
  cr_expect(average.value[0] == 3.5 && average.value[1] == 3);
  cr_expect(maximum.value[0] == 5 && maximum.value[1] == 6);
  cr_expect_arr_eq(spread.value, average_dx, sizeof average_dx);
  cr_expect_arr_eq(routed.value, maximum_dx, sizeof maximum_dx);
  ref_sum_free(&average);
  ref_sum_free(&maximum);
  ref_sum_free(&spread);
  ref_sum_free(&routed);
}

/* Two windows of 3x3 over a row of two pixels and a padding of one: both hold
 * both pixels. */
Test(pool, padded_reference_by_hand) {
  surge_pool p = {.in = {1, 2, 1, LAST},
                  .out = {1, 2, 1, LAST},
                  .kernel = 3,
                  .stride = 1,
                  .pad = 1,
                  .images = 1};
  const double x[2] = {-9, -18}, dy[2] = {9, 18};
  ref_sum average = ref_avgpool_forward(&p, x);
  ref_sum maximum = ref_maxpool_forward(&p, x);
  ref_sum spread = ref_avgpool_backward(&p, dy);
  ref_sum routed = ref_maxpool_backward(&p, dy, x);
  cr_expect(average.value[0] == -3 && average.value[1] == -3);
  cr_expect(maximum.value[0] == -9 && maximum.value[1] == -9);
  cr_expect(spread.value[0] == 3 && spread.value[1] == 3);
  cr_expect(routed.value[0] == 27 && routed.value[1] == 0);
  ref_sum_free(&average);
  ref_sum_free(&maximum);
  ref_sum_free(&spread);
  ref_sum_free(&routed);
}

/* --- refusals ------------------------------------------------------------- */

/* A call that is right but for one argument. */
#define REFUSED(op, field, value, text)                                        \
  do {                                                                         \
    surge_pool bad = good;                                                     \
    bad.field = (value);                                                       \
    test_expect_refused(b->op(context, &bad), #op, text);                      \
  } while (0)

Test(pool, refuses_arguments) {
  const surge_backend *b = test_backend();
  surge_context *context = test_context(1);
  float v[32] = {0};
  surge_pool good = {.y = v,
                     .dx = v,
                     .x = v,
                     .dy = v,
                     .in = {2, 2, 8, BLOCK},
                     .out = {1, 1, 8, BLOCK},
                     .kernel = 2,
                     .stride = 2,
                     .images = 1};
  REFUSED(avgpool_forward, y, NULL, "y:");
  REFUSED(maxpool_forward, x, NULL, "x:");
  REFUSED(avgpool_forward, in.h, 0, "map:");
  REFUSED(avgpool_forward, kernel, 0, "kernel:");
  REFUSED(avgpool_forward, kernel, 3, "height of 2");
  REFUSED(avgpool_forward, pad, -1, "pad: wanted 0 to 1");
  REFUSED(maxpool_forward, pad, 2, "half the kernel, found 2");
  REFUSED(maxpool_forward, stride, 0, "stride:");
  REFUSED(maxpool_forward, images, 0, "images:");
  REFUSED(avgpool_forward, out.c, 16, "8 channels");
  REFUSED(avgpool_forward, out.layout, LAST, "in another");
  REFUSED(avgpool_forward, out.h, 2, "height 1, found 2");
  REFUSED(maxpool_forward, out.w, 2, "width 1, found 2");
  REFUSED(avgpool_backward, dx, NULL, "dx:");
  REFUSED(avgpool_backward, dy, NULL, "dy:");
  REFUSED(avgpool_backward, mode, (surge_mode)2, "mode:");
  REFUSED(maxpool_backward, x, NULL, "x:");
  REFUSED(maxpool_backward, mode, (surge_mode)2, "mode:");
  b->close(context);
}
