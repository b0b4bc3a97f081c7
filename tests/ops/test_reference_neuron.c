/* test_reference_neuron.c - is the mathematics of ref64/neuron.c right?
 *
 * The reference is compared with the golden vectors of the method (worked out
 * apart from this code) and, on the smooth twin, with central differences in
 * double. A step function has no finite-difference gradient: the twin emits
 * S_w(u - theta) in place of the spike, and where the reset is detached, the
 * reset's own trace is frozen. Inputs are drawn so that no membrane lies
 * within MARGIN of a kink of S or of PDA's clip. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ref64/neuron.h"
#include "tests/support/support.h"

static double *uniform(uint64_t seed, size_t count, double low, double high) {
  double *values = malloc(count * sizeof(double));
  for (size_t i = 0; i < count; i++)
    values[i] = low + (high - low) * (double)test_uniform(seed, i, 0, 1);
  return values;
}

/* ======================================================================== *
 *  Families
 * ======================================================================== */

static const char *const family_name[] = {
#define NAME(NAME, word, half) #word,
    SURGE_FAMILY_LIST(NAME)
#undef NAME
};

/* h = dS/dx and dS/dw = -(x/w) h, by central differences; h' likewise. */
Test(reference_neuron, families_are_derivatives) {
  const double step = 1e-5;
  for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++)
    for (double w = 0.3; w < 3; w *= 2.1)
      for (double x = -2.77; x < 3; x += 0.37) {
        double h = ref_surrogate(f, x, w);
        double by_x =
            (ref_soft_spike(f, x + step, w) - ref_soft_spike(f, x - step, w)) /
            (2 * step);
        double by_w =
            (ref_soft_spike(f, x, w + step) - ref_soft_spike(f, x, w - step)) /
            (2 * step);
        double slope =
            (ref_surrogate(f, x + step, w) - ref_surrogate(f, x - step, w)) /
            (2 * step);
        cr_expect(fabs(by_x - h) < 1e-8, "%s h(%g, w %g)", family_name[f], x,
                  w);
        cr_expect(fabs(by_w + x / w * h) < 1e-8, "%s dS/dw(%g, w %g)",
                  family_name[f], x, w);
        cr_expect(fabs(slope - ref_surrogate_slope(f, x, w)) < 1e-7,
                  "%s dh/dx(%g, w %g)", family_name[f], x, w);
      }
}

/* S runs from 0 to 1 through 1/2, and the listed half-width holds half. */
Test(reference_neuron, families_are_distributions) {
  static const double half[] = {
#define HALF(NAME, word, half) half,
      SURGE_FAMILY_LIST(HALF)
#undef HALF
  };
  for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++) {
    double w = 0.7, c = half[f] * w;
    double mass = ref_soft_spike(f, c, w) - ref_soft_spike(f, -c, w);
    cr_expect(fabs(mass - 0.5) < 1e-12, "%s: half mass", family_name[f]);
    cr_expect(fabs(ref_soft_spike(f, 0, w) - 0.5) < 1e-15, "%s: middle",
              family_name[f]);
    cr_expect(ref_soft_spike(f, -1e9, w) < 1e-8, "%s: left", family_name[f]);
    cr_expect(ref_soft_spike(f, 1e9, w) > 1 - 1e-8, "%s: right",
              family_name[f]);
  }
}

Test(reference_neuron, golden_surrogates) {
  static const double x[] = {1, 0.5, 0.1, 0};
  static const struct {
    surge_family family;
    double w, h[4];
  } cases[] = {{SURGE_ARCTAN, 0.5, {0.092, 0.2884, 0.91017, 1}},
               {SURGE_SIGMOID, 0.25, {0.070651, 0.419974, 0.961043, 1}},
               {SURGE_TRIANGULAR, 1, {0, 0.5, 0.9, 1}}};
  for (size_t k = 0; k < 3; k++)
    for (size_t j = 0; j < 4; j++)
      for (int sign = -1; sign < 2; sign += 2)
        cr_expect(fabs(ref_surrogate(cases[k].family, sign * x[j], cases[k].w) -
                       cases[k].h[j]) < 1e-5,
                  "%s at %g", family_name[cases[k].family], sign * x[j]);
}

/* ======================================================================== *
 *  Golden vectors of one neuron
 * ======================================================================== */

#define GOLDEN_STEPS 6

typedef struct golden {
  const char *name;
  surge_reset reset;
  bool decay_input;
  double d;
  double s[GOLDEN_STEPS], u[GOLDEN_STEPS];
  double dx[2][GOLDEN_STEPS]; /* not detached, detached */
  double dw[2], d_inverse_tau[2];
} golden;

