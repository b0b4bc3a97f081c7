/* test_golden_neuron.c - the neuron op against PyTorch: each family x reset x
 * detach x decay_input, and PDA (golden.h; scripts/make_golden.py). */
#include "tests/golden/golden.h"

enum { T = 6, M = 7, COUNT = T * M };
static const double THETA = 1, V_RESET = -0.25;

static const char *const families[] = {
#define WORD(NAME, word, half) #word,
    SURGE_FAMILY_LIST(WORD)
#undef WORD
};

/* --- the op, around one current ------------------------------------------- */

/* Everything of one layer on the device; x is its plain current. */
typedef struct layer {
  surge_context *context;
  surge_neuron common;
  test_buffer x, gs, rho, p, scalars, width, workspace;
  test_buffer s, v_out, da, drho, dp;
  surge_fault *fault;
} layer;

static layer layer_open(surge_neuron_spec spec, surge_map map, int32_t steps,
                        int32_t N, const float *x, const float *gs,
                        const float *rho, const float *p) {
  surge_context *context = test_context(2);
  size_t m = (size_t)N * surge_map_elements(&map), count = (size_t)steps * m;
  layer l = {.context = context,
             .x = test_copied(context, x, count),
             .gs = test_copied(context, gs, count),
             .rho = test_copied(context, rho, 1),
             .p = test_copied(context, p, 1),
             .scalars = test_poisoned(context, SURGE_SCALAR_COUNT),
             .width = test_poisoned(context, 2),
             .s = test_poisoned(context, count),
             .v_out = test_poisoned(context, m),
             .da = test_poisoned(context, count),
             .drho = test_filled(context, 1, 0),
             .dp = test_filled(context, 1, 0),
             .fault = golden_object(context, sizeof(surge_fault))};
  surge_neuron_scalars scalars = {
      .scalars = l.scalars.device,
      .width = l.width.device,
      .spec = spec,
      .rho = spec.width_rule == SURGE_WIDTH_LEARNED ? l.rho.device : NULL,
      .decay_logit = spec.decay_learned ? l.p.device : NULL,
      .C = map.c};
  cr_assert_eq(test_backend()->neuron_scalars(context, &scalars), SURGE_OK,
               "%s", surge_last_error());
  l.common = (surge_neuron){.spec = spec,
                            .map = map,
                            .T = steps,
                            .N = N,
                            .inputs = 1,
                            .input = {{.z = l.x.device}},
                            .scalars = l.scalars.device,
                            .width = l.width.device};
  size_t bytes = test_backend()->neuron_workspace(context, &l.common);
  l.workspace = test_poisoned(context, bytes / sizeof(float) + 1);
  l.common.workspace = l.workspace.device;
  return l;
}

static void layer_close(layer *l) {
  test_buffer *all[] = {&l->x,       &l->gs,    &l->rho,       &l->p,
                        &l->scalars, &l->width, &l->workspace, &l->s,
                        &l->v_out,   &l->da,    &l->drho,      &l->dp};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) test_release(all[i]);
  test_backend()->release(l->context, l->fault);
  test_backend()->close(l->context);
}

/* --- families x reset x detach x decay_input ------------------------------ */

typedef struct wanted {
  const double *u, *s, *delta, *gu, *gv, *dx, *drho, *dp;
  double d, gain, w; /* scalars of the layer */
} wanted;

typedef struct bounds {
  double u[COUNT], v[COUNT], dx[COUNT], drho, dp;
} bounds;

static double membrane_after(const wanted *g, const surge_neuron_spec *spec,
                             size_t k) {
  if (spec->reset == SURGE_RESET_SOFT) return g->u[k] - THETA * g->s[k];
  return g->s[k] > 0 ? V_RESET : g->u[k];
}

static void bound_forward(bounds *b, const wanted *g,
                          const surge_neuron_spec *spec, const float *x) {
  for (size_t k = 0; k < COUNT; k++) {
    double before = k < M ? 0 : membrane_after(g, spec, k - M);
    double current = g->gain * (double)x[k];
    b->u[k] = 2 * UNIT * fabs(current) + UNIT * fabs(g->u[k]) +
              2 * UNIT * fabs(g->d * before) + (k < M ? 0 : g->d * b->v[k - M]);
    if (spec->reset == SURGE_RESET_SOFT)
      b->v[k] = b->u[k] + UNIT * fabs(membrane_after(g, spec, k));
    else
      b->v[k] = g->s[k] > 0 ? 0 : b->u[k];
  }
}

