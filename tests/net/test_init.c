/* Do parameters start as the recipe says? Bounds are six standard errors of a
 * mean over the values drawn; the seed is fixed. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/net/net.h"
#include "tests/support/run.h"

static surge_context *context;

/* An allocated network; its memory is the host's. */
static surge_net *started(const surge_recipe *recipe, const char *set) {
  surge_net *net;
  surge_net_options options = {.training = true};
  cr_assert_eq(surge_cpu.open(&context, &(surge_context_options){.threads = 1}),
               SURGE_OK);
  cr_assert_eq(surge_net_create(&net, &surge_cpu, context, recipe,
                                surge_dataset_find(set), &options),
               SURGE_OK, "%s", surge_last_error());
  cr_assert_eq(surge_net_allocate(net), SURGE_OK, "%s", surge_last_error());
  return net;
}

static void finish(surge_net *net, surge_recipe *recipe) {
  surge_net_destroy(net);
  surge_cpu.close(context);
  surge_recipe_free(recipe);
}

/* Values of a tensor and their number. */
static const float *values(const surge_net *net, const char *name, size_t *n) {
  for (int32_t i = 0; i < net->table.count; i++) {
    const surge_tensor *t = &net->table.tensors[i];
    if (strcmp(t->name, name) != 0) continue;
    *n = t->bytes / sizeof(float);
    return surge_at(net, i);
  }
  cr_assert(false, "no tensor %s", name);
  return NULL;
}

/* Mean of x^power. */
static double moment(const float *x, size_t n, int power) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += pow((double)x[i], power);
  return sum / (double)n;
}

#define CONVNET                                                                \
  "data: {set: fashion_mnist}\nT: 1\ntrain: {batch: 2}\n"                      \
  "model: {arch: convnet, channels: [32, 64], norm: none, init: %s}\n"

static surge_recipe convnet(const char *init) {
  char yaml[256];
  snprintf(yaml, sizeof yaml, CONVNET, init);
  return run_recipe(yaml, NULL);
}

/* conv2 has 32 inputs, 64 outputs: moments 2, 4 and the standard errors
 * of their estimates, in units of the variance. */
static void expect_moments(const float *x, size_t n, double variance,
                           double fourth, double error2, double error4) {
  double root = sqrt((double)n), s = variance;
  cr_expect_lt(fabs(moment(x, n, 1)), 6 * sqrt(s) / root);
  cr_expect_lt(fabs(moment(x, n, 2) - s), 6 * error2 * s / root, "%g, not %g",
               moment(x, n, 2), s);
  cr_expect_lt(fabs(moment(x, n, 4) - fourth * s * s),
               6 * error4 * s * s / root, "%g, not %g", moment(x, n, 4),
               fourth * s * s);
}

/* Uniform in +-b: variance b^2/3, E x^4 = 9/5, E x^6 = 27/7, E x^8 = 9, so the
 * errors are sqrt(9/5 - 1) and sqrt(9 - (9/5)^2). */
Test(init, pytorch_draws_uniform_values) {
  size_t n;
  surge_recipe recipe = convnet("pytorch");
  surge_net *net = started(&recipe, "fashion_mnist");
  const float *x = values(net, "conv2.weight", &n);
  cr_assert_eq(n, 32 * 64 * 9);
  expect_moments(x, n, 1.0 / 288 / 3, 1.8, sqrt(0.8), sqrt(9 - 3.24));
  for (size_t i = 0; i < n; i++)
    cr_assert_leq(fabs((double)x[i]), 1 / sqrt(288.0) * (1 + 1e-7));
  finish(net, &recipe);
}