static const golden golden_cases[] = {
    {"hard, decay_input, tau 2",
     SURGE_RESET_HARD,
     true,
     0.5,
     {0, 0, 1, 0, 1, 0},
     {0.4, 0.95, 1.475, 0.15, 1.325, 0.5},
     {{0.334334, 0.492285, 0.118684, 0.158682, 0.198028, 0.1442},
      {0.392534, 0.565435, 0.154951, 0.183895, 0.244801, 0.1442}},
     {0.306586, 0.245986},
     {3.181537, 3.746711}},
    {"soft, decay_input, tau 2",
     SURGE_RESET_SOFT,
     true,
     0.5,
     {0, 0, 1, 0, 1, 0},
     {0.4, 0.95, 1.475, 0.3875, 1.44375, 0.721875},
     {{0.301279, 0.490698, 0.227427, 0.210046, 0.263472, 0.283535},
      {0.425302, 0.630971, 0.286021, 0.262141, 0.311636, 0.283535}},
     {0.268328, 0.341154},
     {3.394265, 4.209607}},
    {"hard, no decay_input, tau 4/3",
     SURGE_RESET_HARD,
     false,
     0.25,
     {0, 1, 1, 0, 1, 1},
     {0.8, 1.7, 2, 0.3, 2.575, 1.0},
     {{0.734572, 0.165233, 0.083965, 0.174662, 0.01398, 1},
      {0.759794, 0.171347, 0.092, 0.181158, 0.039242, 1}},
     {0.073647, -0.020829},
     {-0.13638, -0.14885}},
    {"soft, no decay_input, tau 2",
     SURGE_RESET_SOFT,
     false,
     0.5,
     {0, 1, 1, 1, 1, 1},
     {0.8, 1.9, 2.45, 1.025, 2.5125, 1.75625},
     {{0.76541, 0.342376, 0.520231, 0.99422, 0.11447, 0.150499},
      {0.915628, 0.397343, 0.572325, 1.0527, 0.117661, 0.150499}},
     {-0.370551, -0.452290},
     {-2.414219, -2.589953}},
};

/* One neuron with current z [T] and decay d. */
static ref_neuron one_neuron(const double *z, int32_t T, double d,
                             const double *width) {
  return (ref_neuron){
      .spec = {.v_threshold = 1, .family = SURGE_ARCTAN, .width = 0.5f},
      .map = {1, 1, 1, SURGE_CHANNELS_LAST},
      .T = T,
      .N = 1,
      .inputs = 1,
      .input = {{.z = z}},
      .scalars = {d, 1, 0, 1},
      .width = width};
}

static void expect_all_near(const double *got, const double *wanted, int count,
                            double tolerance, const char *name,
                            const char *what) {
  for (int t = 0; t < count; t++)
    cr_expect(fabs(got[t] - wanted[t]) <= tolerance,
              "%s: %s[%d]: wanted %.8g, found %.8g", name, what, t, wanted[t],
              got[t]);
}

static void expect_golden(const golden *want, int detached) {
  static const double z[GOLDEN_STEPS] = {0.8, 1.5, 2, 0.3, 2.5, 1};
  static const double ones[GOLDEN_STEPS] = {1, 1, 1, 1, 1, 1};
  static const double width[2] = {0.5, 0.5};
  ref_neuron n = one_neuron(z, GOLDEN_STEPS, want->d, width);
  n.spec.reset = want->reset;
  n.spec.decay_input = want->decay_input;
  n.spec.detach_reset = detached;
  if (want->decay_input) n.scalars[SURGE_SCALAR_GAIN] = 1 - want->d;
  ref_trace trace = ref_neuron_forward(&n);
  ref_upstream up = {.gs = ones};
  ref_gradient g = ref_neuron_backward(&n, &trace, &up);
  double dw = g.drho[0] / width[0], d_inverse_tau = -g.decay;
  expect_all_near(trace.s, want->s, GOLDEN_STEPS, 0, want->name, "s");
  expect_all_near(trace.u, want->u, GOLDEN_STEPS, 1e-12, want->name, "u");
  expect_all_near(g.input[0], want->dx[detached], GOLDEN_STEPS, 1e-6,
                  want->name, "dL/dx");
  expect_all_near(&dw, &want->dw[detached], 1, 1e-6, want->name, "dL/dw");
  expect_all_near(&d_inverse_tau, &want->d_inverse_tau[detached], 1, 1e-6,
                  want->name, "dL/d(1/tau)");
  ref_gradient_free(&g);
  ref_trace_free(&trace);
}

