/* Does a network learn, and are runs the same to the bit: two of them, 1 thread
 * and 2, interrupted and resumed or not? */
#include <criterion/criterion.h>
#include <glob.h>
#include <malloc.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "src/train/schedule.h"
#include "src/train/session.h"
#include "tests/support/run.h"
#include "tests/support/support.h"

/* Everything at once that a checkpoint must carry: learned widths and decays,
 * tebn, PDA, dropout, augmentation, averages, accumulation over an odd number
 * of batches. */
#define EVERYTHING(epochs)                                                      \
  "T: 3\n"                                                                      \
  "threads: 2\n"                                                                \
  "data: {set: fashion_mnist, limit: 56, test_limit: 40, validation: 24,\n"     \
  "       crop_pad: 2, flip: true, cutout: 6, random_erasing: 0.5,\n"           \
  "       policy: trivialaugment, mixup: 0.4, cutmix: 1, workers: 2}\n"         \
  "model: {arch: convnet, channels: [8, 12], pool: [true, true], norm: tebn,\n" \
  "        dropout: 0.2}\n"                                                     \
  "neuron: {decay: learned, decay_start: 0.4, synapse_decay: learned,\n"        \
  "         synapse_tau: 1.5}\n"                                                \
  "surrogate: {family: arctan, granularity: channel}\n"                         \
  "pda: {kind: moment, weight: 0.1}\n"                                          \
  "loss: {kind: tet, label_smoothing: 0.1}\n"                                   \
  "optim: {ema_decay: 0.9}\n"                                                   \
  "train: {epochs: " epochs ", batch: 8, accumulate: 3, log_every: 2}\n"
static const char everything[] = EVERYTHING("3");

/* A run to repeat and to interrupt; shorter on a device, which may be an
 * emulated one. */
static const char *run_to_repeat(void) {
  return test_backend()->queues ? EVERYTHING("2") : everything;
}

static surge_status train_once(const char *yaml, const char *override,
                               const char *folder, const char *name) {
  surge_recipe recipe = run_recipe(yaml, override);
  surge_status status = run_train(&recipe, folder, name, false, NULL);
  surge_recipe_free(&recipe);
  return status;
}

Test(training, overfits_32_samples) {
  static const struct {
    const char *name, *override;
  } cases[] = {
      {"psg", NULL},
      {"tet", "loss.kind=tet"},
      {"mse", "loss.kind=mse"},
      {"membrane readout", "model.readout=membrane"},
      {"pda quantization", "pda={kind: quantization, weight: 0.1}"},
  };
  static const char yaml[] =
      "T: 2\n"
      "data: {set: fashion_mnist, limit: 32, test_limit: 32}\n"
      "model: {arch: convnet, channels: [8, 16], pool: [true, true]}\n"
      "optim: {kind: adam, lr: 0.01}\n"
      "schedule: {kind: constant}\n"
      "train: {epochs: 15, batch: 4, eval_every: 15}\n";
  char folder[64];
  run_needs_data();
  run_make_folder(folder);
  /* One case shows that a device learns; its ops are compared one by one. */
  size_t count = test_backend()->queues ? 1 : sizeof cases / sizeof *cases;
  for (size_t i = 0; i < count; i++) {
    char name[8];
    snprintf(name, sizeof name, "%zu", i);
    cr_assert_eq(train_once(yaml, cases[i].override, folder, name), SURGE_OK,
                 "%s", surge_last_error());
    cr_expect_eq(run_metric(folder, name, "train_acc"), 1.0, "%s: %g",
                 cases[i].name, run_metric(folder, name, "train_acc"));
  }
  run_remove_folder(folder);
}

