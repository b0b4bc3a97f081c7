/* test_recipe.c - recipes: what is accepted and as what, what is refused and
 * where, and that a written recipe reads back to the same struct. */
#include <criterion/criterion.h>
#include <glob.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <surge/recipe.h>
#include <unistd.h>

#include "src/config/rules.h"
#include "src/config/value.h"

/* ======================================================================== *
 *  Helpers
 * ======================================================================== */

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

static surge_status parse(surge_recipe *recipe, const char *text,
                          const char *const *sets) {
  return surge_recipe_parse(recipe, "r.yaml", text, strlen(text), sets);
}

/* Reads text that must be good. */
static surge_recipe good(const char *text, const char *const *sets) {
  surge_recipe recipe;
  cr_assert_eq(parse(&recipe, text, sets), SURGE_OK, "%s", surge_last_error());
  return recipe;
}

/* What surge_recipe_write writes; to be freed. */
static char *written(const surge_recipe *recipe) {
  char *text;
  cr_assert_eq(surge_recipe_text(recipe, &text), SURGE_OK);
  return text;
}

static char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  cr_assert_not_null(file, "%s", path);
  char *text = calloc(1, 65536);
  cr_assert_gt(fread(text, 1, 65535, file), 0, "%s", path);
  fclose(file);
  return text;
}

/* Every byte but the layers' address and their places in the file: the reader
 * zeroes what it does not fill, padding too. */
static bool same(const surge_recipe *a, const surge_recipe *b) {
  surge_recipe x = *a, y = *b;
  x.model.layers = y.model.layers = NULL;
  bool equal = memcmp(&x, &y, sizeof x) == 0;
  for (int32_t i = 0; equal && i < x.model.layer_count; i++) {
    surge_layer_spec p = a->model.layers[i], q = b->model.layers[i];
    p.line = p.column = q.line = q.column = 0;
    equal = memcmp(&p, &q, sizeof p) == 0;
  }
  return equal;
}

/* Writes, reads back, compares. */
static void expect_round_trip(const surge_recipe *recipe, const char *what) {
  surge_recipe again;
  char *text = written(recipe);
  cr_expect_eq(parse(&again, text, NULL), SURGE_OK, "%s: %s", what,
               surge_last_error());
  cr_expect(same(recipe, &again), "%s: read back as something else:\n%s", what,
            text);
  free(text);
  surge_recipe_free(&again);
}

/* ======================================================================== *
 *  Refused, and where
 * ======================================================================== */

#define IN_LAYERS(list) "model: {arch: layers, layers: [" list "]}"

