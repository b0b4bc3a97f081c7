/* test_conv2d.c - is the reference of the convolution right, does a backend
 * compute it, and does it give the same bits with every number of threads? */
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "kernels/cpu/spikes.h"
#include "tests/ref64/layers.h"
#include "tests/support/support.h"
#include "tests/support/refused.h"
#include "tests/support/values.h"

#define LAST SURGE_CHANNELS_LAST
#define BLOCK SURGE_BLOCKED8
#define BEFORE .75f /* what accumulators hold before a call */

typedef struct conv_case {
  const char *name;
  surge_map in;
  int32_t out; /* channels */
  surge_layout out_layout;
  int32_t kernel, stride, pad, groups;
  bool bias;
  size_t images;
  float share;    /* of x that is not 0; 0: all of it                       */
  size_t stretch; /* every other so many images are dense; 0: none          */
} conv_case;

static const conv_case cases[] = {
    {"one product", {1, 1, 1, LAST}, 1, LAST, 1, 1, 0, 1, true, 1},
    {"one channel in", {9, 7, 1, LAST}, 16, BLOCK, 3, 1, 1, 1, false, 5},
    {"one channel in, 5x5", {9, 9, 1, LAST}, 8, BLOCK, 5, 2, 2, 1, true, 17},
    {"two channels in", {6, 7, 2, LAST}, 8, BLOCK, 3, 1, 1, 1, true, 16},
    {"three channels in", {6, 6, 3, LAST}, 16, BLOCK, 3, 1, 1, 1, true, 17},
    {"three in, 7x7", {11, 11, 3, LAST}, 8, BLOCK, 7, 2, 3, 1, false, 5},
    {"one channel out", {5, 5, 8, BLOCK}, 1, LAST, 3, 1, 1, 1, true, 16},
    {"blocked", {7, 7, 16, BLOCK}, 24, BLOCK, 3, 1, 1, 1, true, 17},
    {"blocked, no pad", {7, 5, 24, BLOCK}, 8, BLOCK, 3, 1, 0, 1, false, 16},
    {"blocked, 5x5", {9, 9, 8, BLOCK}, 16, BLOCK, 5, 2, 2, 1, true, 5},
    {"1x1, stride", {9, 9, 16, BLOCK}, 32, BLOCK, 1, 2, 0, 1, false, 16},
    {"1x1, stride, last", {9, 9, 16, LAST}, 32, LAST, 1, 2, 0, 1, false, 16},
    {"1x1, stride, even", {8, 8, 16, LAST}, 32, LAST, 1, 2, 0, 1, false, 16},
    {"1x1, stride, few", {28, 28, 4, LAST}, 8, LAST, 1, 2, 0, 1, false, 5},
    {"1x1 map", {1, 1, 16, BLOCK}, 8, BLOCK, 1, 1, 0, 1, true, 130},
    {"one row", {1, 9, 8, BLOCK}, 8, BLOCK, 3, 1, 1, 1, false, 5},
    {"rest of a stride", {8, 10, 8, BLOCK}, 8, BLOCK, 3, 2, 0, 1, false, 16},
    {"odd channels", {5, 3, 7, LAST}, 5, LAST, 3, 1, 1, 1, true, 130},
    {"to channels-last", {4, 4, 16, BLOCK}, 10, LAST, 3, 1, 1, 1, true, 17},
    {"to blocked", {5, 5, 12, LAST}, 16, BLOCK, 3, 1, 1, 1, true, 17},
    {"8 channels-last", {5, 5, 8, LAST}, 16, LAST, 3, 1, 1, 1, true, 5},
    {"groups", {5, 5, 16, BLOCK}, 32, BLOCK, 3, 1, 1, 2, true, 16},
    {"small groups", {5, 5, 16, BLOCK}, 24, BLOCK, 3, 1, 1, 8, true, 17},
    {"groups of 12", {4, 4, 24, BLOCK}, 24, BLOCK, 3, 1, 1, 2, false, 16},
    {"odd groups", {4, 5, 12, LAST}, 9, LAST, 3, 2, 1, 3, true, 5},
    {"depthwise", {7, 7, 16, BLOCK}, 16, BLOCK, 3, 1, 1, 16, false, 130},
    {"depthwise, stride", {8, 8, 8, BLOCK}, 8, BLOCK, 3, 2, 1, 8, true, 16},
    {"depthwise, odd", {6, 6, 5, LAST}, 5, LAST, 5, 1, 2, 5, true, 17},
    {"two a channel", {4, 4, 8, BLOCK}, 16, BLOCK, 3, 1, 1, 8, false, 5},
    {"wide pad", {3, 3, 8, BLOCK}, 8, BLOCK, 1, 2, 2, 1, true, 5},
    {"larger slices", {14, 14, 32, BLOCK}, 40, BLOCK, 3, 1, 1, 1, true, 11},
    {"largest slices", {2, 3, 8, BLOCK}, 8, BLOCK, 1, 1, 0, 1, true, 601},
    {"spikes", {14, 14, 32, LAST}, 64, LAST, 3, 1, 1, 1, false, 11, .15f},
    {"spikes, bias", {7, 6, 17, LAST}, 40, LAST, 3, 1, 1, 1, true, 17, .1f},
    {"few spikes", {6, 7, 33, LAST}, 72, LAST, 3, 1, 0, 1, true, 5, .001f},
    {"spikes, 5x5", {9, 8, 13, LAST}, 48, LAST, 5, 1, 2, 1, true, 16, .1f},
    {"spikes, 1x1", {5, 5, 70, LAST}, 64, LAST, 1, 1, 0, 1, false, 9, .01f},
    {"spikes, 2x2", {5, 5, 24, LAST}, 32, LAST, 2, 1, 1, 1, true, 9, .05f},
    {"some dense", {6, 6, 32, LAST}, 32, LAST, 3, 1, 1, 1, true, 70, .1f, 16},
};
#define CASES (sizeof cases / sizeof *cases)

