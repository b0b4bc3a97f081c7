/* neuron_problem.c - one layer, posed and run (see neuron_problem.h). */
#include "tests/support/neuron_problem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS(type) (sizeof(type) / (sizeof(float)))

surge_dtype problem_type = SURGE_F32;

const char *const problem_output_name[] = {
#define NAME(NAME, word) #word,
    PROBLEM_OUTPUT_LIST(NAME)
#undef NAME
};

size_t problem_channels(surge_granularity granularity, const surge_map *map) {
  return granularity == SURGE_PER_CHANNEL ? (size_t)map->c : 1;
}

size_t problem_neurons(const problem *p) {
  return (size_t)p->N * surge_map_elements(&p->map);
}

/* ======================================================================== *
 *  Posing a problem
 * ======================================================================== */

static void input_create(problem *p, int which, int how, uint64_t seed) {
  problem_input *in = &p->input[which];
  size_t C = (size_t)p->map.c, T = (size_t)p->T;
  in->is_static = how & FEED_STATIC;
  in->per_step = (how & 3) == FEED_PER_STEP;
  in->z = test_random(seed, (in->is_static ? 1 : T) * problem_neurons(p), -1.5f,
                      2.5f);
  if ((how & 3) == FEED_PLAIN) return;
  size_t steps = in->per_step ? T : 1;
  in->scale = test_random(seed + 1, steps * C, 0.6f, 1.2f);
  in->shift = test_random(seed + 2, steps * C, -0.3f, 0.3f);
  in->mean = test_random(seed + 3, C, -0.4f, 0.8f);
  in->rstd = test_random(seed + 4, C, 0.5f, 1.5f);
  if (in->per_step) in->step_scale = test_random(seed + 5, T, 0.5f, 1.5f);
}

problem problem_create(const surge_neuron_spec *spec, surge_map map, int32_t T,
                       int32_t N, int inputs, int feed0, int feed1,
                       uint64_t seed) {
  problem p = {.spec = *spec,
               .map = test_map(map),
               .T = T,
               .N = N,
               .inputs = inputs,
               .layer = 3,
               .schedule = 0.4f,
               .pda_scale = 0.5f,
               .want_da = {true, inputs == 2}};
  p.map.type = problem_type;
  size_t M = problem_neurons(&p), C = (size_t)map.c;
  input_create(&p, 0, feed0, seed);
  if (inputs == 2) input_create(&p, 1, feed1, seed + 10);
  p.gs = test_random(seed + 20, (size_t)T * M, -1, 1);
  if (spec->width_rule == SURGE_WIDTH_LEARNED)
    p.rho = test_random(seed + 21, problem_channels(spec->granularity, &map),
                        -0.3f, 0.6f);
  if (spec->width_rule == SURGE_WIDTH_NORM)
    for (int j = 0; j < inputs; j++)
      p.gamma[j] = test_random(seed + 22 + 2 * (uint64_t)j, C, 0.5f, 1.5f);
  if (spec->decay_learned) p.decay_logit = test_random(seed + 23, 1, -1, 1);
  if (spec->synapse_learned) p.synapse_logit = test_random(seed + 25, 1, -1, 1);
  return p;
}

void problem_free(problem *p) {
  for (int j = 0; j < 2; j++) {
    problem_input *in = &p->input[j];
    free(in->z);
    free(in->scale);
    free(in->shift);
    free(in->mean);
    free(in->rstd);
    free(in->step_scale);
  }
  float *all[] = {p->v_in,          p->gs,       p->gv_out,  p->g_current,
                  p->i_in,          p->gi_out,   p->rho,     p->decay_logit,
                  p->synapse_logit, p->gamma[0], p->gamma[1]};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
  *p = (problem){0};
}

/* ======================================================================== *
 *  Usual problems
 * ======================================================================== */

const char *const family_name[] = {
#define NAME(NAME, word, half) #word,
    SURGE_FAMILY_LIST(NAME)
#undef NAME
};

