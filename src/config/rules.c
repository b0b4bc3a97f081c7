/* rules.c - what the keys of a recipe demand of one another, and the fields
 * that several keys share. */
#include "src/config/rules.h"

#include <stdio.h>
#include <string.h>

#include "src/config/read.h"

static const surge_place *given_place(const surge_scope *scope,
                                      const char *path) {
  return &scope->given[surge_key_index(path)];
}

static bool given(const surge_scope *scope, const char *path) {
  return given_place(scope, path)->source != NULL;
}

static void scoped_name(const surge_scope *scope, const char *path,
                        char full[SURGE_MAX_WHERE]) {
  const surge_key *key = &surge_keys[surge_key_index(path)];
  if (scope->where)
    surge_full_name(scope->where, surge_key_name(key), full);
  else
    surge_full_name("", path, full);
}

surge_status surge_rule(const surge_scope *scope, bool broken, const char *path,
                        const char *other, const char *wanted,
                        const char *found) {
  char full[SURGE_MAX_WHERE];
  if (!broken) return SURGE_OK;
  const char *at = given(scope, path) || !given(scope, other) ? path : other;
  scoped_name(scope, at, full);
  return surge_refuse(given_place(scope, at), full, wanted, found);
}

/* ======================================================================== *
 *  Decay: type, decay, tau and decay_start are four ways to say one number
 * ======================================================================== */

/* Refuses two of the keys that say one number, with both places. */
static surge_status refuse_two(const surge_scope *scope,
                               const char *const *paths, size_t count) {
  const char *first = NULL;
  for (size_t i = 0; i < count; i++) {
    if (!given(scope, paths[i])) continue;
    if (first) {
      char wanted[2 * SURGE_MAX_WHERE],
          found[SURGE_MAX_PLACE + 2 * SURGE_MAX_WHERE];
      char one[SURGE_MAX_WHERE], two[SURGE_MAX_WHERE], where[SURGE_MAX_PLACE];
      scoped_name(scope, first, one);
      scoped_name(scope, paths[i], two);
      surge_place_print(given_place(scope, first), where);
      snprintf(wanted, sizeof wanted, "it or %s%s", one,
               strcmp(first, "neuron.type") == 0 ? ": if" : "");
      snprintf(found, sizeof found, "both (%s at %s)", one, where);
      return surge_refuse(given_place(scope, paths[i]), two, wanted, found);
    }
    first = paths[i];
  }
  return SURGE_OK;
}

/* `decay: learned` says no number, but it contradicts `type: if`. */
static surge_status refuse_two_decays(const surge_scope *scope) {
  static const char *const paths[] = {"neuron.type", "neuron.decay",
                                      "neuron.tau", "neuron.decay_start"};
  const surge_draft *draft = scope->draft;
  bool fires =
      given(scope, paths[0]) && draft->neuron_type == SURGE_INTEGRATE_FIRE;
  size_t none = fires ? 0 : draft->decay == SURGE_LEARNED ? 2 : 1;
  return refuse_two(scope, paths + none, 4 - none);
}

static surge_status settle_decay(const surge_scope *scope) {
  const surge_draft *draft = scope->draft;
  surge_neuron_spec *neuron = &scope->draft->recipe.neuron;
  SURGE_TRY(refuse_two_decays(scope));
  if (given(scope, "neuron.type") &&
      draft->neuron_type == SURGE_INTEGRATE_FIRE) {
    neuron->decay_learned = false;
    neuron->decay = 1;
  }
  if (given(scope, "neuron.decay")) {
    neuron->decay_learned = draft->decay == SURGE_LEARNED;
    if (!neuron->decay_learned) neuron->decay = draft->decay;
  }
  if (given(scope, "neuron.tau")) neuron->decay = (float)(1 - 1 / draft->tau);
  if (given(scope, "neuron.decay_start")) neuron->decay = draft->decay_start;

  bool ends = neuron->decay <= 0 || neuron->decay >= 1;
  bool learned = neuron->decay_learned;
  SURGE_TRY(surge_rule(scope, given(scope, "neuron.decay_start") && !learned,
                       "neuron.decay_start", "neuron.decay",
                       "it only with decay: learned", "a decay that is not"));
  SURGE_TRY(surge_rule(scope, learned && ends, "neuron.tau", "neuron.decay",
                       "a learned decay to start in (0, 1)",
                       neuron->decay <= 0 ? "0" : "1"));
  SURGE_TRY(surge_rule(scope,
                       given(scope, "neuron.type") && neuron->decay >= 1 &&
                           draft->neuron_type != SURGE_INTEGRATE_FIRE,
                       "neuron.type", "neuron.type", "if where decay is 1",
                       "lif"));
  return surge_rule(scope,
                    neuron->decay_input && !learned && neuron->decay >= 1,
                    "neuron.decay_input", "neuron.decay",
                    "false where decay is 1, for 1 - d is 0", "true");
}

