/* report.c - what a network says of itself: metrics, faults, statistics of its
 * layers, and the description that `--dry-run` prints. */
#include <string.h>

#include "src/net/net.h"

static surge_status download(surge_net *net, void *host, int32_t id,
                             size_t bytes) {
  return net->backend->download(net->context, host, surge_at(net, id), bytes);
}

static surge_status zero(surge_net *net, int32_t id) {
  if (id < 0) return SURGE_OK;
  return net->backend->zero(net->context, surge_at(net, id),
                            net->table.tensors[id].bytes);
}

surge_status surge_net_metrics(surge_net *net, surge_metrics *metrics) {
  return download(net, metrics, net->metrics, sizeof *metrics);
}

surge_status surge_net_reset_metrics(surge_net *net) {
  return zero(net, net->metrics);
}

surge_status surge_net_fault(surge_net *net, const char **layer,
                             uint64_t *step) {
  surge_fault fault;
  SURGE_TRY(download(net, &fault, net->fault, sizeof fault));
  *layer = NULL;
  *step = 0;
  if (fault == 0) return SURGE_OK;
  int32_t i = (int32_t)fault - 1;
  *layer = i < net->model.count ? net->model.layers[i].spec.name : "the loss";
  return download(net, step, net->fault_step, sizeof *step);
}

surge_status surge_net_check_finite(surge_net *net, const char *file) {
  const char *layer;
  uint64_t step;
  SURGE_TRY(surge_net_fault(net, &layer, &step));
  if (!layer) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DIVERGED, "%s: layer %s is not finite", file,
                    layer);
}

surge_status surge_net_scores(surge_net *net, float *scores) {
  return download(net, scores, net->scores,
                  (size_t)net->n * (size_t)net->model.classes * sizeof(float));
}

surge_status surge_net_gradient_norm(surge_net *net, float *norm) {
  return download(net, norm, net->norm, sizeof *norm);
}

/* --- layers --------------------------------------------------------------- */

/* Index of the number-th layer for which ids->`member` exists, or -1. */
static int32_t nth_layer(const surge_net *net, int32_t number, bool spiking) {
  for (int32_t i = 0; i < net->model.count; i++) {
    const surge_layer_ids *ids = &net->ids[i];
    bool matches = spiking ? ids->statistics >= 0 : ids->nonzero >= 0;
    if (matches && number-- == 0) return i;
  }
  return -1;
}

const char *surge_net_spiking_layer(const surge_net *net, int32_t number) {
  int32_t i = nth_layer(net, number, true);
  return i < 0 ? NULL : net->model.layers[i].spec.name;
}

int32_t surge_net_pda_layers(const surge_net *net) {
  return net->model.pda_layers;
}

surge_status surge_net_layer_report(surge_net *net, int32_t number,
                                    surge_layer_report *report) {
  int32_t i = nth_layer(net, number, true);
  if (i < 0)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL, "no spiking layer %d", number);
  const surge_layer *layer = &net->model.layers[i];
  const surge_layer_ids *ids = &net->ids[i];
  size_t T = (size_t)net->options.T;
  int32_t P = surge_layer_widths(layer);
  char *host = (char *)net->host;
  float scalars[SURGE_SCALAR_COUNT];
  surge_neuron_statistics *statistics = (void *)host;
  uint64_t *histogram = (void *)(host + T * sizeof *statistics);
  float *width = (void *)(host + 2 * net->host_bytes);
  SURGE_TRY(download(net, statistics, ids->statistics, T * sizeof *statistics));
  SURGE_TRY(download(net, histogram, ids->histogram, sizeof(surge_histogram)));
  SURGE_TRY(download(net, width, ids->width, (size_t)P * sizeof *width));
  const surge_neuron_spec *n = &layer->spec.neuron;
  SURGE_TRY(download(net, scalars, ids->scalars,
                     surge_scalar_count(n) * sizeof *scalars));
  *report = (surge_layer_report){
      .name = layer->spec.name,
      .T = net->options.T,
      .statistics = statistics,
      .histogram = histogram,
      .neuron = &layer->spec.neuron,
      .threshold = layer->spec.neuron.v_threshold,
      .decay = scalars[SURGE_SCALAR_DECAY],
      .synapse = surge_neuron_synaptic(n) ? scalars[SURGE_SCALAR_SYNAPSE] : 0,
      .widths = P,
      .width = width};
  return SURGE_OK;
}

surge_status surge_net_reset_statistics(surge_net *net) {
  for (int32_t i = 0; i < net->model.count; i++) {
    SURGE_TRY(zero(net, net->ids[i].statistics));
    SURGE_TRY(zero(net, net->ids[i].histogram));
    SURGE_TRY(zero(net, net->ids[i].nonzero));
  }
  return SURGE_OK;
}

surge_status surge_net_work_report(surge_net *net, int32_t number,
                                   surge_work_report *report) {
  *report = (surge_work_report){0};
  int32_t i = nth_layer(net, number, false);
  if (i < 0) return SURGE_OK;
  const surge_layer *layer = &net->model.layers[i];
  surge_metrics metrics;
  uint64_t nonzero;
  SURGE_TRY(download(net, &nonzero, net->ids[i].nonzero, sizeof nonzero));
  SURGE_TRY(surge_net_metrics(net, &metrics));
  int32_t steps = layer->source[0].is_static ? 1 : net->options.T;
  double inputs =
      (double)surge_layer_in(layer) * steps * (double)metrics.samples;
  *report =
      (surge_work_report){.name = layer->spec.name,
                          .macs = surge_layer_macs(layer),
                          .binary = layer->source[0].binary,
                          .steps = steps,
                          .rate = inputs > 0 ? (double)nonzero / inputs : 0};
  return SURGE_OK;
}

