/* forward.c - the batch goes in, all layers run over all T steps, a loss comes
 * out. Every op that a network can run is called here or in backward.c. */
#include "src/net/net.h"

/* --- argument structs that forward and backward share --------------------- */

surge_conv2d_forward surge_net_conv(const surge_net *net, int32_t i) {
  const surge_layer_ids *ids = &net->ids[i];
  return (surge_conv2d_forward){.y = surge_at(net, ids->place),
                                .x = surge_source_at(net, i, 0),
                                .w = surge_weight_at(net, ids->weight),
                                .b = surge_learned_at(net, ids->bias),
                                .images = surge_images_in(net, i),
                                .workspace = net->arena[SURGE_ROLE_WORKSPACE]};
}

surge_dropout surge_net_dropout(const surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  return (surge_dropout){.y = surge_at(net, net->ids[i].out),
                         .x = surge_source_at(net, i, 0),
                         .sample = surge_at(net, net->sample),
                         .step = surge_at(net, net->step),
                         .map = layer->in,
                         .T = layer->source[0].is_static ? 1 : net->options.T,
                         .N = net->n,
                         .index = layer->dropout_index,
                         .p = layer->spec.p};
}

surge_integrator surge_net_integrator(const surge_net *net, int32_t i) {
  return (surge_integrator){
      .y = surge_at(net, net->ids[i].out),
      .x = surge_source_at(net, i, 0),
      .scalars = surge_at(net, net->ids[i].scalars),
      .type = surge_net_type(net),
      .T = net->options.T,
      .M = surge_layer_in(&net->model.layers[i]) * (size_t)net->n};
}

surge_linear surge_net_linear(const surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_layer_ids *ids = &net->ids[i];
  return (surge_linear){.x = surge_source_at(net, i, 0),
                        .y = surge_at(net, ids->place),
                        .w = surge_weight_at(net, ids->weight),
                        .b = surge_learned_at(net, ids->bias),
                        .in = layer->in,
                        .out = layer->out.c,
                        .images = surge_images_in(net, i),
                        .workspace = net->arena[SURGE_ROLE_WORKSPACE]};
}

surge_pool surge_net_pool(const surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  return (surge_pool){.x = surge_source_at(net, i, 0),
                      .y = surge_at(net, net->ids[i].out),
                      .in = layer->in,
                      .out = layer->out,
                      .kernel = layer->spec.kernel,
                      .stride = layer->spec.stride,
                      .pad = layer->spec.pad,
                      .images = surge_images_in(net, i)};
}

#define NORM_MOMENTUM 0.1f /* as PyTorch */

surge_norm_forward surge_net_norm(const surge_net *net, int32_t i, int32_t k,
                                  surge_pass pass) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_source *source = &layer->source[k];
  const surge_norm_ids *ids = &net->ids[i].norm[k];
  return (surge_norm_forward){
      .scale = surge_at(net, ids->scale),
      .shift = surge_at(net, ids->shift),
      .mean = surge_at(net, ids->mean),
      .rstd = surge_at(net, ids->rstd),
      .running_mean = surge_learned_at(net, ids->running_mean),
      .running_var = surge_learned_at(net, ids->running_var),
      .z = surge_source_at(net, i, k),
      .gamma = surge_learned_at(net, ids->gamma),
      .beta = surge_learned_at(net, ids->beta),
      .step_scale = surge_learned_at(net, ids->step_scale),
      .fault = surge_at(net, net->fault),
      .map = layer->in,
      .T = net->options.T,
      .N = net->n,
      .layer = (uint32_t)i,
      .is_static = source->is_static,
      .training = pass == SURGE_PASS_TRAIN,
      .alpha_theta = surge_source_alpha_theta(layer, source),
      .eps = (float)SURGE_NORM_EPS,
      .momentum = NORM_MOMENTUM,
      .workspace = net->arena[SURGE_ROLE_WORKSPACE]};
}