/* Threads are the CPU's. */
Test(training, two_runs_and_any_thread_count_give_the_same_bits) {
  const char *yaml = run_to_repeat();
  bool threads = test_backend() == &surge_cpu;
  char folder[64];
  run_needs_data();
  run_make_folder(folder);
  cr_assert_eq(train_once(yaml, NULL, folder, "a"), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(train_once(yaml, NULL, folder, "b"), SURGE_OK);
  if (threads)
    cr_assert_eq(train_once(yaml, "threads=1", folder, "c"), SURGE_OK);
  cr_assert_eq(train_once(yaml, "seed=2", folder, "d"), SURGE_OK);
  run_same_checkpoints(folder, "a", "b");
  run_same_metrics(folder, "a", "b");
  if (threads) {
    run_same_checkpoints(folder, "a", "c");
    run_same_metrics(folder, "a", "c");
  }
  cr_expect_neq(run_metric(folder, "a", "train_loss"),
                run_metric(folder, "d", "train_loss"),
                "the seed has no effect");
  run_remove_folder(folder);
}

Test(training, resumed_equals_uninterrupted) {
  char folder[64];
  const volatile sig_atomic_t stop = 1;
  run_needs_data();
  run_make_folder(folder);
  surge_recipe recipe = run_recipe(run_to_repeat(), NULL);
  cr_assert_eq(run_train(&recipe, folder, "whole", false, NULL), SURGE_OK, "%s",
               surge_last_error());
  /* `stop` is seen after every batch: one batch a process, in every state that
   * an accumulated step and an epoch can be left in. */
  surge_status status = run_train(&recipe, folder, "parts", false, &stop);
  int parts = 1;
  for (; status == SURGE_INTERRUPTED && parts < 100; parts++)
    status = run_train(&recipe, folder, "parts", true, &stop);
  cr_assert_eq(status, SURGE_OK, "%s", surge_last_error());
  cr_expect_geq(parts, 7 * recipe.train.epochs);
  run_same_checkpoints(folder, "whole", "parts");
  run_same_metrics(folder, "whole", "parts");
  surge_recipe_free(&recipe);
  run_remove_folder(folder);
}

/* --- memory --------------------------------------------------------------- */

static const char residual[] =
    "T: 3\n"
    "threads: 2\n"
    "data: {set: fashion_mnist, limit: 24, test_limit: 8}\n"
    "train: {epochs: 1, batch: 8}\n" RUN_RESIDUAL;

/* Means of means and sums of means, which no byte holds; a neuron without
 * parameters, two of whose readers have no backward. */
static const char awkward[] =
    "T: 2\n"
    "data: {set: fashion_mnist, limit: 24, test_limit: 8}\n"
    "surrogate: {family: arctan, width_rule: fixed}\n"
    "train: {epochs: 1, batch: 8}\n"
    "model:\n"
    "  layers:\n"
    "    - neuron\n"
    "    - maxpool: {kernel: 3, stride: 1, pad: 1}\n"
    "    - conv: {out: 8, from: neuron1}\n"
    "    - norm\n"
    "    - neuron\n"
    "    - avgpool: {kernel: 3, stride: 1, pad: 1}\n"
    "    - avgpool: {kernel: 3, stride: 1, pad: 1}\n"
    "    - conv: {out: 8}\n"
    "    - norm\n"
    "    - neuron\n"
    "    - add: avgpool1\n"
    "    - conv: {out: 8}\n"
    "    - norm\n"
    "    - neuron\n"
    "    - conv: {out: 8, from: maxpool1}\n"
    "    - norm\n"
    "    - neuron\n"
    "    - add: neuron4\n"
    "    - linear: {out: classes}\n";

/* Many steps of synapses, to a membrane. */
static const char sequence[] =
    "T: 100\n"
    "data: {set: fashion_mnist, limit: 24, test_limit: 8}\n"
    "neuron: {synapse_decay: learned, synapse_tau: 5, decay: 0.9, reset: soft}\n"
    "surrogate: {family: arctan}\n"
    "model: {arch: mlp, hidden: [32, 16], readout: membrane}\n"
    "train: {epochs: 1, batch: 8}\n";

static size_t training_bytes(const char *yaml, const char *override) {
  surge_recipe recipe = run_recipe(yaml, override);
  surge_context *context;
  surge_net *net;
  surge_net_options options = {.training = true};
  surge_context_options one = {.threads = 1};
  cr_assert_eq(test_backend()->open(&context, &one), SURGE_OK);
  cr_assert_eq(surge_net_create(&net, test_backend(), context, &recipe,
                                surge_dataset_find("fashion_mnist"), &options),
               SURGE_OK, "%s", surge_last_error());
  size_t bytes = surge_net_bytes(net);
  surge_net_destroy(net);
  test_backend()->close(context);
  surge_recipe_free(&recipe);
  return bytes;
}

Test(training, less_memory_gives_the_same_bits) {
  static const struct {
    const char *name, *yaml;
  } nets[] = {{"everything", everything},
              {"residual", residual},
              {"awkward", awkward},
              {"sequence", sequence}};
  char folder[64];
  run_needs_data();
  for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
    const char *yaml = nets[i].yaml;
    size_t normal = training_bytes(yaml, NULL),
           packed = training_bytes(yaml, "memory=packed"),
           recompute = training_bytes(yaml, "memory=recompute");
    /* of others the first layer's own backward needs the most */
    cr_expect(normal > packed && (packed > recompute || yaml != residual),
              "%s: %zu, %zu, %zu bytes", nets[i].name, normal, packed,
              recompute);
    run_make_folder(folder);
    cr_assert_eq(train_once(yaml, NULL, folder, "normal"), SURGE_OK, "%s: %s",
                 nets[i].name, surge_last_error());
    cr_assert_eq(train_once(yaml, "memory=packed", folder, "packed"), SURGE_OK);
    cr_assert_eq(train_once(yaml, "memory=recompute", folder, "again"),
                 SURGE_OK);
    run_same_checkpoints(folder, "normal", "packed");
    run_same_checkpoints(folder, "normal", "again");
    run_same_metrics(folder, "normal", "again");
    run_remove_folder(folder);
  }
}

