/* bench.c - `surge bench`: steps and layers, timed. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "src/cli/cli.h"
#include "src/cli/timed.h"

#define MAX_STEPS 10000

/* --- bench train ---------------------------------------------------------- */

/* Milliseconds of a step in its convolutions and products, by the profile of as
 * many steps more: their inputs are those of a step, zeros and all. */
static surge_status time_products(const timed *t, const cli_options *o,
                                  double *ms) {
  const surge_layer_time *times;
  int32_t count;
  *ms = 0;
  SURGE_TRY(surge_net_profile(t->session->net, &times, &count));
  for (int i = 0; i < o->steps; i++)
    SURGE_TRY(timed_step(t, o->warmup + o->steps + i, false));
  for (int32_t i = 0; i < count; i++)
    if (times[i].product)
      *ms += 1e3 * (times[i].forward + times[i].backward) / o->steps;
  return SURGE_OK;
}

static surge_status bench_train(const timed *t, const cli_options *o) {
  static double step_ms[MAX_STEPS];
  const surge_recipe *r = t->session->recipe;
  double products;
  for (int i = 0; i < o->warmup + o->steps; i++) {
    double start = surge_seconds();
    SURGE_TRY(timed_step(t, i, false));
    if (i >= o->warmup)
      step_ms[i - o->warmup] = 1e3 * (surge_seconds() - start);
  }
  SURGE_TRY(time_products(t, o, &products));
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double step = surge_median(step_ms, o->steps);
  printf(
      "name,threads,T,batch,steps,median_ms,min_ms,max_ms,samples_per_s,"
      "peak_rss_mb,library_ms\n");
  printf("%s,%d,%d,%d,%d,%.5g,%.5g,%.5g,%.1f,%.1f,%.5g\n", r->name, r->threads,
         r->T, r->train.batch, o->steps, step, step_ms[0],
         step_ms[o->steps - 1], 1e3 * r->train.batch / step,
         (double)usage.ru_maxrss / 1024, products);
  return SURGE_OK;
}

/* --- bench ops ------------------------------------------------------------ */

/* GB/s of a copy on this machine's memory, the roof of a memory-bound op. */
static double copy_rate(void) {
  size_t bytes = 64u << 20;
  char *a = malloc(bytes), *b = malloc(bytes);
  double best = 0;
  for (int i = 0; a && b && i < 5; i++) {
    memset(a, i, bytes);
    double start = surge_seconds();
    memcpy(b, a, bytes);
    double rate = 2e-9 * (double)bytes / (surge_seconds() - start);
    best = rate > best ? rate : best;
  }
  free(a);
  free(b);
  return best;
}

/* Counted GB of a neuron layer, fp32: forward reads z (twice with a norm:
 * statistics, then neuron) and writes s; backward reads z and gs, writes da,
 * and with a norm reads z and da and writes dz. */
static void print_time(const surge_layer_time *t, int steps) {
  double forward = 1e3 * t->forward / steps,
         backward = 1e3 * t->backward / steps;
  printf("%-12s %10.5g %10.5g", t->name, forward, backward);
  if (t->neuron) {
    double z = 4e-9 * t->inputs, s = 4e-9 * t->outputs;
    double read = t->norm ? 2 * z + s : z + s;
    double adjoint = 2 * z + s + (t->norm ? 3 * z : 0);
    printf(" %10.1f %10.1f", 1e3 * read / forward, 1e3 * adjoint / backward);
  }
  printf("\n");
}

/* What convolutions and products may skip: counted in one step more. */
static surge_status print_nonzeros(const timed *t, int32_t index) {
  surge_work_report work;
  surge_net *net = t->session->net;
  SURGE_TRY(surge_net_reset_metrics(net));
  SURGE_TRY(surge_net_reset_statistics(net));
  SURGE_TRY(timed_step(t, index, true));
  printf("\n%-12s %21s\n", "layer", "inputs that are not 0");
  for (int32_t i = 0;; i++) {
    SURGE_TRY(surge_net_work_report(net, i, &work));
    if (!work.name) return SURGE_OK;
    printf("%-12s %19.1f %%\n", work.name, 100 * work.rate);
  }
}

static surge_status bench_ops(const timed *t, const cli_options *o) {
  const surge_layer_time *times;
  int32_t count;
  for (int i = 0; i < o->warmup; i++) SURGE_TRY(timed_step(t, i, false));
  SURGE_TRY(surge_net_profile(t->session->net, &times, &count));
  for (int i = 0; i < o->steps; i++) SURGE_TRY(timed_step(t, i, false));
  printf("%-12s %10s %10s %10s %10s\n", "layer", "forward ms", "backward",
         "fwd GB/s", "bwd GB/s");
  double total = 0;
  for (int32_t i = 0; i < count; i++) {
    print_time(&times[i], o->steps);
    total += 1e3 * (times[i].forward + times[i].backward) / o->steps;
  }
  printf(
      "all layers %.5g ms a step, T %d, batch %d; a copy by one thread: %.1f "
      "GB/s\n",
      total, t->session->recipe->T, t->session->recipe->train.batch,
      copy_rate());
  return print_nonzeros(t, o->warmup + o->steps);
}

static surge_status bench(const surge_recipe *recipe, const cli_options *o,
                          bool ops) {
  surge_session session;
  surge_net_options options = {.training = true, .no_graph = o->no_graph};
  surge_status status = surge_session_open(&session, recipe, &options);
  if (status == SURGE_OK) status = surge_session_open_train(&session);
  timed t = {&session, session.train_loader, true};
  if (status == SURGE_OK) status = timed_start(&t, 0);
  if (status == SURGE_OK) status = ops ? bench_ops(&t, o) : bench_train(&t, o);
  surge_session_close(&session);
  return status;
}

/* Without a recipe: the network that SPEED.md times, wherever the program is
 * run (benchmarks/recipes/step.yaml). */
static const char standard_recipe[] =
    "name: step\n"
    "model: {channels: [32, 64, 128], pool: [true, true, false]}\n"
    "surrogate: {width_rule: fixed}\n";

surge_status cli_bench(int argc, char **argv) {
  cli_options o;
  surge_recipe recipe;
  bool tradeoff = argc > 1 && !strcmp(argv[1], "tradeoff"); /* -T is a list */
  SURGE_TRY(
      cli_parse(&o, argc, argv,
                tradeoff ? "steps warmup set times threads device seed no-graph"
                         : "steps warmup set T threads device seed no-graph",
                1, 2));
  bool ops = !strcmp(o.positional[0], "ops");
  if (!ops && !tradeoff && strcmp(o.positional[0], "train") != 0)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "surge bench: wanted train, ops or tradeoff, found %s",
                      o.positional[0]);
  if (o.steps == CLI_UNSET) o.steps = 10;
  if (o.steps < 1 || o.steps > MAX_STEPS)
    return SURGE_FAIL(SURGE_ERROR_RECIPE, "--steps: wanted 1 to %d, found %d",
                      MAX_STEPS, o.steps);
  surge_status status =
      o.positionals > 1
          ? surge_recipe_read(&recipe, o.positional[1], o.overrides)
          : surge_recipe_parse(&recipe, "bench", standard_recipe,
                               strlen(standard_recipe), o.overrides);
  if (status == SURGE_OK)
    status = tradeoff ? cli_tradeoff(&recipe, &o) : bench(&recipe, &o, ops);
  surge_recipe_free(&recipe);
  return status;
}