/* A source as the neuron op and the add op read it. */
static surge_neuron_input neuron_input(const surge_net *net, int32_t i,
                                       int32_t k) {
  const surge_source *source = &net->model.layers[i].source[k];
  const surge_norm_ids *ids = &net->ids[i].norm[k];
  return (surge_neuron_input){
      .z = surge_source_at(net, i, k),
      .scale = surge_at(net, ids->scale),
      .shift = surge_at(net, ids->shift),
      .mean = surge_at(net, ids->mean),
      .rstd = surge_at(net, ids->rstd),
      .step_scale = surge_learned_at(net, ids->step_scale),
      .is_static = source->is_static,
      .per_step = surge_source_tebn(source)};
}

surge_neuron surge_net_neuron(const surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_layer_ids *ids = &net->ids[i];
  surge_neuron neuron = {.spec = layer->spec.neuron,
                         .map = layer->in,
                         .T = net->options.T,
                         .N = net->n,
                         .inputs = layer->sources,
                         .scalars = surge_at(net, ids->scalars),
                         .width = surge_at(net, ids->width),
                         .layer = (uint32_t)i,
                         .workspace = net->arena[SURGE_ROLE_WORKSPACE]};
  for (int32_t k = 0; k < layer->sources; k++)
    neuron.input[k] = neuron_input(net, i, k);
  return neuron;
}

surge_add surge_net_add(const surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  surge_add add = {.y = surge_at(net, net->ids[i].out),
                   .inputs = layer->sources,
                   .map = layer->in,
                   .T = net->options.T,
                   .N = net->n,
                   .workspace = net->arena[SURGE_ROLE_WORKSPACE]};
  for (int32_t k = 0; k < layer->sources; k++)
    add.input[k] = neuron_input(net, i, k);
  return add;
}

/* --- layers --------------------------------------------------------------- */

/* Gammas of the norms that layer i reads, of which it has one at least. */
static void give_gammas(const surge_net *net, int32_t i,
                        surge_neuron_scalars *scalars) {
  int32_t norms = 0;
  for (int32_t k = 0; k < 2; k++) {
    const float *gamma = surge_learned_at(net, net->ids[i].norm[k].gamma);
    if (gamma) scalars->gamma[norms++] = gamma;
  }
}

static surge_status compute_scalars(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_layer_ids *ids = &net->ids[i];
  const surge_neuron_spec *n = &layer->spec.neuron;
  surge_neuron_scalars scalars = {
      .scalars = surge_at(net, ids->scalars),
      .width = surge_at(net, ids->width),
      .rho = surge_learned_at(net, ids->rho),
      .decay_logit = surge_learned_at(net, ids->decay_logit),
      .synapse_logit = surge_learned_at(net, ids->synapse_logit),
      .step = n->width_rule == SURGE_WIDTH_SCHEDULE ? surge_at(net, net->step)
                                                    : NULL,
      .spec = *n,
      .C = layer->in.c};
  if (n->width_rule == SURGE_WIDTH_NORM) give_gammas(net, i, &scalars);
  return net->backend->neuron_scalars(net->context, &scalars);
}

/* lambda * mean over layers of D_l, and a share of an accumulated step. */
static float pda_scale(const surge_net *net) {
  return net->recipe->pda_weight / (float)net->model.pda_layers /
         (float)net->recipe->train.accumulate;
}

/* Channel statistics of what layer i reads through norms. */
static surge_status forward_norms(surge_net *net, int32_t i, surge_pass pass) {
  const surge_layer *layer = &net->model.layers[i];
  for (int32_t k = 0; k < layer->sources; k++) {
    if (!layer->source[k].has_norm) continue;
    surge_norm_forward norm = surge_net_norm(net, i, k, pass);
    SURGE_TRY(net->backend->norm_forward(net->context, &norm));
  }
  return SURGE_OK;
}

static surge_status forward_add(surge_net *net, int32_t i, surge_pass pass) {
  SURGE_TRY(forward_norms(net, i, pass));
  surge_add add = surge_net_add(net, i);
  return net->backend->add_forward(net->context, &add);
}

