/* Does a recipe become the layers that it means, and is a list that does not
 * fit refused by name? */
#include <criterion/criterion.h>
#include <glob.h>
#include <string.h>

#include "src/net/net.h"
#include "tests/support/run.h"

static const surge_dataset_info *fashion(void) {
  return surge_dataset_find("fashion_mnist");
}

/* Plans without allocating; the message of a failure is in surge_last_error. */
static surge_status plan(const surge_recipe *recipe,
                         const surge_dataset_info *data, size_t *parameters) {
  surge_context *context;
  surge_net *net = NULL;
  surge_net_options options = {.training = true};
  cr_assert_eq(surge_cpu.open(&context, &(surge_context_options){.threads = 1}), SURGE_OK);
  surge_status status =
      surge_net_create(&net, &surge_cpu, context, recipe, data, &options);
  if (status == SURGE_OK) *parameters = surge_net_parameter_count(net);
  surge_net_destroy(net);
  surge_cpu.close(context);
  return status;
}

Test(model, has_the_parameters_it_should) {
  static const struct {
    const char *name, *yaml;
    size_t parameters;
  } cases[] = {
      {"convnet", /* 9*1*16+2*16 + 9*16*32+2*32 + 32*14*14*10+10, two widths */
       "model: {arch: convnet, channels: [16, 32], pool: [false, true]}\n",
       144 + 32 + 4608 + 64 + 62720 + 10 + 2},
      {"mlp, no norm, fixed width",
       "model: {arch: mlp, hidden: [100], norm: none}\n"
       "surrogate: {width_rule: fixed}\n",
       784 * 100 + 100 + 100 * 10 + 10},
      {"grouped, strided, learned decay, width a channel",
       "model:\n  layers:\n    - conv: {out: 8, stride: 2, bias: true}\n"
       "    - neuron: {decay: learned, granularity: channel}\n"
       "    - conv: {out: 16, groups: 4, kernel: 1, bias: false}\n    - norm\n"
       "    - neuron: {width_rule: fixed}\n"
       "    - avgpool: global\n    - linear: {out: classes}\n",
       72 + 8 + 1 + 8 + 16 * 2 + 32 + 170},
      {"vote; the largest cutout",
       "model: {arch: mlp, hidden: [10], vote: 3}\ndata: {cutout: 54}\n",
       7840 + 20 + 1 + 300 + 30},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t parameters = 0;
    surge_recipe recipe = run_recipe(cases[i].yaml, NULL);
    cr_expect_eq(plan(&recipe, fashion(), &parameters), SURGE_OK, "%s: %s",
                 cases[i].name, surge_last_error());
    cr_expect_eq(parameters, cases[i].parameters, "%s: %zu", cases[i].name,
                 parameters);
    surge_recipe_free(&recipe);
  }
}

/* Wu 2019, CIFARNet at 3x32x32: convolutions 3-128-256-512-1024-512, linear
 * 512*8*8-1024-512-10, two norm values a channel. */
Test(model, cifarnet_has_the_published_widths) {
  size_t expected =
      9 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024 + 1024 * 512) +
      32768 * 1024 + 1024 * 512 + 512 * 10 + 10 +
      2 * (128 + 256 + 512 + 1024 + 512 + 1024 + 512);
  size_t parameters = 0;
  surge_recipe recipe = run_recipe(
      "data: {set: cifar10}\nmodel: {arch: cifarnet}\n"
      "surrogate: {width_rule: fixed}\ntrain: {batch: 2}\nT: 1\n",
      NULL);
  cr_expect_eq(plan(&recipe, surge_dataset_find("cifar10"), &parameters),
               SURGE_OK, "%s", surge_last_error());
  cr_expect_eq(parameters, expected, "%zu", parameters);
  surge_recipe_free(&recipe);
}

#define LAYERS(list) "model: {layers: [" list "]}\n"