Test(reference_neuron, golden_neuron) {
  for (size_t k = 0; k < sizeof golden_cases / sizeof *golden_cases; k++)
    for (int detached = 0; detached < 2; detached++)
      expect_golden(&golden_cases[k], detached);
}

Test(reference_neuron, golden_norm_rule) {
  static const double z[] = {0.4, 0.6, 0.9, 0.1}, ones[] = {1, 1, 1, 1};
  static const double u[] = {0.4, 0.68, 0.9, 0.1}, s[] = {0, 1, 1, 0};
  static const double dx[] = {1.104747, 0.872893, 0.807504, 0.980581};
  static const double w[] = {1, 1.019804}, one = 1;
  static const double *const gamma[2] = {&one};
  double width[2];
  ref_neuron n = one_neuron(z, 4, 0.2, width);
  n.spec.decay = 0.2f;
  n.spec.v_threshold = 0.5f;
  n.spec.family = SURGE_RECTANGULAR;
  n.spec.width_rule = SURGE_WIDTH_NORM;
  ref_neuron_scalars(n.scalars, width, &n.spec, NULL, NULL, NULL, gamma, 0, 1);
  n.scalars[SURGE_SCALAR_DECAY] = 0.2; /* not the float */
  ref_trace trace = ref_neuron_forward(&n);
  ref_upstream up = {.gs = ones};
  ref_gradient g = ref_neuron_backward(&n, &trace, &up);
  expect_all_near(width, w, 2, 1e-6, "norm rule", "w");
  expect_all_near(trace.u, u, 4, 1e-12, "norm rule", "u");
  expect_all_near(trace.s, s, 4, 0, "norm rule", "s");
  expect_all_near(g.input[0], dx, 4, 1e-6, "norm rule", "dL/da");
  ref_gradient_free(&g);
  ref_trace_free(&trace);
}

Test(reference_neuron, golden_soft_reset) {
  static const double u[] = {0.21,   0.378,  0.5124, 0.6199, 0.7059,
                             0.7747, 0.8298, 0.8738, 0.9091, 0.9373};
  static const double width[] = {1, 1};
  double z[64];
  for (int t = 0; t < 64; t++) z[t] = 0.21;
  ref_neuron n = one_neuron(z, 64, 0.8, width);
  n.spec.reset = SURGE_RESET_SOFT;
  ref_trace trace = ref_neuron_forward(&n);
  expect_all_near(trace.u, u, 10, 5.1e-5, "soft reset", "u");
  int t = 0; /* the first spike, then theta is subtracted */
  while (t < 62 && trace.s[t] < 0.5) t++;
  cr_expect(trace.u[t] >= 1 && trace.u[t] < 1.05, "below the fixed point 1.05");
  cr_expect(fabs(trace.u[t + 1] - (0.8 * (trace.u[t] - 1) + 0.21)) < 1e-15);
  ref_trace_free(&trace);
}