/* Normal: E x^4 = 3, E x^8 = 105; errors sqrt(2) and sqrt(96). */
Test(init, kaiming_fan_out_draws_normal_values) {
  size_t n, m;
  surge_recipe recipe = convnet("kaiming_fan_out");
  surge_net *net = started(&recipe, "fashion_mnist");
  const float *x = values(net, "conv2.weight", &n);
  expect_moments(x, n, 2.0 / (64 * 9), 3, sqrt(2), sqrt(96));
  double twins = 0, neighbours = 0; /* the two normals of a pair; two pairs */
  for (size_t i = 0; i + 3 < n; i += 4) {
    twins += (double)x[i] * (double)x[i + 1];
    neighbours += (double)x[i] * (double)x[i + 2];
  }
  double bound = 6 * (2.0 / 576) * sqrt((double)n / 4);
  cr_expect_lt(fabs(twins), bound);
  cr_expect_lt(fabs(neighbours), bound);

  /* biases and linear layers start as they did */
  surge_context *first = context;
  surge_recipe other = convnet("pytorch");
  surge_net *peer = started(&other, "fashion_mnist");
  static const char *const same[] = {"conv1.bias", "linear1.weight",
                                     "linear1.bias"};
  for (size_t i = 0; i < 3; i++) {
    const float *a = values(net, same[i], &n), *b = values(peer, same[i], &m);
    cr_expect(n == m && memcmp(a, b, n * sizeof *a) == 0, "%s", same[i]);
  }
  finish(peer, &other);
  context = first;
  finish(net, &recipe);
}

/* Every gamma is 1 but those of the norms that are named, which are 0. */
static void expect_zero_gammas(const char *yaml, const char *set,
                               const char *const *names, size_t count) {
  surge_recipe recipe = run_recipe(yaml, NULL);
  surge_net *net = started(&recipe, set);
  size_t zeros = 0;
  for (int32_t i = 0; i < net->table.count; i++) {
    const surge_tensor *t = &net->table.tensors[i];
    const char *dot = strchr(t->name, '.');
    if (!dot || strcmp(dot, ".gamma") != 0 || t->role != SURGE_ROLE_PARAMETER)
      continue;
    size_t length = (size_t)(dot - t->name), n = t->bytes / sizeof(float);
    bool zero = false;
    for (size_t k = 0; k < count; k++)
      zero = zero || (strlen(names[k]) == length &&
                      memcmp(names[k], t->name, length) == 0);
    zeros += zero;
    const float *gamma = surge_at(net, i);
    for (size_t c = 0; c < n; c++)
      cr_expect_eq(gamma[c], zero ? 0.0f : 1.0f, "%s of %s", t->name, yaml);
  }
  cr_expect_eq(zeros, count, "%s", yaml);
  finish(net, &recipe);
}

#define TINY(arch, channels)                                                   \
  "data: {set: cifar10}\nT: 1\ntrain: {batch: 2}\n"                            \
  "model: {arch: " arch ", channels: " channels                                \
  ", zero_init_residual: true}\n"

/* Norms are numbered block by block, a shortcut's after its branch's. */
Test(init, zero_init_residual_is_of_the_last_norm_of_each_branch) {
  static const char *const tdbn[] = {"norm3",  "norm5",  "norm7",  "norm9",
                                     "norm12", "norm14", "norm16", "norm19"};
  static const char *const sew[] = {"norm3",  "norm5",  "norm7",  "norm10",
                                    "norm12", "norm15", "norm17", "norm20"};
  static const char *const ms[] = {"norm3",  "norm6",  "norm8",  "norm11",
                                   "norm13", "norm16", "norm18", "norm21"};
  expect_zero_gammas(TINY("resnet19", "[4, 8, 8]"), "cifar10", tdbn, 8);
  expect_zero_gammas(TINY("sew_resnet18", "[4, 4, 8, 8]"), "cifar10", sew, 8);
  expect_zero_gammas(TINY("ms_resnet18", "[4, 4, 8, 8]"), "cifar10", ms, 8);
}

Test(init, zero_init_of_a_listed_norm) {
  static const char *const second[] = {"norm2"};
  expect_zero_gammas(
      "T: 1\ntrain: {batch: 2}\nmodel: {layers: [conv: {out: 2}, norm, neuron, "
      "conv: {out: 2}, norm: {zero_init: true}, neuron, "
      "linear: {out: classes}]}\n",
      "fashion_mnist", second, 1);
}
