/* zoo_resnet.c - residual networks: where the branch meets its shortcut.
 *
 *   ResNet-19, 20   before the neuron, which reads both
 *   SEW-ResNet      after it: an add of spikes
 *   MS-ResNet       nowhere near it: an add of the stream of currents, from
 *                   which neurons read
 *
 * The shortcut is what the block reads; a strided 1x1 convolution and its norm
 * where the block changes the map. */
#include <string.h>

#include "src/net/zoo.h"

/* A block that turns a map of `in` channels into one of `out`, those of a
 * stage. */
typedef void block_function(surge_zoo *zoo, int32_t in, int32_t out,
                            int32_t stride);

/* Stages of blocks; but for the first, whose stride is given, a stage's first
 * block halves the map. `expansion`: channels made per channel of a stage. */
static void add_stages(surge_zoo *zoo, const int32_t *blocks,
                       block_function *block, int32_t first_stride,
                       int32_t expansion) {
  const struct surge_model_recipe *m = &zoo->recipe->model;
  int32_t in = m->channels[0];
  for (int32_t stage = 0; stage < m->channel_count; stage++)
    for (int32_t i = 0; i < blocks[stage]; i++) {
      int32_t stride = i > 0 ? 1 : stage > 0 ? 2 : first_stride;
      block(zoo, in, m->channels[stage], stride);
      in = expansion * m->channels[stage];
    }
}

static void add_global_pool(surge_zoo *zoo) {
  surge_zoo_append(zoo, SURGE_LAYER_AVGPOOL)->kernel = 0;
}

/* The norm added last, or NULL where the recipe has none. */
static surge_layer_spec *last_norm(surge_zoo *zoo) {
  bool on = zoo->recipe->model.norm_on && !zoo->failed;
  return on ? &zoo->specs[zoo->at] : NULL;
}

/* The convolution that ends a residual branch. */
static void add_last_conv(surge_zoo *zoo, int32_t out, int32_t kernel) {
  surge_zoo_conv(zoo, out, kernel, 1);
  surge_layer_spec *norm = last_norm(zoo);
  if (norm) norm->zero_init = zoo->recipe->model.zero_init_residual;
}

/* Makes the layer added last read `other` besides what it reads. */
static void join(surge_zoo *zoo, int32_t other) {
  if (!zoo->failed) strcpy(zoo->specs[zoo->at].add, zoo->specs[other].name);
}

/* Adds the shortcut of a block that reads `input` and goes on behind the branch
 * again; the shortcut's last layer: `input` itself where the map stays, else
 * what `project` adds, a strided 1x1 convolution. */
typedef void project_function(surge_zoo *zoo, int32_t out, int32_t kernel,
                              int32_t stride);
static int32_t add_shortcut(surge_zoo *zoo, int32_t input, int32_t in,
                            int32_t out, int32_t stride,
                            project_function *project) {
  int32_t branch = zoo->at, shortcut = input;
  if (in != out || stride != 1) {
    zoo->at = input;
    project(zoo, out, 1, stride);
    shortcut = zoo->at;
  }
  zoo->at = branch;
  return shortcut;
}

/* --- before the neuron ---------------------------------------------------- */

/* tdBN's alpha where two branches are summed. */
static void halve_variance(surge_zoo *zoo) {
  surge_layer_spec *norm = last_norm(zoo);
  if (norm) norm->alpha *= 0.70710678f;
}

static void conv_of_half_variance(surge_zoo *zoo, int32_t out, int32_t kernel,
                                  int32_t stride) {
  surge_zoo_conv(zoo, out, kernel, stride);
  halve_variance(zoo);
}

/* Spikes of an identity shortcut are added as they are, beside a norm with the
 * smaller alpha: as the block of tdBN's code has it (example/example_model.py
 * of github.com/thiswinex/STBP-simple). */
static void add_joined_block(surge_zoo *zoo, int32_t in, int32_t out,
                             int32_t stride) {
  int32_t input = zoo->at;
  surge_zoo_conv_neuron(zoo, out, 3, stride);
  add_last_conv(zoo, out, 3);
  halve_variance(zoo);
  int32_t shortcut =
      add_shortcut(zoo, input, in, out, stride, conv_of_half_variance);
  surge_zoo_neuron(zoo);
  join(zoo, shortcut);
}

static void add_cifar_resnet(surge_zoo *zoo, const int32_t *blocks) {
  surge_zoo_conv_neuron(zoo, zoo->recipe->model.channels[0], 3, 1);
  add_stages(zoo, blocks, add_joined_block, 1, 1);
  add_global_pool(zoo);
}

/* A hidden layer has a bias and no norm, as in tdBN's code. */
static void add_plain_head(surge_zoo *zoo) {
  const struct surge_model_recipe *m = &zoo->recipe->model;
  if (m->hidden_count > 0) {
    surge_layer_spec *linear = surge_zoo_append(zoo, SURGE_LAYER_LINEAR);
    linear->out = m->hidden[0];
    linear->bias = true;
    surge_zoo_neuron(zoo);
  }
  surge_zoo_classifier(zoo, true);
}