static surge_status forward_neuron(surge_net *net, int32_t i, surge_pass pass,
                                   bool statistics) {
  const surge_backend *b = net->backend;
  const surge_layer_ids *ids = &net->ids[i];
  SURGE_TRY(compute_scalars(net, i));
  SURGE_TRY(forward_norms(net, i, pass));
  surge_neuron_forward neuron = {
      .common = surge_net_neuron(net, i),
      .s = surge_at(net, ids->out),
      .current = surge_at(net, ids->current),
      .pda = surge_at(net, ids->pda),
      .pda_scale = ids->pda >= 0 ? pda_scale(net) : 0.0f,
      .metrics = ids->pda >= 0 ? surge_at(net, net->metrics) : NULL,
      .statistics = statistics ? surge_at(net, ids->statistics) : NULL,
      .histogram = statistics ? surge_at(net, ids->histogram) : NULL,
      .fault = surge_at(net, net->fault)};
  return b->neuron_forward(net->context, &neuron);
}

static surge_status forward_integrator(surge_net *net, int32_t i) {
  SURGE_TRY(compute_scalars(net, i));
  surge_integrator integrator = surge_net_integrator(net, i);
  return net->backend->integrator_forward(net->context, &integrator);
}

static surge_status forward_dropout(surge_net *net, int32_t i,
                                    surge_pass pass) {
  surge_dropout dropout = surge_net_dropout(net, i);
  if (pass == SURGE_PASS_EVALUATE) dropout.p = 0.0f;
  return net->backend->dropout(net->context, &dropout);
}

/* How many inputs of a convolution or product are not zero (energy). */
static surge_status count_inputs(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  surge_count_nonzero count = {
      .nonzero = surge_at(net, net->ids[i].nonzero),
      .x = surge_source_at(net, i, 0),
      .type = surge_net_type(net),
      .count = surge_layer_in(layer) * surge_images_in(net, i)};
  return net->backend->count_nonzero(net->context, &count);
}

surge_status surge_net_multiply(surge_net *net, int32_t i) {
  if (net->model.layers[i].spec.kind == SURGE_LAYER_CONV) {
    surge_conv2d_forward conv = surge_net_conv(net, i);
    return net->backend->conv2d_forward(net->context, net->plans[i], &conv);
  }
  surge_linear linear = surge_net_linear(net, i);
  return net->backend->linear_forward(net->context, &linear);
}

static surge_status forward_layer(surge_net *net, int32_t i, surge_pass pass,
                                  bool statistics) {
  const surge_backend *b = net->backend;
  if (statistics && net->ids[i].nonzero >= 0) SURGE_TRY(count_inputs(net, i));
  switch (net->model.layers[i].spec.kind) {
    case SURGE_LAYER_CONV:
    case SURGE_LAYER_LINEAR: return surge_net_multiply(net, i);
    case SURGE_LAYER_NEURON: return forward_neuron(net, i, pass, statistics);
    case SURGE_LAYER_AVGPOOL: {
      surge_pool pool = surge_net_pool(net, i);
      return b->avgpool_forward(net->context, &pool);
    }
    case SURGE_LAYER_MAXPOOL: {
      surge_pool pool = surge_net_pool(net, i);
      return b->maxpool_forward(net->context, &pool);
    }
    case SURGE_LAYER_DROPOUT: return forward_dropout(net, i, pass);
    case SURGE_LAYER_ADD: return forward_add(net, i, pass);
    case SURGE_LAYER_INTEGRATOR: return forward_integrator(net, i);
    case SURGE_LAYER_NORM: break; /* lives in its neuron */
  }
  return SURGE_FAIL(SURGE_ERROR_INTERNAL, "a layer of no kind");
}

/* --- the pass ------------------------------------------------------------- */

surge_status surge_net_load(surge_net *net, const surge_batch *batch,
                            const surge_step *step) {
  const surge_backend *b = net->backend;
  const surge_dataset_info *d = net->data;
  size_t n = (size_t)batch->n;
  if (batch->n < 1 || batch->n > net->options.N)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "surge_net_load: batch: wanted 1 to "
                      "%d images, found %d",
                      net->options.N, batch->n);
  if (d->steps && batch->set->info->steps != net->options.T)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "surge_net_load: batch: wanted %d frames a sample, found "
                      "%d",
                      net->options.T, batch->set->info->steps);
  net->n = batch->n;
  net->mirrored = batch->set->mirror_images ? batch->set : NULL;
  if (!net->mirrored) {
    SURGE_TRY(b->upload(net->context, surge_at(net, net->images), batch->images,
                        n * surge_sample_bytes(batch->set->info)));
    SURGE_TRY(b->upload(net->context, surge_at(net, net->labels), batch->labels,
                        n * sizeof(int32_t)));
  }
  SURGE_TRY(b->upload(net->context, surge_at(net, net->sample), batch->sample,
                      n * sizeof(uint32_t)));
  surge_step block = *step;
  block.mix = surge_mix_draw(&net->recipe->data, d, step->seed, step->epoch,
                             batch->index);
  return b->upload(net->context, surge_at(net, net->step), &block,
                   sizeof block);
}