surge_map map_of(int32_t h, int32_t w, int32_t c, surge_layout layout) {
  return (surge_map){h, w, c, layout};
}

const int problem_feeds[PROBLEM_FEEDS] = {FEED_PLAIN,
                                          FEED_NORMALISED,
                                          FEED_PER_STEP,
                                          FEED_PLAIN | FEED_STATIC,
                                          FEED_NORMALISED | FEED_STATIC,
                                          FEED_PER_STEP | FEED_STATIC};

surge_neuron_spec default_spec(void) {
  return (surge_neuron_spec){.decay = 0.25f,
                             .v_threshold = 1,
                             .detach_reset = true,
                             .width = 1,
                             .width_end = 0.5f,
                             .width_min = 0.01f,
                             .width_max = 100,
                             .width_rule = SURGE_WIDTH_LEARNED,
                             .pda_epsilon = 0.05f};
}

void problem_add_v_in(problem *p, uint64_t seed) {
  p->v_in = test_random(seed + 30, problem_neurons(p), -0.5f, 0.9f);
  if (surge_neuron_synaptic(&p->spec))
    p->i_in = test_random(seed + 33, problem_neurons(p), -0.5f, 0.9f);
}

void problem_add_gv_out(problem *p, uint64_t seed) {
  p->gv_out = test_random(seed + 31, problem_neurons(p), -1, 1);
  if (surge_neuron_synaptic(&p->spec))
    p->gi_out = test_random(seed + 34, problem_neurons(p), -1, 1);
}

void problem_add_current_gradient(problem *p, uint64_t seed) {
  size_t count = (size_t)p->T * problem_neurons(p);
  p->g_current = test_random(seed + 32, count, -1, 1);
}

problem problem_rich(surge_map map, int32_t T, int32_t N, uint64_t seed) {
  surge_neuron_spec spec = default_spec();
  spec.family = (surge_family)(seed % SURGE_FAMILY_COUNT);
  spec.reset = seed % 2 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
  spec.detach_reset = seed % 3;
  spec.granularity = seed % 4 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
  spec.decay_learned = true;
  spec.synapse_decay = seed % 4 < 2 ? 0 : 0.7f;
  spec.synapse_learned = seed % 4 == 3;
  spec.pda = seed % 5 ? SURGE_PDA_MOMENT : SURGE_PDA_QUANTIZATION;
  spec.pda_granularity = seed % 3 ? SURGE_PER_LAYER : SURGE_PER_CHANNEL;
  problem p = problem_create(&spec, map, T, N, 2, FEED_NORMALISED,
                             FEED_PER_STEP, 1000 * seed);
  problem_add_v_in(&p, 1000 * seed);
  problem_add_gv_out(&p, 1000 * seed);
  p.statistics = true;
  snprintf(p.name, sizeof p.name,
           "T %d, [%d, %d, %d, %d] layout %d, %s, %s, synapse %g%s", T, N,
           map.h, map.w, map.c, map.layout, family_name[spec.family],
           spec.reset ? "soft" : "hard", (double)spec.synapse_decay,
           spec.synapse_learned ? " learned" : "");
  return p;
}

const problem_size problem_sizes[PROBLEM_SIZES] = {
    {{1, 1, 1, SURGE_CHANNELS_LAST}, 1},
    {{1, 1, 255, SURGE_CHANNELS_LAST}, 1},
    {{1, 1, 257, SURGE_CHANNELS_LAST}, 1},
    {{1, 1, 511, SURGE_CHANNELS_LAST}, 1},
    {{1, 1, 512, SURGE_BLOCKED8}, 1},
    {{1, 1, 513, SURGE_CHANNELS_LAST}, 1},
    {{19, 27, 1, SURGE_CHANNELS_LAST}, 1},
    {{8, 8, 8, SURGE_BLOCKED8}, 1},
    {{5, 13, 8, SURGE_BLOCKED8}, 2},
    {{9, 9, 24, SURGE_BLOCKED8}, 3},
    {{7, 5, 13, SURGE_CHANNELS_LAST}, 4},
    {{1, 1, 1031, SURGE_CHANNELS_LAST}, 3},
    {{17, 16, 16, SURGE_CHANNELS_LAST}, 2},
    {{1, 1, 40, SURGE_BLOCKED8}, 37}};