static const struct refused {
  const char *text, *message;
} refused[] = {
    /* not a recipe at all */
    {"", "r.yaml:1:1: recipe: wanted a mapping of keys, found nothing"},
    {"# nothing\n",
     "r.yaml:1:1: recipe: wanted a mapping of keys, found nothing"},
    {"\n- T\n", "r.yaml:2:1: recipe: wanted a mapping of keys, found a list"},
    {"T", "r.yaml:1:1: recipe: wanted a mapping of keys, found T"},
    {"T: 2\n---\nT: 3\n",
     "r.yaml:3:1: YAML: wanted one document, found a second one"},
    {"T: 2\nmodel: [\n",
     "r.yaml:3:1: YAML: wanted valid YAML, found a fault: did not find "
     "expected node content while parsing a flow node"},
    {"T: 2\nname: a\xff\n",
     "r.yaml:2:8: YAML: wanted valid YAML, found a fault: invalid leading "
     "UTF-8 octet"},
    {"T: *a",
     "r.yaml:1:4: YAML: wanted valid YAML, found a fault: found "
     "undefined alias"},

    /* keys */
    {"optim:\n  lrr: 1\n",
     "r.yaml:2:3: optim.lrr: wanted a known key, found lrr; did you mean lr?"},
    {"lr: 1",
     "r.yaml:1:1: lr: wanted a known key, found lr; did you mean "
     "optim.lr?"},
    {"modell: {}",
     "r.yaml:1:1: modell: wanted a known key, found modell; did "
     "you mean model?"},
    {"t: 3", "r.yaml:1:1: t: wanted a known key, found t; did you mean T?"},
    {"zebra: 3", "r.yaml:1:1: zebra: wanted a known key, found zebra"},
    {"x\ty: 3", "r.yaml:1:1: x?y: wanted a known key, found x?y"},
    {"T: 2\nseed: 1\nT: 3\n",
     "r.yaml:3:1: T: wanted each key once, found it again, after r.yaml:1:1"},
    {"loss: {}\nloss: {}",
     "r.yaml:2:1: loss: wanted each key once, found it again, after "
     "r.yaml:1:1"},
    {"optim: {lr: 1, lr: 1}",
     "r.yaml:1:16: optim.lr: wanted each key once, found it again, after "
     "r.yaml:1:9"},
    {"? [T]\n: 3", "r.yaml:1:3: recipe: wanted a key, found a list"},
    {"optim: {[lr]: 3}", "r.yaml:1:9: optim: wanted a key, found a list"},
    {"train:\n", "r.yaml:1:7: train: wanted a mapping of keys, found nothing"},
    {"train: 3", "r.yaml:1:8: train: wanted a mapping of keys, found 3"},

    /* integers */
    {"T: 0", "r.yaml:1:4: T: wanted an integer in [1, 4096], found 0"},
    {"T: 4097", "r.yaml:1:4: T: wanted an integer in [1, 4096], found 4097"},
    {"T: 2.5", "r.yaml:1:4: T: wanted an integer in [1, 4096], found 2.5"},
    {"T: 0x4", "r.yaml:1:4: T: wanted an integer in [1, 4096], found 0x4"},
    {"T: \"4\"", "r.yaml:1:4: T: wanted an integer in [1, 4096], found \"4\""},
    {"T:", "r.yaml:1:3: T: wanted an integer in [1, 4096], found nothing"},
    {"T: [4]", "r.yaml:1:4: T: wanted an integer in [1, 4096], found a list"},
    {"T: {a: 4}",
     "r.yaml:1:4: T: wanted an integer in [1, 4096], found a mapping"},
    {"T: !!int 4",
     "r.yaml:1:4: T: wanted an integer in [1, 4096], found a "
     "tagged value or a zero byte"},
    {"T: 4294967300",
     "r.yaml:1:4: T: wanted an integer in [1, 4096], found 4294967300"},
    {"seed: -1", "r.yaml:1:7: seed: wanted an integer in [0, inf), found -1"},
    {"seed: 9223372036854775808",
     "r.yaml:1:7: seed: wanted an integer in [0, inf), found "
     "9223372036854775808"},

    /* numbers */
    {"surrogate:\n  width: -1\n",
     "r.yaml:2:10: surrogate.width: wanted a number in (0, inf), found -1"},
    {"surrogate: {width: 0}",
     "r.yaml:1:20: surrogate.width: wanted a number in (0, inf), found 0"},
    {"surrogate: {width: nan}",
     "r.yaml:1:20: surrogate.width: wanted a number in (0, inf), found nan"},
    {"surrogate: {width: .inf}",
     "r.yaml:1:20: surrogate.width: wanted a number in (0, inf), found .inf"},
    {"surrogate: {width: 1e39}",
     "r.yaml:1:20: surrogate.width: wanted a number in (0, inf), found 1e39"},
    {"pda: {mean: 1e-60}",
     "r.yaml:1:13: pda.mean: wanted a number, found 1e-60"},
    {"pda: {mean: 1.5x}", "r.yaml:1:13: pda.mean: wanted a number, found 1.5x"},
    {"pda: {mean: -}", "r.yaml:1:13: pda.mean: wanted a number, found -"},
    {"pda: {mean: .e1}", "r.yaml:1:13: pda.mean: wanted a number, found .e1"},
    {"pda: {mean: 1e}", "r.yaml:1:13: pda.mean: wanted a number, found 1e"},
    {"optim: {ema_decay: 1}",
     "r.yaml:1:20: optim.ema_decay: wanted a number in [0, 1), found 1"},
    {"optim: {momentum: 1}",
     "r.yaml:1:19: optim.momentum: wanted a number in [0, 1), found 1"},
    {"pda: {epsilon: 0.5}",
     "r.yaml:1:16: pda.epsilon: wanted a number in (0, 0.5), found 0.5"},
    {"data: {cutout: -1}",
     "r.yaml:1:16: data.cutout: wanted an integer in [0, 2147483647], found -1"},
    {"data: {cutout: 7.5}",
     "r.yaml:1:16: data.cutout: wanted an integer in [0, 2147483647], found "
     "7.5"},
    {"data: {random_erasing: 1.01}",
     "r.yaml:1:24: data.random_erasing: wanted a number in [0, 1], found 1.01"},
    {"data: {split: 1}",
     "r.yaml:1:15: data.split: wanted a number in (0, 1), found 1"},
    {"data: {sensor: [34]}",
     "r.yaml:1:8: data.sensor: wanted [width, height] or [], found one number"},
    {"data: {sensor: [0, 34]}",
     "r.yaml:1:17: data.sensor: wanted a list of integers in [1, 65536], 2 at "
     "most, found 0"},
    {"data: {split_by: events}",
     "r.yaml:1:18: data.split_by: wanted one of number, time, duration, found "
     "events"},
    {"data: {random_erasing: -0.1}",
     "r.yaml:1:24: data.random_erasing: wanted a number in [0, 1], found -0.1"},
    {"data: {policy: randaugment}",
     "r.yaml:1:16: data.policy: wanted one of none, autoaugment, "
     "trivialaugment, found randaugment; did you mean autoaugment?"},
    {"data: {mixup: -0.1}",
     "r.yaml:1:15: data.mixup: wanted a number in [0, inf), found -0.1"},
    {"data: {cutmix: on}",
     "r.yaml:1:16: data.cutmix: wanted a number in [0, inf), found on"},
    {"neuron: {tau: 0.5}",
     "r.yaml:1:15: neuron.tau: wanted a number in [1, inf), found 0.5"},
    {"neuron: {decay: 1.5}",
     "r.yaml:1:17: neuron.decay: wanted a number in "
     "[0, 1] or learned, found 1.5"},

    /* truth values, words, texts */
    {"deterministic: yes",
     "r.yaml:1:16: deterministic: wanted true or false, found yes"},
    {"deterministic: 'true'",
     "r.yaml:1:16: deterministic: wanted true or false, found \"true\""},
    {"surrogate: {family: arctn}",
     "r.yaml:1:21: surrogate.family: wanted one of rectangular, triangular, "
     "arctan, sigmoid, gaussian, fast_sigmoid, found arctn; did you mean "
     "arctan?"},
    {"device: tpu",
     "r.yaml:1:9: device: wanted one of auto, cpu, cuda, found tpu; did you "
     "mean cpu?"},
    {"device: [cpu]",
     "r.yaml:1:9: device: wanted one of auto, cpu, cuda, found a list"},
    {"name: ../x",
     "r.yaml:1:7: name: wanted a name of letters, digits, _ and, "
     "inside, . and -, 63 characters at most, found ../x"},
    {"data: {set: ''}",
     "r.yaml:1:13: data.set: wanted a name of letters, "
     "digits and _, 63 characters at most, found \"\""},
    {"data: {path: \"a\\nb\"}",
     "r.yaml:1:14: data.path: wanted a text without control characters, 1023 "
     "characters at most, found \"a?b\""},
    {"data: {path: \"a\\0b\"}",
     "r.yaml:1:14: data.path: wanted a text without control characters, 1023 "
     "characters at most, found a tagged value or a zero byte"},
    {"data: {path: {}}",
     "r.yaml:1:14: data.path: wanted a text without control characters, 1023 "
     "characters at most, found a mapping"},

    /* lists */
    {"model: {channels: 3}",
     "r.yaml:1:19: model.channels: wanted a list of integers in [1, 65536], 16 "
     "at most, found 3"},
    {"model: {channels: [3, 0]}",
     "r.yaml:1:23: model.channels: wanted a list of integers in [1, 65536], 16 "
     "at most, found 0"},
    {"model: {hidden: [[1]]}",
     "r.yaml:1:18: model.hidden: wanted a list of integers in [1, 1048576], 16 "
     "at most, found a list"},
    {"model: {hidden: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}",
     "r.yaml:1:17: model.hidden: wanted a list of integers in [1, 1048576], 16 "
     "at most, found 17"},
    {"model: {pool: [1, 0]}",
     "r.yaml:1:16: model.pool: wanted a list of true and false, 16 at most, "
     "found 1"},
    {"pda: {layers: []}",
     "r.yaml:1:15: pda.layers: wanted all or a list of layer names, 1023 "
     "characters at most, found a list"},
    {"pda: {layers: neuron1}",
     "r.yaml:1:15: pda.layers: wanted all or a list of layer names, 1023 "
     "characters at most, found neuron1"},
    {"pda: {layers: [a b]}",
     "r.yaml:1:16: pda.layers: wanted all or a list of layer names, 1023 "
     "characters at most, found a b"},

    /* decay, tau, type */
    {"neuron:\n  decay: 0.5\n  tau: 2\n",
     "r.yaml:3:3: neuron.tau: wanted it or neuron.decay, found both "
     "(neuron.decay at r.yaml:2:3)"},
    {"neuron: {tau: 2, decay: 0.5}",
     "r.yaml:1:10: neuron.tau: wanted it or neuron.decay, found both "
     "(neuron.decay at r.yaml:1:18)"},
    {"neuron: {type: if, decay: 1}",
     "r.yaml:1:20: neuron.decay: wanted it or neuron.type: if, found both "
     "(neuron.type at r.yaml:1:10)"},
    {"neuron: {type: if, decay: learned}",
     "r.yaml:1:20: neuron.decay: wanted it or neuron.type: if, found both "
     "(neuron.type at r.yaml:1:10)"},
    {"neuron: {type: if, tau: 2}",
     "r.yaml:1:20: neuron.tau: wanted it or neuron.type: if, found both "
     "(neuron.type at r.yaml:1:10)"},
    {"neuron: {decay: learned, decay_start: 0.5, tau: 2}",
     "r.yaml:1:26: neuron.decay_start: wanted it or neuron.tau, found both "
     "(neuron.tau at r.yaml:1:44)"},
    {"neuron: {decay_start: 0.5}",
     "r.yaml:1:10: neuron.decay_start: wanted it only with decay: learned, "
     "found a decay that is not"},
    {"neuron: {decay: learned, tau: 1}",
     "r.yaml:1:26: neuron.tau: wanted a learned decay to start in (0, 1), "
     "found 0"},
    {"neuron: {type: lif, decay: 1}",
     "r.yaml:1:10: neuron.type: wanted if where decay is 1, found lif"},
    {"neuron: {type: if, decay_input: true}",
     "r.yaml:1:20: neuron.decay_input: wanted false where decay is 1, for 1 - "
     "d is 0, found true"},
    {"neuron: {synapse_decay: 0.5, synapse_tau: 2}",
     "r.yaml:1:30: neuron.synapse_tau: wanted it or neuron.synapse_decay, found "
     "both (neuron.synapse_decay at r.yaml:1:10)"},
    {"neuron: {synapse_decay: learned, synapse_tau: 2, synapse_decay_start: .5}",
     "r.yaml:1:50: neuron.synapse_decay_start: wanted it or neuron.synapse_tau, "
     "found both (neuron.synapse_tau at r.yaml:1:34)"},
    {"neuron: {synapse_decay_start: 0.5}",
     "r.yaml:1:10: neuron.synapse_decay_start: wanted it only with "
     "synapse_decay: learned, found a decay that is not"},
    {"neuron: {synapse_decay: learned}",
     "r.yaml:1:10: neuron.synapse_decay: wanted a learned decay to start in (0, "
     "1), by synapse_tau or synapse_decay_start, found 0"},
    {"neuron: {synapse_decay: 1}",
     "r.yaml:1:25: neuron.synapse_decay: wanted a number in [0, 1) or "
     "learned, found 1"},
    {"neuron: {synapse_tau: 1e9}",
     "r.yaml:1:10: neuron.synapse_tau: wanted a synapse that decays, found 1"},

    /* what keys demand of one another */
    {"neuron: {v_reset: 1}",
     "r.yaml:1:10: neuron.v_reset: wanted v_reset below v_threshold, found a "
     "reset that fires"},
    {"surrogate: {width_max: 0.0001}",
     "r.yaml:1:13: surrogate.width_max: wanted width_min of at most width_max, "
     "found a larger one"},
    {"surrogate: {width: 2000}",
     "r.yaml:1:13: surrogate.width: wanted a learned width in [width_min, "
     "width_max], found 2000"},
    {"model: {channels: []}",
     "r.yaml:1:9: model.channels: wanted 1 to 16 entries with arch: convnet, "
     "found 0"},
    {"model: {channels: [1, 2, 3]}",
     "r.yaml:1:9: model.channels: wanted as many entries of model.pool as of "
     "model.channels, 3, found 2"},
    {"model: {pool: [true]}",
     "r.yaml:1:9: model.pool: wanted as many entries of model.pool as of "
     "model.channels, 2, found 1"},
    {"model: {arch: mlp, hidden: []}",
     "r.yaml:1:20: model.hidden: wanted 1 to 16 entries with arch: mlp, found "
     "0"},
    {"model: {arch: cifarnet, channels: [8, 8]}",
     "r.yaml:1:25: model.channels: wanted 5 entries with arch: cifarnet, found "
     "2"},
    {"model: {arch: resnet19, channels: [8, 8, 8, 8]}",
     "r.yaml:1:25: model.channels: wanted 3 entries with arch: resnet19, found "
     "4"},
    {"model: {arch: resnet19, hidden: [8, 8]}",
     "r.yaml:1:25: model.hidden: wanted 0 to 1 entry with arch: resnet19, "
     "found 2"},
    {"model: {arch: sew_resnet18, hidden: [8]}",
     "r.yaml:1:29: model.hidden: wanted 0 entries with arch: sew_resnet18, "
     "found 1"},
    {"model: {arch: plif_net, hidden: []}",
     "r.yaml:1:25: model.hidden: wanted 1 entry with arch: plif_net, found 0"},
    {"model: {arch: vgg16, zero_init_residual: true}",
     "r.yaml:1:22: model.zero_init_residual: wanted a ResNet with norms with "
     "zero_init_residual, found another network"},
    {"model: {arch: ms_resnet18, norm: none, zero_init_residual: true}",
     "r.yaml:1:40: model.zero_init_residual: wanted a ResNet with norms with "
     "zero_init_residual, found another network"},
    {"model: {norm: none}\nsurrogate: {width_rule: norm}",
     "r.yaml:2:13: surrogate.width_rule: wanted a norm before each neuron with "
     "width_rule: norm, found model.norm: none"},
    {"model: {readout: spikes}\nsurrogate: {width_rule: norm}",
     "r.yaml:1:9: model.readout: wanted another readout with width_rule: norm, "
     "for no norm stands before the last neuron, found spikes"},
    {"model: {coding: poisson}",
     "r.yaml:1:9: model.coding: wanted data.normalize: false with coding: "
     "poisson, whose rates lie in [0, 1], found true"},
    {"optim: {nesterov: true, momentum: 0}",
     "r.yaml:1:9: optim.nesterov: wanted a momentum above 0 with nesterov, "
     "found 0"},
    {"schedule: {kind: step}",
     "r.yaml:1:12: schedule.kind: wanted milestones with step, found none"},
    {"schedule: {milestones: [3]}",
     "r.yaml:1:12: schedule.milestones: wanted milestones only with kind: "
     "step, found another kind"},
    {"schedule: {kind: step, milestones: [3, 3]}",
     "r.yaml:1:24: schedule.milestones: wanted rising epochs, found one that "
     "is not above the one before"},
    {"schedule: {lr_min: 0.2}",
     "r.yaml:1:12: schedule.lr_min: wanted lr_min of at most optim.lr, found a "
     "larger one"},
    {"train: {epochs: 2}\nschedule: {warmup_epochs: 2.5}",
     "r.yaml:2:12: schedule.warmup_epochs: wanted a warm-up of at most "
     "train.epochs, found a longer one"},

    /* layers */
    {"model: {arch: layers}",
     "r.yaml:1:9: model.arch: wanted at least one layer with arch: layers, "
     "found none"},
    {"model: {arch: mlp, layers: [norm]}",
     "r.yaml:1:20: model.layers: wanted arch: layers with a list of layers, "
     "found another arch"},
    {"model: {arch: layers, layers: norm}",
     "r.yaml:1:31: model.layers: wanted a list of layers, 512 at most, found "
     "norm"},
    {IN_LAYERS("flatten"),
     "r.yaml:1:32: model.layers[0]: wanted one of conv, linear, norm, neuron, "
     "avgpool, maxpool, dropout, add, found flatten; linear flattens by itself"},
    {IN_LAYERS("norm, cnov: {out: 3}"),
     "r.yaml:1:38: model.layers[1]: wanted one of conv, linear, norm, neuron, "
     "avgpool, maxpool, dropout, add, found cnov; did you mean conv?"},
    {IN_LAYERS("[conv]"),
     "r.yaml:1:32: model.layers[0]: wanted one of conv, linear, norm, neuron, "
     "avgpool, maxpool, dropout, add, found a list"},
    {IN_LAYERS("{conv: , out: 3}"),
     "r.yaml:1:32: model.layers[0]: wanted one layer an item: `kind` or `kind: "
     "{...}`, found 2 keys"},
    {IN_LAYERS("{}"),
     "r.yaml:1:32: model.layers[0]: wanted one layer an item: `kind` or `kind: "
     "{...}`, found 0 keys"},
    {IN_LAYERS("conv"),
     "r.yaml:1:32: model.layers[0].conv.out: wanted an "
     "integer in [1, 65536], found nothing"},
    {IN_LAYERS("conv: 3"),
     "r.yaml:1:38: model.layers[0].conv: wanted a "
     "mapping of keys, found 3"},
    {IN_LAYERS("linear: {bias: true}"),
     "r.yaml:1:32: model.layers[0].linear.out: wanted an integer in [1, "
     "1048576] or classes, found nothing"},
    {IN_LAYERS("linear: {out: clases}"),
     "r.yaml:1:46: model.layers[0].linear.out: wanted an integer in [1, "
     "1048576] or classes, found clases; did you mean classes?"},
    {IN_LAYERS("conv: {out: 3, groups: 2}"),
     "r.yaml:1:47: model.layers[0].conv.groups: wanted a divisor of out, 3, "
     "found 2"},
    {IN_LAYERS("maxpool: {kernel: 3, pad: 2}"),
     "r.yaml:1:53: model.layers[0].maxpool.pad: wanted at most 1, half the "
     "kernel, found 2"},
    {IN_LAYERS("avgpool: {kernel: global, pad: 1}"),
     "r.yaml:1:58: model.layers[0].avgpool.pad: wanted at most 0, half the "
     "kernel, found 1"},
    {IN_LAYERS("conv: {out: 3, kernal: 2}"),
     "r.yaml:1:47: model.layers[0].conv.kernal: wanted a known key, found "
     "kernal; did you mean kernel?"},
    {IN_LAYERS("neuron: {widht: 2}"),
     "r.yaml:1:41: model.layers[0].neuron.widht: wanted a known key, found "
     "widht; did you mean width?"},
    {IN_LAYERS("neuron: {width: -2}"),
     "r.yaml:1:48: model.layers[0].neuron.width: wanted a number in (0, inf), "
     "found -2"},
    {IN_LAYERS("neuron: {width: 2, width: 2}"),
     "r.yaml:1:51: model.layers[0].neuron.width: wanted each key once, found "
     "it again, after r.yaml:1:41"},
    {IN_LAYERS("neuron: {tau: 2, decay: 0.5}"),
     "r.yaml:1:41: model.layers[0].neuron.tau: wanted it or "
     "model.layers[0].neuron.decay, found both (model.layers[0].neuron.decay "
     "at r.yaml:1:49)"},
    {IN_LAYERS("conv: {out: 2}, neuron: {from: conv2}"),
     "r.yaml:1:57: model.layers[1].neuron.from: wanted a layer above it, or "
     "image, found conv2"},
    {IN_LAYERS("neuron: {add: neuron1}"),
     "r.yaml:1:41: model.layers[0].neuron.add: wanted a layer above it, or "
     "none, found neuron1"},
    {IN_LAYERS("neuron: {name: image}"),
     "r.yaml:1:41: model.layers[0].neuron.name: wanted a name of its own, found "
     "image, which has a meaning"},
    {IN_LAYERS("conv: {out: 2, add: neuron1}"),
     "r.yaml:1:47: model.layers[0].conv.add: wanted a known key, found "
     "add; did you mean pad?"},
    {IN_LAYERS("avgpool: 0"),
     "r.yaml:1:41: model.layers[0].avgpool.kernel: wanted an integer in [1, "
     "255] or global, found 0"},
    {IN_LAYERS("dropout: 1"),
     "r.yaml:1:41: model.layers[0].dropout.p: wanted "
     "a number in [0, 1), found 1"},
    {IN_LAYERS("norm: {name: a}, neuron: {name: a}"),
     "r.yaml:1:58: model.layers[1].neuron.name: wanted a name of its own, "
     "found a, as model.layers[0] has it"},
    {IN_LAYERS("norm: {name: neuron1}, neuron"),
     "r.yaml:1:55: model.layers[1].neuron.name: wanted a name of its own, "
     "found neuron1, as model.layers[0] has it"},
    {IN_LAYERS("norm: {name: a-b}"),
     "r.yaml:1:45: model.layers[0].norm.name: wanted a name of letters, digits "
     "and _, 63 characters at most, found a-b"},
    {IN_LAYERS("linear: {out: classes}, linear: {out: 2}"),
     "r.yaml:1:32: model.layers[0].linear.out: wanted a number before the last "
     "linear layer, found classes"},
    {IN_LAYERS("norm, neuron") "\npda: {layers: [neuron1, norm1]}",
     "r.yaml:2:7: pda.layers: wanted names of neuron layers, found norm1"},
    {IN_LAYERS("neuron, neuron: {pda: true}") "\npda: {layers: [neuron1]}",
     "r.yaml:1:49: model.layers[1].neuron.pda: wanted false, as pda.layers "
     "does not name it, found true"},
    {IN_LAYERS("neuron: {pda: false}") "\npda: {layers: [neuron1]}",
     "r.yaml:1:41: model.layers[0].neuron.pda: wanted true, as pda.layers "
     "names it, found false"},
};

