/* eval.c - `surge eval`: accuracy, rates and energy at one or several T. */
#include <math.h>
#include <string.h>

#include "src/cli/cli.h"
#include "src/train/session.h"

/* A learned scale a step has no value for steps that were not trained. */
static surge_status check_tebn(const surge_recipe *recipe, int32_t T) {
  bool tebn = recipe->model.norm_on && recipe->model.norm == SURGE_NORM_TEBN &&
              recipe->model.arch != SURGE_ARCH_LAYERS;
  for (int32_t i = 0; i < recipe->model.layer_count; i++)
    tebn = tebn || (recipe->model.layers[i].kind == SURGE_LAYER_NORM &&
                    recipe->model.layers[i].norm == SURGE_NORM_TEBN);
  if (tebn && T != recipe->T)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "-T: wanted %d, the T that the tebn "
                      "norms were trained with, found %d",
                      recipe->T, T);
  return SURGE_OK;
}

/* --- energy --------------------------------------------------------------- */

static surge_status print_energy(surge_net *net) {
  surge_energy total = {0};
  printf("  %-12s %10s %12s %14s %14s %12s\n", "layer", "inputs", "input rate",
         "MAC", "SOP", "joules");
  for (int32_t i = 0;; i++) {
    surge_work_report w;
    SURGE_TRY(surge_net_work_report(net, i, &w));
    if (!w.name) break;
    surge_energy e = surge_energy_of(&w);
    printf("  %-12s %10s %12.4f %14.0f %14.0f %12.4g\n", w.name,
           w.binary ? "spikes" : "real", w.rate, e.macs, e.acs, e.joules);
    total.macs += e.macs;
    total.acs += e.acs;
    total.joules += e.joules;
  }
  printf(
      "  %-12s %10s %12s %14.0f %14.0f %12.4g  an inference, 45 nm: %.1f pJ a "
      "MAC, %.1f pJ a synaptic operation\n",
      "total", "", "", total.macs, total.acs, total.joules,
      SURGE_JOULE_MAC * 1e12, SURGE_JOULE_AC * 1e12);
  return SURGE_OK;
}

static surge_status print_layers(surge_net *net) {
  printf("  %-12s %8s %8s %8s %8s %8s %8s %8s %8s\n", "neuron", "rate",
         "mean u", "std u", "window", "quant", "width", "decay", "synapse");
  for (int32_t i = 0; surge_net_spiking_layer(net, i); i++) {
    surge_layer_report r;
    SURGE_TRY(surge_net_layer_report(net, i, &r));
    double count = 0, spikes = 0, mean = 0, square = 0, window = 0, quant = 0;
    for (int32_t t = 0; t < r.T; t++) {
      const surge_neuron_statistics *s = &r.statistics[t];
      count += s->count;
      spikes += s->spikes;
      window += s->window;
      quant += s->quantization;
      mean += s->count * s->mean;
      square += s->m2 + s->count * s->mean * s->mean;
    }
    mean /= count;
    printf("  %-12s %8.4f %8.4f %8.4f %8.4f %8.4f %8.4f %8.4f %8.4f\n", r.name,
           spikes / count, mean, sqrt(fmax(0, square / count - mean * mean)),
           window / count, quant / count, (double)r.width[0], (double)r.decay,
           (double)r.synapse);
  }
  return SURGE_OK;
}

static surge_status print_line(void *user, const char *line) {
  (void)user;
  printf("  %s\n", line);
  return SURGE_OK;
}

static void print_anytime(const surge_anytime *a) {
  double samples = (double)a->samples;
  printf("  %-12s %12s\n", "after step", "accuracy %");
  for (int32_t t = 0; t < a->T; t++)
    printf("  %-12d %12.2f\n", t + 1, 100 * (double)a->correct[t] / samples);
  printf("  %-12s %12s %12s\n", "early exit", "accuracy %", "mean T");
  for (int i = 0; i < SURGE_EXITS; i++)
    printf("  %-12g %12.2f %12.3f\n", a->exit[i].threshold,
           100 * (double)a->exit[i].correct / samples,
           (double)a->exit[i].steps / samples);
}

/* --- one T ---------------------------------------------------------------- */

static surge_status evaluate(surge_session *session, const surge_step *step,
                             bool anytime, surge_evaluation *e,
                             surge_anytime *a) {
  if (anytime)
    return surge_evaluate_anytime(session->net, session->test_loader, step, e,
                                  a);
  return surge_evaluate(session->net, session->test_loader, step, e);
}

static surge_status evaluate_at(surge_session *session,
                                const surge_recipe *recipe, const char *file,
                                int32_t T, bool anytime) {
  surge_net_options options = {.T = T};
  surge_evaluation e;
  surge_anytime a;
  SURGE_TRY(check_tebn(recipe, T));
  SURGE_TRY(surge_session_open(session, recipe, &options));
  SURGE_TRY(surge_session_restore(session, file, false));
  SURGE_TRY(surge_session_open_test(session));
  /* scheduled widths as they were at the end of the run */
  surge_step step = {.seed = (uint64_t)recipe->seed, .schedule = 1};
  SURGE_TRY(evaluate(session, &step, anytime, &e, &a));
  SURGE_TRY(surge_net_check_finite(session->net, file));
  printf(
      "T %d%s: test accuracy %.2f %%, loss %.4f, %llu images, %.0f images/s\n",
      T, T == recipe->T ? " (as trained)" : "", 100 * e.accuracy, e.loss,
      (unsigned long long)e.samples, (double)e.samples / e.seconds);
  if (anytime) print_anytime(&a);
  SURGE_TRY(surge_session_tell_skipped(session, print_line, NULL));
  SURGE_TRY(print_layers(session->net));
  return print_energy(session->net);
}

static surge_status evaluate_all(const surge_recipe *recipe, const char *file,
                                 const cli_options *o) {
  int32_t times[CLI_MAX_TIMES] = {recipe->T};
  int count = 1;
  if (o->steps_list) SURGE_TRY(cli_parse_times(o->steps_list, times, &count));
  for (int i = 0; i < count; i++) {
    surge_session session = {0};
    surge_status status =
        evaluate_at(&session, recipe, file, times[i], o->anytime);
    surge_session_close(&session);
    if (status != SURGE_OK) return status;
  }
  return SURGE_OK;
}

surge_status cli_eval(int argc, char **argv) {
  cli_options o;
  surge_recipe recipe;
  char path[SURGE_PATH], file[SURGE_PATH];
  SURGE_TRY(cli_parse(&o, argc, argv,
                      "times anytime checkpoint set device threads", 1, 1));
  for (int i = 0; o.overrides[i]; i++)
    if (!strncmp(o.overrides[i], "T=", 2))
      return SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "surge eval: wanted -T for the numbers "
                        "of steps, found --set %s",
                        o.overrides[i]);
  snprintf(path, sizeof path, "%s", o.positional[0]);
  if (o.checkpoint) {
    if (strcmp(o.checkpoint, "last") != 0 && strcmp(o.checkpoint, "best") != 0)
      return SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "--checkpoint: wanted last or best, "
                        "found %s",
                        o.checkpoint);
    snprintf(path, sizeof path, "%.900s/checkpoint_%s.safetensors",
             o.positional[0], o.checkpoint);
  }
  surge_status status =
      surge_checkpoint_recipe(&recipe, path, o.overrides, file, sizeof file);
  if (status == SURGE_OK) status = evaluate_all(&recipe, file, &o);
  surge_recipe_free(&recipe);
  return status;
}