static surge_conv2d_shape shape_of(const conv_case *c) {
  int32_t h = (c->in.h + 2 * c->pad - c->kernel) / c->stride + 1;
  int32_t w = (c->in.w + 2 * c->pad - c->kernel) / c->stride + 1;
  surge_map out = {h, w, c->out, c->out_layout};
  return (surge_conv2d_shape){.in = test_map(c->in),
                              .out = test_map(out),
                              .kernel = c->kernel,
                              .stride = c->stride,
                              .pad = c->pad,
                              .groups = c->groups,
                              .bias = c->bias};
}

/* --- inputs and outputs of a case ----------------------------------------- */

enum { X, W, B, DY, INPUTS };

typedef struct problem {
  const conv_case *c;
  surge_conv2d_shape shape;
  size_t count[INPUTS];
  float *input[INPUTS];
  double *wide[INPUTS];
} problem;

/* Leaves the case's share of x. */
static void thin_out(const problem *p) {
  size_t elements = surge_map_elements(&p->shape.in);
  const conv_case *c = p->c;
  for (size_t i = 0; i < p->count[X] && c->share > 0; i++) {
    bool dense = c->stretch && i / elements / c->stretch % 2;
    if (!dense && test_uniform(99, i, 0, 1) >= c->share) p->input[X][i] = 0;
  }
}

/* The bias alone is fp32 whatever the maps are. */
static surge_dtype type_of(const problem *p, size_t input) {
  return input == B ? SURGE_F32 : p->shape.in.type;
}

static problem problem_create(const conv_case *c, bool integers,
                              surge_dtype type) {
  problem p = {.c = c, .shape = shape_of(c)};
  p.shape.in.type = p.shape.out.type = type;
  p.count[X] = c->images * surge_map_elements(&p.shape.in);
  p.count[DY] = c->images * surge_map_elements(&p.shape.out);
  p.count[W] = ref_conv2d_weights(&p.shape);
  p.count[B] = (size_t)c->out;
  for (size_t i = 0; i < INPUTS; i++) {
    p.input[i] = ref_values(i + 1, p.count[i], integers);
    if (i == X) thin_out(&p);
    test_round(p.input[i], p.count[i], type_of(&p, i));
    p.wide[i] = test_widened(p.input[i], p.count[i]);
  }
  return p;
}