/* delta's error; e_gv is the error of gv. */
static double bound_delta(const wanted *g, const surge_neuron_spec *spec,
                          size_t k, double e_u, double e_gv) {
  double error = UNIT * fabs(g->delta[k]);
  if (spec->detach_reset) return error;
  if (spec->reset == SURGE_RESET_SOFT)
    return error + THETA * (e_gv + UNIT * fabs(g->gv[k]));
  double drop = fabs(V_RESET - g->u[k]);
  return error + e_gv * drop + fabs(g->gv[k]) * (e_u + 2 * UNIT * drop);
}

/* In every family h <= 1/w and |dh/dx| <= 1/w^2 (0 for the rectangle); its
 * evaluation takes fewer than 16 roundings, w's own included. */
static void bound_backward(bounds *b, const wanted *g,
                           const surge_neuron_spec *spec, const float *x) {
  double peak = 1 / g->w, drho_terms = 0, dp_terms = 0;
  double slope = spec->family == SURGE_RECTANGULAR ? 0 : 1 / (g->w * g->w);
  double e_gv[M] = {0};
  b->drho = b->dp = 0;
  for (size_t k = COUNT; k-- > 0;) {
    double distance = fabs(g->u[k] - THETA);
    double e_x = b->u[k] + UNIT * distance;
    double e_h = slope * e_x + 16 * UNIT * peak;
    double e_delta = bound_delta(g, spec, k, b->u[k], e_gv[k % M]);
    bool carries = spec->reset == SURGE_RESET_SOFT || g->s[k] == 0;
    double carried = carries ? g->gv[k] : 0, spatial = g->gu[k] - carried;
    double e_gu = e_delta * peak + fabs(g->delta[k]) * e_h +
                  (carries ? e_gv[k % M] : 0) +
                  3 * UNIT * (fabs(spatial) + fabs(carried));
    b->dx[k] = g->gain * (e_gu + 2 * UNIT * fabs(g->gu[k]));
    b->drho += distance * (e_delta * peak + fabs(g->delta[k]) * e_h) +
               fabs(g->delta[k]) * e_x * peak +
               4 * UNIT * fabs(spatial * distance);
    drho_terms += fabs(spatial) * distance;
    double before = k < M ? 0 : membrane_after(g, spec, k - M);
    double factor = fabs(before - (spec->decay_input ? (double)x[k] : 0));
    b->dp += e_gu * factor + fabs(g->gu[k]) * (k < M ? 0 : b->v[k - M]);
    dp_terms += fabs(g->gu[k]) * (fabs(before) + fabs((double)x[k]));
    e_gv[k % M] = g->d * (e_gu + 2 * UNIT * fabs(g->gu[k]));
  }
  b->drho += (COUNT + 2) * UNIT * drho_terms;
  b->dp = g->d * (1 - g->d) * (b->dp + (COUNT + 8) * UNIT * dp_terms);
}

/* Runs the first `steps` steps; the membrane they leave tells u. */
static void check_forward(layer *l, const char *name, const wanted *g,
                          const bounds *b, int32_t steps) {
  surge_neuron_forward forward = {.common = l->common,
                                  .s = l->s.device,
                                  .v_out = l->v_out.device,
                                  .fault = l->fault};
  forward.common.T = steps;
  cr_assert_eq(test_backend()->neuron_forward(l->context, &forward), SURGE_OK,
               "%s", surge_last_error());
  double v[M];
  size_t last = (size_t)(steps - 1) * M;
  for (size_t i = 0; i < M; i++)
    v[i] = membrane_after(g, &l->common.spec, last + i);
  golden_compare(name, "v", &l->v_out, v, b->v + last);
}

static void check_case(const surge_safetensors *file, surge_neuron_spec spec) {
  char name[96];
  snprintf(name, sizeof name, "%s.%s.%s.%s.", families[spec.family],
           spec.reset == SURGE_RESET_HARD ? "hard" : "soft",
           spec.detach_reset ? "detached" : "attached",
           spec.decay_input ? "scaled" : "plain");
  const float *x = golden_input(file, "x"), *rho = golden_input(file, "rho");
  const float *p = golden_input(file, "p");
  double d = 1 / (1 + exp(-(double)p[0]));
  wanted g = {golden(file, name, "u"),
              golden(file, name, "s"),
              golden(file, name, "delta"),
              golden(file, name, "gu"),
              golden(file, name, "gv"),
              golden(file, name, "dx"),
              golden(file, name, "drho"),
              golden(file, name, "dp"),
              d,
              spec.decay_input ? 1 - d : 1,
              exp((double)rho[0])};
  bounds b;
  bound_forward(&b, &g, &spec, x);
  bound_backward(&b, &g, &spec, x);

  layer l = layer_open(spec, (surge_map){1, 1, M, SURGE_CHANNELS_LAST}, T, 1, x,
                       golden_input(file, "gs"), rho, p);
  for (int32_t steps = 1; steps <= T; steps++)
    check_forward(&l, name, &g, &b, steps);
  static const double exact[COUNT];
  golden_compare(name, "s", &l.s, g.s, exact);
  surge_neuron_backward backward = {.common = l.common,
                                    .da = {l.da.device},
                                    .drho = l.drho.device,
                                    .ddecay_logit = l.dp.device,
                                    .gs = l.gs.device};
  cr_assert_eq(test_backend()->neuron_backward(l.context, &backward), SURGE_OK,
               "%s", surge_last_error());
  golden_compare(name, "dx", &l.da, g.dx, b.dx);
  golden_compare(name, "drho", &l.drho, g.drho, &b.drho);
  golden_compare(name, "dp", &l.dp, g.dp, &b.dp);
  layer_close(&l);
}