/* Width rules on other families: the same central half of the mass. */
Test(reference_neuron, width_rules) {
  static const double two[] = {0.5, 1.5, 4}, low[] = {-1, -1, -1};
  static const double fourteen[] = {6, 6, 30};
  static const double *const one_norm[2] = {two}, *const low_norm[2] = {low};
  static const double *const both[2] = {two, fourteen};
  static const double *const one_low[2] = {low, fourteen};
  surge_neuron_spec spec = {.decay = 0.5f,
                            .v_threshold = 2,
                            .width = 4,
                            .width_end = 0.25f,
                            .family = SURGE_TRIANGULAR};
  double scalars[SURGE_SCALAR_COUNT], width[2], factor = 0.25 / (1 - M_SQRT1_2);
  double logit = log(3.0), rho = -0.3; /* d = .75 */
  spec.width_rule = SURGE_WIDTH_DECAY;
  ref_neuron_scalars(scalars, width, &spec, NULL, &logit, NULL, NULL, 0, 3);
  cr_expect(fabs(scalars[SURGE_SCALAR_DECAY] - 0.75) < 1e-15);
  cr_expect(scalars[SURGE_SCALAR_GAIN] >= 1 && scalars[SURGE_SCALAR_GAIN] <= 1);
  cr_expect(fabs(scalars[SURGE_SCALAR_PDA_STD] - 2.5) < 1e-15);
  cr_expect(fabs(width[0] - 5 * factor) < 1e-12, "decay: 2*2*1.25");
  spec.width_rule = SURGE_WIDTH_NORM;
  ref_neuron_scalars(scalars, width, &spec, NULL, NULL, NULL, one_norm, 0, 3);
  cr_expect(fabs(width[0] - 8 * factor) < 1e-12, "norm at t = 0: 2*2*2");
  cr_expect(fabs(width[1] - 8 * sqrt(1.25) * factor) < 1e-12, "norm after");
  ref_neuron_scalars(scalars, width, &spec, NULL, NULL, NULL, low_norm, 0, 3);
  cr_expect(fabs(width[0] - 0.004 * factor) < 1e-12, "norm: g at least 1e-3");
  ref_neuron_scalars(scalars, width, &spec, NULL, NULL, NULL, both, 0, 3);
  cr_expect(fabs(width[0] - 40 * factor) < 1e-12,
            "two norms: 2*10*2, for 10^2 is half of 2^2 + 14^2");
  cr_expect(fabs(width[1] - 40 * sqrt(1.25) * factor) < 1e-12, "two after");
  ref_neuron_scalars(scalars, width, &spec, NULL, NULL, NULL, one_low, 0, 3);
  cr_expect(fabs(width[0] - 4 * sqrt(98 + 5e-7) * factor) < 1e-12,
            "two norms: each at least 1e-3");
  spec.width_rule = SURGE_WIDTH_SCHEDULE;
  ref_neuron_scalars(scalars, width, &spec, NULL, NULL, NULL, NULL, 0.5, 3);
  cr_expect(fabs(width[1] - 1) < 1e-12, "schedule: geometric middle of 4, 1/4");
  spec.width_rule = SURGE_WIDTH_LEARNED;
  ref_neuron_scalars(scalars, width, &spec, &rho, NULL, NULL, NULL, 0, 3);
  cr_expect(fabs(width[1] - exp(-0.3)) < 1e-15, "learned");
}

/* ======================================================================== *
 *  Finite differences of the smooth twin
 * ======================================================================== */

#define MARGIN 1e-3
#define STEP 1e-5

/* A small layer, its parameters in double, and the weights of its loss
 *     L = sum gs*s + sum gv*v_out + sum gi*i_out + sum gc*current + D. */
typedef struct twin {
  char name[160];
  ref_neuron n;
  double *z[2], *scale[2], *shift[2], *mean[2], *rstd[2], *step_scale;
  double *v_in, *i_in, *rho, p, p_s, width[2 * 3];
  double *gs, *gv, *gi, *gc;
  ref_neuron frozen; /* what D sees: widths and target detached */
  double frozen_width[2 * 3];
  double *reset;
} twin;

enum { TWIN_T = 4, TWIN_N = 2, TWIN_C = 3, TWIN_M = 2 * 2 * 3 };

static void twin_scalars(twin *w, double scalars[SURGE_SCALAR_COUNT]) {
  const surge_neuron_spec *spec = &w->n.spec;
  ref_neuron_scalars(scalars, w->width, spec, w->rho,
                     spec->decay_learned ? &w->p : NULL,
                     spec->synapse_learned ? &w->p_s : NULL, NULL, 0, TWIN_C);
}

static double twin_loss(twin *w) {
  surge_neuron_spec *spec = &w->n.spec;
  double scalars[SURGE_SCALAR_COUNT];
  twin_scalars(w, scalars);
  w->n.scalars[SURGE_SCALAR_DECAY] = scalars[SURGE_SCALAR_DECAY];
  w->n.scalars[SURGE_SCALAR_GAIN] = scalars[SURGE_SCALAR_GAIN];
  w->n.scalars[SURGE_SCALAR_SYNAPSE] = scalars[SURGE_SCALAR_SYNAPSE];
  ref_trace trace = ref_neuron_forward(&w->n);
  ref_pda pda[TWIN_C];
  double L = spec->pda ? 3 * ref_neuron_pda(pda, &w->frozen, &trace, 1) : 0;
  for (size_t k = 0; k < TWIN_T * TWIN_M; k++)
    L += w->gs[k] * trace.s[k] + w->gc[k] * trace.a[k];
  for (size_t i = 0; i < TWIN_M; i++)
    L += w->gv[i] * trace.v[(TWIN_T - 1) * TWIN_M + i] +
         w->gi[i] * trace.i[(TWIN_T - 1) * TWIN_M + i];
  ref_trace_free(&trace);
  return L;
}

