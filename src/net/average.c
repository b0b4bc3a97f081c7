/* average.c - what evaluations read where optim.ema_decay is on: an average of
 * every parameter and running statistic, as timm's ModelEma has it. It starts
 * as what training starts from, and follows at the end of each step. In its
 * arena parameters come first, then statistics, each as in their own. */
#include "src/net/net.h"

/* Something done with `count` averages e of values w. */
typedef surge_status follow(const surge_net *net, float *e, float *w,
                            size_t count);

static surge_status for_all(const surge_net *net, follow *f) {
  static const surge_role roles[] = {SURGE_ROLE_PARAMETER, SURGE_ROLE_BUFFER};
  float *e = net->arena[SURGE_ROLE_AVERAGE];
  for (size_t k = 0; k < sizeof roles / sizeof *roles; k++) {
    size_t count = net->table.bytes[roles[k]] / sizeof(float);
    if (count > 0) SURGE_TRY(f(net, e, net->arena[roles[k]], count));
    e += count;
  }
  return SURGE_OK;
}

static surge_status start(const surge_net *net, float *e, float *w,
                          size_t count) {
  return net->backend->copy(net->context, e, w, count * sizeof *e);
}

static surge_status adopt(const surge_net *net, float *e, float *w,
                          size_t count) {
  return net->backend->copy(net->context, w, e, count * sizeof *e);
}

static surge_status average(const surge_net *net, float *e, float *w,
                            size_t count) {
  surge_average a = {.e = e,
                     .w = w,
                     .count = count,
                     .decay = net->recipe->optim.ema_decay,
                     .fault = surge_at(net, net->fault)};
  return net->backend->average(net->context, &a);
}

surge_status surge_net_start_averages(surge_net *net) {
  return surge_net_averages(net) ? for_all(net, start) : SURGE_OK;
}

surge_status surge_net_adopt_averages(surge_net *net) {
  return surge_net_averages(net) ? for_all(net, adopt) : SURGE_OK;
}

surge_status surge_net_average(surge_net *net) {
  return surge_net_averages(net) ? for_all(net, average) : SURGE_OK;
}
