/* measure.c - evaluations for a report (see measure.h). */
#include "src/report/measure.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/shared/neuron.h"
#include "src/train/session.h"

static surge_status no_memory(void) {
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "report: no memory for an evaluation");
}

/* Scheduled widths as they were at the end of the run. */
static surge_step last_step(const surge_recipe *recipe) {
  return (surge_step){.seed = (uint64_t)recipe->seed, .schedule = 1};
}

/* A session of the test images with the checkpoint's parameters. */
static surge_status open_session(surge_session *s, const surge_recipe *recipe,
                                 const char *file, bool keep_currents) {
  surge_net_options options = {.keep_currents = keep_currents};
  SURGE_TRY(surge_session_open(s, recipe, &options));
  SURGE_TRY(surge_session_restore(s, file, false));
  return surge_session_open_test(s);
}

/* --- confusion ------------------------------------------------------------ */

/* The class said, as the loss counts it: the first of the largest. */
static int32_t largest(const float *score, int32_t count) {
  int32_t best = 0;
  for (int32_t c = 1; c < count; c++)
    if (score[c] > score[best]) best = c;
  return best;
}

static surge_status count_batch(void *user, surge_net *net,
                                const surge_batch *batch) {
  surge_measured *m = user;
  size_t classes = (size_t)m->classes;
  float *scores = malloc((size_t)batch->n * classes * sizeof *scores);
  if (!scores) return no_memory();
  surge_status status = surge_net_scores(net, scores);
  for (int32_t n = 0; status == SURGE_OK && n < batch->n; n++) {
    int32_t label = batch->set->labels[batch->sample[n]];
    int32_t said = largest(scores + (size_t)n * classes, m->classes);
    m->confusion[(size_t)label * classes + (size_t)said]++;
  }
  free(scores);
  return status;
}

static surge_status name_classes(surge_measured *m, const surge_session *s) {
  size_t classes = (size_t)s->info.classes;
  m->classes = s->info.classes;
  m->confusion = calloc(classes * classes, sizeof *m->confusion);
  m->class_name = calloc(classes, sizeof *m->class_name);
  if (!m->confusion || !m->class_name) return no_memory();
  for (int32_t c = 0; c < m->classes; c++) {
    const char *name = surge_dataset_class(&s->test, c);
    if (name)
      snprintf(m->class_name[c], SURGE_WORD, "%.*s", SURGE_WORD - 1, name);
    else
      snprintf(m->class_name[c], SURGE_WORD, "%d", c);
  }
  return SURGE_OK;
}

/* --- work ----------------------------------------------------------------- */

static surge_status read_work(surge_measured *m, surge_net *net) {
  for (;;) {
    surge_work_report report;
    SURGE_TRY(surge_net_work_report(net, m->works, &report));
    if (!report.name) return SURGE_OK;
    surge_layer_work *more =
        realloc(m->work, (size_t)(m->works + 1) * sizeof *more);
    if (!more) return no_memory();
    m->work = more;
    surge_layer_work *work = &more[m->works++];
    *work = (surge_layer_work){.binary = report.binary,
                               .rate = report.rate,
                               .energy = surge_energy_of(&report)};
    snprintf(work->name, sizeof work->name, "%s", report.name);
  }
}

surge_energy surge_measured_energy(const surge_measured *measured) {
  surge_energy total = {0};
  for (int32_t i = 0; i < measured->works; i++) {
    total.macs += measured->work[i].energy.macs;
    total.acs += measured->work[i].energy.acs;
    total.joules += measured->work[i].energy.joules;
  }
  return total;
}

/* --- rasters -------------------------------------------------------------- */

/* Neuron number k of those shown: spread by the golden ratio, so that no stride
 * picks one channel alone. */
static size_t shown(const surge_raster *r, int32_t k) {
  double place = 0.61803398874989485 * (k + 1);
  return (size_t)((place - floor(place)) * r->of);
}

/* One neuron's spikes for one image from its currents, `stride` apart. */
static void fire(uint8_t *spike, int32_t neurons, const float *current,
                 size_t stride, const surge_layer_report *layer) {
  const surge_neuron_spec *neuron = layer->neuron;
  float i = 0, v = 0, theta = neuron->v_threshold;
  for (int32_t t = 0; t < layer->T; t++) {
    i = surge_membrane(layer->synapse, i, current[(size_t)t * stride]);
    float u = surge_membrane(layer->decay, v, i);
    float s = surge_fire(u, theta);
    v = surge_after_spike(neuron->reset, u, s, theta, neuron->v_reset);
    spike[t * neurons] = s != 0.0f;
  }
}