/* Central differences of `count` parameters against their gradient. */
static void expect_gradient(twin *w, double *parameter, const double *gradient,
                            size_t count, const char *what) {
  double scale = 0;
  for (size_t i = 0; i < count; i++) scale = fmax(scale, fabs(gradient[i]));
  for (size_t i = 0; i < count; i++) {
    double value = parameter[i];
    parameter[i] = value + STEP;
    double above = twin_loss(w);
    parameter[i] = value - STEP;
    double below = twin_loss(w);
    parameter[i] = value;
    double slope = (above - below) / (2 * STEP);
    cr_expect(fabs(slope - gradient[i]) <= 1e-6 * fmax(scale, 0.1),
              "%s: d/d%s[%zu]: differences %.9g, reference %.9g", w->name, what,
              i, slope, gradient[i]);
  }
}

/* Is some membrane near a kink of S_w, of the clip, or of the decision? */
static bool near_kink(const twin *w, const ref_trace *trace) {
  double eps = (double)w->n.spec.pda_epsilon;
  for (size_t k = 0; k < TWIN_T * TWIN_M; k++) {
    double x = trace->u[k] - (double)w->n.spec.v_threshold;
    double width = ref_width_at(&w->n, (int32_t)(k / TWIN_M), k % TWIN_M);
    double p = ref_soft_spike(w->n.spec.family, x, width);
    if (fabs(fabs(x) - ref_window(w->n.spec.family, width)) < MARGIN ||
        fabs(x) < MARGIN || fabs(fmin(p, 1 - p) - eps) < MARGIN)
      return true;
  }
  return false;
}

static void twin_fill(twin *w, uint64_t seed) {
  size_t count = TWIN_T * TWIN_M;
  for (int j = 0; j < 2; j++) {
    w->z[j] = uniform(seed + 1 + (uint64_t)j, count, -1.5, 2.5);
    w->scale[j] = uniform(seed + 3, TWIN_T * TWIN_C, 0.5, 1.2);
    w->shift[j] = uniform(seed + 4, TWIN_T * TWIN_C, -0.5, 0.5);
    w->mean[j] =
        uniform(seed, TWIN_C, 0, 0); /* then sums are d scale, d shift */
    w->rstd[j] = uniform(seed, TWIN_C, 1, 1);
  }
  w->step_scale = uniform(seed + 5, TWIN_T, 0.5, 1.5);
  w->v_in = uniform(seed + 6, TWIN_M, -0.5, 0.5);
  w->rho = uniform(seed + 7, TWIN_C, -0.4, 0.7);
  w->p = 0.4;
  w->p_s = -0.7;
  w->gs = uniform(seed + 8, count, -1, 1);
  w->gv = uniform(seed + 9, TWIN_M, -1, 1);
  w->gc = uniform(seed + 10, count, -1, 1);
  w->i_in = uniform(seed + 11, TWIN_M, -0.5, 0.5);
  w->gi = uniform(seed + 12, TWIN_M, -1, 1);
}

static void twin_free(twin *w) {
  for (int j = 0; j < 2; j++) {
    free(w->z[j]);
    free(w->scale[j]);
    free(w->shift[j]);
    free(w->mean[j]);
    free(w->rstd[j]);
  }
  double *all[] = {w->step_scale, w->v_in, w->i_in, w->rho,
                   w->gs,         w->gv,   w->gi,   w->gc};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
}

/* How the two inputs are fed. */
typedef enum feeding { PLAIN, NORMALISED, STATIC, PER_STEP, FEEDINGS } feeding;

static void feed(twin *w, int which, feeding how) {
  ref_input *in = &w->n.input[which];
  *in = (ref_input){.z = w->z[which],
                    .is_static = how == STATIC,
                    .per_step = how == PER_STEP};
  if (how == PLAIN) return;
  in->scale = w->scale[which];
  in->shift = w->shift[which];
  in->mean = w->mean[which];
  in->rstd = w->rstd[which];
}

static void expect_input(twin *w, int which, const ref_gradient *g) {
  const ref_input *in = &w->n.input[which];
  size_t count = (in->is_static ? 1 : TWIN_T) * (size_t)TWIN_M;
  double *dz = malloc(count * sizeof(double));
  /* dL/dz = scale * da; a static input has one scale for all steps here */
  for (size_t k = 0; k < count; k++) {
    size_t t = in->per_step ? k / TWIN_M : 0;
    int32_t c = ref_channel(&w->n, k % TWIN_M);
    dz[k] = g->input[which][k] *
            (in->scale ? in->scale[t * TWIN_C + (size_t)c] : 1);
  }
  expect_gradient(w, w->z[which], dz, count, which ? "z1" : "z0");
  free(dz);
  for (int t = 0; in->scale && t < (in->per_step ? TWIN_T : 1); t++) {
    const double *sums = g->sums[which] + t * 2 * TWIN_C;
    expect_gradient(w, w->shift[which] + t * TWIN_C, sums, TWIN_C, "shift");
    expect_gradient(w, w->scale[which] + t * TWIN_C, sums + TWIN_C, TWIN_C,
                    "scale");
  }
}