/* --- single steps --------------------------------------------------------- */

static void one_batch(surge_session *s, int32_t index, bool update) {
  surge_batch batch;
  surge_step step = surge_step_at(s->recipe, 0, index, 100, true);
  cr_assert_eq(surge_loader_next(s->train_loader, &batch), SURGE_OK);
  cr_assert_gt(batch.n, 0);
  cr_assert_eq(surge_net_load(s->net, &batch, &step), SURGE_OK);
  cr_assert_eq(surge_net_train(s->net, true, update), SURGE_OK, "%s",
               surge_last_error());
}

static void one_step(surge_session *s, int32_t index) {
  one_batch(s, index, true);
}

static void open_session(surge_session *s, const surge_recipe *recipe,
                         bool keep_currents) {
  surge_net_options options = {.training = true,
                               .keep_currents = keep_currents};
  cr_assert_eq(surge_session_open(s, recipe, &options), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_session_open_train(s), SURGE_OK, "%s", surge_last_error());
  cr_assert_eq(
      surge_loader_start(s->train_loader,
                         &(surge_data_pass){.train = true, .seed = 1}, 0),
      SURGE_OK);
}

/* --- averages -------------------------------------------------------------- */

static const surge_named_tensor *tensor_of(const surge_tensor_list *list,
                                           const char *prefix,
                                           const char *name) {
  char wanted[128];
  snprintf(wanted, sizeof wanted, "%s%s", prefix, name);
  for (size_t i = 0; i < list->count; i++)
    if (!strcmp(list->tensors[i].name, wanted)) return &list->tensors[i];
  cr_assert(false, "no tensor %s", wanted);
  return NULL;
}

static bool same(const surge_named_tensor *a, const surge_named_tensor *b) {
  return !memcmp(a->data, b->data, surge_named_tensor_bytes(a));
}

/* Moves the average e by one step towards w, here; whether it is `next`. */
static bool follows(const surge_named_tensor *e, const surge_named_tensor *w,
                    const surge_named_tensor *next, float decay) {
  const float *from = e->data, *to = w->data, *found = next->data;
  size_t count = surge_named_tensor_bytes(w) / sizeof(float), wrong = 0;
  for (size_t k = 0; k < count; k++)
    wrong += found[k] != from[k] + (1 - decay) * (to[k] - from[k]);
  return wrong == 0;
}

/* All that is learned, running statistics too, to the bit; a batch that ends no
 * step moves nothing. */
Test(training, averages_follow_what_is_trained) {
  run_needs_data();
  surge_recipe recipe = run_recipe(everything, NULL);
  surge_session s;
  surge_tensor_list before, after, learned;
  open_session(&s, &recipe, false);
  cr_assert_eq(surge_net_save(s.net, &learned, false), SURGE_OK);
  cr_assert_eq(surge_net_save(s.net, &before, true), SURGE_OK);
  cr_assert_gt(learned.count, 10);
  for (size_t i = 0; i < learned.count; i++)
    cr_expect(same(tensor_of(&before, "", learned.tensors[i].name),
                   tensor_of(&before, "average.", learned.tensors[i].name)),
              "%s starts as another", learned.tensors[i].name);
  for (int32_t step = 0; step < 4; step++) {
    bool update = step != 2;
    one_batch(&s, step, update);
    cr_assert_eq(surge_net_save(s.net, &after, true), SURGE_OK);
    for (size_t i = 0; i < learned.count; i++) {
      const char *name = learned.tensors[i].name;
      const surge_named_tensor *e = tensor_of(&before, "average.", name),
                               *next = tensor_of(&after, "average.", name);
      cr_expect(update ? follows(e, tensor_of(&after, "", name), next,
                                 recipe.optim.ema_decay)
                       : same(e, next),
                "%s, step %d", name, step);
    }
    surge_tensor_list_free(&before);
    before = after;
  }
  surge_tensor_list_free(&learned);
  surge_tensor_list_free(&before);
  surge_session_close(&s);
  surge_recipe_free(&recipe);
}

/* What an evaluation of the test set shows of all that is learned: both spiking
 * layers' first width, too, on which the others do not depend. */
typedef struct evaluation {
  double loss, spikes[2];
  float decay[2], width[2];
} evaluation;

static evaluation evaluated(surge_session *s) {
  surge_step step = {.seed = 1, .schedule = 1};
  surge_evaluation result;
  cr_assert_eq(surge_evaluate(s->net, s->test_loader, &step, &result), SURGE_OK,
               "%s", surge_last_error());
  evaluation e = {.loss = result.loss};
  for (int32_t i = 0; i < 2; i++) {
    surge_layer_report report;
    cr_assert_eq(surge_net_layer_report(s->net, i, &report), SURGE_OK);
    for (int32_t t = 0; t < report.T; t++)
      e.spikes[i] += report.statistics[t].spikes;
    e.decay[i] = report.decay;
    e.width[i] = report.width[0];
  }
  return e;
}

