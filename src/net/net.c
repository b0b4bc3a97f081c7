/* net.c - planning: which tensors a list of layers needs. */
#include "src/net/net.h"

#include <stdlib.h>
#include <string.h>

/* --- declaring tensors ---------------------------------------------------- */

int32_t surge_net_declare(surge_net *net, surge_tensor tensor,
                          const char *layer, const char *what) {
  snprintf(tensor.name, sizeof tensor.name, "%s%s%s", layer, *layer ? "." : "",
           what);
  return surge_table_add(&net->table, &tensor);
}

/* A vector of a layer (rank 1). */
static int32_t vector(surge_net *net, surge_role role, surge_group group,
                      const char *layer, const char *what, int64_t count) {
  surge_tensor t = {.role = role, .group = group, .rank = 1, .shape = {count}};
  return surge_net_declare(net, t, layer, what);
}

/* --- what each kind of layer declares ------------------------------------- */

static void declare_weights(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_layer_spec *s = &layer->spec;
  surge_layer_ids *ids = &net->ids[i];
  surge_tensor w = {
      .role = SURGE_ROLE_PARAMETER, .group = SURGE_GROUP_WEIGHT, .rank = 4};
  if (s->kind == SURGE_LAYER_CONV) {
    int64_t shape[4] = {s->out, s->kernel, s->kernel, layer->in.c / s->groups};
    memcpy(w.shape, shape, sizeof shape);
  } else {
    int64_t shape[4] = {s->out, layer->in.h, layer->in.w, layer->in.c};
    memcpy(w.shape, shape, sizeof shape);
  }
  ids->weight = surge_net_declare(net, w, s->name, "weight");
  if (s->bias)
    ids->bias = vector(net, SURGE_ROLE_PARAMETER, SURGE_GROUP_NORM, s->name,
                       "bias", s->out);
  surge_tensor nonzero = {.role = SURGE_ROLE_SCALAR,
                          .dtype = SURGE_U64,
                          .rank = 1,
                          .shape = {1},
                          .resumed = true};
  ids->nonzero = surge_net_declare(net, nonzero, s->name, "nonzero");
}

static void declare_norm(surge_net *net, int32_t i, int32_t k) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_source *source = &layer->source[k];
  surge_norm_ids *ids = &net->ids[i].norm[k];
  const char *name = source->norm.name;
  int64_t C = layer->in.c, T = net->options.T;
  int64_t Tk = surge_source_tebn(source) ? T : 1;
  const surge_role P = SURGE_ROLE_PARAMETER, B = SURGE_ROLE_BUFFER,
                   S = SURGE_ROLE_SCALAR;
  const surge_group g = SURGE_GROUP_NORM;
  ids->gamma = vector(net, P, g, name, "gamma", C);
  ids->beta = vector(net, P, g, name, "beta", C);
  if (surge_source_tebn(source))
    ids->step_scale = vector(net, P, g, name, "step_scale", T);
  ids->running_mean = vector(net, B, 0, name, "running_mean", C);
  ids->running_var = vector(net, B, 0, name, "running_var", C);
  ids->scale = vector(net, S, 0, name, "scale", Tk * C);
  ids->shift = vector(net, S, 0, name, "shift", Tk * C);
  ids->mean = vector(net, S, 0, name, "mean", C);
  ids->rstd = vector(net, S, 0, name, "rstd", C);
  if (net->options.training)
    ids->sums = vector(net, S, 0, name, "sums", Tk * 2 * C);
}