static void expect_twin(twin *w) {
  surge_neuron_spec *spec = &w->n.spec;
  ref_trace trace = ref_neuron_forward(&w->n);
  ref_pda pda[TWIN_C];
  ref_upstream up = {w->gs, w->gv, w->gi, w->gc, spec->pda ? pda : NULL};
  if (spec->pda) ref_neuron_pda(pda, &w->frozen, &trace, 3);
  ref_gradient g = ref_neuron_backward(&w->n, &trace, &up);
  if (spec->detach_reset) w->n.frozen_reset = trace.s;
  for (int which = 0; which < w->n.inputs; which++) expect_input(w, which, &g);
  expect_gradient(w, w->v_in, g.dv_in, TWIN_M, "v_in");
  expect_gradient(w, w->i_in, g.di_in, TWIN_M, "i_in");
  int32_t P = spec->granularity == SURGE_PER_CHANNEL ? TWIN_C : 1;
  if (spec->width_rule == SURGE_WIDTH_LEARNED)
    expect_gradient(w, w->rho, g.drho, (size_t)P, "rho");
  if (spec->decay_learned)
    expect_gradient(w, &w->p, &g.decay_logit, 1, "decay logit");
  if (spec->synapse_learned)
    expect_gradient(w, &w->p_s, &g.synapse_logit, 1, "synapse logit");
  ref_gradient_free(&g);
  ref_trace_free(&trace);
}

/* Draws the parameters of a spec until no membrane is near a kink. */
static void check_twin(const surge_neuron_spec *spec, int inputs, feeding first,
                       feeding second) {
  bool bad = true;
  for (uint64_t seed = 0; bad && seed < 400 * 64; seed += 64) {
    twin w = {.n = {.spec = *spec,
                    .T = TWIN_T,
                    .N = TWIN_N,
                    .inputs = inputs,
                    .map = {2, 1, TWIN_C, SURGE_CHANNELS_LAST}}};
    snprintf(w.name, sizeof w.name,
             "%s, %s, %s, decay %s%s, synapse %g%s, pda %d/%d, per %s, "
             "inputs %d %d/%d",
             family_name[spec->family], spec->reset ? "soft" : "hard",
             spec->detach_reset ? "detached" : "attached",
             spec->decay_learned ? "learned" : "fixed",
             spec->decay_input ? " of input" : "", (double)spec->synapse_decay,
             spec->synapse_learned ? " learned" : "", spec->pda,
             spec->pda_granularity, spec->granularity ? "channel" : "layer",
             inputs, first, second);
    twin_fill(&w, seed);
    feed(&w, 0, first);
    feed(&w, 1, second);
    w.n.width = w.width;
    w.n.v_in = w.v_in;
    w.n.i_in = w.i_in;
    twin_scalars(&w, w.n.scalars);
    memcpy(w.frozen_width, w.width, sizeof w.width);
    w.frozen = w.n;
    w.frozen.width = w.frozen_width;
    ref_trace trace = ref_neuron_forward(&w.n);
    bad = near_kink(&w, &trace);
    ref_trace_free(&trace);
    if (!bad) expect_twin(&w);
    twin_free(&w);
  }
  cr_expect(!bad, "no draw without a membrane near a kink");
}

static surge_neuron_spec twin_spec(surge_family family, unsigned flags) {
  return (surge_neuron_spec){
      .decay = 0.6f,
      .v_threshold = 1,
      .v_reset = -0.25f,
      .soft_forward = true,
      .family = family,
      .width = 1.3f,
      .width_rule = SURGE_WIDTH_LEARNED,
      .pda_mean = 0.1f,
      .pda_epsilon = 0.05f,
      .reset = flags & 1 ? SURGE_RESET_SOFT : SURGE_RESET_HARD,
      .detach_reset = flags & 2,
      .decay_input = flags & 4,
      .decay_learned = flags & 8,
      .granularity = flags & 16 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER,
      .pda_granularity = flags & 32 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER};
}

/* Every family x reset x detach x decay_input x learned decay, PDA and
 * granularities in turn. */
Test(reference_neuron, gradients_are_differences) {
  for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++)
    for (unsigned flags = 0; flags < 16; flags++) {
      unsigned granularity = (flags * 7 + (unsigned)f) % 4;
      surge_neuron_spec spec = twin_spec(f, flags | granularity << 4);
      spec.pda = (surge_pda_kind)((flags + (unsigned)f) % 3);
      check_twin(&spec, 1, PLAIN, PLAIN);
    }
}