static bool alike(evaluation a, evaluation b) {
  return !memcmp(&a, &b, sizeof a);
}

/* That of a fresh net that only evaluates, with the tensors of a list. */
static evaluation evaluated_afresh(const surge_tensor_list *list,
                                   const char *override) {
  surge_recipe recipe = run_recipe(everything, override);
  surge_session s;
  surge_net_options options = {0};
  surge_safetensors file = {.tensors = list->tensors,
                            .tensor_count = list->count};
  cr_assert_eq(surge_session_open(&s, &recipe, &options), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_session_open_test(&s), SURGE_OK);
  cr_assert_eq(surge_net_restore(s.net, &file, "memory", false), SURGE_OK, "%s",
               surge_last_error());
  evaluation e = evaluated(&s);
  surge_session_close(&s);
  surge_recipe_free(&recipe);
  return e;
}

/* Steps until spikes reach the last layer also with averaged statistics. */
static void train_some(surge_session *s) {
  for (uint32_t epoch = 1; epoch <= 4; epoch++) {
    for (int32_t step = 0; step < 4; step++) one_step(s, step);
    cr_assert_eq(
        surge_loader_start(
            s->train_loader,
            &(surge_data_pass){.train = true, .seed = 1, .epoch = epoch}, 0),
        SURGE_OK);
  }
}

/* While training, and of both kinds of checkpoint; of the one that has both,
 * what is trained too, where averages are not wanted. */
Test(training, evaluations_read_averages) {
  static const char off[] = "optim.ema_decay=0";
  run_needs_data();
  surge_recipe recipe = run_recipe(everything, NULL);
  surge_session s;
  surge_tensor_list best, last;
  open_session(&s, &recipe, false);
  cr_assert_eq(surge_session_open_test(&s), SURGE_OK);
  train_some(&s);
  evaluation e = evaluated(&s);
  cr_assert(e.spikes[0] > 0 && e.spikes[1] > 0, "silent: %g, %g", e.spikes[0],
            e.spikes[1]);
  cr_assert_eq(surge_net_save(s.net, &best, false), SURGE_OK);
  cr_assert_eq(surge_net_save(s.net, &last, true), SURGE_OK);
  cr_expect(alike(evaluated_afresh(&best, NULL), e));
  cr_expect(alike(evaluated_afresh(&last, NULL), e));
  cr_expect(alike(evaluated_afresh(&best, off), e));
  cr_expect(!alike(evaluated_afresh(&last, off), e));
  surge_tensor_list_free(&last);
  /* a training net of which these are the weights averages from there on */
  surge_safetensors file = {.tensors = best.tensors,
                            .tensor_count = best.count};
  cr_assert_eq(surge_net_restore(s.net, &file, "memory", false), SURGE_OK);
  cr_assert_eq(surge_net_save(s.net, &last, true), SURGE_OK);
  for (size_t i = 0; i < best.count; i++) {
    const surge_named_tensor *b = &best.tensors[i];
    cr_expect(same(b, tensor_of(&last, "", b->name)) &&
                  same(b, tensor_of(&last, "average.", b->name)),
              "%s", b->name);
  }
  surge_tensor_list_free(&best);
  surge_tensor_list_free(&last);
  surge_session_close(&s);
  surge_recipe_free(&recipe);
}

/* Two steps with an evaluation between them; the state they leave. */
static surge_tensor_list step_evaluate_step(const char *override) {
  surge_recipe recipe = run_recipe(everything, override);
  surge_session s;
  surge_tensor_list state;
  open_session(&s, &recipe, false);
  cr_assert_eq(surge_session_open_test(&s), SURGE_OK);
  one_step(&s, 0);
  evaluated(&s);
  cr_assert_eq(surge_net_reset_metrics(s.net), SURGE_OK);
  cr_assert_eq(surge_net_reset_statistics(s.net), SURGE_OK);
  one_step(&s, 1);
  cr_assert_eq(surge_net_save(s.net, &state, true), SURGE_OK);
  surge_session_close(&s);
  surge_recipe_free(&recipe);
  return state;
}

Test(training, averages_change_nothing_of_what_is_trained) {
  run_needs_data();
  surge_tensor_list on = step_evaluate_step(NULL),
                    off = step_evaluate_step("optim.ema_decay=0");
  cr_expect_gt(on.count, off.count);
  for (size_t i = 0; i < off.count; i++)
    cr_expect(same(&off.tensors[i], tensor_of(&on, "", off.tensors[i].name)),
              "%s differs", off.tensors[i].name);
  surge_tensor_list_free(&on);
  surge_tensor_list_free(&off);
}

/* --- what arrives where ---------------------------------------------------- */

enum { BATCH = 16, PIXELS = 28 * 28 };

/* The second batch of 16, forward alone; list: "input" first, "labels",
 * "logits", ..., "loss". */
