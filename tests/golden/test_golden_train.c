/* test_golden_train.c - norm, losses and optimisers against PyTorch (golden.h;
 * scripts/make_golden.py). */
#include "tests/golden/golden.h"

/* --- norm ------------------------------------------------------------------ */

enum {
  NT = 3,
  NN = 2,
  NH = 2,
  NW = 3,
  NC = 3,
  NM = NN * NH * NW * NC,
  NCOUNT = NT * NM
};

/* Everything of one norm on the device. */
typedef struct norm_layer {
  surge_context *context;
  test_buffer z, da, gamma, beta, p, running_mean, running_var, workspace;
  test_buffer scale, shift, mean, rstd, sums, dz, dgamma, dbeta, dp;
  surge_fault *fault;
  bool is_static, tebn;
  int32_t k; /* Tk */
  float alpha_theta;
} norm_layer;

static norm_layer norm_open(const surge_safetensors *file, const char *kind,
                            bool is_static) {
  surge_context *c = test_context(2);
  bool tebn = !strcmp(kind, "tebn");
  int32_t k = tebn ? NT : 1;
  size_t rows = (size_t)k * NC;
  return (norm_layer){
      .context = c,
      .is_static = is_static,
      .tebn = tebn,
      .k = k,
      .alpha_theta =
          strcmp(kind, "bn") != 0 ? golden_input(file, "alpha_theta")[0] : 1,
      .z = test_copied(c, golden_input(file, "z"), is_static ? NM : NCOUNT),
      .da = test_poisoned(c, is_static ? NM : NCOUNT),
      .gamma = test_copied(c, golden_input(file, "gamma"), NC),
      .beta = test_copied(c, golden_input(file, "beta"), NC),
      .p = test_copied(c, golden_input(file, "p"), NT),
      .running_mean = test_copied(c, golden_input(file, "running_mean"), NC),
      .running_var = test_copied(c, golden_input(file, "running_var"), NC),
      .scale = test_poisoned(c, rows),
      .shift = test_poisoned(c, rows),
      .mean = test_poisoned(c, NC),
      .rstd = test_poisoned(c, NC),
      .sums = test_poisoned(c, 2 * rows),
      .dz = test_poisoned(c, is_static ? NM : NCOUNT),
      .dgamma = test_filled(c, NC, 0),
      .dbeta = test_filled(c, NC, 0),
      .dp = test_filled(c, NT, 0),
      .fault = golden_object(c, sizeof(surge_fault))};
}

static void norm_close(norm_layer *n) {
  test_buffer *all[] = {&n->z,           &n->da,       &n->gamma,
                        &n->beta,        &n->p,        &n->running_mean,
                        &n->running_var, &n->scale,    &n->shift,
                        &n->mean,        &n->rstd,     &n->sums,
                        &n->dz,          &n->dgamma,   &n->dbeta,
                        &n->dp,          &n->workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) test_release(all[i]);
  test_backend()->release(n->context, n->fault);
  test_backend()->close(n->context);
}

static void norm_run_forward(norm_layer *n) {
  surge_norm_forward forward = {.scale = n->scale.device,
                                .shift = n->shift.device,
                                .mean = n->mean.device,
                                .rstd = n->rstd.device,
                                .running_mean = n->running_mean.device,
                                .running_var = n->running_var.device,
                                .z = n->z.device,
                                .gamma = n->gamma.device,
                                .beta = n->beta.device,
                                .step_scale = n->tebn ? n->p.device : NULL,
                                .fault = n->fault,
                                .map = {NH, NW, NC, SURGE_CHANNELS_LAST},
                                .T = NT,
                                .N = NN,
                                .is_static = n->is_static,
                                .training = true,
                                .alpha_theta = n->alpha_theta,
                                .eps = 1e-5f,
                                .momentum = 0.1f};
  size_t bytes = test_backend()->norm_workspace(n->context, &forward);
  n->workspace = test_poisoned(n->context, bytes / sizeof(float) + 1);
  forward.workspace = n->workspace.device;
  cr_assert_eq(test_backend()->norm_forward(n->context, &forward), SURGE_OK,
               "%s", surge_last_error());
}