/* A synapse of fixed decay and one that learns x family x reset x detach x
 * decay_input x learned decay. */
Test(reference_neuron, synapse_gradients_are_differences) {
  for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++)
    for (unsigned flags = 0; flags < 32; flags++) {
      surge_neuron_spec spec = twin_spec(f, flags & 15);
      spec.synapse_decay = 0.8f;
      spec.synapse_learned = flags & 16;
      spec.pda = (surge_pda_kind)((flags + (unsigned)f) % 3);
      check_twin(&spec, 1, NORMALISED, PLAIN);
    }
}

/* Both PDA kinds x granularity of moments x granularity of width. */
Test(reference_neuron, pda_gradients_are_differences) {
  for (int kind = SURGE_PDA_MOMENT; kind <= SURGE_PDA_QUANTIZATION; kind++)
    for (unsigned granularity = 0; granularity < 4; granularity++)
      for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++) {
        surge_neuron_spec spec = twin_spec(f, 8 | granularity << 4);
        spec.pda = (surge_pda_kind)kind;
        check_twin(&spec, 1, NORMALISED, PLAIN);
      }
}

Test(reference_neuron, input_gradients_are_differences) {
  for (feeding first = PLAIN; first < FEEDINGS; first++)
    for (feeding second = PLAIN; second < FEEDINGS; second++) {
      surge_neuron_spec spec = twin_spec(SURGE_ARCTAN, 4 | 8 | 16);
      check_twin(&spec, 2, first, second);
    }
}

/* A static input that TEBN weighs: z is shown T times with scale[t]*z, so
 * dL/dz = sum_t scale[t] da[t], which is scale0 * sum_t p[t] da[t] where
 * scale[t] = p[t] scale0. */
Test(reference_neuron, static_per_step_gradient_is_difference) {
  surge_neuron_spec spec = twin_spec(SURGE_SIGMOID, 1 | 8);
  twin w = {.n = {.spec = spec,
                  .T = TWIN_T,
                  .N = TWIN_N,
                  .inputs = 1,
                  .map = {2, 1, TWIN_C, SURGE_CHANNELS_LAST}}};
  snprintf(w.name, sizeof w.name, "static per step");
  twin_fill(&w, 5);
  feed(&w, 0, PER_STEP);
  w.n.input[0].is_static = true;
  w.n.input[0].step_scale = w.step_scale;
  w.n.width = w.width;
  w.n.v_in = w.v_in;
  for (int t = 0; t < TWIN_T; t++)
    for (int c = 0; c < TWIN_C; c++)
      w.scale[0][t * TWIN_C + c] = w.step_scale[t] * (0.7 + 0.1 * c);
  twin_loss(&w); /* fills scalars and widths */
  ref_trace trace = ref_neuron_forward(&w.n);
  ref_upstream up = {
      .gs = w.gs, .gv_out = w.gv, .gi_out = w.gi, .g_current = w.gc};
  ref_gradient g = ref_neuron_backward(&w.n, &trace, &up);
  double dz[TWIN_M];
  for (size_t i = 0; i < TWIN_M; i++)
    dz[i] = g.input[0][i] * (0.7 + 0.1 * ref_channel(&w.n, i));
  expect_gradient(&w, w.z[0], dz, TWIN_M, "z");
  for (int t = 0; t < TWIN_T; t++)
    expect_gradient(&w, w.scale[0] + t * TWIN_C,
                    g.sums[0] + t * 2 * TWIN_C + TWIN_C, TWIN_C, "scale");
  ref_gradient_free(&g);
  ref_trace_free(&trace);
  twin_free(&w);
}

/* D of the moment kind is the symmetric divergence of two Gaussians, here by
 * quadrature of its definition. */