/* `currents`: [T, images, ...] of the layer that `report` is of. */
static surge_status draw_raster(surge_raster *r,
                                const surge_named_tensor *currents,
                                const surge_layer_report *report) {
  const float *current = currents->data;
  size_t of = surge_named_tensor_bytes(currents) / sizeof(float) /
              (size_t)(currents->shape[0] * currents->shape[1]);
  *r = (surge_raster){.T = (int32_t)currents->shape[0],
                      .images = (int32_t)currents->shape[1],
                      .of = (int32_t)of};
  snprintf(r->name, sizeof r->name, "%s", report->name);
  r->neurons = r->of < SURGE_RASTER_NEURONS ? r->of : SURGE_RASTER_NEURONS;
  r->spike = malloc((size_t)r->images * (size_t)r->T * (size_t)r->neurons);
  if (!r->spike) return no_memory();
  for (int32_t n = 0; n < r->images; n++)
    for (int32_t k = 0; k < r->neurons; k++) {
      size_t neuron = r->of > r->neurons ? shown(r, k) : (size_t)k;
      fire(r->spike + n * r->T * r->neurons + k, r->neurons,
           current + (size_t)n * of + neuron, (size_t)r->images * of, report);
    }
  return SURGE_OK;
}

static surge_status draw_rasters(surge_measured *m, surge_net *net,
                                 surge_tensor_list *list) {
  SURGE_TRY(surge_net_currents(net, list));
  m->raster = calloc(list->count + 1, sizeof *m->raster);
  if (!m->raster) return no_memory();
  for (; m->rasters < (int32_t)list->count; m->rasters++) {
    surge_layer_report report;
    SURGE_TRY(surge_net_layer_report(net, m->rasters, &report));
    SURGE_TRY(draw_raster(&m->raster[m->rasters], &list->tensors[m->rasters],
                          &report));
  }
  return SURGE_OK;
}

/* The first test images once more, their currents kept. */
static surge_status measure_rasters(surge_measured *m,
                                    const surge_recipe *recipe,
                                    const char *file) {
  surge_session s = {0};
  surge_tensor_list list = {0};
  surge_evaluation result;
  surge_recipe few = *recipe;
  few.train.batch = few.data.test_limit = SURGE_RASTER_IMAGES;
  surge_step step = last_step(recipe);
  surge_status status = open_session(&s, &few, file, true);
  if (status == SURGE_OK)
    status = surge_evaluate(s.net, s.test_loader, &step, &result);
  if (status == SURGE_OK) status = draw_rasters(m, s.net, &list);
  surge_tensor_list_free(&list);
  surge_session_close(&s);
  return status;
}

/* --- all of it ------------------------------------------------------------ */

static surge_status measure_test(surge_measured *m, surge_session *s,
                                 const char *file, bool whole) {
  surge_step step = last_step(s->recipe);
  SURGE_TRY(name_classes(m, s));
  s->backend->describe(s->context, m->device, sizeof m->device);
  if (whole)
    SURGE_TRY(surge_evaluate_anytime(s->net, s->test_loader, &step, &m->result,
                                     &m->anytime));
  SURGE_TRY(surge_evaluate_each(s->net, s->test_loader, &step, count_batch, m,
                                &m->result));
  SURGE_TRY(surge_net_check_finite(s->net, file));
  return read_work(m, s->net);
}

static surge_status measure(surge_measured *m, surge_recipe *recipe,
                            const char *file, int32_t images) {
  surge_session s = {0};
  struct surge_data_recipe *data = &recipe->data;
  if (images > 0 && (data->test_limit == 0 || data->test_limit > images))
    data->test_limit = images;
  surge_status status = open_session(&s, recipe, file, false);
  if (status == SURGE_OK) status = measure_test(m, &s, file, images == 0);
  surge_session_close(&s);
  if (status == SURGE_OK && images == 0)
    status = measure_rasters(m, recipe, file);
  return status;
}

void surge_measure_work(surge_measured *measured, const char *run,
                        const char *const *overrides, int32_t images) {
  surge_recipe recipe;
  char file[SURGE_PATH + 64];
  *measured = (surge_measured){0};
  surge_status status =
      surge_checkpoint_recipe(&recipe, run, overrides, file, sizeof file);
  if (status == SURGE_OK) status = measure(measured, &recipe, file, images);
  surge_recipe_free(&recipe);
  if (status == SURGE_OK) return;
  surge_measured_free(measured);
  snprintf(measured->why_not, sizeof measured->why_not, "%s",
           surge_last_error());
}

void surge_measure(surge_measured *measured, const char *run,
                   const char *const *overrides) {
  surge_measure_work(measured, run, overrides, 0);
}

void surge_measured_free(surge_measured *measured) {
  for (int32_t i = 0; i < measured->rasters; i++)
    free(measured->raster[i].spike);
  free(measured->confusion);
  free(measured->class_name);
  free(measured->work);
  free(measured->raster);
  *measured = (surge_measured){0};
}