/* What the neuron's backward would hand over: the channel sums and da. */
static void norm_run_backward(norm_layer *n, const float *z, const float *ga,
                              const float *p) {
  float *mean = test_download(&n->mean, "mean");
  float *rstd = test_download(&n->rstd, "rstd");
  double sums[NT * 2 * NC] = {0}, total[NM] = {0};
  float narrow[NT * 2 * NC], da[NCOUNT];
  for (size_t i = 0; i < NCOUNT; i++) {
    size_t t = i / NM, c = i % NC, k = n->tebn ? t : 0;
    double value = (double)ga[i];
    double deviation = (double)z[n->is_static ? i % NM : i] - (double)mean[c];
    sums[(2 * k) * NC + c] += value;
    sums[(2 * k + 1) * NC + c] += value * deviation * (double)rstd[c];
    total[i % NM] += value * (n->tebn ? (double)p[t] : 1);
    da[i] = ga[i];
  }
  for (size_t i = 0; i < (size_t)(n->k * 2 * NC); i++)
    narrow[i] = (float)sums[i];
  for (size_t i = 0; n->is_static && i < NM; i++) da[i] = (float)total[i];
  test_backend()->upload(n->context, n->sums.device, narrow,
                         (size_t)(n->k * 2 * NC) * sizeof(float));
  test_backend()->upload(n->context, n->da.device, da,
                         n->da.count * sizeof(float));
  surge_norm_backward backward = {.dz = n->dz.device,
                                  .dgamma = n->dgamma.device,
                                  .dbeta = n->dbeta.device,
                                  .dstep_scale = n->tebn ? n->dp.device : NULL,
                                  .da = n->da.device,
                                  .z = n->z.device,
                                  .mean = n->mean.device,
                                  .rstd = n->rstd.device,
                                  .gamma = n->gamma.device,
                                  .beta = n->beta.device,
                                  .step_scale = n->tebn ? n->p.device : NULL,
                                  .sums = n->sums.device,
                                  .map = {NH, NW, NC, SURGE_CHANNELS_LAST},
                                  .T = NT,
                                  .N = NN,
                                  .is_static = n->is_static,
                                  .alpha_theta = n->alpha_theta};
  cr_assert_eq(test_backend()->norm_backward(n->context, &backward), SURGE_OK,
               "%s", surge_last_error());
  free(mean);
  free(rstd);
}

/* Sizes from which the limits follow: a moment is a sum of NCOUNT terms, and
 * its relative error goes on into a, dz and the parameters' gradients. */
typedef struct norm_sizes {
  double mean[NC], var[NC];
  double reach; /* largest |z - mean|/std + |mean|/std: the amplification */
  double error; /* relative, of mean, var and what is formed from them */
  double upstream[NC]; /* sum of |p ga| */
} norm_sizes;

static norm_sizes norm_measure(const norm_layer *n, const float *z,
                               const float *ga, const float *p) {
  norm_sizes s = {.error = (NCOUNT + 2 + 8) * UNIT};
  size_t count = n->is_static ? NM : NCOUNT;
  double share = (double)NC / (double)count;
  for (size_t i = 0; i < count; i++) s.mean[i % NC] += share * (double)z[i];
  for (size_t i = 0; i < count; i++) {
    double deviation = (double)z[i] - s.mean[i % NC];
    s.var[i % NC] += share * deviation * deviation;
  }
  for (size_t i = 0; i < count; i++) {
    size_t c = i % NC;
    double distance = fabs((double)z[i] - s.mean[c]) + fabs(s.mean[c]);
    s.reach = fmax(s.reach, distance / sqrt(s.var[c]));
  }
  for (size_t i = 0; i < NCOUNT; i++)
    s.upstream[i % NC] +=
        fabs((double)ga[i] * (n->tebn ? (double)p[i / NM] : 1));
  return s;
}