Test(model, lists_that_do_not_fit_are_refused_by_name) {
  static const struct {
    const char *yaml, *needle;
  } cases[] = {
      {LAYERS("conv: {out: 8, kernel: 31, pad: 0, name: wide}, neuron, "
              "linear: {out: classes}"),
       "wide"},
      {LAYERS("maxpool: 29, neuron, linear: {out: classes}"), "maxpool1"},
      {LAYERS(
           "conv: {out: 8}, norm, avgpool: 2, neuron, linear: {out: classes}"),
       "norm1"},
      {LAYERS("conv: {out: 8}, norm"), "norm1"},
      {LAYERS("conv: {out: 9, groups: 3}, neuron, linear: {out: classes}"),
       "conv1"},
      {LAYERS("conv: {out: 8}, neuron, linear: {out: 9}"), "linear1"},
      {LAYERS("conv: {out: 10}, neuron"), "neuron1"},
      {LAYERS("linear: {out: classes}"), "neuron"},
      {LAYERS("neuron: {width_rule: norm, name: bare}, linear: {out: classes}"),
       "wanted exactly one norm"},
      {LAYERS("conv: {out: 2}, norm, conv: {out: 2, from: image}, norm, "
              "neuron: {width_rule: norm, add: norm1, name: two}, "
              "linear: {out: classes}"),
       "wanted exactly one norm before it with width_rule: norm, found 2"},
      {LAYERS("conv: {out: 2}, neuron, conv: {out: 3}, neuron: {add: neuron1}, "
              "linear: {out: classes}"),
       "add: wanted a map of 28 x 28 x 3, found 28 x 28 x 2 of neuron1"},
      {LAYERS("conv: {out: 2}, neuron, add: neuron1, linear: {out: classes}"),
       "add: wanted another layer than it reads, found neuron1"},
      {LAYERS("conv: {out: 2}, norm, neuron, neuron: {from: norm1}, "
              "linear: {out: classes}"),
       "wanted one layer that reads it, found neuron2 besides"},
      {LAYERS("conv: {out: 2}, norm, neuron, neuron: {from: conv1}, "
              "add: neuron1, linear: {out: classes}"),
       "wanted to be the one that reads conv1, found 2 layers"},
      {LAYERS("conv: {out: 2}, neuron, dropout, add: neuron1, "
              "linear: {out: classes}"),
       "wanted to be the one that reads neuron1, found 2 layers"},
      {LAYERS("conv: {out: 2}, neuron, neuron: {from: conv1}, "
              "linear: {out: classes}"),
       "wanted a layer that reads it, found none"},
      {LAYERS("conv: {out: 2}, norm, norm, neuron, linear: {out: classes}"),
       "wanted a layer that is no norm above it, found norm1"},
      {"model: {arch: mlp, hidden: [5]}\npda: {weight: 0.1, layers: [neuron7]}\n",
       "neuron7"},
      {"model: {arch: convnet, channels: [8, 8, 8, 8, 8], pool: [true, true, true, "
       "true, true]}\n",
       "pool5"},
      {"data: {cutout: 55}\n",
       "data.cutout: wanted at most 54, above which nothing of an image of 28 x "
       "28 is left, found 55"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t parameters;
    surge_recipe recipe = run_recipe(cases[i].yaml, NULL);
    cr_expect_eq(plan(&recipe, fashion(), &parameters), SURGE_ERROR_RECIPE,
                 "case %zu", i);
    cr_expect_not_null(strstr(surge_last_error(), cases[i].needle),
                       "case %zu: %s", i, surge_last_error());
    surge_recipe_free(&recipe);
  }
}

/* A last layer of another number of classes names that of the set. */
Test(model, refuses_the_classes_of_another_set) {
  size_t parameters;
  surge_recipe recipe = run_recipe(
      LAYERS("conv: {out: 8}, neuron, linear: {out: 10}"), NULL);
  cr_expect_eq(plan(&recipe, surge_dataset_find("cifar100"), &parameters),
               SURGE_ERROR_RECIPE);
  cr_expect_not_null(strstr(surge_last_error(), "1 x 1 x 100 (classes"),
                     "%s", surge_last_error());
  cr_expect_not_null(strstr(surge_last_error(), "found 1 x 1 x 10"), "%s",
                     surge_last_error());
  surge_recipe_free(&recipe);
}

Test(model, every_recipe_of_the_repository_plans) {
  glob_t found;
  cr_assert_eq(
      glob(SURGE_SOURCE_DIR "/benchmarks/recipes/*.yaml", 0, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    surge_recipe recipe;
    size_t parameters;
    cr_assert_eq(surge_recipe_read(&recipe, found.gl_pathv[i], NULL), SURGE_OK,
                 "%s", surge_last_error());
    cr_expect_eq(
        plan(&recipe, surge_dataset_find(recipe.data.set), &parameters),
        SURGE_OK, "%s: %s", found.gl_pathv[i], surge_last_error());
    surge_recipe_free(&recipe);
  }
  cr_expect_geq(found.gl_pathc, 5);
  globfree(&found);
}
