/* evaluate.c - a net over a set of images, nothing learned. */
#include "src/train/session.h"

surge_status surge_evaluation_of(surge_net *net, double seconds,
                                 surge_evaluation *result) {
  surge_metrics m;
  SURGE_TRY(surge_net_metrics(net, &m));
  double samples = m.samples > 0 ? (double)m.samples : 1;
  *result = (surge_evaluation){.loss = m.loss / samples,
                               .accuracy = (double)m.correct / samples,
                               .pda = m.pda / samples,
                               .samples = m.samples,
                               .seconds = seconds};
  return SURGE_OK;
}

surge_status surge_evaluate_each(surge_net *net, surge_loader *loader,
                                 const surge_step *step, surge_each_batch *each,
                                 void *user, surge_evaluation *result) {
  double start = surge_seconds();
  SURGE_TRY(surge_net_reset_metrics(net));
  SURGE_TRY(surge_net_reset_statistics(net));
  SURGE_TRY(surge_loader_start(loader, &(surge_data_pass){.train = false}, 0));
  for (;;) {
    surge_batch batch;
    SURGE_TRY(surge_loader_next(loader, &batch));
    if (batch.n == 0) break;
    SURGE_TRY(surge_net_load(net, &batch, step));
    SURGE_TRY(surge_net_evaluate(net, true));
    if (each) SURGE_TRY(each(user, net, &batch));
  }
  SURGE_TRY(surge_evaluation_of(net, surge_seconds() - start, result));
  if (result->samples > 0) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "evaluation: wanted an image that can be read, found none");
}

surge_status surge_evaluate(surge_net *net, surge_loader *loader,
                            const surge_step *step, surge_evaluation *result) {
  return surge_evaluate_each(net, loader, step, NULL, NULL, result);
}

surge_energy surge_energy_of(const surge_work_report *work) {
  double operations = work->macs * work->steps;
  surge_energy e = {0};
  if (work->binary) /* only spikes cost */
    e.acs = operations * work->rate;
  else
    e.macs = operations;
  e.joules = e.macs * SURGE_JOULE_MAC + e.acs * SURGE_JOULE_AC;
  return e;
}
