/* networks.c - what each network of the zoo takes from model.channels,
 * model.hidden and model.pooling: its paper's values where the recipe gives
 * none, and how many entries there must be. How they are wired: src/net/zoo.h.
 *
 * To add a network: an entry here, its word in schema.c, its layers in
 * src/net/. */
#include <stdio.h>
#include <string.h>

#include "src/config/rules.h"

typedef struct network {
  surge_arch arch;
  const char *set; /* the data set that the entry is for; NULL: any other    */
  int32_t channels[SURGE_MAX_WIDTHS], hidden[2]; /* ended by 0 or in full    */
  struct {
    int32_t least, most;
  } channel_count, hidden_count;
  bool pools_maximum, residual;
} network;

#define ANY                                                                    \
  { 0, SURGE_MAX_WIDTHS } /* of widths that the network does not read */
#define SOME                                                                   \
  { 1, SURGE_MAX_WIDTHS }
#define NONE                                                                   \
  { 0, 0 }
#define VGG11_CHANNELS                                                         \
  { 64, 128, 256, 256, 512, 512, 512, 512 }
#define VGG16_CHANNELS                                                         \
  { 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512 }
#define CIFAR_STAGES                                                           \
  { 128, 256, 512 }
#define IMAGENET_STAGES                                                        \
  { 64, 128, 256, 512 }
#define PLIF(name, ...)                                                        \
  {                                                                            \
    SURGE_ARCH_PLIF_NET, name, __VA_ARGS__, {2, 6}, {1, 1},                    \
        .pools_maximum = true                                                  \
  }
#define IMAGENET_RESNET(arch)                                                  \
  { arch, NULL, IMAGENET_STAGES, {0}, {4, 4}, NONE, .residual = true }

static const network networks[] = {
    {SURGE_ARCH_CONVNET, NULL, {32, 64}, {0}, SOME, ANY},
    {SURGE_ARCH_MLP, NULL, {0}, {256}, ANY, SOME},
    {SURGE_ARCH_CIFARNET,
     NULL,
     {128, 256, 512, 1024, 512},
     {1024, 512},
     {5, 5},
     {2, 2}},
    {SURGE_ARCH_VGG11, NULL, VGG11_CHANNELS, {0}, {8, 8}, ANY},
    {SURGE_ARCH_VGG16, NULL, VGG16_CHANNELS, {0}, {13, 13}, ANY},
    {SURGE_ARCH_VGGSNN, NULL, VGG11_CHANNELS, {0}, {8, 8}, NONE},
    PLIF("mnist", {128, 128}, {2048}),
    PLIF("fashion_mnist", {128, 128}, {2048}),
    PLIF("nmnist", {128, 128}, {2048}),
    PLIF("cifar10_dvs", {128, 128, 128, 128}, {512}),
    PLIF("dvs_gesture", {128, 128, 128, 128, 128}, {512}),
    PLIF(NULL, {256, 256, 256, 256, 256, 256}, {2048}),
    {SURGE_ARCH_RESNET19,
     NULL,
     CIFAR_STAGES,
     {256},
     {3, 3},
     {0, 1},
     .residual = true},
    {SURGE_ARCH_RESNET20,
     NULL,
     CIFAR_STAGES,
     {0},
     {3, 3},
     {0, 1},
     .residual = true},
    IMAGENET_RESNET(SURGE_ARCH_SEW_RESNET18),
    IMAGENET_RESNET(SURGE_ARCH_SEW_RESNET34),
    IMAGENET_RESNET(SURGE_ARCH_SEW_RESNET50),
    IMAGENET_RESNET(SURGE_ARCH_MS_RESNET18),
    IMAGENET_RESNET(SURGE_ARCH_MS_RESNET34),
};

/* NULL for model.layers. */
static const network *find(const surge_recipe *recipe) {
  for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
    const network *n = &networks[i];
    if (n->arch == recipe->model.arch &&
        (!n->set || strcmp(n->set, recipe->data.set) == 0))
      return n;
  }
  return NULL;
}

/* Copies entries up to a 0, `most` of them at most, and clears what lies behind
 * them in a list of widths; returns their number. */
static int32_t copy(int32_t to[SURGE_MAX_WIDTHS], const int32_t *from,
                    int32_t most) {
  int32_t count = 0;
  memset(to, 0, SURGE_MAX_WIDTHS * sizeof *to);
  while (count < most && from[count] > 0) {
    to[count] = from[count];
    count++;
  }
  return count;
}

void surge_network_defaults(surge_recipe *recipe, bool channels, bool hidden,
                            bool pooling) {
  struct surge_model_recipe *model = &recipe->model;
  const network *n = find(recipe);
  if (!n) return;
  if (channels)
    model->channel_count = copy(model->channels, n->channels, SURGE_MAX_WIDTHS);
  if (hidden) model->hidden_count = copy(model->hidden, n->hidden, 2);
  if (pooling)
    model->pooling =
        n->pools_maximum ? SURGE_LAYER_MAXPOOL : SURGE_LAYER_AVGPOOL;
}

/* "wanted 2 to 6 entries with arch: plif_net, found 7" */
static surge_status check_count(const surge_scope *scope, const char *key,
                                int32_t least, int32_t most, int32_t count) {
  char wanted[80], found[16], range[32];
  snprintf(range, sizeof range, "%d", (int)least);
  if (most > least)
    snprintf(range, sizeof range, "%d to %d", (int)least, (int)most);
  snprintf(wanted, sizeof wanted, "%s entr%s with arch: %s", range,
           most == 1 ? "y" : "ies",
           surge_recipe_word("model.arch",
                             (int32_t)scope->draft->recipe.model.arch));
  snprintf(found, sizeof found, "%d", (int)count);
  return surge_rule(scope, count < least || count > most, key, "model.arch",
                    wanted, found);
}

surge_status surge_check_network(const surge_scope *scope) {
  const struct surge_model_recipe *model = &scope->draft->recipe.model;
  const network *n = find(&scope->draft->recipe);
  SURGE_TRY(surge_rule(
      scope, model->zero_init_residual && !(n && n->residual && model->norm_on),
      "model.zero_init_residual", "model.arch",
      "a ResNet with norms with zero_init_residual", "another network"));
  if (!n) return SURGE_OK;
  SURGE_TRY(check_count(scope, "model.channels", n->channel_count.least,
                        n->channel_count.most, model->channel_count));
  return check_count(scope, "model.hidden", n->hidden_count.least,
                     n->hidden_count.most, model->hidden_count);
}