static void declare_neuron(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_neuron_spec *n = &layer->spec.neuron;
  surge_layer_ids *ids = &net->ids[i];
  const char *name = layer->spec.name;
  int64_t P = surge_layer_widths(layer), T = net->options.T;
  if (n->width_rule == SURGE_WIDTH_LEARNED)
    ids->rho =
        vector(net, SURGE_ROLE_PARAMETER, SURGE_GROUP_WIDTH, name, "rho", P);
  if (n->decay_learned)
    ids->decay_logit = vector(net, SURGE_ROLE_PARAMETER, SURGE_GROUP_DECAY,
                              name, "decay_logit", 1);
  if (n->synapse_learned)
    ids->synapse_logit = vector(net, SURGE_ROLE_PARAMETER, SURGE_GROUP_DECAY,
                                name, "synapse_logit", 1);
  ids->scalars = vector(net, SURGE_ROLE_SCALAR, 0, name, "scalars",
                        (int64_t)surge_scalar_count(n));
  ids->width = vector(net, SURGE_ROLE_SCALAR, 0, name, "width", 2 * P);
  net->table.tensors[ids->scalars].resumed = true; /* an epoch's end reports */
  net->table.tensors[ids->width].resumed = true;   /* them without a pass   */
  if (n->pda != SURGE_PDA_OFF)
    ids->pda = vector(net, SURGE_ROLE_SCALAR, 0, name, "pda",
                      3 * surge_layer_pda_count(layer));
  surge_tensor statistics = {.role = SURGE_ROLE_SCALAR,
                             .dtype = SURGE_F64,
                             .rank = 2,
                             .shape = {T, 6},
                             .resumed = true};
  surge_tensor histogram = {.role = SURGE_ROLE_SCALAR,
                            .dtype = SURGE_U64,
                            .rank = 1,
                            .shape = {SURGE_HISTOGRAM_BINS + 2},
                            .resumed = true};
  ids->statistics = surge_net_declare(net, statistics, name, "statistics");
  ids->histogram = surge_net_declare(net, histogram, name, "histogram");
  surge_map current = layer->in;
  current.type = SURGE_F32;
  if (net->options.keep_currents)
    ids->current = surge_net_activation(net, name, "current", T, current, -1,
                                        2 * net->model.count + 1);
}

/* The integrator reads its decay where a neuron has its scalars. */
static void declare_integrator(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  net->ids[i].scalars =
      vector(net, SURGE_ROLE_SCALAR, 0, layer->spec.name, "scalars",
             (int64_t)surge_scalar_count(&layer->spec.neuron));
  net->ids[i].width =
      vector(net, SURGE_ROLE_SCALAR, 0, layer->spec.name, "width", 2);
}

static void declare_layer(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  for (int32_t k = 0; k < layer->sources; k++)
    if (layer->source[k].has_norm) declare_norm(net, i, k);
  switch (layer->spec.kind) {
    case SURGE_LAYER_CONV:
    case SURGE_LAYER_LINEAR: declare_weights(net, i); break;
    case SURGE_LAYER_NEURON: declare_neuron(net, i); break;
    case SURGE_LAYER_INTEGRATOR: declare_integrator(net, i); break;
    default: break;
  }
}

static void declare_step(surge_net *net) {
  const surge_dataset_info *d = net->data;
  int64_t N = net->options.N;
  surge_tensor images = {
      .role = SURGE_ROLE_STAGING,
      .dtype = SURGE_U8,
      .rank = 5,
      .shape = {N, net->model.input_steps ? net->options.T : 1, d->h, d->w,
                d->c}};
  surge_tensor labels = {
      .role = SURGE_ROLE_STAGING, .dtype = SURGE_I32, .rank = 1, .shape = {N}};
  surge_tensor sample = labels,
               bytes = {
                   .role = SURGE_ROLE_STAGING, .dtype = SURGE_U8, .rank = 1};
  sample.dtype = SURGE_U32;
  net->images = surge_net_declare(net, images, "", "images");
  net->labels = surge_net_declare(net, labels, "", "labels");
  net->sample = surge_net_declare(net, sample, "", "sample");
  bytes.shape[0] = sizeof(surge_step);
  net->step = surge_net_declare(net, bytes, "", "step");
  bytes.role = SURGE_ROLE_SCALAR;
  bytes.shape[0] = sizeof(surge_metrics);
  bytes.resumed = true;
  net->metrics = surge_net_declare(net, bytes, "", "metrics");
  bytes.resumed = false;
  bytes.shape[0] = sizeof(surge_fault);
  net->fault = surge_net_declare(net, bytes, "", "fault");
  bytes.shape[0] = sizeof(uint64_t);
  net->fault_step = surge_net_declare(net, bytes, "", "fault_step");
  const surge_role S = SURGE_ROLE_SCALAR;
  net->norm = vector(net, S, 0, "", "gradient_norm", 1);
  net->table.tensors[net->norm].resumed = true;
  net->clip = vector(net, S, 0, "", "clip", 1);
  net->scores = vector(net, S, 0, "", "scores", N * net->model.classes);
}

