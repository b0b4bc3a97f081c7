/* Do the CPU and the device train the same network? Losses on the smooth twin
 * step by step; then what only a device has: maps of bf16, a recorded step that
 * gives the bits of one queued op by op, and a set that was mirrored those of
 * one that is uploaded batch by batch. Built where there is a device, or an
 * emulated one. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "src/train/schedule.h"
#include "src/train/session.h"
#include "tests/support/plain_bf16.h"
#include "tests/support/run.h"
#include "tests/support/support.h"

static const char twin[] =
    "T: 4\n"
    "data: {set: fashion_mnist, limit: 160, test_limit: 20, flip: true}\n"
    "model: {arch: convnet, channels: [4, 8], pool: [true, true]}\n"
    "surrogate: {family: arctan, width: 0.5}\n"
    "pda: {kind: moment, weight: 0.1}\n"
    "train: {epochs: 1, batch: 16}\n";

/* Everything at once, and batches that do not fill the last one. */
static const char everything[] =
    "T: 3\n"
    "data: {set: fashion_mnist, limit: 30, test_limit: 24, crop_pad: 2,\n"
    "       flip: true, cutout: 6, random_erasing: 0.5, mixup: 0.4, cutmix: 1}\n"
    "model: {arch: convnet, channels: [4, 6], pool: [true, true], norm: tebn,\n"
    "        dropout: 0.2}\n"
    "neuron: {decay: learned, decay_start: 0.4}\n"
    "surrogate: {family: triangular, granularity: channel}\n"
    "pda: {kind: quantization, weight: 0.1}\n"
    "optim: {clip_norm: 1, ema_decay: 0.9}\n"
    "loss: {kind: tet, label_smoothing: 0.1}\n"
    "train: {epochs: 5, batch: 8, log_every: 3}\n";

/* A residual network: for ten steps of its smooth twin, for twenty of spikes,
 * and for few, of what is kept from forward to backward. */
static const char residual_twin[] =
    "T: 2\n"
    "data: {set: fashion_mnist, limit: 80}\n"
    "train: {epochs: 1, batch: 8}\n" RUN_RESIDUAL;
static const char residual[] =
    "T: 2\n"
    "data: {set: fashion_mnist, limit: 14}\n"
    "train: {epochs: 5, batch: 4, log_every: 3}\n" RUN_RESIDUAL;
static const char residual_short[] =
    "T: 3\n"
    "data: {set: fashion_mnist, limit: 16}\n"
    "train: {epochs: 1, batch: 8}\n" RUN_RESIDUAL;

/* All that differs between precisions is how maps, and weights in products, are
 * stored; the recipe's text goes before the others'. */
static const char bf16[] = "precision: bf16\n";

/* --- sessions ---------------------------------------------------------------- */

typedef struct device_options {
  const char *device; /* "device=cpu" or "device=cuda" */
  const surge_backend
      *backend; /* what "cuda" is; NULL: the device under test */
  bool soft, no_graph, upload;
} device_options;

static void open_session(surge_session *s, const surge_recipe *recipe,
                         const device_options *o) {
  surge_net_options options = {
      .training = true, .soft = o->soft, .no_graph = o->no_graph};
  surge_backend_register(o->backend ? o->backend : test_backend());
  cr_assert_eq(surge_session_open(s, recipe, &options), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_session_open_train(s), SURGE_OK, "%s", surge_last_error());
  if (!o->upload) return;
  /* The same set once more, as one that is too large to be mirrored. */
  surge_loader_destroy(s->train_loader);
  s->backend->mirror_release(s->context, s->train.mirror_images);
  s->backend->mirror_release(s->context, s->train.mirror_labels);
  s->train.mirror_images = NULL;
  s->train.mirror_labels = NULL;
  cr_assert_eq(
      surge_loader_create(&s->train_loader, &s->train, s->train_samples,
                          s->train_count, recipe->train.batch, 1),
      SURGE_OK);
}

/* What a step is compared by: its loss, the norm of its gradient, and the
 * widths it used. */
enum { LOSS, NORM, WIDTHS, NUMBERS = WIDTHS + 8 };
typedef double step_numbers[NUMBERS];