Test(recipe, refuses_with_place) {
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    surge_recipe recipe;
    surge_status status = parse(&recipe, refused[i].text, NULL);
    cr_expect_eq(status, SURGE_ERROR_RECIPE, "accepted: %s", refused[i].text);
    cr_expect_str_eq(surge_last_error(), refused[i].message, "%s\nwanted %s",
                     surge_last_error(), refused[i].message);
    surge_recipe_free(&recipe);
  }
}

static const struct refused refused_sets[] = {
    {"optim.lr=-1", "--set: optim.lr: wanted a number in (0, inf), found -1"},
    {"optim.lrr=1",
     "--set: optim.lrr: wanted a known key, found optim.lrr; "
     "did you mean optim.lr?"},
    {"lr=1", "--set: lr: wanted a known key, found lr; did you mean optim.lr?"},
    {"base=r.yaml", "--set: base: wanted it in a recipe's file, found it here"},
    {"=1", "--set: =1: wanted KEY=VALUE, found no known key before a ="},
    {"T", "--set: T: wanted KEY=VALUE, found no known key before a ="},
    {"T=", "--set: T: wanted a value, found nothing"},
    {"T=[",
     "--set: T: wanted valid YAML, found a fault: did not find expected "
     "node content while parsing a flow node"},
    {"T=1\n---\n2", "--set: T: wanted one document, found a second one"},
    {"neuron.tau=2",
     "--set: neuron.tau: wanted it or neuron.decay, found both (neuron.decay "
     "at r.yaml:1:10)"},
    {"optim={lr: 1, lr: 2}",
     "--set: optim.lr: wanted each key once, found it again, after --set"},
    {"model={arch: layers, layers: [conv]}",
     "--set: model.layers[0].conv.out: wanted an integer in [1, 65536], found "
     "nothing"},
};