static void problem_free(problem *p) { test_free(p->input, p->wide, INPUTS); }

enum { Y, DX, DX_ADDED, DW, DB, OUTPUTS };
static const char *const output_name[OUTPUTS] = {"y", "dx", "dx added", "dw",
                                                 "db"};

typedef struct result {
  surge_context *context;
  test_buffer out[OUTPUTS];
} result;

static void call_ops(const problem *p, result *r, const surge_conv2d_plan *plan,
                     const test_buffer *in, void *workspace) {
  const surge_backend *b = test_backend();
  size_t images = p->c->images;
  surge_conv2d_forward forward = {.y = r->out[Y].device,
                                  .x = in[X].device,
                                  .w = in[W].device,
                                  .b = p->c->bias ? in[B].device : NULL,
                                  .images = images,
                                  .workspace = workspace};
  cr_assert_eq(b->conv2d_forward(r->context, plan, &forward), SURGE_OK, "%s",
               surge_last_error());
  surge_conv2d_backward_weights weights = {
      .dw = r->out[DW].device,
      .db = p->c->bias ? r->out[DB].device : NULL,
      .dy = in[DY].device,
      .x = in[X].device,
      .images = images,
      .workspace = workspace};
  cr_assert_eq(b->conv2d_backward_weights(r->context, plan, &weights), SURGE_OK,
               "%s", surge_last_error());
  surge_conv2d_backward_data data = {.dx = r->out[DX].device,
                                     .dy = in[DY].device,
                                     .w = in[W].device,
                                     .mode = SURGE_WRITE,
                                     .images = images,
                                     .workspace = workspace};
  cr_assert_eq(b->conv2d_backward_data(r->context, plan, &data), SURGE_OK, "%s",
               surge_last_error());
  data.dx = r->out[DX_ADDED].device;
  data.mode = SURGE_ADD;
  cr_assert_eq(b->conv2d_backward_data(r->context, plan, &data), SURGE_OK, "%s",
               surge_last_error());
}

/* Poisoned outputs and filled accumulators. */
static result result_create(surge_context *context, const problem *p) {
  surge_dtype type = p->shape.in.type;
  return (result){
      .context = context,
      .out = {[Y] = test_poisoned_as(context, p->count[DY], type),
              [DX] = test_poisoned_as(context, p->count[X], type),
              [DX_ADDED] = test_filled_as(context, p->count[X], BEFORE, type),
              [DW] = test_filled(context, p->count[W], BEFORE),
              [DB] = test_filled(context, p->count[B], BEFORE)}};
}

static void copy_inputs(surge_context *context, const problem *p,
                        test_buffer in[INPUTS]) {
  for (size_t i = 0; i < INPUTS; i++)
    in[i] = test_copied_as(context, p->input[i], p->count[i], type_of(p, i));
}

/* All passes, on a poisoned workspace; the result closes the context. */
static result run_on(surge_context *context, const problem *p) {
  const surge_backend *b = test_backend();
  result r = result_create(context, p);
  test_buffer in[INPUTS];
  copy_inputs(context, p, in);
  surge_conv2d_plan *plan;
  cr_assert_eq(b->conv2d_plan(context, &plan, &p->shape), SURGE_OK, "%s: %s",
               p->c->name, surge_last_error());
  size_t bytes = b->conv2d_workspace(plan, p->c->images);
  test_buffer workspace = test_poisoned(context, bytes / sizeof(float));
  call_ops(p, &r, plan, in, workspace.device);
  free(test_download(&workspace, "workspace"));
  test_release(&workspace);
  for (size_t i = 0; i < INPUTS; i++) test_release(&in[i]);
  b->conv2d_release(plan);
  return r;
}

static result run_case(const problem *p, int threads) {
  return run_on(test_context(threads), p);
}

static void result_free(result *r) {
  for (size_t i = 0; i < OUTPUTS; i++) test_release(&r->out[i]);
  test_backend()->close(r->context);
}