static void read_step(surge_net *net, double samples, double *numbers) {
  surge_metrics metrics;
  float norm;
  surge_layer_report layer;
  cr_assert_eq(surge_net_metrics(net, &metrics), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_net_reset_metrics(net), SURGE_OK);
  cr_assert_eq(surge_net_gradient_norm(net, &norm), SURGE_OK);
  numbers[LOSS] = metrics.loss / samples;
  numbers[NORM] = (double)norm;
  for (int32_t i = 0; surge_net_spiking_layer(net, i); i++) {
    cr_assert_lt(WIDTHS + i, NUMBERS);
    cr_assert_eq(surge_net_layer_report(net, i, &layer), SURGE_OK);
    numbers[WIDTHS + i] = (double)layer.width[0];
  }
}

/* Trains all epochs step by step; what the steps are compared by into
 * numbers[], the state at the end into `state`. */
static int32_t follow(const char *yaml, const device_options *o,
                      step_numbers *numbers, surge_tensor_list *state) {
  surge_recipe recipe = run_recipe(yaml, o->device);
  surge_session s;
  int32_t steps = 0;
  open_session(&s, &recipe, o);
  int64_t batches = surge_loader_batches(s.train_loader);
  for (uint32_t epoch = 0; epoch < (uint32_t)recipe.train.epochs; epoch++) {
    cr_assert_eq(
        surge_loader_start(
            s.train_loader,
            &(surge_data_pass){.train = true, .seed = 1, .epoch = epoch}, 0),
        SURGE_OK);
    for (surge_batch batch;; steps++) {
      cr_assert_eq(surge_loader_next(s.train_loader, &batch), SURGE_OK);
      if (batch.n == 0) break;
      bool logged = steps % recipe.train.log_every == 0;
      surge_step step =
          surge_step_at(&recipe, (int32_t)epoch, steps, batches, logged);
      cr_assert_eq(surge_net_load(s.net, &batch, &step), SURGE_OK);
      bool update = (steps + 1) % recipe.train.accumulate == 0;
      cr_assert_eq(surge_net_train(s.net, logged, update), SURGE_OK, "%s",
                   surge_last_error());
      read_step(s.net, batch.n, numbers[steps]);
    }
  }
  cr_assert_eq(surge_net_save(s.net, state, true), SURGE_OK, "%s",
               surge_last_error());
  surge_session_close(&s);
  surge_recipe_free(&recipe);
  return steps;
}

/* As above; losses alone. */
static int32_t train(const char *yaml, const device_options *o, double *loss,
                     surge_tensor_list *state) {
  step_numbers numbers[64] = {{0}};
  int32_t steps = follow(yaml, o, numbers, state);
  for (int32_t i = 0; i < steps; i++) loss[i] = numbers[i][LOSS];
  return steps;
}

static void expect_same_bits(const surge_tensor_list *a,
                             const surge_tensor_list *b, const char *what) {
  cr_assert_eq(a->count, b->count);
  cr_assert_gt(a->count, 10);
  for (size_t i = 0; i < a->count; i++)
    cr_expect_eq(memcmp(a->tensors[i].data, b->tensors[i].data,
                        surge_named_tensor_bytes(&a->tensors[i])),
                 0, "%s: %s differs", what, a->tensors[i].name);
}

/* --- questions ---------------------------------------------------------------- */

static void expect_losses_agree(const char *yaml) {
  const device_options cpu = {.device = "device=cpu", .soft = true},
                       cuda = {.device = "device=cuda", .soft = true};
  double here[64], there[64];
  surge_tensor_list a, b;
  run_needs_data();
  int32_t steps = train(yaml, &cpu, here, &a);
  cr_assert_eq(train(yaml, &cuda, there, &b), steps);
  cr_assert_eq(steps, 10);
  for (int32_t i = 0; i < steps; i++)
    cr_expect_leq(fabs(here[i] - there[i]), 1e-4 * here[i],
                  "step %d: %.8g on the CPU, %.8g on the device", i, here[i],
                  there[i]);
  cr_expect_lt(here[steps - 1], here[0], "nothing was learned");
  surge_tensor_list_free(&a);
  surge_tensor_list_free(&b);
}

