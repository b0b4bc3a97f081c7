/* test_linear.c - is the reference of the linear layer right, does a backend
 * compute it, and does it give the same bits with every number of threads? */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "tests/ref64/layers.h"
#include "tests/support/support.h"
#include "tests/support/refused.h"
#include "tests/support/values.h"

#define LAST SURGE_CHANNELS_LAST
#define BLOCK SURGE_BLOCKED8
#define BEFORE .75f /* what accumulators hold before a call */

typedef struct linear_case {
  const char *name;
  surge_map in;
  int32_t out;
  bool bias;
  size_t images;
} linear_case;

static const linear_case cases[] = {
    {"one product", {1, 1, 1, LAST}, 1, true, 1},
    {"odd", {1, 1, 7, LAST}, 5, false, 5},
    {"vector", {1, 1, 131, LAST}, 17, true, 16},
    {"map", {3, 5, 3, LAST}, 10, true, 17},
    {"blocked pixel", {1, 1, 24, BLOCK}, 10, true, 130},
    {"blocked map", {3, 2, 16, BLOCK}, 11, true, 17},
    {"blocked row", {1, 5, 8, BLOCK}, 3, false, 5},
    {"blocked, one image", {4, 4, 24, BLOCK}, 10, true, 1},
    {"several tiles", {1, 1, 521, LAST}, 131, true, 130},
    {"several tiles, blocked", {5, 7, 16, BLOCK}, 257, true, 67},
    {"many images", {2, 2, 8, BLOCK}, 3, true, 1100},
    {"one output", {1, 1, 300, LAST}, 1, true, 33},
};
#define CASES (sizeof cases / sizeof *cases)

/* --- inputs and outputs of a case ----------------------------------------- */

enum { X, W, B, DY, INPUTS };

typedef struct problem {
  const linear_case *c;
  surge_map in;
  size_t count[INPUTS];
  float *input[INPUTS];
  double *wide[INPUTS];
} problem;

/* The bias alone is fp32 whatever the maps are. */
static surge_dtype type_of(const problem *p, size_t input) {
  return input == B ? SURGE_F32 : p->in.type;
}