static void dump_batch(const char *override, surge_pass pass,
                       surge_tensor_list *list) {
  surge_recipe recipe = run_recipe(
      "T: 1\ndata: {set: fashion_mnist, limit: 32}\ntrain: {batch: 16}\n"
      "model: {arch: mlp, hidden: [4]}\n",
      override);
  surge_step step = surge_step_at(&recipe, 0, 0, 1, false);
  surge_session s;
  surge_batch batch;
  open_session(&s, &recipe, true);
  for (int i = 0; i < 2; i++)
    cr_assert_eq(surge_loader_next(s.train_loader, &batch), SURGE_OK);
  cr_assert_eq(surge_net_load(s.net, &batch, &step), SURGE_OK);
  cr_assert_eq(surge_net_forward(s.net, pass, false), SURGE_OK);
  cr_assert_eq(surge_net_dump(s.net, list), SURGE_OK);
  surge_session_close(&s);
  surge_recipe_free(&recipe);
}

static const void *dumped(const surge_tensor_list *list, const char *name) {
  size_t i = 0;
  while (i < list->count && strcmp(list->tensors[i].name, name)) i++;
  cr_assert_lt(i, list->count, "no %s", name);
  return list->tensors[i].data;
}

/* Zeros in the input of a batch; no pixel is the set's mean. */
static int zeros_of_input(const char *override, surge_pass pass) {
  surge_tensor_list list;
  int zeros = 0;
  dump_batch(override, pass, &list);
  const float *x = dumped(&list, "input");
  for (int i = 0; i < BATCH * PIXELS; i++) zeros += x[i] == 0;
  surge_tensor_list_free(&list);
  return zeros;
}

/* The recipe's keys arrive at the op: at least a quarter of each square, and of
 * each of 16 erasings a pixel; nothing is erased where it is not asked for. */
Test(training, pixels_are_erased_on_the_training_pass_alone) {
  run_needs_data();
  int cut = zeros_of_input("data.cutout=8", SURGE_PASS_TRAIN);
  cr_expect(cut >= 16 * 16 && cut <= 16 * 64, "%d", cut);
  cr_expect_geq(zeros_of_input("data.random_erasing=1", SURGE_PASS_TRAIN), 16);
  cr_expect_eq(zeros_of_input(NULL, SURGE_PASS_TRAIN), 0);
  cr_expect_eq(zeros_of_input("data.cutout=8", SURGE_PASS_EVALUATE), 0);
  cr_expect_eq(zeros_of_input("data.random_erasing=1", SURGE_PASS_EVALUATE), 0);
}

/* The mean of -ln of the labels' probabilities, and of those before them. */
static double mixed_loss(const surge_tensor_list *list, double share) {
  const float *logits = dumped(list, "logits");
  const int32_t *labels = dumped(list, "labels");
  double loss = 0;
  for (int n = 0; n < BATCH; n++) {
    const float *o = logits + n * 10;
    double sum = 0;
    for (int c = 0; c < 10; c++) sum += exp((double)o[c]);
    double own = (double)o[labels[n]];
    double other = (double)o[labels[(n + BATCH - 1) % BATCH]];
    loss += log(sum) - share * own - (1 - share) * other;
  }
  return loss / BATCH;
}

/* What the recipe asks for arrives at both ops, with the share that batch 1 of
 * epoch 0 draws, and at no evaluation. */
Test(training, batches_are_mixed_on_the_training_pass_alone) {
  static const struct {
    const char *override;
    struct surge_data_recipe recipe;
  } cases[] = {{"data.mixup=1", {.mixup = 1}},
               {"data.cutmix=1", {.cutmix = 1}}};
  surge_tensor_list plain, mixed, evaluated;
  run_needs_data();
  dump_batch(NULL, SURGE_PASS_TRAIN, &plain);
  const float *x = dumped(&plain, "input");
  for (size_t i = 0; i < 2; i++) {
    surge_mix mix = surge_mix_draw(
        &cases[i].recipe, surge_dataset_find("fashion_mnist"), 1, 0, 1);
    surge_rectangle r = mix.pasted;
    int wrong = 0;
    cr_assert(mix.share > .05f && mix.share < .95f);
    cr_assert_eq(r.h > 0, i == 1);
    dump_batch(cases[i].override, SURGE_PASS_TRAIN, &mixed);
    const float *y = dumped(&mixed, "input");
    for (int k = 0; k < BATCH * PIXELS; k++) {
      int row = k % PIXELS / 28, column = k % 28;
      bool in = row >= r.top && row < r.top + r.h && column >= r.left &&
                column < r.left + r.w;
      float share = r.h == 0 ? mix.share : in ? 0 : 1;
      float a = share * x[k];
      float b = (1 - share) * x[(k + (BATCH - 1) * PIXELS) % (BATCH * PIXELS)];
      wrong += y[k] != a + b;
    }
    cr_expect_eq(wrong, 0, "%s: %d pixels", cases[i].override, wrong);
    const double *loss = dumped(&mixed, "loss");
    double wanted = mixed_loss(&mixed, (double)mix.share);
    cr_expect_float_eq(*loss, wanted, 1e-9, "%s: loss %.12g, wanted %.12g",
                       cases[i].override, *loss, wanted);
    dump_batch(cases[i].override, SURGE_PASS_EVALUATE, &evaluated);
    cr_expect(
        !memcmp(dumped(&evaluated, "input"), x, BATCH * PIXELS * sizeof *x));
    cr_expect_float_eq(*(const double *)dumped(&evaluated, "loss"),
                       mixed_loss(&evaluated, 1), 1e-9);
    surge_tensor_list_free(&mixed);
    surge_tensor_list_free(&evaluated);
  }
  surge_tensor_list_free(&plain);
}