/* a = scale*z + shift, formed here in double from the op's scale and shift. */
static void norm_check_a(norm_layer *n, const char *name, const float *z,
                         const double *want, const norm_sizes *s,
                         const surge_safetensors *file) {
  float *scale = test_download(&n->scale, name);
  float *shift = test_download(&n->shift, name);
  for (size_t i = 0; i < NCOUNT; i++) {
    size_t c = i % NC, k = (n->tebn ? i / NM : 0) * NC + c;
    double zi = (double)z[n->is_static ? i % NM : i];
    double a = (double)scale[k] * zi + (double)shift[k];
    double step = n->tebn ? (double)golden_input(file, "p")[i / NM] : 1;
    double size = (double)(n->alpha_theta * golden_input(file, "gamma")[c]);
    double bound =
        s->error * step *
        (2 * size * s->reach + fabs((double)golden_input(file, "beta")[c]));
    cr_expect(fabs(a - want[i]) <= bound,
              "%s: a[%zu]: wanted %.9g +- %.2g, found %.9g", name, i, want[i],
              bound, a);
  }
  free(scale);
  free(shift);
}

/* dz = G (p da - B0/n - zhat B1/n): every term is at most its part of
 * `upstream`, times reach for zhat once in B1 and once before it. */
static void norm_check_gradients(norm_layer *n, const char *name,
                                 const surge_safetensors *file,
                                 const norm_sizes *s) {
  double dz[NCOUNT], parameter[NC], step[NT];
  double reach2 = s->reach * s->reach, all = 0;
  const float *gamma = golden_input(file, "gamma");
  for (size_t c = 0; c < NC; c++) {
    all += s->upstream[c] * (1 + s->reach);
    parameter[c] = s->error * s->upstream[c] * (1 + 2 * s->reach);
  }
  for (size_t i = 0; i < n->dz.count; i++) {
    size_t c = i % NC;
    double G = (double)(n->alpha_theta * gamma[c]) / sqrt(s->var[c]);
    dz[i] = s->error * G * s->upstream[c] *
            (1 + (1 + 4 * reach2) * (n->is_static ? NT : 1) * NC / NCOUNT);
  }
  for (size_t t = 0; t < NT; t++) step[t] = 2 * s->error * all * 2;
  golden_compare(name, "dz", &n->dz, golden(file, name, "dz"), dz);
  golden_compare(name, "dgamma", &n->dgamma, golden(file, name, "dgamma"),
                 parameter);
  golden_compare(name, "dbeta", &n->dbeta, golden(file, name, "dbeta"),
                 parameter);
  if (n->tebn)
    golden_compare(name, "dp", &n->dp, golden(file, name, "dp"), step);
}

static void norm_check(const surge_safetensors *file, const char *kind,
                       bool is_static) {
  char name[64];
  snprintf(name, sizeof name, "%s.%s.", kind, is_static ? "static" : "moving");
  const float *z = golden_input(file, "z"), *ga = golden_input(file, "ga");
  const float *p = golden_input(file, "p");
  norm_layer n = norm_open(file, kind, is_static);
  norm_sizes s = norm_measure(&n, z, ga, p);
  norm_run_forward(&n);
  norm_check_a(&n, name, z, golden(file, name, "a"), &s, file);
  double mean[NC], var[NC];
  for (size_t c = 0; c < NC; c++) {
    double old_mean = (double)golden_input(file, "running_mean")[c];
    double old_var = (double)golden_input(file, "running_var")[c];
    mean[c] =
        0.1 * s.error * s.reach * sqrt(s.var[c]) + 4 * UNIT * fabs(old_mean);
    var[c] = 0.1 * 2 * s.error * s.var[c] * s.reach + 4 * UNIT * old_var;
  }
  golden_compare(name, "running_mean", &n.running_mean,
                 golden(file, name, "running_mean"), mean);
  golden_compare(name, "running_var", &n.running_var,
                 golden(file, name, "running_var"), var);
  norm_run_backward(&n, z, ga, p);
  norm_check_gradients(&n, name, file, &s);
  norm_close(&n);
}

Test(golden, norm) {
  surge_safetensors file = golden_open("norm");
  static const char *const kinds[] = {"tdbn", "bn", "tebn"};
  for (int i = 0; i < 6; i++) norm_check(&file, kinds[i / 2], i % 2);
  surge_safetensors_free(&file);
}

/* --- losses ---------------------------------------------------------------- */

enum { LT = 3, LN = 4, CLASSES = 5 };

/* The largest score in size; a score is a mean of at most LT*vote terms, its
 * error (LT*vote + 2) UNIT times that. A probability's error is at most twice
 * the score's, plus the roundings of exp and of the sum over classes. */
