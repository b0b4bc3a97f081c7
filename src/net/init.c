/* init.c - the first values of a network's parameters.
 *
 * Weights and biases as PyTorch's layers start: uniform in +-1/sqrt(fan_in),
 * fan_in = inputs of one output. Convolutions' weights, where the recipe says
 * so, as torch.nn.init.kaiming_normal_ with mode fan_out and ReLU: normal of
 * variance 2/fan_out, fan_out = output channels * kernel^2. Each value is drawn
 * by (seed, layer, weight or bias, index): the start depends on nothing but the
 * seed and the layers, so that PSG or PDA, on or off, start from the same
 * weights. */
#include <math.h>
#include <stdlib.h>

#include "kernels/shared/philox.h"
#include "src/net/net.h"

static void fill(float *values, size_t count, float value) {
  for (size_t i = 0; i < count; i++) values[i] = value;
}

/* Draws `count` values; `scale` is the bound or the standard deviation. */
typedef void draw_function(float *values, size_t count, double scale,
                           uint64_t seed, uint32_t stream);

static surge_philox4 draw_four(uint64_t seed, uint32_t stream, size_t i) {
  return surge_philox(seed, 0, SURGE_RANDOM_INIT, stream, (uint32_t)(i / 4));
}

static void draw_uniform(float *values, size_t count, double bound,
                         uint64_t seed, uint32_t stream) {
  for (size_t i = 0; i < count; i++) {
    surge_philox4 draw = draw_four(seed, stream, i);
    double u = (double)surge_uniform(draw.x[i % 4]);
    values[i] = (float)((2 * u - 1) * bound);
  }
}

/* Box and Muller (1958): two uniform numbers make two normal ones. */
static void draw_normal(float *values, size_t count, double deviation,
                        uint64_t seed, uint32_t stream) {
  const double turn = 2 * acos(-1.0);
  for (size_t i = 0; i < count; i++) {
    surge_philox4 draw = draw_four(seed, stream, i);
    double u = (double)surge_uniform(draw.x[i % 4 & 2]);
    double angle = turn * (double)surge_uniform(draw.x[i % 4 | 1]);
    double radius = deviation * sqrt(-2 * log(1 - u)); /* 1 - u is not 0 */
    values[i] = (float)(radius * (i % 2 ? sin(angle) : cos(angle)));
  }
}

/* Uploads one tensor's worth of `value`. */
static surge_status set_constant(surge_net *net, int32_t id, float value,
                                 float *host) {
  if (id < 0) return SURGE_OK;
  const surge_tensor *t = &net->table.tensors[id];
  fill(host, t->bytes / sizeof(float), value);
  return net->backend->upload(net->context, surge_at(net, id), host, t->bytes);
}

static surge_status set_drawn(surge_net *net, int32_t id, uint32_t stream,
                              draw_function *draw, double scale, float *host) {
  if (id < 0) return SURGE_OK;
  const surge_tensor *t = &net->table.tensors[id];
  draw(host, t->bytes / sizeof(float), scale, (uint64_t)net->recipe->seed,
       stream);
  return net->backend->upload(net->context, surge_at(net, id), host, t->bytes);
}

static surge_status initialize_weights(surge_net *net, int32_t i, float *host) {
  const surge_layer_ids *ids = &net->ids[i];
  if (ids->weight < 0) return SURGE_OK;
  const int64_t *shape = net->table.tensors[ids->weight].shape;
  double bound = 1 / sqrt((double)(shape[1] * shape[2] * shape[3]));
  double fan_out = (double)(shape[0] * shape[1] * shape[2]);
  uint32_t stream = 2 * (uint32_t)i;
  if (net->model.layers[i].spec.kind == SURGE_LAYER_CONV &&
      net->recipe->model.init == SURGE_INIT_KAIMING_FAN_OUT)
    SURGE_TRY(set_drawn(net, ids->weight, stream, draw_normal,
                        sqrt(2 / fan_out), host));
  else
    SURGE_TRY(set_drawn(net, ids->weight, stream, draw_uniform, bound, host));
  return set_drawn(net, ids->bias, stream + 1, draw_uniform, bound, host);
}

static float logit(float decay) {
  double d = (double)decay;
  return (float)log(d / (1 - d));
}

static surge_status initialize_layer(surge_net *net, int32_t i, float *host) {
  const surge_layer_ids *ids = &net->ids[i];
  const surge_layer *layer = &net->model.layers[i];
  const surge_neuron_spec *n = &layer->spec.neuron;
  SURGE_TRY(initialize_weights(net, i, host));
  for (int k = 0; k < 2; k++) {
    float gamma = layer->source[k].norm.zero_init ? 0 : 1;
    SURGE_TRY(set_constant(net, ids->norm[k].gamma, gamma, host));
    SURGE_TRY(set_constant(net, ids->norm[k].step_scale, 1, host));
    SURGE_TRY(set_constant(net, ids->norm[k].running_var, 1, host));
  }
  SURGE_TRY(set_constant(net, ids->rho, (float)log((double)n->width), host));
  SURGE_TRY(set_constant(net, ids->decay_logit, logit(n->decay), host));
  return set_constant(net, ids->synapse_logit, logit(n->synapse_decay), host);
}

/* The weights among `from`, rounded, to the rounded ones from `place` on. */
static surge_status round_weights(const surge_net *net, size_t place,
                                  surge_role from) {
  if (!net->arena[SURGE_ROLE_CAST]) return SURGE_OK;
  surge_cast cast = {.to = (uint16_t *)net->arena[SURGE_ROLE_CAST] + place,
                     .from = (const float *)net->arena[from] +
                             net->table.group_first[SURGE_GROUP_WEIGHT],
                     .count = net->table.group_count[SURGE_GROUP_WEIGHT]};
  return net->backend->cast(net->context, &cast);
}

surge_status surge_net_round_weights(surge_net *net) {
  return round_weights(net, 0, SURGE_ROLE_PARAMETER);
}

surge_status surge_net_round_averages(surge_net *net) {
  return round_weights(net, net->table.group_count[SURGE_GROUP_WEIGHT],
                       SURGE_ROLE_AVERAGE);
}

surge_status surge_net_initialize(surge_net *net) {
  size_t largest = 0;
  for (int32_t i = 0; i < net->table.count; i++) {
    const surge_tensor *t = &net->table.tensors[i];
    bool set = t->role == SURGE_ROLE_PARAMETER || t->role == SURGE_ROLE_BUFFER;
    if (set && t->bytes > largest) largest = t->bytes;
  }
  float *host = malloc(largest + 1);
  if (!host)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for initial values");
  surge_status status = SURGE_OK;
  for (int32_t i = 0; i < net->model.count && status == SURGE_OK; i++)
    status = initialize_layer(net, i, host);
  free(host);
  if (status == SURGE_OK) status = surge_net_start_averages(net);
  return status == SURGE_OK ? surge_net_round_weights(net) : status;
}