Test(training, every_parameter_moves_in_one_step) {
  run_needs_data();
  surge_recipe recipe = run_recipe(everything, "model.dropout=0");
  surge_session s;
  surge_tensor_list before, after;
  open_session(&s, &recipe, false);
  cr_assert_eq(surge_net_save(s.net, &before, false), SURGE_OK);
  one_step(&s, 0);
  cr_assert_eq(surge_net_save(s.net, &after, false), SURGE_OK);
  for (size_t i = 0; i < before.count; i++) {
    const surge_named_tensor *a = &before.tensors[i], *b = &after.tensors[i];
    cr_expect_neq(memcmp(a->data, b->data, surge_named_tensor_bytes(a)), 0,
                  "%s never moved", a->name);
  }
  surge_tensor_list_free(&before);
  surge_tensor_list_free(&after);
  surge_session_close(&s);
  surge_recipe_free(&recipe);
}

/* Ablations at one seed differ in what they name, not in their start. */
Test(training, psg_and_pda_start_from_the_same_weights) {
  static const char *const overrides[] = {NULL, "surrogate.width_rule=fixed",
                                          "pda.weight=0", "model.norm=none"};
  surge_tensor_list first = {0};
  run_needs_data();
  for (size_t i = 0; i < sizeof overrides / sizeof *overrides; i++) {
    surge_recipe recipe = run_recipe(everything, overrides[i]);
    surge_session s;
    surge_tensor_list list;
    open_session(&s, &recipe, false);
    cr_assert_eq(surge_net_save(s.net, &list, false), SURGE_OK);
    for (size_t k = 0; k < first.count; k++)
      for (size_t j = 0; j < list.count; j++)
        if (strstr(list.tensors[j].name, ".weight") &&
            !strcmp(first.tensors[k].name, list.tensors[j].name))
          cr_expect_eq(memcmp(first.tensors[k].data, list.tensors[j].data,
                              surge_named_tensor_bytes(&list.tensors[j])),
                       0, "%s: %s differs", overrides[i], list.tensors[j].name);
    if (i == 0)
      first = list;
    else
      surge_tensor_list_free(&list);
    surge_session_close(&s);
    surge_recipe_free(&recipe);
  }
  surge_tensor_list_free(&first);
}

/* w at t = 0 is 2 g, theta being 1: neuron2 reads norms of gamma 0 and 1, and
 * neuron3 one of gamma 0, second. */
Test(training, widths_come_from_every_norm_that_a_neuron_reads) {
  static const double wanted[] = {2, 1.41421427, 2e-3}; /* sqrt(2 + 2e-6) */
  run_needs_data();
  surge_recipe recipe = run_recipe(
      "T: 1\ndata: {set: fashion_mnist, limit: 16}\ntrain: {batch: 16}\n"
      "surrogate: {width_rule: norm}\n"
      "model: {layers: [conv: {out: 2}, norm, neuron, "
      "conv: {out: 2}, norm: {zero_init: true}, "
      "conv: {out: 2, from: neuron1}, norm, neuron: {add: norm2}, "
      "conv: {out: 2}, norm: {zero_init: true}, "
      "neuron: {from: neuron2, add: norm4}, linear: {out: classes}]}\n",
      NULL);
  surge_session s;
  surge_layer_report report;
  open_session(&s, &recipe, false);
  one_step(&s, 0);
  for (int32_t i = 0; i < 3; i++) {
    cr_assert_eq(surge_net_layer_report(s.net, i, &report), SURGE_OK);
    cr_expect_float_eq((double)report.width[0], wanted[i], 1e-6, "%s: %.9g",
                       report.name, (double)report.width[0]);
  }
  surge_session_close(&s);
  surge_recipe_free(&recipe);
}