static void loss_check(const surge_safetensors *file, surge_loss_kind kind,
                       int32_t vote, bool smooth, bool mixed) {
  static const char *const kinds[] = {"mean", "tet", "mse"};
  char name[64], key[32];
  snprintf(name, sizeof name, "%s.vote%d.%s.%s", kinds[kind], vote,
           smooth ? "smooth" : "sharp", mixed ? "mixed." : "");
  snprintf(key, sizeof key, "logits%d", vote);
  surge_context *c = test_context(2);
  size_t count = (size_t)LT * LN * CLASSES * (size_t)vote;
  const float *values = golden_input(file, key);
  double largest = 1; /* targets and theta are at most 1 */
  for (size_t i = 0; i < count; i++)
    largest = fmax(largest, fabs((double)values[i]));
  test_buffer logits = test_copied(c, values, count);
  test_buffer dlogits = test_poisoned(c, count);
  test_buffer scores = test_poisoned(c, LN * CLASSES);
  int32_t *labels = golden_object(c, LN * sizeof *labels);
  test_backend()->upload(c, labels, golden_data(file, SURGE_I32, "", "labels"),
                         LN * sizeof *labels);
  const surge_step host = {.mix = {.share = 0.6875f}};
  void *metrics = golden_object(c, sizeof(surge_metrics));
  void *fault = golden_object(c, sizeof(surge_fault));
  void *step = golden_object(c, sizeof host);
  test_backend()->upload(c, step, &host, sizeof host);
  surge_loss loss = {.dlogits = dlogits.device,
                     .scores = scores.device,
                     .metrics = metrics,
                     .fault = fault,
                     .logits = logits.device,
                     .labels = labels,
                     .T = LT,
                     .N = LN,
                     .classes = CLASSES,
                     .vote = vote,
                     .kind = kind,
                     .label_smoothing = smooth ? 0.125f : 0,
                     .tet_lambda = 0.0625f,
                     .tet_target = 1,
                     .gradient_scale = 1,
                     .step = mixed ? step : NULL};
  cr_assert_eq(test_backend()->loss(c, &loss), SURGE_OK, "%s",
               surge_last_error());

  double e_score = (LT * vote + 2) * UNIT * largest;
  double e_probability = 2 * e_score + (CLASSES + 8) * UNIT * (1 + 2 * largest);
  double square = (2 * largest) * (2 * largest);
  double e_loss = kind == SURGE_LOSS_MSE
                      ? 4 * largest * e_score + (CLASSES + 6) * UNIT * square
                      : 2 * e_score + (CLASSES + 10) * UNIT * 4 * largest +
                            (kind == SURGE_LOSS_TET ? 0.0625 : 0) *
                                (4 * largest * e_score + 6 * UNIT * square);
  double found = golden_metrics(c, metrics).loss / LN;
  double want = golden(file, name, "loss")[0];
  cr_expect(fabs(found - want) <= e_loss,
            "%s: loss: wanted %.9g +- %.2g, found %.9g", name, want, e_loss,
            found);
  double bound[LT * LN * CLASSES * 2];
  double share = 1.0 / (LN * LT * vote);
  double e_residual = 2 * (e_score + 4 * UNIT * largest) / CLASSES;
  for (size_t i = 0; i < count; i++)
    bound[i] =
        share * (kind == SURGE_LOSS_MSE
                     ? e_residual
                     : e_probability + 4 * UNIT +
                           (kind == SURGE_LOSS_TET ? 0.0625 * e_residual : 0));
  golden_compare(name, "dlogits", &dlogits, golden(file, name, "dlogits"),
                 bound);
  test_release(&logits);
  test_release(&dlogits);
  test_release(&scores);
  test_backend()->release(c, labels);
  test_backend()->release(c, metrics);
  test_backend()->release(c, fault);
  test_backend()->release(c, step);
  test_backend()->close(c);
}

Test(golden, loss) {
  surge_safetensors file = golden_open("loss");
  for (int kind = SURGE_LOSS_MEAN; kind <= SURGE_LOSS_MSE; kind++)
    for (int32_t vote = 1; vote <= 2; vote++)
      for (int how = 0; how < 4; how++)
        loss_check(&file, (surge_loss_kind)kind, vote, how % 2, how / 2);
  surge_safetensors_free(&file);
}