Test(devices, losses_agree_on_the_smooth_twin) { expect_losses_agree(twin); }

Test(devices, losses_agree_on_the_smooth_twin_of_a_residual_network) {
  expect_losses_agree(residual_twin);
}

/* A sanity bound, not a derived one: one rounding is 2^-11 of an element at
 * most, and errors average out. */
Test(devices, tf32_trains_like_fp32) {
  const device_options cpu = {.device = "device=cpu", .soft = true},
                       cuda = {.device = "device=cuda", .soft = true};
  double wide[64], narrow[64];
  char recipe[1024];
  bool differs = false;
  surge_tensor_list a, b;
  run_needs_data();
  int32_t steps = train(twin, &cpu, wide, &a);
  snprintf(recipe, sizeof recipe, "precision: tf32\n%s", twin);
  cr_assert_eq(train(recipe, &cuda, narrow, &b), steps);
  for (int32_t i = 0; i < steps; i++) {
    cr_expect_leq(fabs(wide[i] - narrow[i]), .01 * wide[i],
                  "step %d: %.8g in fp32, %.8g in tf32", i, wide[i], narrow[i]);
    differs |= fabs(wide[i] - narrow[i]) > 1e-5 * wide[i];
  }
  cr_expect(differs, "nothing was rounded");
  cr_expect_lt(narrow[steps - 1], narrow[0], "nothing was learned");
  surge_tensor_list_free(&a);
  surge_tensor_list_free(&b);
}

/* --- bf16 beside the plain version ---------------------------------------------- */

/* The same network in fp32, in plain bf16, and in bf16 on the device. */
enum { WIDE, PLAIN, DEVICE, VERSIONS, STEPS = 10 };

static void train_versions(const char *yaml, int seed,
                           step_numbers numbers[VERSIONS][STEPS],
                           surge_tensor_list state[VERSIONS]) {
  const device_options options[VERSIONS] = {
      [WIDE] = {.device = "device=cpu", .soft = true},
      [PLAIN] = {.device = "device=cuda",
                 .backend = test_plain_bf16(),
                 .soft = true},
      [DEVICE] = {.device = "device=cuda", .soft = true}};
  for (int k = 0; k < VERSIONS; k++) {
    char recipe[2048];
    snprintf(recipe, sizeof recipe, "seed: %d\n%s%s", seed,
             k == DEVICE ? bf16 : "", yaml);
    int32_t steps = follow(recipe, &options[k], numbers[k], &state[k]);
    cr_assert_eq(steps, STEPS);
  }
}

/* Rounding decides what follows, and errors grow from step to step: so the plain
 * version's own error up to now measures the device's. What the device rounds
 * otherwise may be as large again, hence 2; and the last bit of fp32 where that is
 * not off at all. */
Test(devices, ten_steps_of_bf16_err_as_the_plain_version) {
  static step_numbers all[VERSIONS][STEPS];
  static const char *const names[] = {"loss", "gradient norm", "width",
                                      "width"};
  surge_tensor_list state[VERSIONS];
  run_needs_data();
  train_versions(twin, 1, all, state);
  for (int n = 0; n < WIDTHS + 2; n++) {
    double plain = 0;
    for (int i = 0; i < STEPS; i++) {
      double wide = all[WIDE][i][n];
      plain = fmax(plain, fabs(all[PLAIN][i][n] - wide));
      cr_expect_leq(fabs(all[DEVICE][i][n] - wide), 2 * plain + 0x1p-23 * wide,
                    "step %d: %s %.8g in fp32, %.8g in bf16; plain bf16 is off "
                    "by %.3g so far",
                    i, names[n], wide, all[DEVICE][i][n], plain);
    }
    cr_expect_gt(plain, 0, "%s: nothing was rounded", names[n]);
  }
  cr_expect_lt(all[DEVICE][STEPS - 1][LOSS], all[DEVICE][0][LOSS],
               "nothing was learned");
  for (int k = 0; k < VERSIONS; k++) surge_tensor_list_free(&state[k]);
}

/* Ten batches and one update, whose first moments are their gradients. */
#define ONE_UPDATE                                                             \
  "T: 4\n"                                                                     \
  "data: {set: fashion_mnist, limit: 20, test_limit: 20}\n"                    \
  "surrogate: {family: arctan, width: 0.5}\n"                                  \
  "train: {epochs: 1, batch: 2, accumulate: 10}\n"