/* The last row of a run's layers.csv must show the width at its end. */
Test(training, scheduled_widths_arrive_in_evaluation) {
  static const char yaml[] =
      "T: 2\n"
      "data: {set: fashion_mnist, limit: 32, test_limit: 16}\n"
      "model: {arch: convnet, channels: [8], pool: [true]}\n"
      "surrogate: {width_rule: schedule, width: 2.0, width_end: 0.5}\n"
      "train: {epochs: 2, batch: 16}\n";
  char folder[64], path[128], line[512] = "", split[16];
  double width = 0;
  run_needs_data();
  run_make_folder(folder);
  cr_assert_eq(train_once(yaml, NULL, folder, "w"), SURGE_OK, "%s",
               surge_last_error());
  snprintf(path, sizeof path, "%s/w/layers.csv", folder);
  FILE *file = fopen(path, "r");
  cr_assert_not_null(file);
  while (fgets(line, sizeof line, file)) continue;
  fclose(file);
  cr_assert_eq(sscanf(line, "%*d,%15[a-z],%*[^,],%*d,%*f,%*f,%*f,%*f,%*f,%lf",
                      split, &width),
               2, "%s", line);
  cr_expect_str_eq(split, "test");
  cr_expect_float_eq(width, 0.5, 1e-6, "%g", width);
  run_remove_folder(folder);
}

/* Values of u that histograms.csv counts for one evaluation of one layer, and
 * the width that layers.csv gives before the first update. */
Test(training, histograms_hold_every_potential) {
  static const char yaml[] =
      "T: 3\n"
      "data: {set: fashion_mnist, limit: 32, test_limit: 20}\n"
      "model: {arch: convnet, channels: [8], pool: [true]}\n"
      "surrogate: {width: 2.5}\n"
      "train: {epochs: 1, batch: 16}\n";
  char folder[64], path[128], line[512];
  double sum = 0, count, low, high, last = -8, width = 0;
  run_needs_data();
  run_make_folder(folder);
  cr_assert_eq(train_once(yaml, NULL, folder, "h"), SURGE_OK, "%s",
               surge_last_error());
  snprintf(path, sizeof path, "%s/h/histograms.csv", folder);
  FILE *file = fopen(path, "r");
  cr_assert_not_null(file);
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "1,test,neuron1,%lf,%lf,%lf", &low, &high, &count) != 3)
      continue;
    cr_expect_eq(low, last, "%s", line);
    last = high;
    sum += count;
  }
  fclose(file);
  cr_expect_eq(last, 8);
  cr_expect_eq(sum, 20.0 * 3 * 28 * 28 * 8, "%g", sum);
  snprintf(path, sizeof path, "%s/h/layers.csv", folder);
  file = fopen(path, "r");
  cr_assert_not_null(file);
  cr_assert_not_null(fgets(line, sizeof line, file));
  cr_assert_not_null(fgets(line, sizeof line, file));
  fclose(file);
  cr_expect_eq(
      sscanf(line, "0,train,neuron1,0,%*f,%*f,%*f,%*f,%*f,%lf", &width), 1,
      "%s", line);
  cr_expect_eq(width, 2.5, "%g", width);
  run_remove_folder(folder);
}

/* Large allocations of this program, counted. oneDNN takes and returns a few
 * small blocks for each primitive that it runs; a tensor would be larger. */
static atomic_int large_allocations;
extern void *__libc_malloc(size_t size);
void *malloc(size_t size) {
  if (size >= 4096) atomic_fetch_add(&large_allocations, 1);
  return __libc_malloc(size);
}

/* Allocations on the backend's device, counted. */
static int device_allocations;
static surge_status count_allocation(surge_context *context, void **memory,
                                     size_t bytes) {
  device_allocations++;
  return test_backend()->allocate(context, memory, bytes);
}

/* A device's own runtime takes host memory for what it queues, and for a graph
 * at the second step: there the device's memory alone is counted. */
Test(training, nothing_allocates_from_the_second_step_on) {
  run_needs_data();
  surge_recipe recipe = run_recipe(everything, NULL);
  surge_backend counting = *test_backend();
  surge_session s;
  counting.allocate = count_allocation;
  surge_backend_register(&counting);
  open_session(&s, &recipe, false);
  one_step(&s, 0);
  int before = atomic_load(&large_allocations), on_device = device_allocations;
  size_t in_use = mallinfo2().uordblks;
  cr_assert_gt(on_device, 5);
  for (int32_t i = 1; i < 5; i++) one_step(&s, i);
  cr_expect_eq(device_allocations, on_device);
  if (!counting.queues) {
    cr_expect_eq(atomic_load(&large_allocations), before);
    cr_expect_leq(mallinfo2().uordblks, in_use + 4096);
  }
  surge_session_close(&s);
  surge_recipe_free(&recipe);
}