surge_augment surge_augment_of(const surge_recipe *recipe,
                               const surge_dataset_info *info, bool training) {
  static const float zero[SURGE_MAX_CHANNELS] = {0, 0, 0, 0},
                     one[SURGE_MAX_CHANNELS] = {1, 1, 1, 1};
  const struct surge_data_recipe *data = &recipe->data;
  return (surge_augment){.T = surge_sample_steps(info),
                         .unit = info->steps ? 1 : 255,
                         .mean = data->normalize ? info->mean : zero,
                         .std = data->normalize ? info->std : one,
                         .crop_pad = data->crop_pad,
                         .cutout = data->cutout,
                         .random_erasing = data->random_erasing,
                         .flip = data->flip,
                         .mix = training && surge_data_mixes(data),
                         .training = training};
}

static surge_status encode_input(surge_net *net, surge_pass pass) {
  surge_augment augment =
      surge_augment_of(net->recipe, net->data, pass == SURGE_PASS_TRAIN);
  augment.x = surge_at(net, net->input);
  augment.images =
      net->mirrored ? net->mirrored->mirror_images : surge_at(net, net->images);
  augment.gather = net->mirrored;
  augment.sample = surge_at(net, net->sample);
  augment.step = surge_at(net, net->step);
  augment.map = net->model.input;
  augment.N = net->n;
  SURGE_TRY(net->backend->augment(net->context, &augment));
  if (!net->model.poisson) return SURGE_OK;
  surge_poisson poisson = {.s = surge_at(net, net->coded),
                           .x = augment.x,
                           .sample = augment.sample,
                           .step = augment.step,
                           .map = augment.map,
                           .T = net->options.T,
                           .N = net->n};
  return net->backend->poisson(net->context, &poisson);
}

static surge_status compute_loss(surge_net *net, surge_pass pass) {
  const surge_model *model = &net->model;
  const struct surge_loss_recipe *r = &net->recipe->loss;
  int32_t last = model->count - 1;
  surge_loss loss = {
      .dlogits = pass == SURGE_PASS_TRAIN
                     ? surge_at(net, net->ids[last].grad_out)
                     : NULL,
      .scores = surge_at(net, net->scores),
      .metrics = surge_at(net, net->metrics),
      .fault = surge_at(net, net->fault),
      .logits = surge_at(net, net->ids[last].out),
      .type = surge_net_type(net),
      .labels = net->mirrored ? net->mirrored->mirror_labels
                              : surge_at(net, net->labels),
      .sample = net->mirrored ? surge_at(net, net->sample) : NULL,
      .T = net->options.T,
      .N = net->n,
      .classes = model->classes,
      .vote = model->vote,
      .kind = r->kind,
      .label_smoothing = r->label_smoothing,
      .tet_lambda = r->tet_lambda,
      .tet_target = net->recipe->neuron.v_threshold,
      .gradient_scale = 1.0f / (float)net->recipe->train.accumulate,
      .layer = (uint32_t)model->count};
  if (pass == SURGE_PASS_TRAIN && surge_data_mixes(&net->recipe->data))
    loss.step = surge_at(net, net->step);
  return net->backend->loss(net->context, &loss);
}

surge_status surge_net_forward(surge_net *net, surge_pass pass,
                               bool statistics) {
  SURGE_TRY(surge_net_start_pass(net, pass));
  SURGE_TRY(encode_input(net, pass));
  for (int32_t i = 0; i < net->model.count; i++) {
    double start = surge_profile_start(net, i);
    SURGE_TRY(forward_layer(net, i, pass, statistics));
    if (pass == SURGE_PASS_TRAIN) SURGE_TRY(surge_net_pack_sources(net, i));
    surge_profile_end(net, i, SURGE_FORWARD, start);
  }
  return compute_loss(net, pass);
}
