/* profile.c - how long each layer takes. */
#include <stdlib.h>

#include "src/backend/clock.h"
#include "src/net/net.h"

surge_status surge_net_profile(surge_net *net, const surge_layer_time **times,
                               int32_t *count) {
  if (!net->times)
    net->times = calloc((size_t)net->model.count, sizeof *net->times);
  if (!net->times)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory to profile");
  for (int32_t i = 0; i < net->model.count; i++) {
    const surge_layer *layer = &net->model.layers[i];
    double images = 0;
    for (int32_t k = 0; k < layer->sources; k++)
      images += (double)surge_images(net, layer->source[k].is_static);
    net->times[i] = (surge_layer_time){
        .name = layer->spec.name,
        .neuron = layer->spec.kind == SURGE_LAYER_NEURON,
        .product = layer->spec.kind == SURGE_LAYER_CONV ||
                   layer->spec.kind == SURGE_LAYER_LINEAR,
        .norm = layer->source[0].has_norm || layer->source[1].has_norm,
        .inputs = (double)surge_layer_in(layer) * images,
        .outputs = (double)surge_layer_out(layer) *
                   (double)surge_images(net, layer->static_out)};
  }
  *times = net->times;
  *count = net->model.count;
  return SURGE_OK;
}

double surge_profile_start(surge_net *net, int32_t i) {
  net->backend->mark(net->context, net->model.layers[i].spec.name);
  if (!net->times || net->backend->sync(net->context) != SURGE_OK) return 0;
  return surge_seconds();
}

/* A sync that fails here fails again, and is told, at the next download. */
void surge_profile_end(surge_net *net, int32_t i, surge_direction direction,
                       double start) {
  net->backend->mark(net->context, NULL);
  if (!net->times || net->backend->sync(net->context) != SURGE_OK) return;
  double *total = direction == SURGE_FORWARD ? &net->times[i].forward
                                             : &net->times[i].backward;
  *total += surge_seconds() - start;
}