Test(recipe, refuses_overrides) {
  for (size_t i = 0; i < sizeof refused_sets / sizeof *refused_sets; i++) {
    surge_recipe recipe;
    surge_status status = parse(&recipe, "neuron: {decay: 0.5}",
                                SETS("seed=3", refused_sets[i].text));
    cr_expect_eq(status, SURGE_ERROR_RECIPE, "%s", refused_sets[i].text);
    cr_expect_str_eq(surge_last_error(), refused_sets[i].message, "%s",
                     surge_last_error());
    surge_recipe_free(&recipe);
  }
}

Test(recipe, refuses_files) {
  surge_recipe recipe;
  cr_expect_eq(surge_recipe_read(&recipe, "no/such.yaml", NULL),
               SURGE_ERROR_RECIPE);
  cr_expect_str_eq(
      surge_last_error(),
      "no/such.yaml: wanted a recipe, found: No such file or directory");
  cr_expect_eq(surge_recipe_read(&recipe, "/", NULL), SURGE_ERROR_RECIPE);
  cr_expect_str_eq(surge_last_error(),
                   "/: wanted a recipe, found: Is a directory");
  cr_expect_eq(surge_recipe_read(&recipe, "/dev/zero", NULL),
               SURGE_ERROR_RECIPE);
  cr_expect_str_eq(surge_last_error(),
                   "/dev/zero: wanted a recipe of at most 1048576 bytes, found "
                   "more");
}

/* `count` times `unit` between two ends. */
static char *repeated(const char *before, const char *unit, size_t count,
                      const char *after) {
  char *text =
      malloc(strlen(before) + count * strlen(unit) + strlen(after) + 1);
  strcpy(text, before);
  char *end = text + strlen(text);
  for (size_t i = 0; i < count; i++) end = stpcpy(end, unit);
  strcpy(end, after);
  return text;
}

/* The largest of each is accepted, one more is not. */
Test(recipe, caps) {
  static const struct {
    const char *name, *before, *unit, *after;
    size_t most;
  } cases[] = {
      {"name", "name: ", "x", "", SURGE_WORD - 1},
      {"path", "data: {path: ", "x", "}", SURGE_PATH - 1},
      {"milestones", "schedule: {kind: constant, milestones: [", "", "]}", 0},
      {"layers", "model: {arch: layers, layers: [norm", ", norm", "]}",
       SURGE_MAX_LAYERS - 1},
      {"names", "pda: {layers: [n", ", n", "]}", SURGE_PATH / 2 - 1},
      {"file", "T: 4 #", "x", "", SURGE_MAX_RECIPE - 6},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t more = 0; more < 2; more++) {
      surge_recipe recipe;
      if (more && !*cases[i].unit) continue;
      char *text = repeated(cases[i].before, cases[i].unit,
                            cases[i].most + more, cases[i].after);
      surge_status status = parse(&recipe, text, NULL);
      cr_expect_eq(status, more ? SURGE_ERROR_RECIPE : SURGE_OK, "%s %zu: %s",
                   cases[i].name, more, more ? "accepted" : surge_last_error());
      surge_recipe_free(&recipe);
      free(text);
    }
}

/* ======================================================================== *
 *  Accepted, and as what
 * ======================================================================== */