/* ======================================================================== *
 *  On the backend
 * ======================================================================== */

/* Words of an output; 0 where the problem does not ask for it. */
static size_t words_of(const problem *p, problem_output which) {
  size_t M = problem_neurons(p), T = (size_t)p->T, C = (size_t)p->map.c;
  switch (which) {
    case OUT_SCALARS: return surge_scalar_count(&p->spec);
    case OUT_WIDTH: return 2 * problem_channels(p->spec.granularity, &p->map);
    case OUT_S:
    case OUT_CURRENT: return T * M;
    case OUT_V_OUT:
    case OUT_DV_IN: return M;
    case OUT_I_OUT:
    case OUT_DI_IN: return surge_neuron_synaptic(&p->spec) ? M : 0;
    case OUT_PDA:
      return p->spec.pda ? problem_channels(p->spec.pda_granularity, &p->map) *
                               WORDS(surge_pda_coefficients)
                         : 0;
    case OUT_METRICS: return p->spec.pda ? WORDS(surge_metrics) : 0;
    case OUT_STATISTICS:
      return p->statistics ? T * WORDS(surge_neuron_statistics) : 0;
    case OUT_HISTOGRAM: return p->statistics ? WORDS(surge_histogram) : 0;
    case OUT_FAULT: return 1;
    case OUT_DA0:
    case OUT_DA1: {
      int j = which == OUT_DA1;
      return p->want_da[j] ? (p->input[j].is_static ? 1 : T) * M : 0;
    }
    case OUT_SUMS0:
    case OUT_SUMS1: {
      const problem_input *in = &p->input[which == OUT_SUMS1];
      return in->scale ? (in->per_step ? T : 1) * 2 * C : 0;
    }
    case OUT_DRHO:
      return p->rho ? problem_channels(p->spec.granularity, &p->map) : 0;
    case OUT_DDECAY_LOGIT: return p->decay_logit ? 1 : 0;
    case OUT_DSYNAPSE_LOGIT: return p->synapse_logit ? 1 : 0;
    case OUT_COUNT: break;
  }
  return 0;
}

/* Buffers of one run: outputs by name, and the inputs uploaded so far. */
typedef struct run {
  const problem *p;
  surge_context *context;
  test_buffer out[OUT_COUNT];
  test_buffer in[32];
  int in_count;
  surge_neuron common;
} run;

float problem_rounded(const problem *p, float value) {
  test_round(&value, 1, p->map.type);
  return value;
}

surge_dtype problem_output_type(const problem *p, problem_output which) {
  bool activation = which == OUT_S || which == OUT_DA0 || which == OUT_DA1;
  return activation ? p->map.type : SURGE_F32;
}

float problem_start(const problem *p, problem_output which, size_t i) {
  float start = test_uniform(1000 + (uint64_t)which, i, -1, 1);
  test_round(&start, 1, problem_output_type(p, which));
  return start;
}

static bool starts_at_zero(problem_output which) {
  return which == OUT_METRICS || which == OUT_STATISTICS ||
         which == OUT_HISTOGRAM || which == OUT_FAULT;
}

bool problem_accumulates(const problem *p, problem_output which) {
  return which == OUT_DRHO || which == OUT_DDECAY_LOGIT ||
         which == OUT_DSYNAPSE_LOGIT ||
         (which == OUT_DA0 && p->mode[0] == SURGE_ADD) ||
         (which == OUT_DA1 && p->mode[1] == SURGE_ADD);
}