static const char one_update[] = ONE_UPDATE
    "pda: {kind: moment, weight: 0.1}\n"
    "model: {arch: convnet, channels: [4, 8], pool: [true, true]}\n";

static const char one_residual_update[] = ONE_UPDATE
    "model:\n"
    "  layers:\n"
    "    - conv: {out: 4}\n"
    "    - norm\n"
    "    - neuron\n"
    "    - avgpool: 2\n"
    "    - conv: {out: 4}\n"
    "    - norm\n"
    "    - neuron: {add: avgpool1}\n"
    "    - conv: {out: 4}\n"
    "    - norm\n"
    "    - neuron\n"
    "    - add: neuron2\n"
    "    - conv: {out: 8, stride: 2}\n"
    "    - norm: {kind: bn}\n"
    "    - conv: {out: 8, stride: 2, kernel: 1, from: add1}\n"
    "    - norm: {kind: bn}\n"
    "    - add: {from: norm4, add: norm5}\n"
    "    - neuron\n"
    "    - maxpool: 2\n"
    "    - linear: {out: classes}\n";

/* Sum of (a - b)^2 over a tensor of floats. */
static double squared_distance(const surge_named_tensor *a,
                               const surge_named_tensor *b) {
  const float *x = a->data, *y = b->data;
  double sum = 0;
  for (size_t i = 0; i < surge_named_tensor_bytes(a) / sizeof *x; i++) {
    double difference = (double)x[i] - (double)y[i];
    sum += difference * difference;
  }
  return sum;
}

/* From the same weights, where nothing has drifted yet, the device is the plain
 * version but for sums in another order. One of 74 terms (3 x 3 x 8 and two) is
 * off by 2^-18 of them at most; so one value in 2^10 lands on the other side of
 * a tie, a whole unit away where a rounding's mean square is 1/12: 12 2^-10 of
 * what the plain version is off, in squares, a layer, and less than 1/16 of it
 * after five. A rounding more of the same maps would be as much as all of it.
 * Over four starts: the error of one number may be small by chance. */
static void expect_gradients_as_plain(const char *yaml) {
  enum { STARTS = 4, TENSORS = 128 };
  static step_numbers all[VERSIONS][STEPS];
  double rounded[TENSORS] = {0}, otherwise[TENSORS] = {0};
  int compared = 0;
  run_needs_data();
  for (int seed = 1; seed <= STARTS; seed++) {
    surge_tensor_list s[VERSIONS];
    train_versions(yaml, seed, all, s);
    for (size_t i = 0; i < s[WIDE].count; i++) {
      const surge_named_tensor *plain = &s[PLAIN].tensors[i];
      cr_assert_lt(i, TENSORS);
      if (strncmp(plain->name, "optim.m.", 8)) continue;
      rounded[i] += squared_distance(plain, &s[WIDE].tensors[i]);
      otherwise[i] += squared_distance(plain, &s[DEVICE].tensors[i]);
      if (seed < STARTS) continue;
      cr_expect_gt(rounded[i], 0, "%s: nothing was rounded", plain->name);
      cr_expect_leq(otherwise[i], rounded[i] / 16,
                    "%s: plain bf16 is off by %.3g, the device from it by %.3g",
                    plain->name, sqrt(rounded[i]), sqrt(otherwise[i]));
      compared++;
    }
    for (int k = 0; k < VERSIONS; k++) surge_tensor_list_free(&s[k]);
  }
  cr_expect_gt(compared, 8);
}

Test(devices, gradients_of_bf16_are_those_of_the_plain_version) {
  expect_gradients_as_plain(one_update);
}

Test(devices, gradients_of_bf16_are_those_of_the_plain_version_with_residuals) {
  expect_gradients_as_plain(one_residual_update);
}

