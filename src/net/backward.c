/* backward.c - gradients from the logits down to the first trained layer, and
 * the update of every parameter group. */
#include <math.h>

#include "src/net/net.h"

/* --- layers: grad_out -> parameter gradients, grad_in --------------------- */

static surge_status backward_conv(surge_net *net, int32_t i) {
  const surge_backend *b = net->backend;
  const surge_layer_ids *ids = &net->ids[i];
  size_t images = surge_images_in(net, i);
  void *workspace = net->arena[SURGE_ROLE_WORKSPACE];
  surge_conv2d_backward_weights weights = {
      .dw = surge_gradient_at(net, ids->weight),
      .db = surge_gradient_at(net, ids->bias),
      .dy = surge_at(net, ids->grad_out),
      .x = surge_source_at(net, i, 0),
      .images = images,
      .workspace = workspace};
  SURGE_TRY(b->conv2d_backward_weights(net->context, net->plans[i], &weights));
  if (ids->grad_in[0] < 0) return SURGE_OK;
  surge_conv2d_backward_data data = {.dx = surge_at(net, ids->grad_in[0]),
                                     .dy = surge_at(net, ids->grad_out),
                                     .w = surge_weight_at(net, ids->weight),
                                     .mode = ids->grad_mode[0],
                                     .images = images,
                                     .workspace = workspace};
  return b->conv2d_backward_data(net->context, net->plans[i], &data);
}

static surge_status backward_linear(surge_net *net, int32_t i) {
  const surge_layer_ids *ids = &net->ids[i];
  surge_linear linear = surge_net_linear(net, i);
  linear.dy = surge_at(net, ids->grad_out);
  linear.dw = surge_gradient_at(net, ids->weight);
  linear.db = surge_gradient_at(net, ids->bias);
  SURGE_TRY(net->backend->linear_backward_weights(net->context, &linear));
  if (ids->grad_in[0] < 0) return SURGE_OK;
  linear.dx = surge_at(net, ids->grad_in[0]);
  linear.mode = ids->grad_mode[0];
  return net->backend->linear_backward_data(net->context, &linear);
}

/* Gradients of source k's norm and of what it reads, from that of its
 * current. */
static surge_status backward_norm(surge_net *net, int32_t i, int32_t k,
                                  const void *da) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_source *source = &layer->source[k];
  const surge_norm_ids *ids = &net->ids[i].norm[k];
  surge_norm_backward norm = {
      .dz = surge_at(net, net->ids[i].grad_in[k]),
      .da = da,
      .dgamma = surge_gradient_at(net, ids->gamma),
      .dbeta = surge_gradient_at(net, ids->beta),
      .dstep_scale = surge_gradient_at(net, ids->step_scale),
      .z = surge_source_at(net, i, k),
      .mean = surge_at(net, ids->mean),
      .rstd = surge_at(net, ids->rstd),
      .gamma = surge_at(net, ids->gamma),
      .beta = surge_at(net, ids->beta),
      .step_scale = surge_at(net, ids->step_scale),
      .sums = surge_at(net, ids->sums),
      .map = layer->in,
      .T = net->options.T,
      .N = net->n,
      .is_static = source->is_static,
      .alpha_theta = surge_source_alpha_theta(layer, source)};
  return net->backend->norm_backward(net->context, &norm);
}

/* The norms of a layer's sources, the first one last: where one gradient of the
 * current serves both it lies in the first's memory. */
static surge_status backward_norms(surge_net *net, int32_t i,
                                   void *const da[2]) {
  const surge_layer *layer = &net->model.layers[i];
  for (int32_t k = layer->sources - 1; k >= 0; k--)
    if (layer->source[k].has_norm) SURGE_TRY(backward_norm(net, i, k, da[k]));
  return SURGE_OK;
}

/* Both currents have one gradient where both are normed and alike static: it
 * is written once. */