/* The last line of the method's section 5, and what a run needs besides. */
Test(recipe, defaults) {
  surge_recipe r;
  surge_recipe_defaults(&r);
  cr_expect(r.neuron.family == SURGE_RECTANGULAR && r.neuron.width == 1.0f &&
            r.neuron.width_rule == SURGE_WIDTH_LEARNED &&
            r.neuron.granularity == SURGE_PER_LAYER);
  cr_expect(r.neuron.width_min == 1e-3f && r.neuron.width_max == 1e3f);
  cr_expect(r.model.norm_on && r.model.norm == SURGE_NORM_TDBN &&
            r.model.norm_alpha == 1.0f);
  cr_expect(r.neuron.decay == 0.25f && !r.neuron.decay_learned &&
            r.neuron.v_threshold == 1.0f && r.neuron.v_reset == 0.0f &&
            r.neuron.reset == SURGE_RESET_HARD && r.neuron.detach_reset &&
            !r.neuron.decay_input && !r.neuron.soft_forward);
  cr_expect(r.T == 4 && r.seed == 1 && r.deterministic);
  cr_expect(r.pda_weight == 0.0f && r.pda_kind == SURGE_PDA_MOMENT &&
            r.neuron.pda == SURGE_PDA_OFF && strcmp(r.pda_layers, "all") == 0);
  cr_expect(r.optim.kind == SURGE_SGD && r.optim.lr == 0.1f &&
            r.optim.momentum == 0.9f && !r.optim.nesterov &&
            r.optim.weight_decay == 1e-4f && r.optim.width_lr == 0.01f &&
            r.optim.decay_lr == 0.01f &&
            r.optim.schedule == SURGE_SCHEDULE_COSINE);
  cr_expect(r.train.batch == 128 && r.loss.tet_lambda == 0.05f);
  cr_expect(r.model.channel_count == 2 && r.model.channels[1] == 64 &&
            r.model.pool_count == 2 && r.model.pool[1] &&
            r.model.hidden_count == 0 && r.optim.milestone_count == 0 &&
            r.model.layer_count == 0);
  expect_round_trip(&r, "defaults");

  surge_recipe empty = good("{}", NULL);
  cr_expect(same(&r, &empty), "an empty recipe is the defaults");
}