static problem problem_create(const linear_case *c, bool integers,
                              surge_dtype type) {
  size_t I = surge_map_elements(&c->in), O = (size_t)c->out;
  problem p = {
      .c = c,
      .in = test_map(c->in),
      .count = {
          [X] = c->images * I, [W] = O * I, [B] = O, [DY] = c->images * O}};
  p.in.type = type;
  for (size_t i = 0; i < INPUTS; i++) {
    p.input[i] = ref_values(i + 1, p.count[i], integers);
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

typedef surge_status linear_op(surge_context *, const surge_linear *);

static void call(linear_op *op, const result *r, const surge_linear *a) {
  cr_assert_eq(op(r->context, a), SURGE_OK, "%s", surge_last_error());
}

/* All directions on poisoned outputs and workspace, and filled accumulators. */
static result run_case(const problem *p, int threads) {
  const surge_backend *b = test_backend();
  surge_context *context = test_context(threads);
  surge_dtype type = p->in.type;
  result r = {
      .context = context,
      .out = {[Y] = test_poisoned_as(context, p->count[DY], type),
              [DX] = test_poisoned_as(context, p->count[X], type),
              [DX_ADDED] = test_filled_as(context, p->count[X], BEFORE, type),
              [DW] = test_filled(context, p->count[W], BEFORE),
              [DB] = test_filled(context, p->count[B], BEFORE)}};
  test_buffer in[INPUTS];
  for (size_t i = 0; i < INPUTS; i++)
    in[i] = test_copied_as(context, p->input[i], p->count[i], type_of(p, i));
  surge_linear a = {.y = r.out[Y].device,
                    .dx = r.out[DX].device,
                    .dw = r.out[DW].device,
                    .db = p->c->bias ? r.out[DB].device : NULL,
                    .x = in[X].device,
                    .dy = in[DY].device,
                    .w = in[W].device,
                    .b = p->c->bias ? in[B].device : NULL,
                    .in = p->in,
                    .out = p->c->out,
                    .images = p->c->images};
  size_t bytes = b->linear_workspace(context, &a);
  test_buffer workspace = test_poisoned(context, bytes / sizeof(float));
  a.workspace = bytes ? workspace.device : NULL;
  call(b->linear_forward, &r, &a);
  call(b->linear_backward_weights, &r, &a);
  call(b->linear_backward_data, &r, &a);
  a.dx = r.out[DX_ADDED].device;
  a.mode = SURGE_ADD;
  call(b->linear_backward_data, &r, &a);
  free(test_download(&workspace, "workspace"));
  test_release(&workspace);
  for (size_t i = 0; i < INPUTS; i++) test_release(&in[i]);
  return r;
}

static void result_free(result *r) {
  for (size_t i = 0; i < OUTPUTS; i++) test_release(&r->out[i]);
  test_backend()->close(r->context);
}

static void expect_reference(const problem *p, const result *r, bool exact) {
  const linear_case *c = p->c;
  const surge_map *in = &p->in;
  double I = (double)surge_map_elements(in), images = (double)c->images;
  surge_map pixel = {1, 1, c->out, LAST};
  double *const *v = p->wide;
  ref_sum y = ref_linear_forward(in, c->out, c->images, v[X], v[W],
                                 c->bias ? v[B] : NULL);
  ref_sum dx = ref_linear_backward_data(in, c->out, c->images, v[DY], v[W]);
  ref_sum dw = ref_linear_backward_weights(in, c->out, c->images, v[DY], v[X]);
  ref_sum db = c->bias ? ref_bias(&pixel, c->images, v[DY])
                       : ref_sum_create(p->count[B]); /* untouched */
  /* cuBLAS writes the product, the bias is added to that. */
  float part = c->bias && in->type == SURGE_BF16 ? 3 : 0;
  ref_expect(c->name, "y", &r->out[Y], &y,
             (ref_tolerance){I + 1, 0, exact, part});
  ref_expect(c->name, "dx", &r->out[DX], &dx,
             (ref_tolerance){c->out, 0, exact});
  ref_expect(c->name, "dx added", &r->out[DX_ADDED], &dx,
             (ref_tolerance){c->out + 1, BEFORE, exact});
  ref_expect(c->name, "dw", &r->out[DW], &dw,
             (ref_tolerance){images + 1, BEFORE, exact});
  ref_expect(c->name, "db", &r->out[DB], &db,
             (ref_tolerance){images + 1, BEFORE, exact});
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

Test(linear, equals_the_reference) { compare(false); }

Test(linear, exact_on_integers) { compare(true); }

Test(linear, same_bits_with_any_threads_and_again) {
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

/* --- the reference -------------------------------------------------------- */

/* w is logical, [O, H, W, C], x in its own layout. */
Test(linear, reference_by_hand) {
  surge_map in = {1, 2, 8, BLOCK};
  double x[16], w[32] = {0};
  for (int i = 0; i < 16; i++) x[i] = i;
  w[3] = 1;           /* output 0: pixel 0, channel 3 */
  w[16 + 8 + 5] = 10; /* output 1: pixel 1, channel 5 */
  w[16 + 7] = 100;    /* and pixel 0, channel 7       */
  ref_sum y = ref_linear_forward(&in, 2, 1, x, w, (double[]){.5, -.5});
  cr_expect_eq(y.value[0], 3.5);
  cr_expect_eq(y.value[1], 10 * 13 + 100 * 7 - .5);
  ref_sum_free(&y);
}

Test(linear, reference_gradients_are_adjoint) {
  for (size_t i = 0; i < CASES; i++) {
    problem p = problem_create(&cases[i], false, SURGE_F32);
    const linear_case *c = p.c;
    double *const *v = p.wide;
    ref_sum y = ref_linear_forward(&p.in, c->out, c->images, v[X], v[W], NULL);
    ref_sum dx =
        ref_linear_backward_data(&p.in, c->out, c->images, v[DY], v[W]);
    ref_sum dw =
        ref_linear_backward_weights(&p.in, c->out, c->images, v[DY], v[X]);
    double form = ref_inner(y.value, v[DY], y.count);
    double by_x = ref_inner(dx.value, v[X], dx.count);
    double by_w = ref_inner(dw.value, v[W], dw.count);
    double limit = 1e-6 * fabs(form);
    cr_expect(fabs(by_x - form) <= limit, "%s: <x, dx> %g, <y, dy> %g", c->name,
              by_x, form);
    cr_expect(fabs(by_w - form) <= limit, "%s: <w, dw> %g, <y, dy> %g", c->name,
              by_w, form);
    ref_sum_free(&y);
    ref_sum_free(&dx);
    ref_sum_free(&dw);
    problem_free(&p);
  }
}

/* --- refusals ------------------------------------------------------------- */

/* A call that is right but for one argument. */
#define REFUSED(op, field, value)                                              \
  do {                                                                         \
    surge_linear bad = good;                                                   \
    bad.field = (value);                                                       \
    test_expect_refused(b->op(context, &bad), #op, #field ":");                \
  } while (0)

Test(linear, refuses_arguments) {
  const surge_backend *b = test_backend();
  surge_context *context = test_context(1);
  float v[16] = {0};
  surge_linear good = {.y = v,
                       .dx = v,
                       .dw = v,
                       .db = v,
                       .x = v,
                       .dy = v,
                       .w = v,
                       .in = test_map((surge_map){1, 2, 8, BLOCK}),
                       .out = 1,
                       .images = 1,
                       .workspace = v};
  REFUSED(linear_forward, y, NULL);
  REFUSED(linear_forward, x, NULL);
  REFUSED(linear_forward, w, NULL);
  REFUSED(linear_forward, out, 0);
  REFUSED(linear_forward, images, 0);
  if (b == &surge_cpu) { /* it packs the weights */
    REFUSED(linear_forward, workspace, NULL);
    REFUSED(linear_backward_data, workspace, NULL);
  } else {
    surge_linear bad = good;
    bad.in.layout = BLOCK;
    test_expect_refused(b->linear_forward(context, &bad), "linear_forward",
                        "channels last");
    test_expect_refused(b->linear_backward_data(context, &bad),
                        "linear_backward_data", "channels last");
    test_expect_refused(b->linear_backward_weights(context, &bad),
                        "linear_backward_weights", "channels last");
  }
  REFUSED(linear_backward_data, dx, NULL);
  REFUSED(linear_backward_data, dy, NULL);
  REFUSED(linear_backward_data, w, NULL);
  REFUSED(linear_backward_data, mode, (surge_mode)2);
  REFUSED(linear_backward_weights, dw, NULL);
  REFUSED(linear_backward_weights, dy, NULL);
  REFUSED(linear_backward_weights, x, NULL);
  REFUSED(linear_backward_weights, workspace, NULL);
  good.in.w = 0;
  test_expect_refused(b->linear_forward(context, &good), "linear_forward",
                      "map:");
  b->close(context);
}
