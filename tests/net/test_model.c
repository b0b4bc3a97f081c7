/* Does a recipe become the layers that it means, and is a list that does not
 * fit refused by name? */
#include <criterion/criterion.h>
#include <glob.h>
#include <math.h>
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
  cr_assert_eq(surge_cpu.open(&context, &(surge_context_options){.threads = 1}),
               SURGE_OK);
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
      {"synapses: one learns, one is fixed, the readout has none",
       "neuron: {synapse_decay: learned, synapse_tau: 3}\n"
       "surrogate: {width_rule: fixed}\n"
       "model:\n  readout: membrane\n  layers:\n    - linear: {out: 8}\n"
       "    - neuron\n    - linear: {out: 8}\n"
       "    - neuron: {synapse_decay: 0.5}\n    - linear: {out: classes}\n",
       784 * 8 + 8 + 1 + 8 * 8 + 8 + 8 * 10 + 10},
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

/* The model alone, of a recipe's layers. */
static surge_model built(const char *yaml, const surge_dataset_info *data) {
  surge_model model;
  surge_recipe recipe = run_recipe(yaml, NULL);
  cr_assert_eq(surge_model_build(&model, &recipe, data, surge_cpu.layout),
               SURGE_OK, "%s", surge_last_error());
  surge_recipe_free(&recipe);
  return model;
}

/* ======================================================================== *
 *  The zoo has the parameters of its papers
 * ======================================================================== */

/* A convolution's weights and its norm's two values a channel. */
static size_t conv(size_t in, size_t out, size_t kernel) {
  return in * out * kernel * kernel + 2 * out;
}

/* Stages of basic blocks whose shortcut is a 1x1 convolution where the map
 * changes: at the first block of each stage, of the first stage where its
 * stride is 2. */
static size_t basic_stages(const size_t *channels, const size_t *blocks,
                           size_t stages, bool first_strided) {
  size_t sum = 0, in = channels[0];
  for (size_t i = 0; i < stages; i++) {
    size_t out = channels[i];
    sum += conv(in, out, 3) + (2 * blocks[i] - 1) * conv(out, out, 3);
    if (i > 0 || first_strided) sum += conv(in, out, 1);
    in = out;
  }
  return sum;
}

static size_t bottleneck_stages(const size_t *channels, const size_t *blocks) {
  size_t sum = 0, in = channels[0];
  for (size_t i = 0; i < 4; i++) {
    size_t c = channels[i];
    sum += conv(in, 4 * c, 1); /* the shortcut */
    for (size_t k = 0; k < blocks[i]; k++, in = 4 * c)
      sum += conv(in, c, 1) + conv(c, c, 3) + conv(c, 4 * c, 1);
  }
  return sum;
}

/* 3x3 convolutions one after another. */
static size_t chain(size_t in, const size_t *channels, size_t count) {
  size_t sum = 0;
  for (size_t i = 0; i < count; in = channels[i++])
    sum += conv(in, channels[i], 3);
  return sum;
}

static const size_t cifar_stages[] = {128, 256, 512},
                    photo_stages[] = {64, 128, 256, 512},
                    vgg11[] = {64, 128, 256, 256, 512, 512, 512, 512},
                    vgg16[] = {64,  64,  128, 128, 256, 256, 256,
                               512, 512, 512, 512, 512, 512},
                    two[] = {128, 128}, five[] = {128, 128, 128, 128, 128},
                    six[] = {256, 256, 256, 256, 256, 256};

static const surge_dataset_info
    digits = {.name = "mnist", .h = 28, .w = 28, .c = 1, .classes = 10},
    cifar = {.name = "cifar10", .h = 32, .w = 32, .c = 3, .classes = 10},
    dvs48 = {.name = "cifar10_dvs", .h = 48, .w = 48, .c = 2, .classes = 10},
    dvs128 = {.name = "cifar10_dvs", .h = 128, .w = 128, .c = 2, .classes = 10},
    gesture = {.name = "dvs_gesture",
               .h = 128,
               .w = 128,
               .c = 2,
               .classes = 11},
    nmnist = {.name = "nmnist", .h = 34, .w = 34, .c = 2, .classes = 10},
    photo = {.name = "photo", .h = 224, .w = 224, .c = 3, .classes = 1000};

/* `published`: an exact number, or one in millions to two places; 0: none. The
 * ImageNet ones are torchvision's (the same layers but for neurons), VGG's
 * those of github.com/kuangliu/pytorch-cifar, VGGSNN's that of TET's code, all
 * less the biases that their convolutions have beside norms. */