static void open_output(run *r, problem_output which, const result *before) {
  size_t words = words_of(r->p, which);
  surge_dtype type = problem_output_type(r->p, which);
  if (!words) return;
  if (before && starts_at_zero(which)) {
    r->out[which] = test_copied(r->context, before->out[which], words);
  } else if (starts_at_zero(which)) {
    r->out[which] = test_filled(r->context, words, 0);
  } else if (problem_accumulates(r->p, which)) {
    float *start = malloc(words * sizeof(float));
    for (size_t i = 0; i < words; i++) start[i] = problem_start(r->p, which, i);
    r->out[which] = test_copied_as(r->context, start, words, type);
    free(start);
  } else if (which == OUT_DA0 && r->p->alias) {
    r->out[which] = test_copied_as(r->context, r->p->gs, words, type);
  } else {
    r->out[which] = test_poisoned_as(r->context, words, type);
  }
}

/* Uploads an input, rounded to `type`; NULL stays NULL. */
static const float *given_as(run *r, const float *host, size_t count,
                             surge_dtype type) {
  if (!host) return NULL;
  cr_assert_lt(r->in_count, (int)(sizeof r->in / sizeof *r->in));
  r->in[r->in_count] = test_copied_as(r->context, host, count, type);
  return r->in[r->in_count++].device;
}

static const float *given(run *r, const float *host, size_t count) {
  return given_as(r, host, count, SURGE_F32);
}

static void *device(const run *r, problem_output which) {
  return r->out[which].device;
}

static surge_neuron_input given_input(run *r, const problem_input *in) {
  size_t T = (size_t)r->p->T, C = (size_t)r->p->map.c;
  size_t steps = in->per_step ? T : 1;
  return (surge_neuron_input){
      .z = given_as(r, in->z, (in->is_static ? 1 : T) * problem_neurons(r->p),
                    r->p->map.type),
      .scale = given(r, in->scale, steps * C),
      .shift = given(r, in->shift, steps * C),
      .mean = given(r, in->mean, C),
      .rstd = given(r, in->rstd, C),
      .step_scale = given(r, in->step_scale, T),
      .is_static = in->is_static,
      .per_step = in->per_step};
}

static void expect_ok(surge_status status, const problem *p, const char *op) {
  cr_assert_eq(status, SURGE_OK, "%s: %s: %s", p->name, op, surge_last_error());
}

static void run_scalars(run *r) {
  const problem *p = r->p;
  surge_step step = {.schedule = p->schedule};
  const void *words = &step;
  surge_neuron_scalars a = {
      .scalars = device(r, OUT_SCALARS),
      .width = device(r, OUT_WIDTH),
      .rho = given(r, p->rho, problem_channels(p->spec.granularity, &p->map)),
      .decay_logit = given(r, p->decay_logit, 1),
      .synapse_logit = given(r, p->synapse_logit, 1),
      .gamma = {given(r, p->gamma[0], (size_t)p->map.c),
                given(r, p->gamma[1], (size_t)p->map.c)},
      .spec = p->spec,
      .C = p->map.c};
  if (p->spec.width_rule == SURGE_WIDTH_SCHEDULE)
    a.step = (const void *)given(r, words, WORDS(surge_step));
  expect_ok(test_backend()->neuron_scalars(r->context, &a), p, "scalars");
}

static void run_forward(run *r) {
  surge_neuron_forward a = {.common = r->common,
                            .s = device(r, OUT_S),
                            .v_out = device(r, OUT_V_OUT),
                            .i_out = device(r, OUT_I_OUT),
                            .current = device(r, OUT_CURRENT),
                            .pda = device(r, OUT_PDA),
                            .pda_scale = r->p->pda_scale,
                            .metrics = device(r, OUT_METRICS),
                            .statistics = device(r, OUT_STATISTICS),
                            .histogram = device(r, OUT_HISTOGRAM),
                            .fault = device(r, OUT_FAULT)};
  expect_ok(test_backend()->neuron_forward(r->context, &a), r->p, "forward");
}