/* --- optimisers ------------------------------------------------------------ */

enum { STEPS = 10, WEIGHTS = 11 };

typedef struct optimizer {
  const char *name;
  surge_optimizer kind;
  bool nesterov, clipped;
  float momentum, weight_decay;
} optimizer;

static const optimizer optimizers[] = {
    {.name = "sgd."},
    {.name = "momentum.", .momentum = 0.875f},
    {.name = "nesterov.",
     .momentum = 0.875f,
     .nesterov = true,
     .weight_decay = 0.0625f},
    {.name = "clipped.", .momentum = 0.875f, .clipped = true},
    {.name = "adam.", .kind = SURGE_ADAM, .weight_decay = 0.0625f},
    {.name = "adamw.", .kind = SURGE_ADAMW, .weight_decay = 0.0625f},
};

/* Errors of w, m and sqrt(v) that the next step starts from. */
typedef struct drift {
  double w, m, root_v;
} drift;

/* One step's roundings; `g` bounds |clip*g + wd*w|, `w` bounds |w|. */
static drift drift_step(const optimizer *o, drift d, double lr, double g,
                        double w, double found_m, double scale1, double root_v,
                        double scale2) {
  bool decoupled = o->kind == SURGE_ADAMW;
  double wd = (double)o->weight_decay;
  double e_g = (decoupled ? 0 : wd * d.w) + 6 * UNIT * g;
  if (o->kind == SURGE_SGD) {
    double mu = (double)o->momentum, m = g / (1 - mu);
    d.m = mu * d.m + e_g + 2 * UNIT * m;
    double e_update = o->nesterov ? e_g + mu * d.m + 2 * UNIT * m : d.m;
    d.w += lr * (e_update + 2 * UNIT * (g + m)) + UNIT * w;
    return d;
  }
  d.m = 0.9 * d.m + 0.1 * e_g + 4 * UNIT * g;
  d.root_v = sqrt(0.999) * d.root_v + sqrt(0.001) * e_g + 4 * UNIT * root_v;
  double denominator = root_v * scale2, update = found_m * scale1 / denominator;
  d.w += lr * (d.m * scale1 / denominator +
               fabs(update) * (d.root_v / root_v + 10 * UNIT)) +
         (decoupled ? lr * wd * (d.w + 3 * UNIT * w) : 0) + 2 * UNIT * w;
  return d;
}

typedef struct state {
  test_buffer w, m, v, g, norm, clip, workspace;
  surge_step *step;
  surge_fault *fault;
  uint64_t *fault_step;
} state;

static void optimizer_step(surge_context *c, const optimizer *o, state *s,
                           int index, float lr) {
  surge_step step = {0};
  step.learning_rate[SURGE_GROUP_WEIGHT] = lr;
  step.adam_scale1[SURGE_GROUP_WEIGHT] =
      (float)(1 / (1 - pow((double)0.9f, index + 1)));
  step.adam_scale2[SURGE_GROUP_WEIGHT] =
      (float)(1 / (1 - pow((double)0.999f, index + 1)));
  test_backend()->upload(c, s->step, &step, sizeof step);
  if (o->clipped) {
    surge_gradient_norm a = {.norm = s->norm.device,
                             .clip = s->clip.device,
                             .fault = s->fault,
                             .fault_step = s->fault_step,
                             .step = s->step,
                             .g = s->g.device,
                             .count = WEIGHTS,
                             .max_norm = 2.5f,
                             .workspace = s->workspace.device};
    cr_assert_eq(test_backend()->gradient_norm(c, &a), SURGE_OK, "%s",
                 surge_last_error());
  }
  surge_optimize a = {.step = s->step, .fault = s->fault};
  a.update[SURGE_GROUP_WEIGHT] =
      (surge_update){.kind = o->kind,
                     .count = WEIGHTS,
                     .w = s->w.device,
                     .m = s->m.device,
                     .v = s->v.device,
                     .g = s->g.device,
                     .clip = o->clipped ? s->clip.device : NULL,
                     .weight_decay = o->weight_decay,
                     .momentum = o->momentum,
                     .nesterov = o->nesterov,
                     .beta1 = 0.9f,
                     .beta2 = 0.999f,
                     .eps = 1e-8f,
                     .w_min = -INFINITY,
                     .w_max = INFINITY};
  cr_assert_eq(test_backend()->optimize(c, &a), SURGE_OK, "%s",
               surge_last_error());
}