/* Zheng et al., "Going deeper with directly-trained larger spiking neural
 * networks" (AAAI 2021). */
void surge_zoo_resnet19(surge_zoo *zoo) {
  add_cifar_resnet(zoo, (const int32_t[]){3, 3, 2});
  add_plain_head(zoo);
}

/* Guo et al., "Membrane potential batch normalization" (ICCV 2023),
 * resnet20_cifar in models/resnet.py of its code: ResNet-20 of He et al. (CVPR
 * 2016) with the widths of ResNet-19. */
void surge_zoo_resnet20(surge_zoo *zoo) {
  add_cifar_resnet(zoo, (const int32_t[]){3, 3, 3});
  add_plain_head(zoo);
}

/* --- after the neuron ----------------------------------------------------- */

static void end_sew_block(surge_zoo *zoo, int32_t input, int32_t in,
                          int32_t out, int32_t stride) {
  int32_t shortcut =
      add_shortcut(zoo, input, in, out, stride, surge_zoo_conv_neuron);
  surge_zoo_append(zoo, SURGE_LAYER_ADD);
  join(zoo, shortcut);
}

static void add_sew_block(surge_zoo *zoo, int32_t in, int32_t out,
                          int32_t stride) {
  int32_t input = zoo->at;
  surge_zoo_conv_neuron(zoo, out, 3, stride);
  add_last_conv(zoo, out, 3);
  surge_zoo_neuron(zoo);
  end_sew_block(zoo, input, in, out, stride);
}

static void add_sew_bottleneck(surge_zoo *zoo, int32_t in, int32_t out,
                               int32_t stride) {
  int32_t input = zoo->at;
  surge_zoo_conv_neuron(zoo, out, 1, 1);
  surge_zoo_conv_neuron(zoo, out, 3, stride);
  add_last_conv(zoo, 4 * out, 1);
  surge_zoo_neuron(zoo);
  end_sew_block(zoo, input, in, 4 * out, stride);
}

/* Fang et al., "Deep residual learning in spiking neural networks" (NeurIPS
 * 2021), connection function ADD (imagenet/sew_resnet.py of its code). */
static void add_sew_resnet(surge_zoo *zoo, const int32_t *blocks,
                           block_function *block, int32_t expansion) {
  surge_zoo_conv_neuron(zoo, zoo->recipe->model.channels[0], 7, 2);
  surge_layer_spec *pool = surge_zoo_append(zoo, SURGE_LAYER_MAXPOOL);
  pool->kernel = 3;
  pool->stride = 2;
  pool->pad = 1;
  add_stages(zoo, blocks, block, 1, expansion);
  add_global_pool(zoo);
  surge_zoo_classifier(zoo, true);
}

void surge_zoo_sew_resnet18(surge_zoo *zoo) {
  add_sew_resnet(zoo, (const int32_t[]){2, 2, 2, 2}, add_sew_block, 1);
}
void surge_zoo_sew_resnet34(surge_zoo *zoo) {
  add_sew_resnet(zoo, (const int32_t[]){3, 4, 6, 3}, add_sew_block, 1);
}
void surge_zoo_sew_resnet50(surge_zoo *zoo) {
  add_sew_resnet(zoo, (const int32_t[]){3, 4, 6, 3}, add_sew_bottleneck, 4);
}

/* --- membrane shortcut ---------------------------------------------------- */

static void add_ms_block(surge_zoo *zoo, int32_t in, int32_t out,
                         int32_t stride) {
  int32_t stream = zoo->at;
  surge_zoo_neuron(zoo);
  surge_zoo_conv_neuron(zoo, out, 3, stride);
  add_last_conv(zoo, out, 3);
  int32_t shortcut = add_shortcut(zoo, stream, in, out, stride, surge_zoo_conv);
  surge_zoo_append(zoo, SURGE_LAYER_ADD);
  join(zoo, shortcut);
}

/* Hu et al., "Advancing spiking neural networks towards deep residual learning"
 * (2021; models/MS_ResNet.py of its code): the stem is not pooled, the first
 * stage halves the map too. The add of one writes the stem's norm out. */
static void add_ms_resnet(surge_zoo *zoo, const int32_t *blocks) {
  surge_zoo_conv(zoo, zoo->recipe->model.channels[0], 7, 2);
  if (last_norm(zoo)) surge_zoo_append(zoo, SURGE_LAYER_ADD);
  add_stages(zoo, blocks, add_ms_block, 2, 1);
  surge_zoo_neuron(zoo);
  add_global_pool(zoo);
  surge_zoo_classifier(zoo, true);
}

void surge_zoo_ms_resnet18(surge_zoo *zoo) {
  add_ms_resnet(zoo, (const int32_t[]){2, 2, 2, 2});
}
void surge_zoo_ms_resnet34(surge_zoo *zoo) {
  add_ms_resnet(zoo, (const int32_t[]){3, 4, 6, 3});
}