static void run_backward(run *r) {
  const problem *p = r->p;
  size_t M = problem_neurons(p), count = (size_t)p->T * M;
  surge_neuron_backward a = {
      .common = r->common,
      .da = {device(r, OUT_DA0), device(r, OUT_DA1)},
      .mode = {p->mode[0], p->mode[1]},
      .sums = {device(r, OUT_SUMS0), device(r, OUT_SUMS1)},
      .dv_in = device(r, OUT_DV_IN),
      .di_in = device(r, OUT_DI_IN),
      .drho = device(r, OUT_DRHO),
      .ddecay_logit = device(r, OUT_DDECAY_LOGIT),
      .dsynapse_logit = device(r, OUT_DSYNAPSE_LOGIT),
      .gs = p->alias ? device(r, OUT_DA0)
                     : given_as(r, p->gs, count, p->map.type),
      .gv_out = given(r, p->gv_out, M),
      .gi_out = given(r, p->gi_out, M),
      .g_current = given(r, p->g_current, count),
      .pda = device(r, OUT_PDA)};
  expect_ok(test_backend()->neuron_backward(r->context, &a), p, "backward");
}

/* Downloads the outputs and checks that no input was written. */
static result close_run(run *r) {
  result done = {0};
  for (int k = 0; k < OUT_COUNT; k++) {
    done.words[k] = r->out[k].count;
    if (!r->out[k].block) continue;
    done.out[k] = test_download(&r->out[k], problem_output_name[k]);
    test_release(&r->out[k]);
  }
  for (int k = 0; k < r->in_count; k++) {
    free(test_download(&r->in[k], r->p->name));
    test_release(&r->in[k]);
  }
  test_backend()->close(r->context);
  return done;
}

result problem_run(const problem *p, int threads, const result *before) {
  const surge_backend *backend = test_backend();
  run r = {.p = p, .context = test_context(threads)};
  for (int k = 0; k < OUT_COUNT; k++)
    open_output(&r, (problem_output)k, before);
  r.common = (surge_neuron){.spec = p->spec,
                            .map = p->map,
                            .T = p->T,
                            .N = p->N,
                            .inputs = p->inputs,
                            .layer = p->layer,
                            .scalars = device(&r, OUT_SCALARS),
                            .width = device(&r, OUT_WIDTH),
                            .v_in = given(&r, p->v_in, problem_neurons(p)),
                            .i_in = given(&r, p->i_in, problem_neurons(p))};
  for (int j = 0; j < p->inputs; j++)
    r.common.input[j] = given_input(&r, &p->input[j]);
  size_t bytes = backend->neuron_workspace(r.context, &r.common);
  test_buffer workspace = test_poisoned(r.context, bytes / sizeof(float) + 1);
  r.common.workspace = workspace.device;
  run_scalars(&r);
  run_forward(&r);
  run_backward(&r);
  free(test_download(&workspace, "workspace"));
  test_release(&workspace);
  return close_run(&r);
}

void result_free(result *r) {
  for (int k = 0; k < OUT_COUNT; k++) free(r->out[k]);
  *r = (result){0};
}

const surge_metrics *result_metrics(const result *r) {
  return (const void *)r->out[OUT_METRICS];
}

const surge_neuron_statistics *result_statistics(const result *r) {
  return (const void *)r->out[OUT_STATISTICS];
}

const uint64_t *result_histogram(const result *r) {
  return (const void *)r->out[OUT_HISTOGRAM];
}

const surge_pda_coefficients *result_pda(const result *r) {
  return (const void *)r->out[OUT_PDA];
}

surge_fault result_fault(const result *r) {
  surge_fault fault;
  memcpy(&fault, r->out[OUT_FAULT], sizeof fault);
  return fault;
}

void result_expect_same(const result *a, const result *b, const char *name) {
  for (int k = 0; k < OUT_COUNT; k++) {
    cr_expect_eq(a->words[k], b->words[k]);
    if (!a->out[k] || !b->out[k]) continue;
    cr_expect(!memcmp(a->out[k], b->out[k], a->words[k] * sizeof(float)),
              "%s: %s: other bits", name, problem_output_name[k]);
  }
}
