/* backward.c - gradients from the logits down to the first trained layer, and
 * the update of every parameter group. */
#include <math.h>

#include "src/net/net.h"

/* --- layers: grad_out -> parameter gradients, grad_in --------------------- */

static surge_status backward_conv(surge_net *net, int32_t i) {
  const surge_backend *b = net->backend;
  const surge_layer_ids *ids = &net->ids[i];
  size_t images = surge_images(net, net->model.layers[i].static_in);
  void *workspace = net->arena[SURGE_ROLE_WORKSPACE];
  surge_conv2d_backward_weights weights = {
      .dw = surge_gradient_at(net, ids->weight),
      .db = surge_gradient_at(net, ids->bias),
      .dy = surge_at(net, ids->grad_out),
      .x = surge_layer_input(net, i),
      .images = images,
      .workspace = workspace};
  SURGE_TRY(b->conv2d_backward_weights(net->context, net->plans[i], &weights));
  if (ids->grad_in < 0) return SURGE_OK;
  surge_conv2d_backward_data data = {.dx = surge_at(net, ids->grad_in),
                                     .dy = surge_at(net, ids->grad_out),
                                     .w = surge_weight_at(net, ids->weight),
                                     .mode = SURGE_WRITE,
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
  if (ids->grad_in < 0) return SURGE_OK;
  linear.dx = surge_at(net, ids->grad_in);
  linear.mode = SURGE_WRITE;
  return net->backend->linear_backward_data(net->context, &linear);
}

static surge_status backward_norm(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_layer_ids *ids = &net->ids[i];
  surge_norm_backward norm = {
      .dz = surge_at(net, ids->grad_in),
      .da = surge_at(net, ids->grad_in),
      .dgamma = surge_gradient_at(net, ids->gamma),
      .dbeta = surge_gradient_at(net, ids->beta),
      .dstep_scale = surge_gradient_at(net, ids->step_scale),
      .z = surge_layer_input(net, i),
      .mean = surge_at(net, ids->mean),
      .rstd = surge_at(net, ids->rstd),
      .gamma = surge_at(net, ids->gamma),
      .beta = surge_at(net, ids->beta),
      .step_scale = surge_at(net, ids->step_scale),
      .sums = surge_at(net, ids->sums),
      .map = layer->in,
      .T = net->options.T,
      .N = net->n,
      .is_static = layer->static_in,
      .alpha_theta = surge_layer_alpha_theta(layer)};
  return net->backend->norm_backward(net->context, &norm);
}

static surge_status backward_neuron(surge_net *net, int32_t i) {
  const surge_layer_ids *ids = &net->ids[i];
  surge_neuron_backward neuron = {
      .common = surge_net_neuron(net, i),
      .da = {surge_at(net, ids->grad_in)},
      .mode = {SURGE_WRITE},
      .sums = {surge_at(net, ids->sums)},
      .drho = surge_gradient_at(net, ids->rho),
      .ddecay_logit = surge_gradient_at(net, ids->decay_logit),
      .gs = surge_at(net, ids->grad_out),
      .pda = surge_at(net, ids->pda)};
  SURGE_TRY(net->backend->neuron_backward(net->context, &neuron));
  return net->model.layers[i].has_norm ? backward_norm(net, i) : SURGE_OK;
}

static surge_status backward_pool(surge_net *net, int32_t i) {
  const surge_backend *b = net->backend;
  surge_pool pool = surge_net_pool(net, i);
  pool.dy = surge_at(net, net->ids[i].grad_out);
  pool.dx = surge_at(net, net->ids[i].grad_in);
  pool.mode = SURGE_WRITE;
  return net->model.layers[i].spec.kind == SURGE_LAYER_AVGPOOL
             ? b->avgpool_backward(net->context, &pool)
             : b->maxpool_backward(net->context, &pool);
}

/* The same mask on the gradient, in place. */
static surge_status backward_dropout(surge_net *net, int32_t i) {
  surge_dropout dropout = surge_net_dropout(net, i);
  dropout.y = surge_at(net, net->ids[i].grad_out);
  dropout.x = dropout.y;
  return net->backend->dropout(net->context, &dropout);
}

static surge_status backward_integrator(surge_net *net, int32_t i) {
  surge_integrator integrator = surge_net_integrator(net, i);
  integrator.y = surge_at(net, net->ids[i].grad_out);
  integrator.x = integrator.y;
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
    case SURGE_LAYER_INTEGRATOR: return backward_integrator(net, i);
    case SURGE_LAYER_NORM: break; /* lives in its neuron */
  }
  return SURGE_FAIL(SURGE_ERROR_INTERNAL, "a layer of no kind");
}

surge_status surge_net_backward(surge_net *net) {
  for (int32_t i = net->model.count - 1; i >= net->first_trained; i--) {
    double start = surge_profile_start(net, i);
    SURGE_TRY(backward_layer(net, i));
    surge_profile_end(net, i, SURGE_BACKWARD, start);
  }
  return SURGE_OK;
}

/* The same convolutions and products as a training step, and nothing else. */
surge_status surge_net_library_only(surge_net *net) {
  const surge_backend *b = net->backend;
  for (int32_t i = 0; i < net->model.count; i++) {
    const surge_layer *layer = &net->model.layers[i];
    if (layer->spec.kind == SURGE_LAYER_LINEAR) {
      surge_linear linear = surge_net_linear(net, i);
      SURGE_TRY(b->linear_forward(net->context, &linear));
      SURGE_TRY(backward_linear(net, i));
    } else if (layer->spec.kind == SURGE_LAYER_CONV) {
      surge_conv2d_forward conv = surge_net_conv(net, i);
      SURGE_TRY(b->conv2d_forward(net->context, net->plans[i], &conv));
      SURGE_TRY(backward_conv(net, i));
    }
  }
  return b->zero(net->context, net->arena[SURGE_ROLE_GRADIENT],
                 net->table.bytes[SURGE_ROLE_GRADIENT]);
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
  return b->zero(net->context, net->arena[SURGE_ROLE_GRADIENT],
                 net->table.bytes[SURGE_ROLE_GRADIENT]);
}