static surge_status backward_neuron(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_layer_ids *ids = &net->ids[i];
  const surge_source *source = layer->source;
  bool shared = layer->sources == 2 && source[0].has_norm &&
                source[1].has_norm &&
                source[0].is_static == source[1].is_static;
  void *da[2] = {surge_at(net, ids->grad_in[0]),
                 shared ? NULL : surge_at(net, ids->grad_in[1])};
  surge_neuron_backward neuron = {
      .common = surge_net_neuron(net, i),
      .da = {da[0], da[1]},
      .mode = {ids->grad_mode[0], ids->grad_mode[1]},
      .sums = {surge_at(net, ids->norm[0].sums),
               surge_at(net, ids->norm[1].sums)},
      .drho = surge_gradient_at(net, ids->rho),
      .ddecay_logit = surge_gradient_at(net, ids->decay_logit),
      .dsynapse_logit = surge_gradient_at(net, ids->synapse_logit),
      .gs = surge_at(net, ids->grad_out),
      .pda = surge_at(net, ids->pda)};
  SURGE_TRY(net->backend->neuron_backward(net->context, &neuron));
  if (shared) da[1] = da[0];
  return backward_norms(net, i, da);
}

/* The gradient of a sum is that of each summand: where nothing is to be summed
 * over steps or added, it is handed on as it is. */
static surge_status backward_add(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_layer_ids *ids = &net->ids[i];
  surge_add add = surge_net_add(net, i);
  add.dy = surge_at(net, ids->grad_out);
  void *da[2] = {NULL, NULL};
  for (int32_t k = 0; k < layer->sources; k++) {
    bool alike = layer->source[k].is_static == layer->static_out;
    bool handed_on = alike && (layer->source[k].has_norm ||
                               ids->grad_in[k] == ids->grad_out);
    da[k] = handed_on ? surge_at(net, ids->grad_out)
                      : surge_at(net, ids->grad_in[k]);
    add.da[k] = handed_on ? NULL : da[k];
    add.mode[k] = ids->grad_mode[k];
    add.sums[k] = surge_at(net, ids->norm[k].sums);
  }
  if (add.da[0] || add.da[1] || add.sums[0] || add.sums[1])
    SURGE_TRY(net->backend->add_backward(net->context, &add));
  return backward_norms(net, i, da);
}

static surge_status backward_pool(surge_net *net, int32_t i) {
  const surge_backend *b = net->backend;
  surge_pool pool = surge_net_pool(net, i);
  pool.dy = surge_at(net, net->ids[i].grad_out);
  pool.dx = surge_at(net, net->ids[i].grad_in[0]);
  pool.mode = net->ids[i].grad_mode[0];
  if (!pool.dx) return SURGE_OK;
  return net->model.layers[i].spec.kind == SURGE_LAYER_AVGPOOL
             ? b->avgpool_backward(net->context, &pool)
             : b->maxpool_backward(net->context, &pool);
}

/* The same mask on the gradient. */
static surge_status backward_dropout(surge_net *net, int32_t i) {
  surge_dropout dropout = surge_net_dropout(net, i);
  dropout.y = surge_at(net, net->ids[i].grad_in[0]);
  dropout.x = surge_at(net, net->ids[i].grad_out);
  if (!dropout.y) return SURGE_OK;
  return net->backend->dropout(net->context, &dropout);
}

static surge_status backward_integrator(surge_net *net, int32_t i) {
  surge_integrator integrator = surge_net_integrator(net, i);
  integrator.y = surge_at(net, net->ids[i].grad_in[0]);
  integrator.x = surge_at(net, net->ids[i].grad_out);
  if (!integrator.y) return SURGE_OK;
  return net->backend->integrator_backward(net->context, &integrator);
}