/* --- library plans and workspace ------------------------------------------ */

static surge_status plan_convolutions(surge_net *net) {
  for (int32_t i = 0; i < net->model.count; i++) {
    const surge_layer *layer = &net->model.layers[i];
    const surge_layer_spec *s = &layer->spec;
    if (s->kind != SURGE_LAYER_CONV) continue;
    surge_conv2d_shape shape = {.in = layer->in,
                                .out = layer->out,
                                .kernel = s->kernel,
                                .stride = s->stride,
                                .pad = s->pad,
                                .groups = s->groups,
                                .bias = s->bias};
    SURGE_TRY(net->backend->conv2d_plan(net->context, &net->plans[i], &shape));
  }
  return SURGE_OK;
}

static size_t workspace_of(const surge_net *net, int32_t i) {
  const surge_backend *b = net->backend;
  const surge_layer *layer = &net->model.layers[i];
  size_t images = surge_images_in(net, i);
  if (layer->spec.kind == SURGE_LAYER_CONV)
    return b->conv2d_workspace(net->plans[i], images);
  if (layer->spec.kind == SURGE_LAYER_LINEAR) {
    surge_linear linear = surge_net_linear(net, i);
    return b->linear_workspace(net->context, &linear);
  }
  size_t bytes = 0;
  if (layer->spec.kind == SURGE_LAYER_NEURON) {
    surge_neuron neuron = surge_net_neuron(net, i);
    bytes = b->neuron_workspace(net->context, &neuron);
  } else if (layer->spec.kind == SURGE_LAYER_ADD) {
    surge_add add = surge_net_add(net, i);
    bytes = b->add_workspace(net->context, &add);
  }
  for (int32_t k = 0; k < layer->sources; k++) {
    if (!layer->source[k].has_norm) continue;
    surge_norm_forward norm = surge_net_norm(net, i, k, SURGE_PASS_TRAIN);
    size_t more = b->norm_workspace(net->context, &norm);
    bytes = more > bytes ? more : bytes;
  }
  return bytes;
}

/* Roles whose size is not the sum of declared tensors. */
static void size_roles(surge_net *net) {
  surge_table *table = &net->table;
  bool training = net->options.training;
  size_t parameters = table->bytes[SURGE_ROLE_PARAMETER];
  net->v_first = net->recipe->optim.kind == SURGE_SGD
                     ? table->group_first[SURGE_GROUP_WIDTH]
                     : 0;
  table->bytes[SURGE_ROLE_GRADIENT] = training ? parameters : 0;
  table->bytes[SURGE_ROLE_OPTIMIZER] =
      training ? 2 * parameters - net->v_first * sizeof(float) : 0;
  bool averages = training && net->recipe->optim.ema_decay > 0;
  table->bytes[SURGE_ROLE_AVERAGE] =
      averages ? parameters + table->bytes[SURGE_ROLE_BUFFER] : 0;
  if (surge_net_type(net) == SURGE_BF16)
    table->bytes[SURGE_ROLE_CAST] = (averages ? 2 : 1) * sizeof(uint16_t) *
                                    table->group_count[SURGE_GROUP_WEIGHT];
  size_t workspace =
      net->backend->gradient_norm_workspace(parameters / sizeof(float));
  for (int32_t i = 0; i < net->model.count; i++) {
    size_t bytes = workspace_of(net, i);
    workspace = bytes > workspace ? bytes : workspace;
  }
  table->bytes[SURGE_ROLE_WORKSPACE] = workspace;
}

/* --- life of a net -------------------------------------------------------- */

/* More tensors than any layer declares, and than a net declares besides. */
#define TENSORS_A_LAYER 48