/* The synapse's likewise; without any there is none. */
static surge_status settle_synapse(const surge_scope *scope) {
  static const char *const paths[] = {"neuron.synapse_decay",
                                      "neuron.synapse_tau",
                                      "neuron.synapse_decay_start"};
  const surge_draft *draft = scope->draft;
  surge_neuron_spec *neuron = &scope->draft->recipe.neuron;
  size_t none = draft->synapse_decay == SURGE_LEARNED;
  SURGE_TRY(refuse_two(scope, paths + none, 3 - none));
  if (given(scope, paths[0])) {
    neuron->synapse_learned = draft->synapse_decay == SURGE_LEARNED;
    if (!neuron->synapse_learned) neuron->synapse_decay = draft->synapse_decay;
  }
  if (given(scope, paths[1]))
    neuron->synapse_decay = (float)(1 - 1 / draft->synapse_tau);
  if (given(scope, paths[2])) neuron->synapse_decay = draft->synapse_start;

  bool learned = neuron->synapse_learned;
  bool ends = neuron->synapse_decay <= 0 || neuron->synapse_decay >= 1;
  SURGE_TRY(surge_rule(scope, given(scope, paths[2]) && !learned, paths[2],
                       paths[0], "it only with synapse_decay: learned",
                       "a decay that is not"));
  return surge_rule(scope, ends && (learned || neuron->synapse_decay >= 1),
                    paths[1], paths[0],
                    learned ? "a learned decay to start in (0, 1), by "
                              "synapse_tau or synapse_decay_start"
                            : "a synapse that decays",
                    neuron->synapse_decay <= 0 ? "0" : "1");
}

/* ======================================================================== *
 *  Neuron and surrogate
 * ======================================================================== */

surge_status surge_settle_neuron(const surge_scope *scope) {
  const surge_neuron_spec *neuron = &scope->draft->recipe.neuron;
  bool learned = neuron->width_rule == SURGE_WIDTH_LEARNED;
  char width[32];
  SURGE_TRY(settle_decay(scope));
  SURGE_TRY(settle_synapse(scope));
  SURGE_TRY(surge_rule(scope,
                       neuron->reset == SURGE_RESET_HARD &&
                           neuron->v_reset >= neuron->v_threshold,
                       "neuron.v_reset", "neuron.v_threshold",
                       "v_reset below v_threshold", "a reset that fires"));
  SURGE_TRY(surge_rule(scope, neuron->width_min > neuron->width_max,
                       "surrogate.width_min", "surrogate.width_max",
                       "width_min of at most width_max", "a larger one"));
  snprintf(width, sizeof width, "%.9g", (double)neuron->width);
  return surge_rule(scope,
                    learned && (neuron->width < neuron->width_min ||
                                neuron->width > neuron->width_max),
                    "surrogate.width", "surrogate.width_min",
                    "a learned width in [width_min, width_max]", width);
}

/* ======================================================================== *
 *  The rest
 * ======================================================================== */

static surge_status check_data(const surge_scope *scope) {
  const struct surge_data_recipe *data = &scope->draft->recipe.data;
  int32_t size = data->size ? data->size : SURGE_IMAGE_SIZE;
  char wanted[64], found[32];
  SURGE_TRY(surge_rule(scope, data->sensor_count == 1, "data.sensor",
                       "data.sensor", "[width, height] or []", "one number"));
  snprintf(wanted, sizeof wanted, "0 or at least data.size, %d", size);
  snprintf(found, sizeof found, "%d", data->resize);
  return surge_rule(scope, data->resize > 0 && data->resize < size,
                    "data.resize", "data.size", wanted, found);
}