Test(devices, bf16_on_the_cpu_is_refused) {
  char text[1024];
  surge_session s;
  surge_net_options options = {.training = true};
  run_needs_data();
  snprintf(text, sizeof text, "%s%s", bf16, twin);
  surge_recipe recipe = run_recipe(text, "device=cpu");
  cr_expect_eq(surge_session_open(&s, &recipe, &options), SURGE_ERROR_RECIPE);
  cr_expect_str_eq(surge_last_error(),
                   "precision: wanted fp32 on the backend cpu, found bf16");
  surge_session_close(&s);
  surge_recipe_free(&recipe);
}

static double evaluated_loss(surge_session *s) {
  surge_step step = surge_step_at(s->recipe, 0, 0, 1, true);
  surge_evaluation result;
  cr_assert_eq(surge_evaluate(s->net, s->test_loader, &step, &result), SURGE_OK,
               "%s", surge_last_error());
  return result.loss;
}

/* One step of training on a net's first batch; its loss. */
static double first_step(surge_session *s) {
  surge_step step = surge_step_at(s->recipe, 0, 0, 10, false);
  surge_batch batch;
  surge_metrics metrics;
  cr_assert_eq(
      surge_loader_start(s->train_loader,
                         &(surge_data_pass){.train = true, .seed = 1}, 0),
      SURGE_OK);
  cr_assert_eq(surge_loader_next(s->train_loader, &batch), SURGE_OK);
  cr_assert_eq(surge_net_load(s->net, &batch, &step), SURGE_OK);
  cr_assert_eq(surge_net_reset_metrics(s->net), SURGE_OK);
  cr_assert_eq(surge_net_train(s->net, false, true), SURGE_OK);
  cr_assert_eq(surge_net_metrics(s->net, &metrics), SURGE_OK);
  return metrics.loss;
}

/* A new net with the tensors of a list, all of them or those that a net that
 * only evaluates takes. */
static void open_restored(surge_session *s, const surge_recipe *recipe,
                          const surge_tensor_list *list, bool training) {
  surge_net_options options = {.training = training};
  surge_safetensors file = {.tensors = list->tensors,
                            .tensor_count = list->count};
  cr_assert_eq(surge_session_open(s, recipe, &options), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_session_open_train(s), SURGE_OK);
  cr_assert_eq(surge_session_open_test(s), SURGE_OK);
  cr_assert_eq(surge_net_restore(s->net, &file, "memory", training), SURGE_OK,
               "%s", surge_last_error());
}

/* Weights are rounded again wherever they change: by a step, by a checkpoint;
 * with averages (`more` of the recipe) an evaluation's apart from those that
 * are trained, which the step behind it must find as they were. */
static void expect_restored_alike(const char *more) {
  const device_options o = {.device = "device=cuda"};
  char text[1024];
  surge_session whole, resumed, evaluating;
  surge_tensor_list best, last;
  run_needs_data();
  snprintf(text, sizeof text, "%s%s%s", bf16, more, twin);
  surge_recipe recipe = run_recipe(text, o.device);
  open_session(&whole, &recipe, &o);
  cr_assert_eq(surge_session_open_test(&whole), SURGE_OK);
  double fresh = evaluated_loss(&whole), first = first_step(&whole);
  cr_assert_eq(surge_net_save(whole.net, &best, false), SURGE_OK);
  cr_assert_eq(surge_net_save(whole.net, &last, true), SURGE_OK);
  double trained = evaluated_loss(&whole), second = first_step(&whole);
  cr_expect_neq(trained, fresh);
  cr_expect_neq(second, first);
  open_restored(&evaluating, &recipe, &best, false);
  cr_expect_eq(evaluated_loss(&evaluating), trained);
  open_restored(&resumed, &recipe, &last, true);
  cr_expect_eq(first_step(&resumed), second);
  cr_expect_eq(evaluated_loss(&resumed), evaluated_loss(&whole));
  surge_session_close(&whole);
  surge_session_close(&evaluating);
  surge_session_close(&resumed);
  surge_tensor_list_free(&best);
  surge_tensor_list_free(&last);
  surge_recipe_free(&recipe);
}

Test(devices, a_restored_net_of_bf16_is_the_one_that_was_saved) {
  expect_restored_alike("");
}

Test(devices, a_restored_net_of_bf16_has_its_averages) {
  expect_restored_alike("optim: {ema_decay: 0.5}\n");
}

/* What is trained and saved (weights, widths, decays, what optimisers keep) is
 * never bf16, whatever the maps are. */