/* Bytes of four nets whose T is `step` longer each time lie on a line. */
static void expect_linear(const char *yaml, int32_t first, int32_t step) {
  surge_recipe recipe = run_recipe(yaml, NULL);
  const surge_backend *backend = &surge_cpu;
  surge_context *context;
  size_t bytes[4];
  cr_assert_eq(backend->open(&context, &(surge_context_options){.threads = 1}),
               SURGE_OK);
  for (int i = 0; i < 4; i++) {
    surge_net_options options = {.T = first + step * i, .training = true};
    surge_net *net;
    cr_assert_eq(
        surge_net_create(&net, backend, context, &recipe,
                         surge_dataset_find("fashion_mnist"), &options),
        SURGE_OK, "%s", surge_last_error());
    bytes[i] = surge_net_bytes(net);
    surge_net_destroy(net);
  }
  double slope = (double)bytes[1] - (double)bytes[0];
  for (int i = 2; i < 4; i++) {
    double line = (double)bytes[0] + slope * i;
    cr_expect_lt(fabs((double)bytes[i] - line), 0.01 * line,
                 "T = %d: %zu bytes, "
                 "the line says %.0f",
                 first + step * i, bytes[i], line);
  }
  backend->close(context);
  surge_recipe_free(&recipe);
}

Test(training, memory_is_linear_in_T) {
  expect_linear(
      "data: {set: fashion_mnist}\n"
      "model: {arch: convnet, channels: [16, 32, 64], pool: [false, true, true]}\n",
      2, 2);
  expect_linear(
      "data: {set: fashion_mnist}\n"
      "neuron: {synapse_decay: learned, synapse_tau: 5, decay: 0.9}\n"
      "model: {arch: mlp, hidden: [256, 128], readout: membrane}\n",
      50, 50);
}

/* Every recipe of the repository whose data is there, for two batches; small
 * ones on a device, which may be an emulated one. */
Test(training, every_recipe_runs) {
  bool device = test_backend()->queues;
  glob_t found;
  char folder[64], name[24];
  cr_assert_eq(
      glob(SURGE_SOURCE_DIR "/benchmarks/recipes/*.yaml", 0, NULL, &found), 0);
  run_make_folder(folder);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    const char *const small[] = {device ? "data.limit=8" : "data.limit=64",
                                 "data.test_limit=32",
                                 "data.validation=0",
                                 device ? "train.batch=4" : "train.batch=32",
                                 "train.epochs=1",
                                 "schedule.warmup_epochs=0",
                                 device ? "data.test_limit=4" : NULL,
                                 NULL};
    surge_recipe recipe;
    cr_assert_eq(surge_recipe_read(&recipe, found.gl_pathv[i], small), SURGE_OK,
                 "%s", surge_last_error());
    run_find_data(&recipe.data);
    snprintf(name, sizeof name, "%zu", i);
    if (surge_dataset_probe(&recipe.data) != SURGE_OK)
      fprintf(stderr, "skipped: %s: %s\n", found.gl_pathv[i],
              surge_last_error());
    else
      cr_expect_eq(run_train(&recipe, folder, name, false, NULL), SURGE_OK,
                   "%s: %s", found.gl_pathv[i], surge_last_error());
    surge_recipe_free(&recipe);
  }
  globfree(&found);
  run_remove_folder(folder);
}

/* --- trouble -------------------------------------------------------------- */

Test(training, divergence_names_the_layer_and_keeps_the_checkpoint) {
  static const char yaml[] =
      "T: 2\n"
      "data: {set: fashion_mnist, limit: 64, test_limit: 16}\n"
      "model: {arch: convnet, channels: [8], pool: [true], norm: none}\n"
      "optim: {lr: 1.0e+30}\n"
      "schedule: {kind: step, milestones: [1], gamma: 1.0}\n"
      "train: {epochs: 2, batch: 16}\n";
  char folder[64];
  run_needs_data();
  run_make_folder(folder);
  cr_expect_eq(train_once(yaml, NULL, folder, "wild"), SURGE_ERROR_DIVERGED,
               "%s", surge_last_error());
  /* The first update makes the weights huge, the second makes them infinite. A
   * device is asked after the epoch's four steps, and knows that it was the
   * third. */
  cr_expect(
      strstr(surge_last_error(), "layer neuron1 was not finite at step 3 "),
      "%s", surge_last_error());
  run_remove_folder(folder);
}

Test(training, a_silent_layer_is_named) {
  static const char yaml[] =
      "T: 2\n"
      "data: {set: fashion_mnist, limit: 16, test_limit: 16}\n"
      "model: {arch: convnet, channels: [8], pool: [true], norm: none}\n"
      "neuron: {v_threshold: 1000.0}\n"
      "train: {epochs: 1, batch: 16}\n";
  char folder[64], path[128], text[8192];
  run_needs_data();
  run_make_folder(folder);
  cr_assert_eq(train_once(yaml, NULL, folder, "quiet"), SURGE_OK, "%s",
               surge_last_error());
  snprintf(path, sizeof path, "%s/quiet/log.txt", folder);
  FILE *log = fopen(path, "r");
  cr_assert_not_null(log);
  text[fread(text, 1, sizeof text - 1, log)] = 0;
  fclose(log);
  cr_expect_not_null(strstr(text, "layer neuron1 is silent"), "%s", text);
  run_remove_folder(folder);
}
