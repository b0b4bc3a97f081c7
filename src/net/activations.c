/* activations.c - which activations and gradients a network has, in what memory
 * and for how long (net.h has the schedule).
 *
 * What backward reads again is kept, by the recipe's `memory`, in one of three
 * ways:
 *
 *     whole     out        from its layer to its last reader in backward
 *     packed    out        to its last reader in forward, then
 *               packed     a bit or a byte an element, to the first in backward
 *               again      unpacked, from there to the last
 *     rebuilt   out        to its last reader in forward
 *               again      its convolution or product, done once more for the
 *                          first reader in backward, to the last               */
#include "src/net/net.h"

int32_t surge_net_activation(surge_net *net, const char *layer,
                             const char *what, int64_t steps, surge_map map,
                             int32_t first, int32_t last) {
  surge_tensor t = {.role = SURGE_ROLE_ACTIVATION,
                    .dtype = map.type,
                    .rank = 5,
                    .shape = {steps, net->options.N, map.h, map.w, map.c},
                    .is_map = true,
                    .map = map,
                    .first = first,
                    .last = last};
  return surge_net_declare(net, t, layer, what);
}

static int64_t steps_of(const surge_net *net, bool is_static) {
  return is_static ? 1 : net->options.T;
}

/* --- outputs -------------------------------------------------------------- */

/* When an output is read: last in forward; first and last in backward, last -1
 * where backward does not read it. */
typedef struct reads {
  int32_t forward, first, last;
} reads;

/* Does a layer read its source k again in backward? */
static bool reads_again(const surge_layer *layer, int32_t k) {
  switch (layer->spec.kind) {
    case SURGE_LAYER_CONV:
    case SURGE_LAYER_LINEAR:
    case SURGE_LAYER_MAXPOOL:
    case SURGE_LAYER_NEURON: return true;
    case SURGE_LAYER_ADD: return layer->source[k].has_norm;
    default: return false;
  }
}

static void read_at(reads *r, int32_t time) {
  if (r->last < 0 || time < r->first) r->first = time;
  if (time > r->last) r->last = time;
}

/* Of layer `from` (or the image), whose readers are planned. */
static reads reads_of(const surge_net *net, int32_t from) {
  int32_t L = net->model.count;
  reads r = {.forward = from, .first = 2 * L + 1, .last = -1};
  for (int32_t i = from + 1; i < L; i++) {
    const surge_layer *layer = &net->model.layers[i];
    for (int32_t k = 0; k < layer->sources; k++) {
      if (layer->source[k].from != from) continue;
      r.forward = i;
      if (!net->options.training || !layer->trained) continue;
      if (reads_again(layer, k)) read_at(&r, 2 * L - i);
      if (net->ids[i].keep == SURGE_KEEP_REBUILT)
        read_at(&r, net->ids[i].restored);
    }
  }
  return r;
}

/* Levels are those of spikes: the smooth twin's, between 0 and 1, stay whole. */
static surge_keep keep_of(const surge_net *net, const surge_layer *layer) {
  bool product = layer->spec.kind == SURGE_LAYER_CONV ||
                 layer->spec.kind == SURGE_LAYER_LINEAR;
  if (net->recipe->memory == SURGE_MEMORY_NORMAL) return SURGE_KEEP_WHOLE;
  if (layer->levels > 0 && !net->options.soft &&
      surge_pack_exact(layer->out.type, (float)layer->levels, layer->most))
    return SURGE_KEEP_PACKED;
  return product && net->recipe->memory == SURGE_MEMORY_RECOMPUTE
             ? SURGE_KEEP_REBUILT
             : SURGE_KEEP_WHOLE;
}

static int32_t declare_packed(surge_net *net, int32_t i, int32_t first,
                              int32_t last) {
  surge_pack pack = surge_net_pack(net, i);
  surge_tensor t = {.role = SURGE_ROLE_ACTIVATION,
                    .dtype = SURGE_U8,
                    .rank = 1,
                    .shape = {(int64_t)surge_pack_bytes(pack.count, pack.bits)},
                    .first = first,
                    .last = last};
  return surge_net_declare(net, t, net->model.layers[i].spec.name, "packed");
}

static void declare_output(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  surge_layer_ids *ids = &net->ids[i];
  const char *name = layer->spec.name;
  int64_t steps = steps_of(net, layer->static_out);
  int32_t L = net->model.count;
  reads r = reads_of(net, i);
  if (i == L - 1) r.last = 2 * L + 1; /* logits: scores and dumps read them */
  ids->keep = r.last < 0 || i == L - 1 ? SURGE_KEEP_WHOLE : keep_of(net, layer);
  ids->read_last = r.forward;
  ids->restored = r.first;
  bool whole = ids->keep == SURGE_KEEP_WHOLE;
  int32_t last = whole && r.last > r.forward ? r.last : r.forward;
  ids->out = surge_net_activation(net, name, "out", steps, layer->out, i, last);
  if (ids->keep == SURGE_KEEP_PACKED)
    ids->packed = declare_packed(net, i, r.forward, r.first);
  if (!whole)
    ids->again = surge_net_activation(net, name, "again", steps, layer->out,
                                      r.first, r.last);
}