static surge_status backward_layer(surge_net *net, int32_t i) {
  switch (net->model.layers[i].spec.kind) {
    case SURGE_LAYER_CONV: return backward_conv(net, i);
    case SURGE_LAYER_LINEAR: return backward_linear(net, i);
    case SURGE_LAYER_NEURON: return backward_neuron(net, i);
    case SURGE_LAYER_AVGPOOL:
    case SURGE_LAYER_MAXPOOL: return backward_pool(net, i);
    case SURGE_LAYER_DROPOUT: return backward_dropout(net, i);
    case SURGE_LAYER_ADD: return backward_add(net, i);
    case SURGE_LAYER_INTEGRATOR: return backward_integrator(net, i);
    case SURGE_LAYER_NORM: break; /* lives in its neuron */
  }
  return SURGE_FAIL(SURGE_ERROR_INTERNAL, "a layer of no kind");
}

surge_status surge_net_backward(surge_net *net) {
  for (int32_t i = net->model.count - 1; i >= 0; i--) {
    if (net->ids[i].grad_out < 0) continue;
    double start = surge_profile_start(net, i);
    SURGE_TRY(surge_net_restore_sources(net, i));
    SURGE_TRY(backward_layer(net, i));
    surge_profile_end(net, i, SURGE_BACKWARD, start);
  }
  return SURGE_OK;
}

/* --- update --------------------------------------------------------------- */

/* Weights, norms and biases follow the recipe's optimizer and are clipped
 * together; weights alone decay, and are rounded where maps are bf16. Widths
 * and decays have an Adam of their own, without decay or clipping. */
static surge_update update_of(const surge_net *net, surge_group group) {
  const struct surge_optim_recipe *r = &net->recipe->optim;
  const surge_table *table = &net->table;
  size_t first = table->group_first[group];
  size_t parameters = table->bytes[SURGE_ROLE_PARAMETER] / sizeof(float);
  float *moments = net->arena[SURGE_ROLE_OPTIMIZER];
  bool weights = group == SURGE_GROUP_WEIGHT,
       widths = group == SURGE_GROUP_WIDTH;
  bool neurons = widths || group == SURGE_GROUP_DECAY;
  return (surge_update){
      .kind = neurons ? SURGE_ADAM : r->kind,
      .count = table->group_count[group],
      .w = (float *)net->arena[SURGE_ROLE_PARAMETER] + first,
      .m = moments + first,
      .v = first >= net->v_first ? moments + parameters + first - net->v_first
                                 : NULL,
      .rounded = weights ? net->arena[SURGE_ROLE_CAST] : NULL,
      .g = (float *)net->arena[SURGE_ROLE_GRADIENT] + first,
      .clip = neurons ? NULL : surge_at(net, net->clip),
      .weight_decay = weights ? r->weight_decay : 0.0f,
      .momentum = r->momentum,
      .nesterov = r->nesterov,
      .beta1 = r->beta1,
      .beta2 = r->beta2,
      .eps = r->eps,
      .w_min = widths ? logf(net->recipe->neuron.width_min) : -INFINITY,
      .w_max = widths ? logf(net->recipe->neuron.width_max) : INFINITY};
}

surge_status surge_net_update(surge_net *net) {
  const surge_backend *b = net->backend;
  surge_gradient_norm norm = {
      .norm = surge_at(net, net->norm),
      .clip = surge_at(net, net->clip),
      .fault = surge_at(net, net->fault),
      .fault_step = surge_at(net, net->fault_step),
      .step = surge_at(net, net->step),
      .g = net->arena[SURGE_ROLE_GRADIENT],
      .count = net->table.group_first[SURGE_GROUP_WIDTH],
      .max_norm = net->recipe->optim.clip_norm,
      .layer = (uint32_t)net->model.count,
      .workspace = net->arena[SURGE_ROLE_WORKSPACE]};
  SURGE_TRY(b->gradient_norm(net->context, &norm));
  surge_optimize optimize = {.step = surge_at(net, net->step),
                             .fault = surge_at(net, net->fault)};
  for (int group = 0; group < SURGE_GROUP_COUNT; group++)
    optimize.update[group] = update_of(net, (surge_group)group);
  SURGE_TRY(b->optimize(net->context, &optimize));
  SURGE_TRY(surge_net_average(net));
  return b->zero(net->context, net->arena[SURGE_ROLE_GRADIENT],
                 net->table.bytes[SURGE_ROLE_GRADIENT]);
}
