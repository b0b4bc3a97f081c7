/* tradeoff.c - `surge bench tradeoff`: what each number of steps costs. */
#include <stdlib.h>

#include "src/cli/cli.h"
#include "src/cli/timed.h"

/* The images of an inference: one that somebody waits for, and a batch. */
static const int32_t batches[] = {1, 64};
enum { BATCHES = sizeof batches / sizeof *batches };

/* Median milliseconds after a warm-up. */
static surge_status time_runs(const timed *t, const cli_options *o,
                              double *median) {
  double *ms = malloc((size_t)o->steps * sizeof *ms);
  if (!ms) return SURGE_FAIL(SURGE_ERROR_DEVICE, "bench tradeoff: no memory");
  surge_status status = timed_start(t, 0);
  for (int i = 0; status == SURGE_OK && i < o->warmup + o->steps; i++) {
    double start = surge_seconds();
    status = timed_step(t, i, false);
    if (i >= o->warmup) ms[i - o->warmup] = 1e3 * (surge_seconds() - start);
  }
  if (status == SURGE_OK) *median = surge_median(ms, o->steps);
  free(ms);
  return status;
}

typedef struct cost {
  double ms;
  size_t bytes; /* of SURGE's arenas */
} cost;

/* A session of its own, so that memory is that of this use alone. */
static surge_status measure(const surge_recipe *recipe, const cli_options *o,
                            bool train, cost *found) {
  surge_session s;
  surge_net_options options = {.training = train, .no_graph = o->no_graph};
  surge_status status = surge_session_open(&s, recipe, &options);
  if (status == SURGE_OK)
    status = train ? surge_session_open_train(&s) : surge_session_open_test(&s);
  if (status == SURGE_OK) {
    timed t = {&s, train ? s.train_loader : s.test_loader, train};
    status = time_runs(&t, o, &found->ms);
    found->bytes = surge_net_bytes(s.net);
  }
  surge_session_close(&s);
  return status;
}

static surge_status row(const surge_recipe *recipe, const cli_options *o) {
  cost training, inference[BATCHES];
  SURGE_TRY(measure(recipe, o, true, &training));
  surge_recipe asked = *recipe;
  for (int i = 0; i < BATCHES; i++) {
    asked.train.batch = batches[i];
    SURGE_TRY(measure(&asked, o, false, &inference[i]));
  }
  printf("%s,%d,%d,%d,%.1f,%.1f", recipe->name, recipe->threads, recipe->T,
         recipe->train.batch, 1e3 * recipe->train.batch / training.ms,
         (double)training.bytes / (1 << 20));
  for (int i = 0; i < BATCHES; i++)
    printf(",%.5g,%.1f", inference[i].ms,
           (double)inference[i].bytes / (1 << 20));
  printf("\n");
  fflush(stdout);
  return SURGE_OK;
}

surge_status cli_tradeoff(const surge_recipe *recipe, const cli_options *o) {
  int32_t times[CLI_MAX_TIMES] = {recipe->T};
  int count = 1;
  if (o->steps_list) SURGE_TRY(cli_parse_times(o->steps_list, times, &count));
  printf("name,threads,T,batch,train_samples_per_s,train_mb");
  for (int i = 0; i < BATCHES; i++)
    printf(",latency_ms_batch%d,inference_mb_batch%d", (int)batches[i],
           (int)batches[i]);
  printf("\n");
  for (int i = 0; i < count; i++) {
    surge_recipe at = *recipe;
    at.T = times[i];
    SURGE_TRY(row(&at, o));
  }
  return SURGE_OK;
}