Test(reference_neuron, pda_moment_is_a_divergence) {
  static const double z[] = {0.3, 1.4, -0.2, 0.9, 2.2, 0.1}, width[] = {1, 1};
  ref_neuron n = one_neuron(z, 6, 0, width);
  n.spec.pda = SURGE_PDA_MOMENT;
  n.scalars[SURGE_SCALAR_PDA_MEAN] = 0.25;
  n.scalars[SURGE_SCALAR_PDA_STD] = 1.5;
  ref_trace trace = ref_neuron_forward(&n);
  ref_pda pda;
  double D = ref_neuron_pda(&pda, &n, &trace, 1), s2 = 0, quadrature = 0;
  for (int t = 0; t < 6; t++) s2 += (z[t] - pda.m) * (z[t] - pda.m) / 6;
  cr_expect(fabs(pda.m - 4.7 / 6) < 1e-14, "mean");
  cr_expect(fabs(pda.variance - s2) < 1e-14, "variance");
  double s = sqrt(s2 + 1e-5);
  for (double u = -20; u < 20; u += 1e-3) {
    double a = (u - pda.m) / s, b = (u - 0.25) / 1.5;
    double log_p = -a * a / 2 - log(s), log_q = -b * b / 2 - log(1.5);
    quadrature +=
        1e-3 / sqrt(2 * M_PI) * (exp(log_p) - exp(log_q)) * (log_p - log_q) / 2;
  }
  cr_expect(fabs(D - quadrature) < 1e-9, "wanted %.12g, found %.12g",
            quadrature, D);
  ref_trace_free(&trace);
}

/* By hand: one spike of current into an IF that does not fire: i = d_s^t, u
 * their sum, so dL/da[0] = sum of all dL/di, and the synapse adds nothing more.
 * Neftci 2019's equations 4 and 5 with i read at the same step. */
Test(reference_neuron, synapse_keeps_a_current) {
  static const double z[] = {0.125, 0, 0, 0}, ones[] = {1, 1, 1, 1};
  static const double i[] = {0.125, 0.0625, 0.03125, 0.015625};
  static const double u[] = {0.125, 0.1875, 0.21875, 0.234375}, w[] = {4, 4};
  ref_neuron n = one_neuron(z, 4, 1, w);
  n.spec.family = SURGE_RECTANGULAR; /* h = 1/4 everywhere here */
  n.scalars[SURGE_SCALAR_SYNAPSE] = 0.5;
  ref_trace trace = ref_neuron_forward(&n);
  ref_upstream up = {.gs = ones};
  n.spec.detach_reset = true;
  ref_gradient g = ref_neuron_backward(&n, &trace, &up);
  /* gu = 4, 3, 2, 1 quarters; gi[t] = gu[t] + gi[t+1]/2 */
  static const double da[] = {1.53125, 1.0625, 0.625, 0.25};
  /* sum gi[t] i[t-1] */
  double synapse = 1.0625 * 0.125 + 0.625 * 0.0625 + 0.25 * 0.03125;
  expect_all_near(trace.i, i, 4, 1e-15, "synapse", "i");
  expect_all_near(trace.u, u, 4, 1e-15, "synapse", "u");
  expect_all_near(g.da, da, 4, 1e-15, "synapse", "da");
  expect_all_near(&g.synapse, &synapse, 1, 1e-15, "synapse", "dL/dd_s");
  ref_gradient_free(&g);
  ref_trace_free(&trace);
}

/* The integrator's backward is the transpose of its forward. */
Test(reference_neuron, integrator_is_transposed) {
  enum { T = 7, M = 3 };
  double *x = uniform(1, T * M, -1, 1), *g = uniform(2, T * M, -1, 1);
  double y[T * M], dx[T * M], forward = 0, backward = 0;
  ref_integrator_forward(y, x, 0.8, T, M, false);
  ref_integrator_backward(dx, g, 0.8, T, M, false);
  cr_expect(fabs(y[2 * M] - (0.64 * x[0] + 0.8 * x[M] + x[2 * M])) < 1e-15);
  for (int k = 0; k < T * M; k++) {
    forward += y[k] * g[k];
    backward += x[k] * dx[k];
  }
  cr_expect(fabs(forward - backward) < 1e-13);
  free(x);
  free(g);
}

/* The rounded trace is fp32's, operation by operation. */
Test(reference_neuron, rounded_trace_is_float) {
  enum { T = 50, M = 40 };
  double *z = uniform(11, T * M, -1, 2), width[2] = {1, 1};
  for (int k = 0; k < T * M; k++) z[k] = (double)(float)z[k];
  ref_neuron n = one_neuron(z, T, (double)0.9f, width);
  n.spec.reset = SURGE_RESET_SOFT;
  n.map.c = M;
  n.rounded = true;
  ref_trace trace = ref_neuron_forward(&n);
  for (int i = 0; i < M; i++) {
    float v = 0;
    for (int t = 0; t < T; t++) {
      volatile float leak = 0.9f * v, u = leak + (float)z[t * M + i];
      v = u >= 1 ? u - 1 : u;
      cr_expect(
          trace.u[t * M + i] >= (double)u && trace.u[t * M + i] <= (double)u,
          "u[%d, %d]", t, i);
    }
  }
  ref_trace_free(&trace);
  free(z);
}
