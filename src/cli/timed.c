/* timed.c - see timed.h. */
#include "src/cli/timed.h"

#include "src/train/schedule.h"

surge_status timed_start(const timed *t, int32_t epoch) {
  surge_data_pass pass = {
      .train = t->train, .seed = 1, .epoch = (uint32_t)epoch};
  return surge_loader_start(t->loader, &pass, 0);
}

/* Of whole batches; behind an epoch's last a new one begins. */
static surge_status next_batch(const timed *t, int32_t index,
                               surge_batch *batch) {
  SURGE_TRY(surge_loader_next(t->loader, batch));
  if (batch->n == t->session->recipe->train.batch) return SURGE_OK;
  SURGE_TRY(timed_start(t, index));
  SURGE_TRY(surge_loader_next(t->loader, batch));
  if (batch->n == t->session->recipe->train.batch) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_RECIPE,
                    "train.batch: wanted at least a batch of images to time, "
                    "%d, found %d",
                    (int)t->session->recipe->train.batch, (int)batch->n);
}

surge_status timed_step(const timed *t, int32_t index, bool statistics) {
  surge_batch batch;
  surge_net *net = t->session->net;
  surge_step step = surge_step_at(t->session->recipe, 0, index, 1000000, false);
  SURGE_TRY(next_batch(t, index, &batch));
  SURGE_TRY(surge_net_load(net, &batch, &step));
  SURGE_TRY(t->train ? surge_net_train(net, statistics, true)
                     : surge_net_evaluate(net, statistics));
  return t->session->backend->sync(t->session->context);
}
