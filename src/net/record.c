/* record.c - whole steps, recorded by backends that can and replayed.
 *
 * What a recorded step queues is fixed with its arguments; all that changes
 * from step to step is read from device memory (surge_step, sample indices).
 * What else may differ - the size of a batch, statistics or not, the data set -
 * makes another recording; whether averaged weights are read is a matter of
 * training or evaluating. The first of a kind runs unrecorded, so that
 * libraries load and settle before anything is captured. */
#include "src/net/net.h"

typedef enum work_bits {
  WORK_TRAIN = 1, /* else evaluate */
  WORK_STATISTICS = 2,
  WORK_UPDATE = 4
} work_bits;

static surge_status do_work(surge_net *net, uint32_t what) {
  bool train = what & WORK_TRAIN;
  SURGE_TRY(surge_net_forward(net,
                              train ? SURGE_PASS_TRAIN : SURGE_PASS_EVALUATE,
                              what & WORK_STATISTICS));
  if (train) SURGE_TRY(surge_net_backward(net));
  return what & WORK_UPDATE ? surge_net_update(net) : SURGE_OK;
}

/* The recording of this work on the loaded batch; the oldest makes room. */
static surge_recording *find(surge_net *net, uint32_t what) {
  surge_recordings *r = &net->recordings;
  for (int32_t i = 0; i < r->count && i < SURGE_RECORDINGS; i++) {
    surge_recording *s = &r->steps[i];
    if (s->mirrored == net->mirrored && s->n == net->n && s->what == what)
      return s;
  }
  surge_recording *fresh = &r->steps[r->count++ % SURGE_RECORDINGS];
  net->backend->graph_release(fresh->graph);
  *fresh =
      (surge_recording){.mirrored = net->mirrored, .n = net->n, .what = what};
  return fresh;
}

static surge_status record(surge_net *net, surge_recording *recording) {
  const surge_backend *b = net->backend;
  SURGE_TRY(b->capture(net->context));
  surge_status status = do_work(net, recording->what);
  surge_status end = b->captured(net->context, &recording->graph);
  return status != SURGE_OK ? status : end;
}

static surge_status work(surge_net *net, uint32_t what) {
  if (!net->backend->queues || net->options.no_graph || net->times)
    return do_work(net, what);
  surge_recording *recording = find(net, what);
  if (!recording->warm) {
    recording->warm = true;
    return do_work(net, what);
  }
  if (!recording->graph) SURGE_TRY(record(net, recording));
  return net->backend->replay(net->context, recording->graph);
}

surge_status surge_net_train(surge_net *net, bool statistics, bool update) {
  return work(net, WORK_TRAIN | (statistics ? WORK_STATISTICS : 0) |
                       (update ? WORK_UPDATE : 0));
}

surge_status surge_net_evaluate(surge_net *net, bool statistics) {
  return work(net, statistics ? WORK_STATISTICS : 0);
}

void surge_net_forget_recordings(surge_net *net) {
  for (int32_t i = 0; i < SURGE_RECORDINGS; i++)
    net->backend->graph_release(net->recordings.steps[i].graph);
  net->recordings = (surge_recordings){0};
}