/* --- description ---------------------------------------------------------- */

/* "tdbn + neuron3 + " of what a neuron or add reads: norms, and the name of a
 * second source that has none. */
static void describe_sources(const surge_layer *layer, char *text,
                             size_t size) {
  size_t used = 0;
  *text = 0;
  for (int32_t k = 0; k < layer->sources && used < size; k++) {
    const surge_source *s = &layer->source[k];
    const char *word =
        s->has_norm ? surge_recipe_word("model.norm", (int32_t)s->norm.norm)
        : k         ? layer->spec.add
                    : NULL;
    if (word) used += (size_t)snprintf(text + used, size - used, "%s + ", word);
  }
}

static void describe_kind(const surge_layer *layer, char *text, size_t size) {
  const surge_layer_spec *s = &layer->spec;
  char sources[2 * SURGE_WORD];
  switch (s->kind) {
    case SURGE_LAYER_CONV:
      snprintf(text, size, "conv %dx%d stride %d pad %d groups %d%s", s->kernel,
               s->kernel, s->stride, s->pad, s->groups, s->bias ? " bias" : "");
      break;
    case SURGE_LAYER_LINEAR:
      snprintf(text, size, "linear%s", s->bias ? " bias" : "");
      break;
    case SURGE_LAYER_NEURON: {
      describe_sources(layer, sources, sizeof sources);
      const surge_neuron_spec *n = &s->neuron;
      snprintf(text, size, "%s%s decay %.4g%s, width %.4g", sources,
               n->decay < 1.0f ? "LIF" : "IF", (double)n->decay,
               n->decay_learned ? " learned" : "", (double)n->width);
      if (surge_neuron_synaptic(n))
        snprintf(text + strlen(text), size - strlen(text), ", synapse %.4g%s",
                 (double)n->synapse_decay,
                 n->synapse_learned ? " learned" : "");
      break;
    }
    case SURGE_LAYER_AVGPOOL:
    case SURGE_LAYER_MAXPOOL:
      snprintf(text, size, "%s pool %dx%d stride %d",
               s->kind == SURGE_LAYER_AVGPOOL ? "average" : "maximum",
               s->kernel, s->kernel, s->stride);
      if (s->pad > 0)
        snprintf(text + strlen(text), size - strlen(text), " pad %d", s->pad);
      break;
    case SURGE_LAYER_DROPOUT:
      snprintf(text, size, "dropout %.3g", (double)s->p);
      break;
    case SURGE_LAYER_ADD:
      describe_sources(layer, sources, sizeof sources);
      snprintf(text, size, "%ssum", sources);
      break;
    case SURGE_LAYER_INTEGRATOR:
      snprintf(text, size, "membrane readout");
      break;
    case SURGE_LAYER_NORM: break;
  }
}

/* Values of the parameters that belong to layer i. */
static size_t layer_parameters(const surge_net *net, int32_t i) {
  const surge_layer_ids *d = &net->ids[i];
  const surge_norm_ids *a = &d->norm[0], *b = &d->norm[1];
  const int32_t ids[] = {d->weight,      d->bias,          d->rho,
                         d->decay_logit, d->synapse_logit, a->gamma,
                         a->beta,        a->step_scale,    b->gamma,
                         b->beta,        b->step_scale};
  size_t count = 0;
  for (size_t k = 0; k < sizeof ids / sizeof *ids; k++)
    if (ids[k] >= 0) count += net->table.tensors[ids[k]].bytes / sizeof(float);
  return count;
}

void surge_net_describe(const surge_net *net, FILE *file) {
  fprintf(file, "%-10s %-38s %-14s %-14s %5s %10s\n", "layer", "what",
          "in HxWxC", "out HxWxC", "steps", "parameters");
  for (int32_t i = 0; i < net->model.count; i++) {
    const surge_layer *layer = &net->model.layers[i];
    char what[3 * SURGE_WORD] = "", in[32], out[32];
    describe_kind(layer, what, sizeof what);
    snprintf(in, sizeof in, "%dx%dx%d", layer->in.h, layer->in.w, layer->in.c);
    snprintf(out, sizeof out, "%dx%dx%d", layer->out.h, layer->out.w,
             layer->out.c);
    fprintf(file, "%-10s %-38s %-14s %-14s %5d %10zu\n", layer->spec.name, what,
            in, out, layer->static_out ? 1 : net->options.T,
            layer_parameters(net, i));
  }
  fprintf(file, "%zu trained values, T %d, batch %d\n",
          surge_net_parameter_count(net), net->options.T, net->options.N);
  for (int role = 0; role < SURGE_ROLE_COUNT; role++)
    fprintf(file, "%14zu bytes of %s\n", net->table.bytes[role],
            surge_role_name((surge_role)role));
  size_t total = surge_net_bytes(net);
  fprintf(file, "%14zu bytes in all (%.1f MiB)\n", total,
          (double)total / 0x1p20);
}