static surge_status check_model(const surge_scope *scope) {
  const surge_recipe *recipe = &scope->draft->recipe;
  const struct surge_model_recipe *model = &recipe->model;
  bool convnet = model->arch == SURGE_ARCH_CONVNET;
  bool zoo = model->arch != SURGE_ARCH_LAYERS;
  bool by_norm = recipe->neuron.width_rule == SURGE_WIDTH_NORM;
  char wanted[80], found[32];
  SURGE_TRY(surge_check_network(scope));
  snprintf(wanted, sizeof wanted,
           "as many entries of model.pool as of model.channels, %d",
           model->channel_count);
  snprintf(found, sizeof found, "%d", model->pool_count);
  SURGE_TRY(surge_rule(scope,
                       convnet && model->pool_count != model->channel_count,
                       "model.pool", "model.channels", wanted, found));
  SURGE_TRY(surge_rule(scope, zoo && by_norm && !model->norm_on,
                       "surrogate.width_rule", "model.norm",
                       "a norm before each neuron with width_rule: norm",
                       "model.norm: none"));
  SURGE_TRY(surge_rule(scope, by_norm && model->readout == SURGE_READOUT_SPIKES,
                       "model.readout", "surrogate.width_rule",
                       "another readout with width_rule: norm, for no norm "
                       "stands before the last neuron",
                       "spikes"));
  return surge_rule(
      scope, model->coding == SURGE_CODING_POISSON && recipe->data.normalize,
      "model.coding", "data.normalize",
      "data.normalize: false with coding: poisson, whose rates "
      "lie in [0, 1]",
      "true");
}

static surge_status check_optim(const surge_scope *scope) {
  const struct surge_optim_recipe *optim = &scope->draft->recipe.optim;
  bool steps = optim->schedule == SURGE_SCHEDULE_STEP;
  bool rises = true;
  for (int32_t i = 1; i < optim->milestone_count; i++)
    rises = rises && optim->milestones[i - 1] < optim->milestones[i];
  SURGE_TRY(surge_rule(
      scope,
      optim->kind == SURGE_SGD && optim->nesterov && optim->momentum <= 0,
      "optim.nesterov", "optim.momentum", "a momentum above 0 with nesterov",
      "0"));
  SURGE_TRY(surge_rule(
      scope, steps != (optim->milestone_count > 0),
      steps ? "schedule.kind" : "schedule.milestones", "schedule.kind",
      steps ? "milestones with step" : "milestones only with kind: step",
      steps ? "none" : "another kind"));
  SURGE_TRY(surge_rule(scope, !rises, "schedule.milestones",
                       "schedule.milestones", "rising epochs",
                       "one that is not above the one before"));
  SURGE_TRY(surge_rule(scope, optim->lr_min > optim->lr, "schedule.lr_min",
                       "optim.lr", "lr_min of at most optim.lr",
                       "a larger one"));
  return surge_rule(
      scope, optim->warmup_epochs > (float)scope->draft->recipe.train.epochs,
      "schedule.warmup_epochs", "train.epochs",
      "a warm-up of at most train.epochs", "a longer one");
}

surge_status surge_settle_recipe(const surge_scope *scope) {
  surge_draft *draft = scope->draft;
  surge_recipe *recipe = &draft->recipe;
  recipe->model.norm_on = draft->norm != SURGE_NO_NORM;
  recipe->model.norm = SURGE_NORM_TDBN; /* of layers that say `norm` alone */
  if (recipe->model.norm_on) recipe->model.norm = (surge_norm_kind)draft->norm;
  recipe->neuron.pda =
      recipe->pda_weight > 0 ? recipe->pda_kind : SURGE_PDA_OFF;
  surge_network_defaults(recipe, !given(scope, "model.channels"),
                         !given(scope, "model.hidden"),
                         !given(scope, "model.pooling"));
  SURGE_TRY(check_data(scope));
  SURGE_TRY(check_model(scope));
  return check_optim(scope);
}

/* ======================================================================== *
 *  The way back
 * ======================================================================== */

void surge_draft_of(surge_draft *draft, const surge_recipe *recipe) {
  const surge_neuron_spec *neuron = &recipe->neuron;
  draft->base[0] = 0; /* what it started from is in the recipe by now */
  draft->recipe = *recipe;
  draft->norm =
      recipe->model.norm_on ? (int32_t)recipe->model.norm : SURGE_NO_NORM;
  draft->neuron_type = neuron->decay >= 1 && !neuron->decay_learned;
  draft->decay = neuron->decay_learned ? (float)SURGE_LEARNED : neuron->decay;
  draft->decay_start = neuron->decay;
  draft->tau = 1 / (1 - (double)neuron->decay);
  draft->synapse_decay =
      neuron->synapse_learned ? (float)SURGE_LEARNED : neuron->synapse_decay;
  draft->synapse_start = neuron->synapse_decay;
  draft->synapse_tau = 1 / (1 - (double)neuron->synapse_decay);
}