Test(golden, neuron) {
  surge_safetensors file = golden_open("neuron");
  for (int family = 0; family < SURGE_FAMILY_COUNT; family++)
    for (int flags = 0; flags < 8; flags++)
      check_case(&file,
                 (surge_neuron_spec){
                     .decay_learned = true,
                     .decay = 0.6f,
                     .v_threshold = (float)THETA,
                     .v_reset = (float)V_RESET,
                     .family = (surge_family)family,
                     .width_rule = SURGE_WIDTH_LEARNED,
                     .width = 0.7f,
                     .width_min = 0.01f,
                     .width_max = 100,
                     .reset = flags & 1 ? SURGE_RESET_SOFT : SURGE_RESET_HARD,
                     .detach_reset = (flags & 2) != 0,
                     .decay_input = (flags & 4) != 0});
  surge_safetensors_free(&file);
}

/* --- PDA ------------------------------------------------------------------ *
 * The inputs are dyadic: u is exact, so all error is that of D and q.         */

enum { PT = 4, PN = 2, PC = 3, PM = PN * PC, PCOUNT = PT * PM };
static const double PD = 0.25, LAMBDA = 0.5;

typedef struct pda_bounds {
  double D, q[PCOUNT];
} pda_bounds;

/* Moment kind, of the elements whose channel is `channel` (all: -1). A moment
 * is a sum of at most PCOUNT terms: PCOUNT + 2 roundings, and fewer than 6 to
 * form D, c0, c1 and q from it. */
static void bound_moment(pda_bounds *b, const double *u,
                         const surge_neuron_spec *spec, int channel) {
  double count = 0, m = 0, size = 0, variance = 0;
  for (size_t k = 0; k < PCOUNT; k++) {
    if (channel >= 0 && k % PC != (size_t)channel) continue;
    count++;
    m += u[k];
    size += fabs(u[k]);
  }
  m /= count;
  size /= count;
  for (size_t k = 0; k < PCOUNT; k++)
    if (channel < 0 || k % PC == (size_t)channel)
      variance += (u[k] - m) * (u[k] - m) / count;
  double v = variance + 1e-5, s0 = (double)spec->pda_std;
  double v0 = s0 > 0 ? s0 * s0 : 1 + PD * PD, e = m - (double)spec->pda_mean;
  double error = (PCOUNT + 2 + 6) * UNIT, pull = (1 / v0 + 1 / v) / 2;
  double stretch = (1 / v0 + (v0 + e * e) / (v * v)) / 2;
  b->D += count / PCOUNT * error *
          ((fabs(e) + size) * size * pull + v * stretch + 1);
  for (size_t k = 0; k < PCOUNT; k++)
    if (channel < 0 || k % PC == (size_t)channel)
      b->q[k] =
          LAMBDA / PCOUNT * error *
          ((size + fabs(e)) * pull +
           (2 * stretch + fabs(e) * size / (v * v)) * (fabs(u[k]) + size));
}

static double logit(double p) { return log(p / (1 - p)); }

/* Quantization kind: p = S_w(u - theta) comes with 8 roundings, h with 16, and
 * each later operation of D and q with one. */
static void bound_quantization(pda_bounds *b, const double *u, const double *p,
                               const surge_neuron_spec *spec) {
  double eps = (double)spec->pda_epsilon, peak = 1 / (double)spec->width;
  for (size_t k = 0; k < PCOUNT; k++) {
    double clipped = fmin(fmax(p[k], eps), 1 - eps);
    double q = u[k] >= THETA ? 1 - eps : eps, gap = fabs(clipped - q);
    double curvature = clipped * (1 - clipped), e_p = 8 * UNIT;
    double logits = fabs(logit(clipped)) + fabs(logit(q));
    b->D += ((e_p * logits + gap * e_p / curvature) / 2 + 8 * UNIT * logits) /
            PCOUNT;
    double bracket = logits + gap / curvature;
    double e_bracket = e_p * (2 / curvature + gap / (curvature * curvature)) +
                       8 * UNIT * bracket;
    bool inside = p[k] > eps && p[k] < 1 - eps;
    b->q[k] =
        inside ? LAMBDA / PCOUNT * peak / 2 * (20 * UNIT * bracket + e_bracket)
               : 0;
  }
  b->D += (PCOUNT + 2) * UNIT * b->D;
}