Test(recipe, decay_in_its_four_ways) {
  static const struct {
    const char *neuron;
    float decay;
    bool learned;
  } cases[] = {
      {"{}", 0.25f, false},
      {"{type: lif}", 0.25f, false},
      {"{decay: 0.5}", 0.5f, false},
      {"{decay: 0}", 0.0f, false},
      {"{decay: 1}", 1.0f, false},
      {"{type: if}", 1.0f, false},
      {"{tau: 1}", 0.0f, false},
      {"{tau: 2}", 0.5f, false},
      {"{tau: 3}", 0x1.555556p-1f, false}, /* 2/3 rounded once; 1 - 1/3 in */
                                           /* float arithmetic is 1 ulp less */
      {"{decay: learned}", 0.25f, true},
      {"{decay: learned, decay_start: 0.9}", 0.9f, true},
      {"{decay: learned, tau: 2}", 0.5f, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[128];
    snprintf(text, sizeof text, "neuron: %s", cases[i].neuron);
    surge_recipe recipe = good(text, NULL);
    cr_expect(recipe.neuron.decay == cases[i].decay, "%s: %a", cases[i].neuron,
              (double)recipe.neuron.decay);
    cr_expect_eq(recipe.neuron.decay_learned, cases[i].learned, "%s",
                 cases[i].neuron);
    expect_round_trip(&recipe, cases[i].neuron);
  }
}

/* Off by default, and as the membrane's decay otherwise. */
Test(recipe, synapse_in_its_three_ways) {
  static const struct {
    const char *neuron;
    float decay;
    bool learned;
  } cases[] = {
      {"{}", 0, false},
      {"{synapse_decay: 0}", 0, false},
      {"{synapse_decay: 0.5}", 0.5f, false},
      {"{synapse_tau: 1}", 0, false},
      {"{synapse_tau: 3}", 0x1.555556p-1f, false},
      {"{synapse_decay: learned, synapse_decay_start: 0.9}", 0.9f, true},
      {"{type: if, synapse_decay: learned, synapse_tau: 2}", 0.5f, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[128];
    snprintf(text, sizeof text, "neuron: %s", cases[i].neuron);
    surge_recipe recipe = good(text, NULL);
    cr_expect(recipe.neuron.synapse_decay == cases[i].decay, "%s: %a",
              cases[i].neuron, (double)recipe.neuron.synapse_decay);
    cr_expect_eq(recipe.neuron.synapse_learned, cases[i].learned, "%s",
                 cases[i].neuron);
    expect_round_trip(&recipe, cases[i].neuron);
  }
}

Test(recipe, layers_have_synapses_of_their_own) {
  surge_recipe recipe = good(
      "neuron: {synapse_decay: learned, synapse_tau: 2}\n"
      "model:\n  layers:\n    - neuron\n    - neuron: {synapse_tau: 4}\n"
      "    - neuron: {synapse_decay: 0.25}\n"
      "    - neuron: {synapse_decay: 0}\n    - linear: {out: classes}\n",
      NULL);
  const surge_layer_spec *l = recipe.model.layers;
  cr_expect(l[0].neuron.synapse_learned && l[0].neuron.synapse_decay == 0.5f);
  cr_expect(l[1].neuron.synapse_learned && l[1].neuron.synapse_decay == 0.75f);
  cr_expect(!l[2].neuron.synapse_learned && l[2].neuron.synapse_decay == 0.25f);
  cr_expect(!surge_neuron_synaptic(&l[3].neuron));
  expect_round_trip(&recipe, "synapses");
  surge_recipe_free(&recipe);
}

Test(recipe, echoes_tau_beside_decay) {
  static const struct {
    const char *neuron, *lines;
  } cases[] = {
      {"{tau: 2}",
       "  type: lif\n  decay: 0.5\n  # decay_start: 0.5\n"
       "  # tau: 2\n"},
      {"{type: if}",
       "  type: if\n  # decay: 1\n  # decay_start: 1\n"
       "  # tau: inf\n"},
      {"{decay: learned, tau: 4}",
       "  type: lif\n  decay: learned\n  decay_start: 0.75\n  # tau: 4\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[128];
    snprintf(text, sizeof text, "neuron: %s", cases[i].neuron);
    surge_recipe recipe = good(text, NULL);
    char *out = written(&recipe);
    cr_expect_not_null(strstr(out, cases[i].lines), "%s:\n%s", cases[i].neuron,
                       out);
    free(out);
  }
}

Test(recipe, overrides_in_order) {
  const char *file = "T: 8\nneuron: {decay: 0.5}\nmodel: {hidden: [7]}\n";
  surge_recipe r =
      good(file, SETS("T=2", "model.hidden=[3, 4]", "T=16", "optim.lr=0.5",
                      "data.path=\"a=b c\"", "neuron.decay=learned",
                      "optim={kind: adam}", "model.norm=none"));
  cr_expect_eq(r.T, 16, "the later override wins");
  cr_expect(r.model.hidden_count == 2 && r.model.hidden[0] == 3 &&
                r.model.hidden[1] == 4,
            "a list is replaced whole");
  cr_expect(r.optim.lr == 0.5f && r.optim.kind == SURGE_ADAM);
  cr_expect_str_eq(r.data.path, "a=b c", "the first = parts key and value");
  cr_expect(r.neuron.decay_learned && r.neuron.decay == 0.25f,
            "a replaced decay leaves nothing behind");
  cr_expect(!r.model.norm_on);
  expect_round_trip(&r, "overrides");
}

Test(recipe, pda_kind_follows_weight) {
  surge_recipe off = good("pda: {kind: quantization}", NULL);
  cr_expect(off.neuron.pda == SURGE_PDA_OFF &&
            off.pda_kind == SURGE_PDA_QUANTIZATION);
  surge_recipe on = good(
      "pda: {kind: quantization, weight: 0.1, layers: [a, "
      "b_2]}",
      NULL);
  cr_expect(on.neuron.pda == SURGE_PDA_QUANTIZATION && on.pda_weight == 0.1f);
  cr_expect_str_eq(on.pda_layers, "a,b_2");
  expect_round_trip(&off, "off");
  expect_round_trip(&on, "on");
}

/* ======================================================================== *
 *  What networks have by default
 * ======================================================================== */

Test(recipe, networks_have_the_widths_of_their_papers) {
  static const struct {
    const char *yaml;
    int32_t channels, first, hidden, hidden_first;
    surge_layer_kind pooling;
  } cases[] = {
      {"model: {}", 2, 32, 0, 0, SURGE_LAYER_AVGPOOL},
      {"model: {arch: mlp}", 0, 0, 1, 256, SURGE_LAYER_AVGPOOL},
      {"model: {arch: cifarnet}", 5, 128, 2, 1024, SURGE_LAYER_AVGPOOL},
      {"model: {arch: vgg11}", 8, 64, 0, 0, SURGE_LAYER_AVGPOOL},
      {"model: {arch: vgg16, hidden: [7, 8]}", 13, 64, 2, 7,
       SURGE_LAYER_AVGPOOL},
      {"model: {arch: resnet19}", 3, 128, 1, 256, SURGE_LAYER_AVGPOOL},
      {"model: {arch: resnet19, channels: [1, 2, 3], hidden: []}", 3, 1, 0, 0,
       SURGE_LAYER_AVGPOOL},
      {"model: {arch: sew_resnet50}", 4, 64, 0, 0, SURGE_LAYER_AVGPOOL},
      {"model: {arch: plif_net}", 2, 128, 1, 2048, SURGE_LAYER_MAXPOOL},
      {"model: {arch: plif_net, pooling: avg}\ndata: {set: cifar10}", 6, 256, 1,
       2048, SURGE_LAYER_AVGPOOL},
      {"model: {arch: plif_net}\ndata: {set: cifar10_dvs}", 4, 128, 1, 512,
       SURGE_LAYER_MAXPOOL},
      {"model: {arch: plif_net}\ndata: {set: dvs_gesture}", 5, 128, 1, 512,
       SURGE_LAYER_MAXPOOL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    surge_recipe recipe = good(cases[i].yaml, NULL);
    const struct surge_model_recipe *m = &recipe.model;
    cr_expect_eq(m->channel_count, cases[i].channels, "%s", cases[i].yaml);
    cr_expect(m->channel_count == 0 || m->channels[0] == cases[i].first, "%s",
              cases[i].yaml);
    cr_expect_eq(m->hidden_count, cases[i].hidden, "%s", cases[i].yaml);
    cr_expect(m->hidden_count == 0 || m->hidden[0] == cases[i].hidden_first,
              "%s", cases[i].yaml);
    cr_expect_eq(m->pooling, cases[i].pooling, "%s", cases[i].yaml);
    expect_round_trip(&recipe, cases[i].yaml);
    surge_recipe_free(&recipe);
  }
}

/* ======================================================================== *
 *  Layers
 * ======================================================================== */

static const char *const layered =
    "model:\n"
    "  arch: layers\n"
    "  norm: tebn\n"
    "  norm_alpha: 0.5\n"
    "  layers:\n"
    "    - conv: {out: 32}\n"
    "    - norm\n"
    "    - neuron: {name: first, tau: 2, family: arctan, pda: false}\n"
    "    - conv: {out: 64, kernel: 5, stride: 2, pad: 0, groups: 2}\n"
    "    - avgpool: 2\n"
    "    - norm: {kind: bn, alpha: 2, zero_init: true}\n"
    "    - neuron: {width_rule: norm}\n"
    "    - conv: {out: 8, kernel: 4, bias: true}\n"
    "    - norm\n"
    "    - neuron: {type: if}\n"
    "    - maxpool: {kernel: 3, stride: 1, pad: 1}\n"
    "    - avgpool: global\n"
    "    - maxpool\n"
    "    - dropout: 0.25\n"
    "    - dropout: {name: second}\n"
    "    - linear: {out: 100, bias: false}\n"
    "    - neuron: {decay: learned}\n"
    "    - linear: {out: classes}\n"
    "neuron: {v_threshold: 2, decay: 0.75}\n"
    "surrogate: {width: 3}\n"
    "pda: {weight: 0.1}\n";

Test(recipe, layers_with_their_defaults) {
  surge_recipe recipe = good(layered, NULL);
  const surge_layer_spec *l = recipe.model.layers;
  cr_assert_eq(recipe.model.layer_count, 18);

  cr_expect(l[0].kind == SURGE_LAYER_CONV && l[0].out == 32 &&
            l[0].kernel == 3 && l[0].stride == 1 && l[0].pad == 1 &&
            l[0].groups == 1 && !l[0].bias);
  cr_expect(l[0].line == 6 && l[0].column == 7, "%d:%d", l[0].line,
            l[0].column);
  cr_expect(l[1].norm == SURGE_NORM_TEBN && l[1].alpha == 0.5f);
  cr_expect(l[2].neuron.decay == 0.5f && l[2].neuron.family == SURGE_ARCTAN &&
            l[2].neuron.v_threshold == 2.0f && l[2].neuron.width == 3.0f);
  cr_expect(!l[2].pda && l[2].neuron.pda == SURGE_PDA_OFF);
  cr_expect(l[3].kernel == 5 && l[3].stride == 2 && l[3].pad == 0 &&
                l[3].groups == 2 && l[3].bias,
            "a pool between it and the norm");
  cr_expect(l[4].kernel == 2 && l[4].stride == 2);
  cr_expect(l[5].norm == SURGE_NORM_BN && l[5].alpha == 2.0f &&
            l[5].zero_init && !l[1].zero_init);
  cr_expect(l[6].neuron.width_rule == SURGE_WIDTH_NORM &&
            l[6].neuron.family == SURGE_RECTANGULAR &&
            l[6].neuron.decay == 0.75f && l[6].pda &&
            l[6].neuron.pda == SURGE_PDA_MOMENT);
  cr_expect(l[7].pad == 2 && l[7].bias, "an even kernel; its own bias");
  cr_expect(l[9].neuron.decay == 1.0f && !l[9].neuron.decay_learned);
  cr_expect(l[10].kind == SURGE_LAYER_MAXPOOL && l[10].kernel == 3 &&
            l[10].stride == 1 && l[10].pad == 1);
  cr_expect(l[11].kernel == 0 && l[11].stride == 1 && l[11].pad == 0);
  cr_expect(l[12].kernel == 2 && l[12].stride == 2);
  cr_expect(l[13].p == 0.25f && l[14].p == 0.5f);
  cr_expect(l[15].out == 100 && !l[15].bias);
  cr_expect(l[16].neuron.decay_learned && l[16].neuron.decay == 0.75f);
  cr_expect(l[17].out == 0 && l[17].bias);
  surge_recipe_free(&recipe);
}

Test(recipe, layers_have_names) {
  static const char *const names[] = {
      "conv1",    "norm1",    "first",  "conv2",   "avgpool1", "norm2",
      "neuron2",  "conv3",    "norm3",  "neuron3", "maxpool1", "avgpool2",
      "maxpool2", "dropout1", "second", "linear1", "neuron4",  "linear2"};
  surge_recipe recipe = good(layered, NULL);
  for (int i = 0; i < recipe.model.layer_count; i++)
    cr_expect_str_eq(recipe.model.layers[i].name, names[i]);
  surge_recipe_free(&recipe);
}

Test(recipe, layers_round_trip) {
  surge_recipe recipe = good(layered, NULL);
  expect_round_trip(&recipe, "layers");
  surge_recipe named =
      good(layered, SETS("pda.layers=[neuron2, neuron4]", "pda.weight=2",
                         "neuron.tau=8", "neuron.decay=learned"));
  const surge_layer_spec *l = named.model.layers;
  cr_expect(!l[2].pda && l[6].pda && !l[9].pda && l[16].pda);
  cr_expect(l[6].neuron.decay_learned && l[6].neuron.decay == 0.875f &&
                l[2].neuron.decay_learned && l[2].neuron.decay == 0.5f &&
                !l[9].neuron.decay_learned,
            "a layer's tau moves the start of a learned decay");
  expect_round_trip(&named, "named");
  surge_recipe_free(&recipe);
  surge_recipe_free(&named);
}

Test(recipe, layers_by_override) {
  surge_recipe recipe = good("model: {arch: layers, layers: [norm, neuron]}",
                             SETS("model.layers=[linear: {out: classes}]"));
  cr_assert_eq(recipe.model.layer_count, 1);
  cr_expect_eq(recipe.model.layers[0].line, 0);
  surge_recipe_free(&recipe);
}

/* ======================================================================== *
 *  Recipes that start from others
 * ======================================================================== */

static void write_file(const char *folder, const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "wb");
  cr_assert_not_null(file, "%s", path);
  fputs(text, file);
  fclose(file);
}

static void remove_files(const char *folder, const char *const *names) {
  char path[128];
  for (; *names; names++) {
    snprintf(path, sizeof path, "%s/%s", folder, *names);
    unlink(path);
  }
  rmdir(folder);
}

Test(recipe, starts_from_its_base) {
  char folder[] = "/tmp/surge_base_XXXXXX", path[64];
  cr_assert_not_null(mkdtemp(folder));
  write_file(folder, "first.yaml",
             "T: 2\nseed: 5\nname: of_many_letters\n"
             "model: {channels: [4, 5, 6], pool: [true, true, true]}\n"
             "optim: {lr: 0.5}\n");
  write_file(folder, "second.yaml",
             "base: first.yaml\noptim: {momentum: 0.25}\nseed: 6\n"
             "name: short\nmodel: {channels: [8], pool: [false]}\n");
  write_file(folder, "third.yaml", "seed: 7\nbase: second.yaml\n");
  snprintf(path, sizeof path, "%s/third.yaml", folder);
  surge_recipe recipe;
  cr_assert_eq(surge_recipe_read(&recipe, path, SETS("T=3")), SURGE_OK, "%s",
               surge_last_error());
  cr_expect_eq(recipe.seed, 7, "its own, wherever base stands");
  cr_expect_eq(recipe.T, 3);
  cr_expect(recipe.optim.lr == 0.5f && recipe.optim.momentum == 0.25f);
  expect_round_trip(&recipe, "base");
  surge_recipe_free(&recipe);
  remove_files(folder, SETS("first.yaml", "second.yaml", "third.yaml"));
}

Test(recipe, refuses_a_base_with_place) {
  static const struct {
    const char *first, *wanted;
  } cases[] = {
      {"T: 2\nbase: no.yaml\n",
       "/first.yaml:2:7: base: wanted a recipe that can be read, found "},
      {"base: first.yaml\n",
       "/first.yaml:1:7: base: wanted a recipe that ends "
       "in one without base, found a circle"},
      {"base: [first.yaml]\n", "/first.yaml:1:7: base: wanted a text"},
      {"base: second.yaml\n", "/second.yaml:1:4: T: wanted an integer"},
  };
  char folder[] = "/tmp/surge_base_XXXXXX", path[64];
  cr_assert_not_null(mkdtemp(folder));
  write_file(folder, "second.yaml", "T: two\n");
  snprintf(path, sizeof path, "%s/first.yaml", folder);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    surge_recipe recipe;
    write_file(folder, "first.yaml", cases[i].first);
    cr_expect_eq(surge_recipe_read(&recipe, path, NULL), SURGE_ERROR_RECIPE);
    cr_expect_not_null(strstr(surge_last_error(), cases[i].wanted),
                       "%s\nwanted %s", surge_last_error(), cases[i].wanted);
    surge_recipe_free(&recipe);
  }
  remove_files(folder, SETS("first.yaml", "second.yaml"));
}

/* ======================================================================== *
 *  The table as a whole
 * ======================================================================== */

/* No key here has its default value: what is not written is seen. */
static const char *const everything =
    "name: all-keys.1\nseed: 9223372036854775807\ndevice: cuda\nthreads: 3\n"
    "precision: bf16\nmemory: packed\ndeterministic: false\nworkspace_mb: 1\nT: 7\n"
    "data: {set: mnist, path: 'a \"b\" \\ # \xc3\xa9', limit: 2147483647,\n"
    "  test_limit: 1, validation: 2, normalize: false, crop_pad: 4,\n"
    "  flip: true, cutout: 8, random_erasing: 0.25, policy: trivialaugment,\n"
    "  mixup: 0.2, cutmix: 1, size: 64, resize: 80, workers: 3,\n"
    "  on_error: skip, cache: /c, split: 0.75, sensor: [240, 180], split_by: duration,\n"
    "  duration_us: 2147483647, counts: binary, roll: 5, drop_event: true}\n"
    "model: {arch: resnet20, channels: [1, 65536, 3], pool: [true, false, "
    "true],\n"
    "  hidden: [], pooling: max, kernel: 5, norm: tebn, norm_alpha: "
    "0.70710677,\n"
    "  init: kaiming_fan_out, zero_init_residual: true,\n"
    "  dropout: 0.2, coding: poisson, readout: membrane, vote: 10}\n"
    "neuron: {type: lif, decay: learned, decay_start: 0.333333343,\n"
    "  v_threshold: 1.1, v_reset: -0.0, reset: soft, detach_reset: false,\n"
    "  decay_input: true, synapse_decay: learned, synapse_decay_start: 0.7}\n"
    "surrogate: {family: fast_sigmoid, width: 0.123456789, width_end: 3e-38,\n"
    "  width_rule: schedule, granularity: channel, width_min: 1e-40,\n"
    "  width_max: 3.4028235e+38}\n"
    "pda: {kind: quantization, weight: 0.1, mean: -1, std: 2,\n"
    "  granularity: channel, epsilon: 0.1, layers: [neuron1]}\n"
    "loss: {kind: tet, label_smoothing: 0.1, tet_lambda: 0.001}\n"
    "optim: {kind: adamw, lr: 16777216, momentum: 0.95, nesterov: true,\n"
    "  weight_decay: 0, beta1: 0.8, beta2: 0.99, eps: 1e-6, width_lr: 0,\n"
    "  decay_lr: 1, clip_norm: 5, ema_decay: 0.999}\n"
    "schedule: {kind: step, warmup_epochs: 0.5, lr_min: 1e-5,\n"
    "  milestones: [1, 2147483647], gamma: 1}\n"
    "train: {epochs: 1000, batch: 1, accumulate: 2, log_every: 1,\n"
    "  eval_every: 3, checkpoint_every: 4}\n";

/* The text of one field, as the writer prints it. */
static char *field_text(const surge_key *key, const surge_draft *draft) {
  char *text = NULL;
  size_t size = 0;
  FILE *file = open_memstream(&text, &size);
  surge_value_write(key, draft, file);
  fclose(file);
  return text;
}

Test(recipe, every_key_round_trips) {
  surge_recipe recipe = good(everything, NULL);
  surge_draft draft;
  surge_draft_of(&draft, &recipe);
  for (size_t i = 0; i < SURGE_KEY_COUNT; i++) {
    const surge_key *key = &surge_keys[i];
    if (key->type == SURGE_KEY_SECTION || key->type == SURGE_KEY_LAYERS ||
        strcmp(key->path, "neuron.type") == 0 || strcmp(key->path, "base") == 0)
      continue;
    char *text = field_text(key, &draft);
    cr_expect(!key->standard || strcmp(text, key->standard) != 0,
              "%s has its default, so this test does not see it", key->path);
    free(text);
  }
  cr_expect(signbit(recipe.neuron.v_reset), "-0 is kept");
  cr_expect_str_eq(recipe.data.path, "a \"b\" \\ # \xc3\xa9");
  expect_round_trip(&recipe, "everything");
  surge_recipe_free(&recipe);
}

/* The default that the manual prints is the one that the reader fills in. */
Test(recipe, standards_print_as_they_are) {
  surge_recipe recipe;
  surge_draft draft;
  surge_recipe_defaults(&recipe);
  surge_draft_of(&draft, &recipe);
  for (size_t i = 0; i < SURGE_KEY_COUNT; i++) {
    const surge_key *key = &surge_keys[i];
    if (!key->standard || key->type == SURGE_KEY_LAYERS ||
        key->type == SURGE_KEY_TEXT)
      continue;
    char *text = field_text(key, &draft);
    cr_expect_str_eq(text, key->standard, "%s: %s", key->path, text);
    free(text);
  }
}

Test(recipe, every_key_is_in_the_manual_and_written) {
  surge_recipe recipe = good(layered, NULL);
  char *recipe_text = written(&recipe), *help = NULL, line[96];
  size_t size = 0;
  FILE *file = open_memstream(&help, &size);
  surge_recipe_help(file);
  fclose(file);
  for (size_t i = 0; i < SURGE_KEY_COUNT + SURGE_LAYER_KEY_COUNT; i++) {
    const surge_key *key = i < SURGE_KEY_COUNT
                               ? &surge_keys[i]
                               : &surge_layer_keys[i - SURGE_KEY_COUNT];
    bool section = key->type == SURGE_KEY_SECTION;
    snprintf(line, sizeof line, section ? "\n%s\n" : "\n  %s: ", key->path);
    const char *part = i < SURGE_KEY_COUNT ? help : strstr(help, "fields of");
    cr_expect_not_null(strstr(part, line), "%s is not in the manual",
                       key->path);
    snprintf(line, sizeof line, "%s:", surge_key_name(key));
    cr_expect_not_null(strstr(recipe_text, line), "%s is not written",
                       key->path);
    cr_expect(key->text && key->text[strlen(key->text) - 1] == '.',
              "%s: a sentence", key->path);
  }
  cr_expect_not_null(strstr(recipe_text, "\n# base: \"\"\n"), "%.99s",
                     recipe_text);
  for (char *at = help; *at; at += strcspn(at, "\n") + 1)
    cr_expect_leq(strcspn(at, "\n"), 79, "%.100s", at);
  free(recipe_text);
  free(help);
  surge_recipe_free(&recipe);
}

Test(recipe, writes_the_shortest_number_that_reads_back) {
  static const struct {
    float value;
    const char *text;
  } cases[] = {{0.1f, "0.1"},
               {128, "128"},
               {1000, "1000"},
               {1e-8f, "1e-08"},
               {16777216, "16777216"},
               {1.0f / 3, "0.33333334"},
               {0x1p-149f, "1e-45"},
               {-2.5f, "-2.5"},
               {0x1.fffffep127f, "3.4028235e+38"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    surge_recipe recipe;
    char line[64];
    surge_recipe_defaults(&recipe);
    recipe.neuron.pda_mean = cases[i].value;
    char *text = written(&recipe);
    snprintf(line, sizeof line, "  mean: %s\n", cases[i].text);
    cr_expect_not_null(strstr(text, line), "%s", cases[i].text);
    free(text);
  }
}

/* ======================================================================== *
 *  Recipes that ship, other locales, damaged files
 * ======================================================================== */

Test(recipe, shipped_recipes) {
  glob_t found;
  cr_assert_eq(
      glob(SURGE_SOURCE_DIR "/benchmarks/recipes/*.yaml", 0, NULL, &found), 0);
  cr_expect_geq(found.gl_pathc, 7);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    surge_recipe recipe;
    const char *base = strrchr(found.gl_pathv[i], '/') + 1;
    surge_status status = surge_recipe_read(&recipe, found.gl_pathv[i], NULL);
    cr_expect_eq(status, SURGE_OK, "%s", surge_last_error());
    cr_expect(strncmp(base, recipe.name, strlen(recipe.name)) == 0 &&
                  strcmp(base + strlen(recipe.name), ".yaml") == 0,
              "%s calls itself %s", base, recipe.name);
    expect_round_trip(&recipe, base);
    surge_recipe_free(&recipe);
  }
  globfree(&found);
}

/* A program may run in a locale that writes 0,5: recipes do not. The locale is
 * compiled here, where the system has its source. */
Test(recipe, numbers_have_a_point_in_every_locale) {
  char folder[] = "/tmp/surge_locale_XXXXXX", command[256];
  cr_assert_not_null(mkdtemp(folder));
  snprintf(command, sizeof command,
           "localedef -c -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1",
           folder);
  int compiled = system(command);
  setenv("LOCPATH", folder, 1);
  bool comma = compiled == 0 && setlocale(LC_ALL, "de_DE.UTF-8") &&
               strcmp(localeconv()->decimal_point, ",") == 0;
  snprintf(command, sizeof command, "rm -r %s", folder);
  int removed = system(command);
  cr_expect_eq(removed, 0);
  if (!comma) cr_skip_test("no locale with a decimal comma");

  surge_recipe recipe = good("optim: {lr: 1.5}", NULL);
  cr_expect(recipe.optim.lr == 1.5f && recipe.optim.momentum == 0.9f);
  expect_round_trip(&recipe, "de_DE");
  surge_recipe_defaults(&recipe);
  cr_expect(recipe.optim.lr == 0.1f);
  cr_expect_str_eq(localeconv()->decimal_point, ",",
                   "the locale is given back");
}

static uint64_t draw(uint64_t *state, uint64_t below) {
  uint64_t x = *state += 0x9E3779B97F4A7C15u; /* splitmix64 */
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return (x ^ (x >> 31)) % below;
}

/* Puts a piece over, or between, the bytes at a random place. */
static void mutate(char *text, size_t *size, size_t most, uint64_t *state) {
  static const char *const pieces[] = {
      "[",        "]",       "{",        "}",        ": ",
      ", ",       "\n",      "\n  ",     "- ",       "#",
      "'",        "\"",      "&a ",      "*a",       "!!str ",
      "? ",       "---\n",   "\t",       "\xff",     "\xc3\xa9",
      "-1",       "0",       "1e999",    "nan",      "99999999999999999999",
      "true",     "learned", "classes",  "global",   "norm",
      "neuron: ", "tau: 2",  "decay: 1", "layers: ", "name: a"};
  char other[64];
  size_t at = draw(state, *size + 1), length, cut = 0;
  const char *piece = pieces[draw(state, sizeof pieces / sizeof *pieces)];
  length = strlen(piece);
  uint64_t way = draw(state, 4);
  if (way == 0) { /* a part of the text itself */
    size_t from = draw(state, *size + 1);
    length = draw(state, sizeof other);
    if (from + length > *size) length = *size - from;
    memcpy(other, text + from, length);
    piece = other;
  } else if (way == 1) { /* a hole */
    length = 0;
    cut = draw(state, 24);
  } else if (way == 2) {
    cut = length;
  }
  if (at + cut > *size) cut = *size - at;
  if (*size - cut + length > most) return;
  memmove(text + at + length, text + at + cut, *size - at - cut);
  memcpy(text + at, piece, length);
  *size += length - cut;
}

/* Of the leak sanitizer, where the test is built with it. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* Thousands of damaged recipes: each is refused in one line, or accepted and
 * then survives the round trip; nothing is leaked. */
Test(recipe, damaged_recipes) {
  enum { MOST = 16384, ROUNDS = 4000 };
  glob_t found;
  uint64_t state = 1;
  int accepted = 0;
  char *text = malloc(MOST);
  cr_assert_eq(
      glob(SURGE_SOURCE_DIR "/benchmarks/recipes/*.yaml", 0, NULL, &found), 0);
  for (int i = 0; i < ROUNDS; i++) {
    surge_recipe recipe;
    size_t from = draw(&state, found.gl_pathc + 2);
    char *seed = from < found.gl_pathc
                     ? read_file(found.gl_pathv[from])
                     : strdup(from == found.gl_pathc ? everything : layered);
    size_t size = strlen(seed);
    memcpy(text, seed, size);
    free(seed);
    for (uint64_t n = 1 + draw(&state, 3); n > 0; n--)
      mutate(text, &size, MOST, &state);
    surge_status status = surge_recipe_parse(&recipe, "r", text, size, NULL);
    accepted += status == SURGE_OK;
    if (status == SURGE_OK)
      expect_round_trip(&recipe, "damaged");
    else
      cr_expect(status == SURGE_ERROR_RECIPE && *surge_last_error() &&
                    !strchr(surge_last_error(), '\n'),
                "round %d: %s", i, surge_last_error());
    surge_recipe_free(&recipe);
  }
  cr_expect(accepted > ROUNDS / 20 && accepted < ROUNDS,
            "%d of %d damaged recipes were accepted", accepted, ROUNDS);
  free(text);
  globfree(&found);
  if (__lsan_do_recoverable_leak_check)
    cr_expect_eq(__lsan_do_recoverable_leak_check(), 0, "leaks");
}