static void expect_no_bf16(const surge_tensor_list *state) {
  for (size_t i = 0; i < state->count; i++)
    cr_expect_neq(state->tensors[i].dtype, SURGE_BF16, "%s",
                  state->tensors[i].name);
}

/* Recorded and op by op, the first of the ways; with `all` also the others. */
static void expect_ways_agree(const char *yaml, bool all) {
  static const struct {
    const char *name;
    device_options options;
  } cases[] = {
      {"op by op", {.device = "device=cuda", .no_graph = true}},
      {"twice", {.device = "device=cuda"}},
      {"uploaded", {.device = "device=cuda", .upload = true}},
  };
  const device_options plain = {.device = "device=cuda"};
  double loss[64], other[64];
  surge_tensor_list a, b;
  run_needs_data();
  int32_t steps = train(yaml, &plain, loss, &a);
  cr_assert_eq(steps, 20);
  expect_no_bf16(&a);
  for (size_t i = 0; i < (all ? sizeof cases / sizeof *cases : 1); i++) {
    cr_assert_eq(train(yaml, &cases[i].options, other, &b), steps);
    for (int32_t k = 0; k < steps; k++)
      cr_expect_eq(loss[k], other[k], "%s: step %d: %.17g and %.17g",
                   cases[i].name, k, loss[k], other[k]);
    expect_same_bits(&a, &b, cases[i].name);
    surge_tensor_list_free(&b);
  }
  surge_tensor_list_free(&a);
}

Test(devices, ways_of_running_give_the_same_bits) {
  expect_ways_agree(everything, true);
}

Test(devices, ways_of_running_give_the_same_bits_in_bf16) {
  char recipe[1024];
  snprintf(recipe, sizeof recipe, "%s%s", bf16, everything);
  expect_ways_agree(recipe, true);
}

Test(devices, ways_of_running_a_residual_network_give_the_same_bits) {
  expect_ways_agree(residual, false);
}

/* Packed and rebuilt is as kept, in every precision. */
Test(devices, less_memory_gives_the_same_bits) {
  static const char *const precisions[] = {"", bf16},
                           *const memories[] = {"", "memory: packed\n",
                                                "memory: recompute\n"};
  const device_options cuda = {.device = "device=cuda"};
  char recipe[2048];
  double loss[3][64];
  surge_tensor_list state[3];
  run_needs_data();
  for (size_t p = 0; p < 2; p++) {
    for (size_t m = 0; m < 3; m++) {
      snprintf(recipe, sizeof recipe, "%s%s%s", precisions[p], memories[m],
               residual_short);
      cr_assert_eq(train(recipe, &cuda, loss[m], &state[m]), 2);
    }
    for (size_t m = 1; m < 3; m++) {
      expect_same_bits(&state[0], &state[m], memories[m]);
      surge_tensor_list_free(&state[m]);
    }
    surge_tensor_list_free(&state[0]);
  }
}

/* The same checkpoint evaluates alike: a peer's users saw 58 % and 97 %. */
Test(devices, evaluations_agree) {
  static const char *const devices[2] = {"device=cpu", "device=cuda"};
  surge_evaluation result[2];
  run_needs_data();
  for (int d = 0; d < 2; d++) {
    surge_recipe recipe = run_recipe(twin, devices[d]);
    surge_session s;
    surge_net_options options = {.soft = true};
    surge_step step = surge_step_at(&recipe, 0, 0, 1, true);
    cr_assert_eq(surge_session_open(&s, &recipe, &options), SURGE_OK, "%s",
                 surge_last_error());
    cr_assert_eq(surge_session_open_test(&s), SURGE_OK);
    cr_assert_eq(surge_evaluate(s.net, s.test_loader, &step, &result[d]),
                 SURGE_OK, "%s", surge_last_error());
    surge_session_close(&s);
    surge_recipe_free(&recipe);
  }
  cr_expect_eq(result[0].samples, 20);
  cr_expect_eq(result[1].samples, 20);
  cr_expect_leq(fabs(result[0].loss - result[1].loss), 1e-5 * result[0].loss,
                "%.9g and %.9g", result[0].loss, result[1].loss);
}