/* From the last layer down: what is rebuilt says when its source is read. */
static void declare_outputs(surge_net *net) {
  int32_t L = net->model.count;
  for (int32_t i = L - 1; i >= 0; i--) declare_output(net, i);
  surge_map input = net->model.input;
  bool poisson = net->model.poisson;
  reads r = reads_of(net, SURGE_IMAGE);
  int32_t last = r.last > r.forward ? r.last : r.forward;
  if (net->options.keep_currents) last = 2 * L + 1;
  net->input = surge_net_activation(net, "", "input",
                                    steps_of(net, !net->model.input_steps),
                                    input, -1, poisson ? -1 : last);
  net->coded = poisson ? surge_net_activation(net, "", "coded", net->options.T,
                                              input, -1, last)
                       : SURGE_NONE;
}

/* --- gradients and their lives -------------------------------------------- */

/* A gradient that layer i's backward writes first, for its source k. */
static int32_t new_gradient(surge_net *net, int32_t i, int32_t k) {
  const surge_layer *layer = &net->model.layers[i];
  int32_t time = 2 * net->model.count - i;
  return surge_net_activation(net, layer->spec.name, k ? "grad_in1" : "grad_in",
                              steps_of(net, layer->source[k].is_static),
                              layer->in, time, time);
}

/* May layer i's backward turn the gradient of its output into that of its
 * source k in the same memory? Not where another layer reads it too. */
static bool in_place(const surge_net *net, int32_t i, int32_t k) {
  const surge_layer *layer = &net->model.layers[i];
  if (net->ids[i].grad_lent) return false;
  switch (layer->spec.kind) {
    case SURGE_LAYER_NEURON: return k == 0 && !layer->source[0].is_static;
    case SURGE_LAYER_DROPOUT:
    case SURGE_LAYER_INTEGRATOR: return true;
    default: return false;
  }
}

/* Does a layer from `first` on, other than `but`, read layer `from`? */
static bool read_by_another(const surge_net *net, int32_t from, int32_t first,
                            int32_t but) {
  for (int32_t r = first; r < net->model.count; r++)
    for (int32_t j = 0; j < net->model.layers[r].sources; j++)
      if (r != but && net->model.layers[r].source[j].from == from) return true;
  return false;
}

/* Is the gradient of an add's output that of its source k as it stands? Both
 * plain sources may share it: the earlier layer owns it, to the later one it is
 * lent, to read before the owner's other readers add to it. So nobody else may
 * add to the later one's, and the owner's other readers come before it. */
static bool handed_on(const surge_net *net, int32_t i, int32_t k) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_source *one = &layer->source[k];
  if (layer->spec.kind != SURGE_LAYER_ADD || net->ids[i].grad_lent ||
      one->has_norm || one->is_static != layer->static_out)
    return false;
  if (layer->sources == 1) return true;
  const surge_source *other = &layer->source[!k];
  bool both = !other->has_norm && other->is_static == layer->static_out &&
              other->from >= 0 && net->model.layers[other->from].trained;
  if (!both) return true;
  int32_t owner = one->from < other->from ? one->from : other->from;
  int32_t later = one->from < other->from ? other->from : one->from;
  bool shared = net->model.layers[later].readers == 1 &&
                !read_by_another(net, owner, later, i);
  return shared || one->from == owner;
}

/* Which memory the gradient of layer i's source k takes, and how. A gradient
 * that nobody asks for is still written where the op wants a place for it. */
static void declare_gradient(surge_net *net, int32_t i, int32_t k) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_source *source = &layer->source[k];
  surge_layer_ids *ids = &net->ids[i];
  bool wanted = source->from >= 0 && net->model.layers[source->from].trained;
  bool needed =
      source->has_norm || (layer->spec.kind == SURGE_LAYER_NEURON && k == 0);
  int32_t *gradient = wanted ? &net->ids[source->from].grad_out : NULL;
  ids->grad_mode[k] = SURGE_WRITE;
  if (!wanted && !needed) return;
  if (wanted && *gradient >= 0) {
    ids->grad_in[k] = *gradient;
    ids->grad_mode[k] = SURGE_ADD;
    return;
  }
  bool keeps = in_place(net, i, k) || handed_on(net, i, k);
  ids->grad_in[k] = keeps ? ids->grad_out : new_gradient(net, i, k);
  if (wanted) *gradient = ids->grad_in[k];
}

/* The source to which an add's gradient is lent: the later one of two that
 * share it. */
static void lend(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  const surge_layer_ids *ids = &net->ids[i];
  if (layer->spec.kind != SURGE_LAYER_ADD || layer->sources < 2 ||
      ids->grad_in[0] != ids->grad_out || ids->grad_in[1] != ids->grad_out)
    return;
  bool second = layer->source[1].from > layer->source[0].from;
  net->ids[layer->source[second].from].grad_lent = true;
}

/* Gradients of activations, from the logits down to the trained layers. */
static void declare_gradients(surge_net *net) {
  int32_t L = net->model.count;
  const surge_layer *last = &net->model.layers[L - 1];
  net->ids[L - 1].grad_out = surge_net_activation(
      net, last->spec.name, "grad_out", net->options.T, last->out, L, L + 1);
  for (int32_t i = L - 1; i >= 0; i--) {
    if (net->ids[i].grad_out < 0) continue;
    int32_t *end = &net->table.tensors[net->ids[i].grad_out].last;
    *end = *end > 2 * L - i ? *end : 2 * L - i;
    for (int32_t k = 0; k < net->model.layers[i].sources; k++)
      declare_gradient(net, i, k);
    lend(net, i);
  }
}

void surge_net_declare_activations(surge_net *net) {
  declare_outputs(net);
  if (net->options.training) declare_gradients(net);
}