Test(model, zoo_has_the_published_parameters) {
  const size_t blocks19[] = {3, 3, 2}, blocks20[] = {3, 3, 3},
               blocks18[] = {2, 2, 2, 2}, blocks34[] = {3, 4, 6, 3},
               he[] = {16, 32, 64}, *s = cifar_stages, *p = photo_stages;
  size_t r19 = conv(3, 128, 3) + basic_stages(s, blocks19, 3, false);
  size_t stem = conv(3, 64, 7), head = 512 * 1000 + 1000;
  const struct {
    const char *model;
    const surge_dataset_info *data;
    size_t derived, neurons;
    double published;
  } cases[] = {
      {"arch: cifarnet", &cifar,
       9 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024 + 1024 * 512) +
           32768 * 1024 + 1024 * 512 + 512 * 10 + 10 +
           2 * (128 + 256 + 512 + 1024 + 512 + 1024 + 512),
       7, 0},
      {"arch: vgg11", &cifar, chain(3, vgg11, 8) + 5130, 8, 9231114 - 2752},
      {"arch: vgg16", &cifar, chain(3, vgg16, 13) + 5130, 13, 14728266 - 4224},
      {"arch: vggsnn", &dvs48, chain(2, vgg11, 8) + 512 * 9 * 10 + 10, 8,
       9271498 - 2752},
      {"arch: plif_net, vote: 10", &digits,
       chain(1, two, 2) + 128 * 49 * 2048 + 2048 * 100, 3, 0},
      {"arch: plif_net, vote: 10", &cifar,
       chain(3, six, 6) + 256 * 64 * 2048 + 2048 * 100, 7, 0},
      {"arch: plif_net, vote: 10", &nmnist,
       chain(2, two, 2) + 128 * 64 * 2048 + 2048 * 100, 3, 0},
      {"arch: plif_net, vote: 10", &dvs128,
       chain(2, five, 4) + 128 * 64 * 512 + 512 * 100, 5, 0},
      {"arch: plif_net, vote: 10", &gesture,
       chain(2, five, 5) + 128 * 16 * 512 + 512 * 110, 6, 0},
      {"arch: resnet19, hidden: []", &cifar, r19 + 5130, 17, 12.57},
      {"arch: resnet19, hidden: [128]", &cifar, r19 + 513 * 128 + 1290, 18,
       12.63},
      {"arch: resnet19", &cifar, r19 + 513 * 256 + 2570, 18, 12.70},
      {"arch: resnet20", &cifar,
       conv(3, 128, 3) + basic_stages(s, blocks20, 3, false) + 5130, 19, 0},
      {"arch: resnet20, channels: [16, 32, 64]", &cifar, /* He 2016, table 6 */
       conv(3, 16, 3) + basic_stages(he, blocks20, 3, false) + 650, 19, 0.27},
      {"arch: sew_resnet18", &photo,
       stem + basic_stages(p, blocks18, 4, false) + head, 20, 11689512},
      {"arch: sew_resnet34", &photo,
       stem + basic_stages(p, blocks34, 4, false) + head, 36, 21797672},
      {"arch: sew_resnet50", &photo,
       stem + bottleneck_stages(p, blocks34) + 2048 * 1000 + 1000, 53,
       25557032},
      /* its first stage has a strided shortcut besides */
      {"arch: ms_resnet18", &photo,
       stem + basic_stages(p, blocks18, 4, true) + head, 17,
       11689512 + 64 * 64 + 128},
      {"arch: ms_resnet34", &photo,
       stem + basic_stages(p, blocks34, 4, true) + head, 33,
       21797672 + 64 * 64 + 128},
  };
  for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
    char yaml[256];
    bool learned = i % 2; /* a width a neuron more */
    size_t parameters = 0, k = i / 2,
           wanted = cases[k].derived + (learned ? cases[k].neurons : 0);
    snprintf(yaml, sizeof yaml,
             "data: {set: %s}\nmodel: {%s}\ntrain: {batch: 2}\nT: 1\n"
             "surrogate: {width_rule: %s}\n",
             cases[k].data->name, cases[k].model,
             learned ? "learned" : "fixed");
    surge_recipe recipe = run_recipe(yaml, NULL);
    cr_expect_eq(plan(&recipe, cases[k].data, &parameters), SURGE_OK, "%s: %s",
                 cases[k].model, surge_last_error());
    cr_expect_eq(parameters, wanted, "%s: %zu, not %zu", cases[k].model,
                 parameters, wanted);
    surge_recipe_free(&recipe);
    double published = cases[k].published, near = published < 1000 ? 1e6 : 1,
           found = round(100 * (double)cases[k].derived / near) / 100;
    cr_expect(published == 0 || fabs(found - published) < 1e-9, "%s: %.2f",
              cases[k].model, found);
  }
}