static void expect_reference(const problem *p, const result *r, bool exact) {
  const surge_conv2d_shape *s = &p->shape;
  const char *name = p->c->name;
  size_t images = p->c->images;
  double taps = (double)(s->kernel * s->kernel);
  double pixels = (double)images * s->out.h * s->out.w;
  double *const *in = p->wide;
  ref_sum y =
      ref_conv2d_forward(s, images, in[X], in[W], s->bias ? in[B] : NULL);
  ref_sum dx = ref_conv2d_backward_data(s, images, in[DY], in[W]);
  ref_sum dw = ref_conv2d_backward_weights(s, images, in[DY], in[X]);
  ref_sum db = s->bias ? ref_bias(&s->out, images, in[DY])
                       : ref_sum_create(p->count[B]); /* untouched */
  /* cuDNN writes bf16 where the result has a summand yet to come: y its bias,
   * dw what stood there. */
  bool rounds = s->in.type == SURGE_BF16;
  ref_tolerance t = {taps * s->in.c / s->groups + 1, 0, exact,
                     rounds && s->bias ? 3 : 0};
  ref_expect(name, "y", &r->out[Y], &y, t);
  t.part = 0;
  t.terms = taps * s->out.c / s->groups;
  ref_expect(name, "dx", &r->out[DX], &dx, t);
  t = (ref_tolerance){t.terms + 1, BEFORE, exact};
  ref_expect(name, "dx added", &r->out[DX_ADDED], &dx, t);
  t.terms = pixels + 1;
  ref_expect(name, "db", &r->out[DB], &db, t);
  t.part = rounds ? BEFORE : 0;
  ref_expect(name, "dw", &r->out[DW], &dw, t);
  ref_sum_free(&y);
  ref_sum_free(&dx);
  ref_sum_free(&dw);
  ref_sum_free(&db);
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

Test(conv2d, equals_the_reference) { compare(false); }

Test(conv2d, exact_on_integers) { compare(true); }

Test(conv2d, same_bits_with_any_threads_and_again) {
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

#if defined __AVX2__ && !defined __AVX512F__
/* Non-zeros of the first images of x: those before the dense ones, if any. */
static size_t count_nonzeros(const problem *p, size_t images) {
  size_t count = 0, elements = surge_map_elements(&p->shape.in);
  for (size_t i = 0; i < images * elements; i++) count += p->input[X][i] != 0;
  return count;
}

/* The CPU's op skips zeros in the cases that are here for it: else what is
 * compared above is oneDNN alone. */
Test(conv2d, spikes_are_sparse_enough_to_be_skipped) {
  for (size_t i = 0; i < CASES; i++) {
    if (cases[i].share == 0) continue;
    problem p = problem_create(&cases[i], false, SURGE_F32);
    size_t images = cases[i].stretch ? cases[i].stretch : cases[i].images;
    size_t nonzeros = count_nonzeros(&p, images);
    surge_spikes s = surge_spikes_of(&p.shape);
    cr_expect(nonzeros <= images * s.forward_limit,
              "%s, forward: wanted at most %zu an image, found %zu in %zu",
              cases[i].name, s.forward_limit, nonzeros, images);
    cr_expect(nonzeros <= images * s.gradient_limit,
              "%s, gradient: wanted at most %zu an image, found %zu in %zu",
              cases[i].name, s.gradient_limit, nonzeros, images);
    problem_free(&p);
  }
}
#endif

/* Threads of this process; 0 where the system does not list them. */
static size_t count_threads(void) {
  DIR *tasks = opendir("/proc/self/task");
  size_t count = 0;
  while (tasks && readdir(tasks)) count++;
  if (tasks) closedir(tasks);
  return count;
}

/* A library that starts its own would also overrun one thread's scratch. */
Test(conv2d, one_thread_starts_no_other) {
  if (test_backend() != &surge_cpu) return; /* a device's host has its own */
  omp_set_num_threads(2);                   /* what a library would take */
  size_t before = count_threads();
  for (size_t i = 0; i < CASES; i++) {
    problem p = problem_create(&cases[i], false, SURGE_F32);
    result r = run_case(&p, 1);
    cr_expect_eq(count_threads(), before, "%s: wanted %zu threads, found %zu",
                 cases[i].name, before, count_threads());
    cr_expect_eq(omp_get_max_threads(), 2, "%s: the caller's setting changed",
                 cases[i].name);
    result_free(&r);
    problem_free(&p);
  }
}

/* One plan and one workspace serve every smaller number of images. */
Test(conv2d, plan_serves_fewer_images) {
  conv_case c = {"fewer", {5, 5, 16, BLOCK}, 8, BLOCK, 3, 1, 1, 1, true, 70};
  const surge_backend *b = test_backend();
  surge_context *context = test_context(2);
  surge_dtype type = test_type[test_types() - 1];
  surge_conv2d_shape shape = shape_of(&c);
  shape.in.type = shape.out.type = type;
  surge_conv2d_plan *plan;
  cr_assert_eq(b->conv2d_plan(context, &plan, &shape), SURGE_OK, "%s",
               surge_last_error());
  size_t bytes = b->conv2d_workspace(plan, c.images);
  for (; c.images > 0; c.images -= c.images > 20 ? 7 : 1) {
    problem p = problem_create(&c, true, type);
    cr_expect(b->conv2d_workspace(plan, c.images) <= bytes,
              "%zu images: wanted no more workspace than for more", c.images);
    test_buffer in[INPUTS];
    copy_inputs(context, &p, in);
    result r = result_create(context, &p);
    test_buffer workspace = test_poisoned(context, bytes / sizeof(float));
    call_ops(&p, &r, plan, in, workspace.device);
    expect_reference(&p, &r, true);
    for (size_t i = 0; i < OUTPUTS; i++) test_release(&r.out[i]);
    for (size_t i = 0; i < INPUTS; i++) test_release(&in[i]);
    test_release(&workspace);
    problem_free(&p);
  }
  b->conv2d_release(plan);
  b->close(context);
}

/* Without `deterministic` a device takes algorithms by the clock. */
Test(conv2d, measured_choice_equals_the_reference) {
  const surge_backend *b = test_backend();
  for (size_t i = 0; i < CASES * (size_t)test_types(); i += 3) {
    surge_context *context;
    surge_context_options options = {.threads = 2,
                                     .workspace = (size_t)16 << 20};
    cr_assert_eq(b->open(&context, &options), SURGE_OK, "%s",
                 surge_last_error());
    problem p = problem_create(&cases[i % CASES], false, test_type[i / CASES]);
    result r = run_on(context, &p);
    expect_reference(&p, &r, false);
    result_free(&r);
    problem_free(&p);
  }
}

/* A dry run books what a run books, on a machine without the device too. */
Test(conv2d, plan_alone_books_the_same) {
  const surge_backend *b = test_backend();
  surge_context *context[2];
  size_t bytes[2];
  for (size_t i = 0; i < CASES; i++) {
    surge_conv2d_shape shape = shape_of(&cases[i]);
    for (int alone = 0; alone < 2; alone++) {
      surge_conv2d_plan *plan;
      surge_context_options options = {.threads = 2,
                                       .deterministic = true,
                                       .workspace = (size_t)16 << 20,
                                       .plan_only = alone};
      cr_assert_eq(b->open(&context[alone], &options), SURGE_OK, "%s",
                   surge_last_error());
      cr_assert_eq(b->conv2d_plan(context[alone], &plan, &shape), SURGE_OK);
      bytes[alone] = b->conv2d_workspace(plan, cases[i].images);
      b->conv2d_release(plan);
      b->close(context[alone]);
    }
    cr_expect_eq(bytes[0], bytes[1], "%s: %zu bytes, alone %zu", cases[i].name,
                 bytes[0], bytes[1]);
  }
}

/* --- the reference -------------------------------------------------------- */

/* Forward is proved by a sum done by hand, the gradients as its adjoints: all
 * three are one trilinear form of dy, x and w. */
Test(conv2d, reference_by_hand) {
  surge_conv2d_shape s = {.in = {3, 3, 2, LAST},
                          .out = {2, 2, 2, LAST},
                          .kernel = 2,
                          .stride = 2,
                          .pad = 1,
                          .groups = 2};
  double x[18], w[8] = {1, 10, 100, 1000, 2, 20, 200, 2000};
  for (int i = 0; i < 18; i++) x[i] = i + 1; /* channel 0: 1, 3, ... 17 */
  ref_sum y = ref_conv2d_forward(&s, 1, x, w, (double[]){.5, -.5});
  const double wanted[8] = {1000.5,
                            3999.5, /* 1; 2               */
                            5300.5,
                            12799.5, /* 3, 5; 4, 6         */
                            13070.5,
                            28159.5, /* 7, 13; 8, 14       */
                            9 + 110 + 1500 + 17000 + .5,
                            20 + 240 + 3200 + 36000 - .5};
  for (int i = 0; i < 8; i++)
    cr_expect_eq(y.value[i], wanted[i], "y[%d]: wanted %g, found %g", i,
                 wanted[i], y.value[i]);
  ref_sum_free(&y);
}

Test(conv2d, reference_gradients_are_adjoint) {
  for (size_t i = 0; i < CASES; i++) {
    problem p = problem_create(&cases[i], false, SURGE_F32);
    const surge_conv2d_shape *s = &p.shape;
    size_t images = p.c->images;
    ref_sum y = ref_conv2d_forward(s, images, p.wide[X], p.wide[W], NULL);
    ref_sum dx = ref_conv2d_backward_data(s, images, p.wide[DY], p.wide[W]);
    ref_sum dw = ref_conv2d_backward_weights(s, images, p.wide[DY], p.wide[X]);
    double form = ref_inner(y.value, p.wide[DY], y.count);
    double by_x = ref_inner(dx.value, p.wide[X], dx.count);
    double by_w = ref_inner(dw.value, p.wide[W], dw.count);
    double limit = 1e-6 * fabs(form);
    cr_expect(fabs(by_x - form) <= limit, "%s: <x, dx> %g, <y, dy> %g",
              p.c->name, by_x, form);
    cr_expect(fabs(by_w - form) <= limit, "%s: <w, dw> %g, <y, dy> %g",
              p.c->name, by_w, form);
    ref_sum_free(&y);
    ref_sum_free(&dx);
    ref_sum_free(&dw);
    problem_free(&p);
  }
}

/* --- refusals ------------------------------------------------------------- */

typedef struct refusal {
  const char *wanted; /* part of the message */
  surge_conv2d_shape shape;
} refusal;

static const refusal refused[] = {
    {"map: wanted h, w, c",
     {{0, 4, 8, BLOCK}, {4, 4, 8, BLOCK}, 1, 1, 0, 1, 0}},
    {"c % 8 == 0", {{4, 4, 8, BLOCK}, {4, 4, 9, BLOCK}, 1, 1, 0, 1, 0}},
    {"kernel: wanted", {{4, 4, 8, BLOCK}, {4, 4, 8, BLOCK}, 0, 1, 0, 1, 0}},
    {"stride: wanted", {{4, 4, 8, BLOCK}, {4, 4, 8, BLOCK}, 1, 0, 0, 1, 0}},
    {"pad: wanted", {{4, 4, 8, BLOCK}, {4, 4, 8, BLOCK}, 3, 1, -1, 1, 0}},
    {"groups: wanted", {{4, 4, 8, BLOCK}, {4, 4, 8, BLOCK}, 3, 1, 1, 3, 0}},
    {"groups: wanted", {{4, 4, 8, BLOCK}, {4, 4, 8, BLOCK}, 3, 1, 1, 0, 0}},
    {"padded height of 2", {{2, 4, 8, BLOCK}, {1, 2, 8, BLOCK}, 3, 1, 0, 1, 0}},
    {"width 4, found 3", {{4, 4, 8, BLOCK}, {4, 3, 8, BLOCK}, 3, 1, 1, 1, 0}},
    {"height 2, found 4", {{4, 4, 8, BLOCK}, {4, 4, 8, BLOCK}, 3, 2, 1, 1, 0}},
};

Test(conv2d, refuses_shapes) {
  const surge_backend *b = test_backend();
  surge_context *context = test_context(1);
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    surge_conv2d_plan *plan;
    test_expect_refused(b->conv2d_plan(context, &plan, &refused[i].shape),
                        "conv2d_plan", refused[i].wanted);
    cr_expect_null(plan);
  }
  b->close(context);
}

/* A device has one layout. */
Test(conv2d, refuses_blocks_on_a_device) {
  const surge_backend *b = test_backend();
  if (b == &surge_cpu) return;
  surge_context *context = test_context(1);
  surge_conv2d_plan *plan;
  surge_conv2d_shape shape = {
      {4, 4, 8, LAST}, {4, 4, 8, BLOCK}, 1, 1, 0, 1, false};
  test_expect_refused(b->conv2d_plan(context, &plan, &shape), "conv2d_plan",
                      "channels last");
  cr_expect_null(plan);
  b->close(context);
}

Test(conv2d, refuses_arguments) {
  const surge_backend *b = test_backend();
  surge_context *context = test_context(1);
  conv_case c = {"", {2, 2, 8, BLOCK}, 8, BLOCK, 1, 1, 0, 1, true, 1};
  surge_dtype type = test_type[test_types() - 1];
  surge_conv2d_shape shape = shape_of(&c);
  shape.in.type = shape.out.type = type;
  surge_conv2d_plan *plan;
  cr_assert_eq(b->conv2d_plan(context, &plan, &shape), SURGE_OK);
  float v[1] = {0};
#define FORWARD(...)                                                           \
  b->conv2d_forward(context, plan, &(surge_conv2d_forward){__VA_ARGS__})
#define DATA(...)                                                              \
  b->conv2d_backward_data(context, plan,                                       \
                          &(surge_conv2d_backward_data){__VA_ARGS__})
#define WEIGHTS(...)                                                           \
  b->conv2d_backward_weights(context, plan,                                    \
                             &(surge_conv2d_backward_weights){__VA_ARGS__})
  const char *op = "conv2d_forward";
  test_expect_refused(FORWARD(NULL, v, v, v, 1, v), op, ": y:");
  test_expect_refused(FORWARD(v, NULL, v, v, 1, v), op, ": x:");
  test_expect_refused(FORWARD(v, v, NULL, v, 1, v), op, ": w:");
  test_expect_refused(FORWARD(v, v, v, NULL, 1, v), op,
                      ": b: wanted the array");
  test_expect_refused(FORWARD(v, v, v, v, 0, v), op, ": images:");
  test_expect_refused(FORWARD(v, v, v, v, 1, NULL), op, ": workspace:");
  op = "conv2d_backward_data";
  test_expect_refused(DATA(NULL, v, v, SURGE_ADD, 1, v), op, ": dx:");
  test_expect_refused(DATA(v, NULL, v, SURGE_ADD, 1, v), op, ": dy:");
  test_expect_refused(DATA(v, v, NULL, SURGE_ADD, 1, v), op, ": w:");
  test_expect_refused(DATA(v, v, v, (surge_mode)2, 1, v), op, ": mode:");
  test_expect_refused(DATA(v, v, v, SURGE_ADD, 0, v), op, ": images:");
  test_expect_refused(DATA(v, v, v, SURGE_ADD, 1, NULL), op, ": workspace:");
  op = "conv2d_backward_weights";
  test_expect_refused(WEIGHTS(NULL, v, v, v, 1, v), op, ": dw:");
  test_expect_refused(WEIGHTS(v, NULL, v, v, 1, v), op,
                      ": db: wanted the array");
  test_expect_refused(WEIGHTS(v, v, NULL, v, 1, v), op, ": dy:");
  test_expect_refused(WEIGHTS(v, v, v, NULL, 1, v), op, ": x:");
  test_expect_refused(WEIGHTS(v, v, v, v, 0, v), op, ": images:");
  test_expect_refused(WEIGHTS(v, v, v, v, 1, NULL), op, ": workspace:");
  b->conv2d_release(plan);
  shape.bias = false;
  cr_assert_eq(b->conv2d_plan(context, &plan, &shape), SURGE_OK);
  test_expect_refused(FORWARD(v, v, v, v, 1, v), "conv2d_forward",
                      ": b: wanted NULL");
  test_expect_refused(WEIGHTS(v, v, v, v, 1, v), "conv2d_backward_weights",
                      ": db: wanted NULL");
  b->conv2d_release(plan);
  b->close(context);
}
