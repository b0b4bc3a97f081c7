/* keep.c - what backward reads again is packed behind its last reader in
 * forward, and restored before its first in backward (activations.c plans). */
#include "src/net/net.h"

surge_pack surge_net_pack(const surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  return (surge_pack){
      .packed = surge_at(net, net->ids[i].packed),
      .x = surge_at(net, net->ids[i].out),
      .type = surge_net_type(net),
      .bits = surge_layer_spikes(layer) ? 1 : 8,
      .scale = (float)layer->levels,
      .count = surge_layer_out(layer) * surge_images(net, layer->static_out)};
}

surge_status surge_net_start_pass(surge_net *net, surge_pass pass) {
  for (int32_t i = 0; i < net->model.count; i++)
    net->ids[i].place = net->ids[i].out;
  net->on_average = pass == SURGE_PASS_EVALUATE && surge_net_averages(net);
  return net->on_average ? surge_net_round_averages(net) : SURGE_OK;
}

surge_status surge_net_pack_sources(surge_net *net, int32_t i) {
  const surge_layer *layer = &net->model.layers[i];
  for (int32_t k = 0; k < layer->sources; k++) {
    int32_t from = layer->source[k].from;
    if (from < 0 || net->ids[from].keep != SURGE_KEEP_PACKED ||
        net->ids[from].read_last != i)
      continue;
    surge_pack pack = surge_net_pack(net, from);
    SURGE_TRY(net->backend->pack(net->context, &pack));
  }
  return SURGE_OK;
}

static surge_status restore(surge_net *net, int32_t i) {
  surge_layer_ids *ids = &net->ids[i];
  ids->place = ids->again;
  if (ids->keep == SURGE_KEEP_REBUILT) return surge_net_multiply(net, i);
  surge_pack pack = surge_net_pack(net, i);
  pack.x = surge_at(net, ids->again);
  return net->backend->unpack(net->context, &pack);
}

/* In the order of the layers: what is rebuilt reads what was unpacked. */
surge_status surge_net_restore_sources(surge_net *net, int32_t i) {
  for (int32_t s = 0; s < i; s++)
    if (net->ids[s].keep != SURGE_KEEP_WHOLE &&
        net->ids[s].restored == 2 * net->model.count - i)
      SURGE_TRY(restore(net, s));
  return SURGE_OK;
}