/* tdBN's alpha where two branches are summed, and nowhere else: norms 3, 5, 7,
 * the ends of the branches of the first stage, 9 and 10, a branch and its
 * shortcut, ... */
Test(model, summed_norms_of_resnet19_have_the_smaller_alpha) {
  static const char *const smaller[] = {"norm3",  "norm5",  "norm7",  "norm9",
                                        "norm10", "norm12", "norm14", "norm16",
                                        "norm17", "norm19"};
  surge_model model = built(
      "model: {arch: resnet19, channels: [4, 8, 8], norm_alpha: 2}\n", &cifar);
  size_t found = 0;
  for (int32_t i = 0; i < model.count; i++)
    for (int32_t k = 0; k < model.layers[i].sources; k++) {
      const surge_source *source = &model.layers[i].source[k];
      if (!source->has_norm) continue;
      bool small = found < sizeof smaller / sizeof *smaller &&
                   strcmp(source->norm.name, smaller[found]) == 0;
      found += small;
      cr_expect_float_eq(source->norm.alpha, small ? 1.41421356f : 2.0f, 1e-6,
                         "%s: %g", source->norm.name,
                         (double)source->norm.alpha);
    }
  cr_expect_eq(found, sizeof smaller / sizeof *smaller);
  surge_model_free(&model);
}

#define LAYERS(list) "model: {layers: [" list "]}\n"

/* An add has no threshold of its own. */
Test(model, norms_of_an_add_take_the_threshold_of_the_neurons) {
  surge_model model =
      built(LAYERS("conv: {out: 2}, norm: {alpha: 0.5}, add, neuron, "
                   "linear: {out: classes}") "neuron: {v_threshold: 0.25}\n",
            fashion());
  const surge_layer *add = &model.layers[1];
  cr_expect_eq(surge_source_alpha_theta(add, &add->source[0]), 0.125f);
  surge_model_free(&model);
}

Test(model, padded_pools_have_the_size_of_padded_convolutions) {
  surge_model model = built(
      LAYERS("conv: {out: 2, kernel: 7, stride: 2}, neuron, "
             "maxpool: {kernel: 3, stride: 2, pad: 1}, "
             "avgpool: {kernel: 4, stride: 3, pad: 2}, linear: {out: classes}"),
      fashion());
  cr_expect_eq(model.layers[0].out.h, 14);
  cr_expect_eq(model.layers[2].out.h, 7, "%d", model.layers[2].out.h);
  cr_expect_eq(model.layers[3].out.w, 3, "%d", model.layers[3].out.w);
  surge_model_free(&model);
}

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
       "layer bare (line 1, column 18 of the recipe): wanted a norm before "
       "it with width_rule: norm, found none"},
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
  surge_recipe recipe =
      run_recipe(LAYERS("conv: {out: 8}, neuron, linear: {out: 10}"), NULL);
  cr_expect_eq(plan(&recipe, surge_dataset_find("cifar100"), &parameters),
               SURGE_ERROR_RECIPE);
  cr_expect_not_null(strstr(surge_last_error(), "1 x 1 x 100 (classes"), "%s",
                     surge_last_error());
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
    surge_dataset_info data = *surge_dataset_find(recipe.data.set);
    if (!strcmp(recipe.data.set, "image_folder")) { /* as ImageNet's */
      data.h = data.w = recipe.data.size ? recipe.data.size : SURGE_IMAGE_SIZE;
      data.c = 3;
      data.classes = 1000;
    } else if (data.classes == 0) { /* a folder of recordings */
      data.w = recipe.data.sensor[0];
      data.h = recipe.data.sensor[1];
      data.c = 2;
      data.classes = 10;
      data.steps = recipe.T;
    }
    cr_expect_eq(plan(&recipe, &data, &parameters), SURGE_OK, "%s: %s",
                 found.gl_pathv[i], surge_last_error());
    surge_recipe_free(&recipe);
  }
  cr_expect_geq(found.gl_pathc, 5);
  globfree(&found);
}