/* The largest |w| and |g + weight_decay*w| of all steps, at most. */
static double largest_of(const surge_safetensors *file, const optimizer *o) {
  double w = 0, g = 0;
  for (size_t i = 0; i < WEIGHTS; i++)
    w = fmax(w, fabs((double)golden_input(file, "w")[i]));
  for (size_t i = 0; i < STEPS * WEIGHTS; i++) {
    w = fmax(w, fabs(golden(file, o->name, "w")[i]));
    g = fmax(g, fabs((double)golden_input(file, "g")[i]));
  }
  return fmax(w, g + (double)o->weight_decay * w);
}

/* Moments in double beside the op, for the size of Adam's update; `before` are
 * the weights that the step starts from. */
static void limits(const optimizer *o, drift *drifts, double *m, double *v,
                   const float *g, const double *before, double size, int index,
                   double lr, double *bound) {
  for (size_t i = 0; i < WEIGHTS; i++) {
    double wd = o->kind == SURGE_ADAMW ? 0 : (double)o->weight_decay;
    double gi = (double)g[i] + wd * before[i];
    m[i] = 0.9 * m[i] + 0.1 * gi;
    v[i] = 0.999 * v[i] + 0.001 * gi * gi;
    drifts[i] = drift_step(o, drifts[i], lr, size, size, m[i],
                           1 / (1 - pow(0.9, index + 1)), sqrt(v[i]),
                           1 / sqrt(1 - pow(0.999, index + 1)));
    bound[i] = drifts[i].w;
  }
}

static void check_optimizer(const surge_safetensors *file, const optimizer *o) {
  surge_context *c = test_context(2);
  size_t bytes = test_backend()->gradient_norm_workspace(WEIGHTS);
  state s = {.w = test_copied(c, golden_input(file, "w"), WEIGHTS),
             .m = test_filled(c, WEIGHTS, 0),
             .v = test_filled(c, WEIGHTS, 0),
             .g = test_poisoned(c, WEIGHTS),
             .norm = test_poisoned(c, 1),
             .clip = test_poisoned(c, 1),
             .workspace = test_poisoned(c, bytes / sizeof(float) + 1),
             .step = golden_object(c, sizeof(surge_step)),
             .fault = golden_object(c, sizeof(surge_fault)),
             .fault_step = golden_object(c, sizeof(uint64_t))};
  drift drifts[WEIGHTS] = {{0}};
  double m[WEIGHTS] = {0}, v[WEIGHTS] = {0}, bound[WEIGHTS], before[WEIGHTS];
  for (size_t i = 0; i < WEIGHTS; i++)
    before[i] = (double)golden_input(file, "w")[i];
  for (int index = 0; index < STEPS; index++) {
    const double *want = golden(file, o->name, "w") + index * WEIGHTS;
    const float *g = golden_input(file, "g") + index * WEIGHTS;
    float lr = golden_input(file, "lr")[index];
    test_backend()->upload(c, s.g.device, g, WEIGHTS * sizeof *g);
    optimizer_step(c, o, &s, index, lr);
    limits(o, drifts, m, v, g, before, largest_of(file, o), index, (double)lr,
           bound);
    memcpy(before, want, sizeof before);
    golden_compare(o->name, "w", &s.w, want, bound);
    if (!o->clipped) continue;
    double length = golden(file, o->name, "norm")[index];
    double e_length = (WEIGHTS + 2) * UNIT * length;
    golden_compare(o->name, "norm", &s.norm, &length, &e_length);
  }
  test_buffer *all[] = {&s.w, &s.m, &s.v, &s.g, &s.norm, &s.clip, &s.workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) test_release(all[i]);
  test_backend()->release(c, s.step);
  test_backend()->release(c, s.fault);
  test_backend()->release(c, s.fault_step);
  test_backend()->close(c);
}

Test(golden, optimizers) {
  surge_safetensors file = golden_open("optim");
  for (size_t i = 0; i < sizeof optimizers / sizeof *optimizers; i++)
    check_optimizer(&file, &optimizers[i]);
  surge_safetensors_free(&file);
}