static surge_status plan(surge_net *net) {
  surge_model *model = &net->model;
  if (net->recipe->precision == SURGE_PRECISION_BF16 && !net->backend->bf16)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "precision: wanted fp32 on the backend %s, found bf16",
                      net->backend->name);
  SURGE_TRY(
      surge_model_build(model, net->recipe, net->data, net->backend->layout));
  size_t count = (size_t)model->count;
  net->ids = malloc(count * sizeof *net->ids);
  net->plans = calloc(count, sizeof *net->plans);
  if (!net->ids || !net->plans)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory to plan %zu layers",
                      count);
  SURGE_TRY(
      surge_table_reserve(&net->table, TENSORS_A_LAYER * (model->count + 1)));
  memset(net->ids, 0xFF, count * sizeof *net->ids); /* all SURGE_NONE */
  for (int32_t i = 0; i < model->count; i++) {
    model->layers[i].spec.neuron.soft_forward = net->options.soft;
    net->ids[i].grad_lent = false;
    declare_layer(net, i);
  }
  surge_net_declare_activations(net);
  declare_step(net);
  for (int32_t i = 0; i < net->table.count; i++)
    if (net->table.tensors[i].bytes == 0)
      return SURGE_FAIL(SURGE_ERROR_INTERNAL, "tensor %s is empty",
                        net->table.tensors[i].name);
  SURGE_TRY(surge_table_plan(&net->table));
  SURGE_TRY(plan_convolutions(net));
  size_roles(net);
  return SURGE_OK;
}

surge_status surge_net_create(surge_net **out, const surge_backend *backend,
                              surge_context *context,
                              const surge_recipe *recipe,
                              const surge_dataset_info *data,
                              const surge_net_options *options) {
  surge_net *net = *out = calloc(1, sizeof *net);
  if (!net) return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for a network");
  net->backend = backend;
  net->context = context;
  net->recipe = recipe;
  net->data = data;
  net->options = *options;
  if (options->T == 0) net->options.T = recipe->T;
  if (options->N == 0) net->options.N = recipe->train.batch;
  net->n = net->options.N;
  surge_status status = plan(net);
  if (status == SURGE_OK) return status;
  surge_net_destroy(net);
  *out = NULL;
  return status;
}

void surge_net_destroy(surge_net *net) {
  if (!net) return;
  surge_net_forget_recordings(net);
  for (int role = 0; role < SURGE_ROLE_COUNT; role++)
    if (net->arena[role]) net->backend->release(net->context, net->arena[role]);
  for (int32_t i = 0; net->plans && i < net->model.count; i++)
    if (net->plans[i]) net->backend->conv2d_release(net->plans[i]);
  surge_table_free(&net->table);
  surge_model_free(&net->model);
  free(net->ids);
  free(net->plans);
  free(net->times);
  free(net->host);
  free(net);
}

surge_status surge_net_allocate(surge_net *net) {
  const surge_backend *b = net->backend;
  for (int role = 0; role < SURGE_ROLE_COUNT; role++) {
    size_t bytes = net->table.bytes[role];
    if (bytes == 0) continue;
    if (b->allocate(net->context, &net->arena[role], bytes) != SURGE_OK)
      return SURGE_FAIL(SURGE_ERROR_DEVICE,
                        "%s: wanted %.1f MiB for %s, found "
                        "less memory",
                        b->name, (double)bytes / 0x1p20,
                        surge_role_name((surge_role)role));
    SURGE_TRY(b->zero(net->context, net->arena[role], bytes));
  }
  net->host_bytes = sizeof(surge_neuron_statistics) * (size_t)net->options.T +
                    sizeof(surge_histogram);
  for (int32_t i = 0; i < net->model.count; i++) {
    size_t widths = (size_t)net->model.layers[i].in.c * 2 * sizeof(float);
    if (net->host_bytes < widths) net->host_bytes = widths;
  }
  net->host = calloc(3, net->host_bytes);
  if (!net->host)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for reports");
  return surge_net_initialize(net);
}

size_t surge_net_bytes(const surge_net *net) {
  size_t bytes = 0;
  for (int role = 0; role < SURGE_ROLE_COUNT; role++)
    bytes += net->table.bytes[role];
  return bytes;
}

size_t surge_net_parameter_count(const surge_net *net) {
  size_t count = 0;
  for (int32_t i = 0; i < net->table.count; i++)
    if (net->table.tensors[i].role == SURGE_ROLE_PARAMETER)
      count += net->table.tensors[i].bytes / sizeof(float);
  return count;
}