/* dx[t] = q[t] + (fired ? 0 : d dx[t+1]): the reset is detached and dL/ds 0. */
static void bound_pda_backward(double *dx, const pda_bounds *b, const double *u,
                               const double *want) {
  for (size_t k = PCOUNT; k-- > 0;) {
    bool carries = k + PM < PCOUNT && u[k] < THETA;
    dx[k] = b->q[k] + 2 * UNIT * LAMBDA * fabs(want[k]);
    if (carries)
      dx[k] += PD * (dx[k + PM] + 2 * UNIT * LAMBDA * fabs(want[k + PM]));
  }
}

static void check_pda(const surge_safetensors *file, const char *name,
                      surge_neuron_spec spec) {
  const double *u = golden(file, name, "u"), *dx = golden(file, name, "dx");
  pda_bounds b = {0};
  if (spec.pda == SURGE_PDA_QUANTIZATION)
    bound_quantization(&b, u, golden(file, name, "p"), &spec);
  else if (spec.pda_granularity == SURGE_PER_LAYER)
    bound_moment(&b, u, &spec, -1);
  else
    for (int c = 0; c < PC; c++) bound_moment(&b, u, &spec, c);

  static const float zeros[PCOUNT];
  layer l = layer_open(spec, (surge_map){1, 1, PC, SURGE_CHANNELS_LAST}, PT, PN,
                       golden_input(file, "x"), zeros, zeros, zeros);
  void *metrics = golden_object(l.context, sizeof(surge_metrics));
  surge_pda_coefficients *pda =
      golden_object(l.context, PC * sizeof(surge_pda_coefficients));
  surge_neuron_forward forward = {.common = l.common,
                                  .s = l.s.device,
                                  .pda = pda,
                                  .pda_scale = (float)LAMBDA,
                                  .metrics = metrics,
                                  .fault = l.fault};
  cr_assert_eq(test_backend()->neuron_forward(l.context, &forward), SURGE_OK,
               "%s", surge_last_error());
  double D = golden_metrics(l.context, metrics).pda / PN;
  double want = golden(file, name, "D")[0];
  cr_expect(fabs(D - want) <= b.D, "%s: D: wanted %.9g +- %.2g, found %.9g",
            name, want, b.D, D);
  surge_neuron_backward backward = {
      .common = l.common, .da = {l.da.device}, .gs = l.gs.device, .pda = pda};
  cr_assert_eq(test_backend()->neuron_backward(l.context, &backward), SURGE_OK,
               "%s", surge_last_error());
  double scaled[PCOUNT], bound[PCOUNT];
  for (size_t k = 0; k < PCOUNT; k++) scaled[k] = LAMBDA * dx[k];
  bound_pda_backward(bound, &b, u, dx);
  golden_compare(name, "dx", &l.da, scaled, bound);
  test_backend()->release(l.context, metrics);
  test_backend()->release(l.context, pda);
  layer_close(&l);
}

Test(golden, pda) {
  surge_safetensors file = golden_open("pda");
  surge_neuron_spec spec = {.decay = (float)PD,
                            .v_threshold = (float)THETA,
                            .detach_reset = true,
                            .width_rule = SURGE_WIDTH_FIXED,
                            .width = golden_input(&file, "width")[0],
                            .pda = SURGE_PDA_MOMENT,
                            .pda_epsilon = 0.05f};
  check_pda(&file, "moment.", spec);
  spec.pda_granularity = SURGE_PER_CHANNEL;
  check_pda(&file, "moment_channel.", spec);
  spec.pda_granularity = SURGE_PER_LAYER;
  spec.pda_mean = 0.75f;
  spec.pda_std = 0.5f;
  check_pda(&file, "moment_target.", spec);
  spec.pda = SURGE_PDA_QUANTIZATION;
  for (int family = 0; family < SURGE_FAMILY_COUNT; family++) {
    char name[64];
    snprintf(name, sizeof name, "quantization_%s.", families[family]);
    spec.family = (surge_family)family;
    check_pda(&file, name, spec);
  }
  surge_safetensors_free(&file);
}
