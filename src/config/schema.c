/* schema.c - every key that a recipe may have: the one table that reads
 * recipes, writes them and prints their manual. To add a key, add a row (and
 * the field in surge_recipe); a row's field and type are checked against each
 * other by the compiler. */
#include "src/config/schema.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ======================================================================== *
 *  Words
 * ======================================================================== */

static const surge_word device_words[] = {{"auto", SURGE_DEVICE_AUTO},
                                          {"cpu", SURGE_DEVICE_CPU},
                                          {"cuda", SURGE_DEVICE_CUDA},
                                          {NULL, 0}};
static const surge_word memory_words[] = {{"normal", SURGE_MEMORY_NORMAL},
                                          {"packed", SURGE_MEMORY_PACKED},
                                          {"recompute", SURGE_MEMORY_RECOMPUTE},
                                          {NULL, 0}};
static const surge_word precision_words[] = {{"fp32", SURGE_PRECISION_FP32},
                                             {"tf32", SURGE_PRECISION_TF32},
                                             {"bf16", SURGE_PRECISION_BF16},
                                             {NULL, 0}};
static const surge_word arch_words[] = {
    {"convnet", SURGE_ARCH_CONVNET},
    {"mlp", SURGE_ARCH_MLP},
    {"cifarnet", SURGE_ARCH_CIFARNET},
    {"vgg11", SURGE_ARCH_VGG11},
    {"vgg16", SURGE_ARCH_VGG16},
    {"vggsnn", SURGE_ARCH_VGGSNN},
    {"plif_net", SURGE_ARCH_PLIF_NET},
    {"resnet19", SURGE_ARCH_RESNET19},
    {"resnet20", SURGE_ARCH_RESNET20},
    {"sew_resnet18", SURGE_ARCH_SEW_RESNET18},
    {"sew_resnet34", SURGE_ARCH_SEW_RESNET34},
    {"sew_resnet50", SURGE_ARCH_SEW_RESNET50},
    {"ms_resnet18", SURGE_ARCH_MS_RESNET18},
    {"ms_resnet34", SURGE_ARCH_MS_RESNET34},
    {"layers", SURGE_ARCH_LAYERS},
    {NULL, 0}};
static const surge_word init_words[] = {
    {"pytorch", SURGE_INIT_PYTORCH},
    {"kaiming_fan_out", SURGE_INIT_KAIMING_FAN_OUT},
    {NULL, 0}};
static const surge_word pooling_words[] = {
    {"avg", SURGE_LAYER_AVGPOOL}, {"max", SURGE_LAYER_MAXPOOL}, {NULL, 0}};
static const surge_word norm_words[] = {{"tdbn", SURGE_NORM_TDBN},
                                        {"bn", SURGE_NORM_BN},
                                        {"tebn", SURGE_NORM_TEBN},
                                        {NULL, 0}};
static const surge_word norm_or_none_words[] = {{"tdbn", SURGE_NORM_TDBN},
                                                {"bn", SURGE_NORM_BN},
                                                {"tebn", SURGE_NORM_TEBN},
                                                {"none", SURGE_NO_NORM},
                                                {NULL, 0}};
static const surge_word policy_words[] = {
    {"none", SURGE_POLICY_NONE},
    {"autoaugment", SURGE_POLICY_AUTOAUGMENT},
    {"trivialaugment", SURGE_POLICY_TRIVIALAUGMENT},
    {NULL, 0}};
static const surge_word on_error_words[] = {
    {"stop", SURGE_ON_ERROR_STOP}, {"skip", SURGE_ON_ERROR_SKIP}, {NULL, 0}};
static const surge_word split_by_words[] = {
    {"number", SURGE_FRAMES_BY_NUMBER},
    {"time", SURGE_FRAMES_BY_TIME},
    {"duration", SURGE_FRAMES_BY_DURATION},
    {NULL, 0}};
static const surge_word counts_words[] = {
    {"sum", SURGE_COUNTS_SUM}, {"binary", SURGE_COUNTS_BINARY}, {NULL, 0}};
static const surge_word coding_words[] = {{"direct", SURGE_CODING_DIRECT},
                                          {"poisson", SURGE_CODING_POISSON},
                                          {NULL, 0}};
static const surge_word readout_words[] = {{"logits", SURGE_READOUT_LOGITS},
                                           {"membrane", SURGE_READOUT_MEMBRANE},
                                           {"spikes", SURGE_READOUT_SPIKES},
                                           {NULL, 0}};
static const surge_word neuron_words[] = {
    {"lif", 0}, {"if", SURGE_INTEGRATE_FIRE}, {NULL, 0}};
static const surge_word decay_words[] = {{"learned", SURGE_LEARNED}, {NULL, 0}};
static const surge_word reset_words[] = {
    {"hard", SURGE_RESET_HARD}, {"soft", SURGE_RESET_SOFT}, {NULL, 0}};
static const surge_word family_words[] = {
#define FAMILY_WORD(NAME, word, half) {#word, SURGE_##NAME},
    SURGE_FAMILY_LIST(FAMILY_WORD)
#undef FAMILY_WORD
        {NULL, 0}};
static const surge_word width_rule_words[] = {
    {"fixed", SURGE_WIDTH_FIXED},       {"learned", SURGE_WIDTH_LEARNED},
    {"decay", SURGE_WIDTH_DECAY},       {"norm", SURGE_WIDTH_NORM},
    {"schedule", SURGE_WIDTH_SCHEDULE}, {NULL, 0}};
static const surge_word granularity_words[] = {
    {"layer", SURGE_PER_LAYER}, {"channel", SURGE_PER_CHANNEL}, {NULL, 0}};
static const surge_word pda_words[] = {{"moment", SURGE_PDA_MOMENT},
                                       {"quantization", SURGE_PDA_QUANTIZATION},
                                       {NULL, 0}};
static const surge_word loss_words[] = {{"mean", SURGE_LOSS_MEAN},
                                        {"tet", SURGE_LOSS_TET},
                                        {"mse", SURGE_LOSS_MSE},
                                        {NULL, 0}};
static const surge_word optimizer_words[] = {{"sgd", SURGE_SGD},
                                             {"adam", SURGE_ADAM},
                                             {"adamw", SURGE_ADAMW},
                                             {NULL, 0}};
static const surge_word schedule_words[] = {
    {"constant", SURGE_SCHEDULE_CONSTANT},
    {"cosine", SURGE_SCHEDULE_COSINE},
    {"step", SURGE_SCHEDULE_STEP},
    {NULL, 0}};
static const surge_word classes_words[] = {{"classes", 0}, {NULL, 0}};
static const surge_word global_words[] = {{"global", 0}, {NULL, 0}};

const surge_word surge_layer_words[] = {{"conv", SURGE_LAYER_CONV},
                                        {"linear", SURGE_LAYER_LINEAR},
                                        {"norm", SURGE_LAYER_NORM},
                                        {"neuron", SURGE_LAYER_NEURON},
                                        {"avgpool", SURGE_LAYER_AVGPOOL},
                                        {"maxpool", SURGE_LAYER_MAXPOOL},
                                        {"dropout", SURGE_LAYER_DROPOUT},
                                        {"add", SURGE_LAYER_ADD},
                                        {NULL, 0}};

/* ======================================================================== *
 *  What rows are made of
 * ======================================================================== */

/* An offset that compiles only where the field has the C type that the row's
 * key type says. */
#define OFFSET(type, member, ctype)                                            \
  .offset = offsetof(type, member) +                                           \
            0 * sizeof(_Generic(((type *)0)->member, ctype : 0))
/* Enums are ints or unsigned ints, as the compiler likes; all are 32 bits. */
#define OFFSET_ENUM(type, member)                                              \
  .offset = offsetof(type, member) +                                           \
            0 * sizeof(_Generic(((type *)0)->member, int : 0, unsigned : 0))
#define ARRAY(type, member, count_member, ctype)                               \
  .offset = offsetof(type, member) +                                           \
            0 * sizeof(_Generic(&((type *)0)->member[0], ctype * : 0)),        \
  .count_offset = offsetof(type, count_member),                                \
  .capacity = sizeof((type *)0)->member / sizeof(ctype)
#define CHARS(type, member)                                                    \
  OFFSET(type, member, char *), .capacity = sizeof((type *)0)->member

#define BOOL(m) .type = SURGE_KEY_BOOL, OFFSET(surge_draft, m, bool)
#define INT(m) .type = SURGE_KEY_INT, OFFSET(surge_draft, m, int32_t)
#define LONG(m) .type = SURGE_KEY_LONG, OFFSET(surge_draft, m, int64_t)
#define FLOAT(m) .type = SURGE_KEY_FLOAT, OFFSET(surge_draft, m, float)
#define DOUBLE(m) .type = SURGE_KEY_DOUBLE, OFFSET(surge_draft, m, double)
#define WORD(m, list)                                                          \
  .type = SURGE_KEY_WORD, OFFSET_ENUM(surge_draft, m), .words = list
#define NAME(m) .type = SURGE_KEY_NAME, CHARS(surge_draft, m)
#define LABEL(m) .type = SURGE_KEY_LABEL, CHARS(surge_draft, m)
#define TEXT(m) .type = SURGE_KEY_TEXT, CHARS(surge_draft, m)
#define NAMES(m) .type = SURGE_KEY_NAMES, CHARS(surge_draft, m)
#define INTS(m, n) .type = SURGE_KEY_INTS, ARRAY(surge_draft, m, n, int32_t)
#define BOOLS(m, n) .type = SURGE_KEY_BOOLS, ARRAY(surge_draft, m, n, bool)

#define LAYER_BOOL(m) .type = SURGE_KEY_BOOL, OFFSET(surge_layer_spec, m, bool)
#define LAYER_INT(m) .type = SURGE_KEY_INT, OFFSET(surge_layer_spec, m, int32_t)
#define LAYER_FLOAT(m)                                                         \
  .type = SURGE_KEY_FLOAT, OFFSET(surge_layer_spec, m, float)
#define LAYER_WORD(m, list)                                                    \
  .type = SURGE_KEY_WORD, OFFSET_ENUM(surge_layer_spec, m), .words = list
#define LAYER_NAME(m) .type = SURGE_KEY_NAME, CHARS(surge_layer_spec, m)

#define BETWEEN(a, b) .low = (a), .high = (b)
#define FROM(a) .low = (a), .high = INFINITY
#define ABOVE(a) .low = (a), .low_open = true, .high = INFINITY
#define INSIDE(a, b)                                                           \
  .low = (a), .low_open = true, .high = (b), .high_open = true
#define BELOW_ONE .low = 0, .high = 1, .high_open = true
#define MOST INT32_MAX

/* ======================================================================== *
 *  The keys
 * ======================================================================== */

const surge_key surge_keys[] = {
    {"base", TEXT(base), .standard = "",
     .text =
         "A recipe that this one starts from: a file, seen from this one's "
         "folder. A key here replaces the same key there; one that excludes "
         "it (tau beside decay) is refused as in one file."},
    {"name", LABEL(recipe.name), .standard = "unnamed",
     .text = "Names the experiment in run folders and reports."},
    {"seed", LONG(recipe.seed), FROM(0), .standard = "1",
     .text = "Fixes every random number: parameters, order, augmentation."},
    {"device", WORD(recipe.device, device_words), .standard = "auto",
     .text = "Where the network runs; auto takes cuda where there is one."},
    {"threads", INT(recipe.threads), BETWEEN(0, 4096), .standard = "0",
     .text = "CPU threads, 0: one a core; results do not depend on it."},
    {"precision", WORD(recipe.precision, precision_words), .standard = "fp32",
     .text =
         "Device: type of maps and products. tf32: fp32 whose products round "
         "their inputs; bf16: maps and weights of products in bf16, membranes, "
         "statistics and trained weights in fp32."},
    {"memory", WORD(recipe.memory, memory_words), .standard = "normal",
     .text = "What is kept from forward to backward: normal keeps it as it is; "
             "packed keeps spikes in a bit and their sums in a byte; recompute "
             "does so too and computes convolutions and products again. The "
             "same bits come out."},
    {"deterministic", BOOL(recipe.deterministic), .standard = "true",
     .text =
         "Same bits on every run of one device; the CPU always gives them."},
    {"workspace_mb", INT(recipe.workspace_mb), BETWEEN(0, 1 << 20),
     .unit = "MiB", .standard = "256",
     .text = "Device: cap under which library algorithms are chosen."},
    {"T", INT(recipe.T), BETWEEN(1, SURGE_MAX_T), .unit = "steps",
     .standard = "4", .text = "Time steps for which each sample is shown."},

    {"data", SURGE_KEY_SECTION, .text = "The images and what is done to them."},
    {"data.set", NAME(recipe.data.set), .standard = "fashion_mnist",
     .text = "Data set: fashion_mnist, mnist, cifar10, cifar100; image_folder: "
             "PATH/train/CLASS/ and PATH/val/CLASS/ with JPEG or PNG files; of "
             "recordings nmnist, cifar10_dvs, dvs_gesture, ncaltech101, "
             "ncars, shd, ssc, or "
             "event_folder: PATH/train/CLASS/ and PATH/test/CLASS/, or "
             "PATH/CLASS/ with data.split."},
    {"data.path", TEXT(recipe.data.path), .standard = "",
     .text = "Its folder; \"\" is where the set's package puts it."},
    {"data.limit", INT(recipe.data.limit), BETWEEN(0, MOST), .unit = "images",
     .standard = "0", .text = "Training images used, 0: all."},
    {"data.test_limit", INT(recipe.data.test_limit), BETWEEN(0, MOST),
     .unit = "images", .standard = "0", .text = "Test images used, 0: all."},
    {"data.validation", INT(recipe.data.validation), BETWEEN(0, MOST),
     .unit = "images", .standard = "0",
     .text = "Training images held out to choose by, so that the test set "
             "stays unseen."},
    {"data.normalize", BOOL(recipe.data.normalize), .standard = "true",
     .text = "Subtract the set's mean and divide by its deviation, a channel."},
    {"data.crop_pad", INT(recipe.data.crop_pad), BETWEEN(0, 64),
     .unit = "pixels", .standard = "0",
     .text = "Random crop of the original size after padding by so much."},
    {"data.flip", BOOL(recipe.data.flip), .standard = "false",
     .text = "Mirror half of the training images."},
    {"data.cutout", INT(recipe.data.cutout), BETWEEN(0, MOST), .unit = "pixels",
     .standard = "0",
     .text = "Side of a square around a random pixel of each training image "
             "that is 0 after normalising (DeVries 2017); 0: none."},
    {"data.random_erasing", FLOAT(recipe.data.random_erasing), BETWEEN(0, 1),
     .standard = "0",
     .text = "Probability that a rectangle of a training image is 0 after "
             "normalising (Zhong 2017; area and sides as torchvision's); 0: "
             "none."},
    {"data.policy", WORD(recipe.data.policy, policy_words), .standard = "none",
     .text = "Operations on the bytes of training images before crop and flip: "
             "autoaugment (CIFAR-10's policy, Cubuk 2019) or trivialaugment "
             "(wide, Mueller 2021), as torchvision's on Pillow images."},
    {"data.mixup", FLOAT(recipe.data.mixup), FROM(0), .standard = "0",
     .text = "alpha: training images and labels are mixed with those before "
             "them, share ~ Beta(alpha, alpha) a batch (Zhang 2018); 0: off."},
    {"data.cutmix", FLOAT(recipe.data.cutmix), FROM(0), .standard = "0",
     .text = "alpha: a rectangle of the image before is pasted into each, "
             "labels by area (Yun 2019); with mixup: one of them a batch, p = "
             "0.5; 0: off."},
    {"data.size", INT(recipe.data.size), BETWEEN(0, 4096), .unit = "pixels",
     .standard = "0",
     .text =
         "Sides of the network's input. image_folder, 0: 224; training takes "
         "a random part of 8 to 100 % of the area at a ratio of 3/4 to 4/3 "
         "(torchvision's RandomResizedCrop), evaluation the centre. "
         "Recordings, 0: the sensor's; the sensor's longer side becomes so "
         "long by summing, the shorter lies in the middle."},
    {"data.resize", INT(recipe.data.resize), BETWEEN(0, 8192), .unit = "pixels",
     .standard = "0",
     .text = "image_folder: the shorter side before the centre is taken; 0: "
             "size*256/224."},
    {"data.workers", INT(recipe.data.workers), BETWEEN(0, 4096),
     .unit = "threads", .standard = "0",
     .text = "image_folder, recordings, policy: threads that prepare samples, "
             "0: as `threads`; results do not depend on it."},
    {"data.on_error", WORD(recipe.data.on_error, on_error_words),
     .standard = "stop",
     .text =
         "A file of image_folder or of recordings that cannot be read, or "
         "has events outside the sensor, stops the run, or is counted and named once: in training the next image of the epoch "
         "stands in for it, in evaluation it is left out."},
    {"data.cache", TEXT(recipe.data.cache), .standard = "",
     .text =
         "Recordings: a folder in which frames are kept; a recording's are "
         "found by a hash of its bytes and of how it is framed. \"\": none. Not "
         "of shd and ssc, nor of training samples with drop_event."},
    {"data.split", FLOAT(recipe.data.split), INSIDE(0, 1), .standard = "0.9",
     .text =
         "Recordings in PATH/CLASS/ without a split: the share of each class, "
         "the first by name and rounded up, that is trained on; the rest is "
         "the test set (SpikingJelly's split_to_train_test_set)."},
    {"data.sensor", INTS(recipe.data.sensor, recipe.data.sensor_count),
     BETWEEN(1, 65536), .unit = "pixels", .standard = "[]",
     .text = "event_folder: width and height of the sensor; []: as its first "
             "recording says."},
    {"data.split_by", WORD(recipe.data.split_by, split_by_words),
     .standard = "number",
     .text =
         "Recordings are cut into T frames of a count for each pixel of OFF "
         "and of ON events: of equal numbers of events or of equal times, as "
         "SpikingJelly's, or of data.duration_us from the first event on."},
    {"data.duration_us", INT(recipe.data.duration_us), BETWEEN(1, MOST),
     .unit = "us", .standard = "10000",
     .text = "split_by duration: a frame's time. Events after frame T are left "
             "out; frames behind the last event are empty."},
    {"data.counts", WORD(recipe.data.counts, counts_words), .standard = "sum",
     .text =
         "Recordings: how many events a pixel has in a frame, up to 255, or "
         "binary, whether it has any."},
    {"data.roll", INT(recipe.data.roll), BETWEEN(0, 4096), .unit = "pixels",
     .standard = "0",
     .text = "Recordings: random shift of training frames each way by up to so "
             "much, the edges joined."},
    {"data.drop_event", BOOL(recipe.data.drop_event), .standard = "false",
     .text =
         "Recordings: of a training sample drop, each as likely, nothing, the "
         "events of a random time, of a random area, or random events "
         "(EventDrop, Gu 2021)."},

    {"model", SURGE_KEY_SECTION, .text = "The network."},
    {"model.arch", WORD(recipe.model.arch, arch_words), .standard = "convnet",
     .text = "A network of the zoo, or the list in model.layers. cifarnet: Wu "
             "2019; vgg11, vgg16: for CIFAR; vggsnn: Deng 2022; plif_net: Fang "
             "2021, of the data set, or the one for CIFAR-10; resnet19: Zheng "
             "2021; resnet20: its three stages of three blocks; sew_resnet18, "
             "34, 50: Fang 2021; ms_resnet18, 34: Hu 2021."},
    {"model.channels", INTS(recipe.model.channels, recipe.model.channel_count),
     BETWEEN(1, 65536), .derived = "those of the network's paper",
     .text = "Channels of each convolution (convnet: [32, 64] by default), or "
             "of each stage of a ResNet; resnet20: [16, 32, 64] is that of He "
             "2016."},
    {"model.pool", BOOLS(recipe.model.pool, recipe.model.pool_count),
     .standard = "[true, true]",
     .text = "convnet: 2x2 pooling after each convolution or not."},
    {"model.hidden", INTS(recipe.model.hidden, recipe.model.hidden_count),
     BETWEEN(1, 1 << 20), .derived = "those of the network's paper",
     .text = "Neurons of each hidden layer before the last (mlp, resnet19: "
             "[256] by default). Those of resnet19, resnet20 and plif_net have "
             "no norm."},
    {"model.pooling", WORD(recipe.model.pooling, pooling_words),
     .standard = "avg",
     .text = "Kind of the zoo's pooling layers; plif_net: max by default."},
    {"model.kernel", INT(recipe.model.kernel), BETWEEN(1, 255),
     .unit = "pixels", .standard = "3",
     .text = "convnet: side of each convolution's window."},
    {"model.norm", WORD(norm, norm_or_none_words), .standard = "tdbn",
     .text = "Normalisation before each neuron: tdbn (Zheng 2021), bn (without "
             "its factor theta), tebn (a learned scale a step, Duan 2022)."},
    {"model.norm_alpha", FLOAT(recipe.model.norm_alpha), ABOVE(0),
     .standard = "1",
     .text = "alpha of tdbn's factor alpha*theta; resnet19, resnet20: divided "
             "by the root of 2 where two branches are summed."},
    {"model.init", WORD(recipe.model.init, init_words), .standard = "pytorch",
     .text = "Start of the convolutions' weights: uniform in +-1/sqrt(fan_in) "
             "as PyTorch's layers, or normal of variance 2/fan_out (He 2015) "
             "as the ResNets' codes; all other weights as PyTorch."},
    {"model.zero_init_residual", BOOL(recipe.model.zero_init_residual),
     .standard = "false",
     .text = "ResNets: gamma of the last norm of each residual branch starts "
             "at 0 (Goyal 2017; Hu's MS-ResNet has it so). Where a neuron "
             "reads it alone, as in SEW-ResNet, all potentials are 0: a window "
             "that does not reach there never lets it move."},
    {"model.dropout", FLOAT(recipe.model.dropout), BELOW_ONE, .standard = "0",
     .text = "Share dropped before the last linear layer (plif_net: before "
             "each); one draw a sample holds for all steps."},
    {"model.coding", WORD(recipe.model.coding, coding_words),
     .standard = "direct",
     .text = "direct: pixels are the current of every step; poisson: spikes "
             "at a rate of value/255."},
    {"model.readout", WORD(recipe.model.readout, readout_words),
     .standard = "logits",
     .text = "What the loss reads: the last layer's output itself, or after "
             "an integrator with neuron.decay, or after a neuron."},
    {"model.vote", INT(recipe.model.vote), BETWEEN(1, 1024), .standard = "1",
     .text = "Output neurons that are averaged for each class, neighbours "
             "(SpikingJelly's VotingLayer): with readout: spikes their spikes "
             "vote (Fang 2021)."},
    {"model.layers", SURGE_KEY_LAYERS, .standard = "[]",
     .text = "The network as a list of layers, with arch: layers."},

    {"neuron", SURGE_KEY_SECTION,
     .text = "Defaults of every spiking layer: u[t] = d*v[t-1] + a[t], a spike "
             "where u[t] >= theta."},
    {"neuron.type", WORD(neuron_type, neuron_words), .standard = "lif",
     .text = "Leaky integrate-and-fire, or without leak (decay 1)."},
    {"neuron.decay", FLOAT(decay), .words = decay_words, BETWEEN(0, 1),
     .standard = "0.25",
     .text = "Decay factor d a step; learned: one d a layer (Fang 2021)."},
    {"neuron.decay_start", FLOAT(decay_start), INSIDE(0, 1), .derived = "0.25",
     .text = "Where a learned decay starts."},
    {"neuron.tau", DOUBLE(tau), FROM(1), .unit = "steps",
     .derived = "from decay",
     .text = "Time constant in place of decay or decay_start: d = 1 - 1/tau."},
    {"neuron.synapse_decay", FLOAT(synapse_decay), .words = decay_words,
     BELOW_ONE, .standard = "0",
     .text =
         "Decay factor d_s a step of a synapse's current, i[t] = d_s*i[t-1] "
         "+ a[t], which the membrane reads in place of a[t] (current-based "
         "LIF: Neftci 2019, snnTorch's Synaptic); learned: one d_s a layer; "
         "0: no synapse."},
    {"neuron.synapse_decay_start", FLOAT(synapse_start), INSIDE(0, 1),
     .derived = "none", .text = "Where a learned synapse_decay starts."},
    {"neuron.synapse_tau", DOUBLE(synapse_tau), FROM(1), .unit = "steps",
     .derived = "from synapse_decay",
     .text = "Time constant in place of synapse_decay or synapse_decay_start: "
             "d_s = 1 - 1/synapse_tau; 1: no synapse."},
    {"neuron.v_threshold", FLOAT(recipe.neuron.v_threshold), ABOVE(0),
     .standard = "1", .text = "Threshold theta; a membrane equal to it fires."},
    {"neuron.v_reset", FLOAT(recipe.neuron.v_reset), FROM(-INFINITY),
     .standard = "0",
     .text = "Where a hard reset goes; the leak goes to 0 all the same."},
    {"neuron.reset", WORD(recipe.neuron.reset, reset_words), .standard = "hard",
     .text = "After a spike go to v_reset, or subtract theta."},
    {"neuron.detach_reset", BOOL(recipe.neuron.detach_reset),
     .standard = "true", .text = "No gradient through the reset."},
    {"neuron.decay_input", BOOL(recipe.neuron.decay_input), .standard = "false",
     .text = "Scale the current by 1/tau = 1 - d."},

    {"surrogate", SURGE_KEY_SECTION,
     .text = "The surrogate gradient h_w(u - theta) of a spike, area 1 for "
             "every width w."},
    {"surrogate.family", WORD(recipe.neuron.family, family_words),
     .standard = "rectangular", .text = "Shape of h."},
    {"surrogate.width", FLOAT(recipe.neuron.width), ABOVE(0), .standard = "1",
     .text = "Width w; where learned or scheduled, its start."},
    {"surrogate.width_end", FLOAT(recipe.neuron.width_end), ABOVE(0),
     .standard = "0.1", .text = "Width at the end of width_rule: schedule."},
    {"surrogate.width_rule", WORD(recipe.neuron.width_rule, width_rule_words),
     .standard = "learned",
     .text = "learned: PSG (Wang 2023); decay: LSG (Lian 2023), from d and "
             "theta; norm: MPD-AGL (Jiang 2025), from the norm's mean gamma "
             "(of two norms, SURGE's extension: the root mean square of both); "
             "schedule: geometric to width_end."},
    {"surrogate.granularity",
     WORD(recipe.neuron.granularity, granularity_words), .standard = "layer",
     .text = "One learned width a layer, or one a channel."},
    {"surrogate.width_min", FLOAT(recipe.neuron.width_min), ABOVE(0),
     .standard = "0.001", .text = "Floor of a learned width."},
    {"surrogate.width_max", FLOAT(recipe.neuron.width_max), ABOVE(0),
     .standard = "1000", .text = "Ceiling of a learned width."},

    {"pda", SURGE_KEY_SECTION,
     .text = "Membrane potential distribution adjustment: an extra loss on the "
             "membrane before firing."},
    {"pda.kind", WORD(recipe.pda_kind, pda_words), .standard = "moment",
     .text = "moment: the membrane's Gaussian against a target; quantization: "
             "soft spike against spike, element by element."},
    {"pda.weight", FLOAT(recipe.pda_weight), FROM(0), .standard = "0",
     .text = "lambda, its weight in the loss; 0: off."},
    {"pda.mean", FLOAT(recipe.neuron.pda_mean), FROM(-INFINITY),
     .standard = "0", .text = "moment: mean of the target."},
    {"pda.std", FLOAT(recipe.neuron.pda_std), FROM(0), .standard = "0",
     .text = "moment: deviation of the target; 0: theta*sqrt(1 + d^2)."},
    {"pda.granularity", WORD(recipe.neuron.pda_granularity, granularity_words),
     .standard = "layer",
     .text = "moment: moments over a layer, or over each channel."},
    {"pda.epsilon", FLOAT(recipe.neuron.pda_epsilon), INSIDE(0, 0.5),
     .standard = "0.05",
     .text = "quantization: both shares are clipped to [epsilon, 1 - "
             "epsilon]."},
    {"pda.layers", NAMES(recipe.pda_layers), .standard = "all",
     .text = "Spiking layers that take part."},

    {"loss", SURGE_KEY_SECTION, .text = "The task loss."},
    {"loss.kind", WORD(recipe.loss.kind, loss_words), .standard = "mean",
     .text = "Cross entropy of the mean over T; that of each step (tet, Deng "
             "2022); squared error of rates against one-hot (mse)."},
    {"loss.label_smoothing", FLOAT(recipe.loss.label_smoothing), BELOW_ONE,
     .standard = "0", .text = "Share of the target spread over all classes."},
    {"loss.tet_lambda", FLOAT(recipe.loss.tet_lambda), BETWEEN(0, 1),
     .standard = "0.05",
     .text = "tet: share of the squared distance to theta."},

    {"optim", SURGE_KEY_SECTION, .text = "The optimiser."},
    {"optim.kind", WORD(recipe.optim.kind, optimizer_words), .standard = "sgd",
     .text = "Of weights, norms and biases; adamw decouples weight_decay."},
    {"optim.lr", FLOAT(recipe.optim.lr), ABOVE(0), .standard = "0.1",
     .text = "Learning rate of weights, norms and biases before the schedule."},
    {"optim.momentum", FLOAT(recipe.optim.momentum), BELOW_ONE,
     .standard = "0.9", .text = "sgd: momentum."},
    {"optim.nesterov", BOOL(recipe.optim.nesterov), .standard = "false",
     .text = "sgd: Nesterov's form of momentum."},
    {"optim.weight_decay", FLOAT(recipe.optim.weight_decay), FROM(0),
     .standard = "0.0001",
     .text = "Of weights alone: never of norms, biases, widths or decays."},
    {"optim.beta1", FLOAT(recipe.optim.beta1), BELOW_ONE, .standard = "0.9",
     .text = "adam, adamw: decay of the first moment."},
    {"optim.beta2", FLOAT(recipe.optim.beta2), BELOW_ONE, .standard = "0.999",
     .text = "adam, adamw: decay of the second moment."},
    {"optim.eps", FLOAT(recipe.optim.eps), ABOVE(0), .standard = "1e-08",
     .text = "adam, adamw: added to the root of the second moment."},
    {"optim.width_lr", FLOAT(recipe.optim.width_lr), FROM(0),
     .standard = "0.01",
     .text = "Learning rate of the widths' own Adam, on ln w."},
    {"optim.decay_lr", FLOAT(recipe.optim.decay_lr), FROM(0),
     .standard = "0.01",
     .text = "Learning rate of the decays' own Adam, on logit d (and d_s)."},
    {"optim.clip_norm", FLOAT(recipe.optim.clip_norm), FROM(0), .standard = "0",
     .text = "Largest norm of the gradient of weights, norms and biases; 0: "
             "not clipped."},
    {"optim.ema_decay", FLOAT(recipe.optim.ema_decay), BELOW_ONE,
     .standard = "0",
     .text = "Share that an average of all parameters and running statistics "
             "keeps at each step, the rest from training; evaluations and the "
             "best checkpoint are the average's. 0: none."},

    {"schedule", SURGE_KEY_SECTION, .text = "The learning rates over the run."},
    {"schedule.kind", WORD(recipe.optim.schedule, schedule_words),
     .standard = "cosine", .text = "How they fall after the warm-up."},
    {"schedule.warmup_epochs", FLOAT(recipe.optim.warmup_epochs), FROM(0),
     .unit = "epochs", .standard = "0", .text = "Linear rise from 0 at first."},
    {"schedule.lr_min", FLOAT(recipe.optim.lr_min), FROM(0), .standard = "0",
     .text = "cosine: optim.lr ends here, the others in proportion."},
    {"schedule.milestones",
     INTS(recipe.optim.milestones, recipe.optim.milestone_count),
     BETWEEN(1, MOST), .unit = "epochs", .standard = "[]",
     .text = "step: epochs after which the rates are multiplied by gamma."},
    {"schedule.gamma", FLOAT(recipe.optim.gamma), .low = 0, .low_open = true,
     .high = 1, .standard = "0.1", .text = "step: factor at each milestone."},

    {"train", SURGE_KEY_SECTION, .text = "The loop."},
    {"train.epochs", INT(recipe.train.epochs), BETWEEN(1, 1000000),
     .standard = "10", .text = "Passes over the training images."},
    {"train.batch", INT(recipe.train.batch), BETWEEN(1, 1 << 20),
     .unit = "images", .standard = "128", .text = "Images a batch."},
    {"train.accumulate", INT(recipe.train.accumulate), BETWEEN(1, 1 << 20),
     .unit = "batches", .standard = "1",
     .text = "Batches whose gradients make one step."},
    {"train.log_every", INT(recipe.train.log_every), BETWEEN(1, MOST),
     .unit = "steps", .standard = "50",
     .text = "Steps between logged statistics."},
    {"train.eval_every", INT(recipe.train.eval_every), BETWEEN(1, MOST),
     .unit = "epochs", .standard = "1", .text = "Epochs between evaluations."},
    {"train.checkpoint_every", INT(recipe.train.checkpoint_every),
     BETWEEN(0, MOST), .unit = "steps", .standard = "0",
     .text = "Steps between saves within an epoch, 0: at its end only."},
};

const surge_key surge_layer_keys[] = {
    {"name", LAYER_NAME(name), .derived = "kind and running number",
     .text = "Unique name of the layer, in logs and checkpoints."},
    {"from", LAYER_NAME(from), .derived = "the layer before, or image",
     .text = "What the layer reads: a layer above it, or the image. A norm is "
             "read by one neuron or add."},
    {"conv.out", LAYER_INT(out), BETWEEN(1, 65536), .unit = "channels",
     .text = "Channels made."},
    {"conv.kernel", LAYER_INT(kernel), BETWEEN(1, 255), .unit = "pixels",
     .standard = "3", .text = "Side of the window."},
    {"conv.stride", LAYER_INT(stride), BETWEEN(1, 255), .unit = "pixels",
     .standard = "1", .text = "Step of the window."},
    {"conv.pad", LAYER_INT(pad), BETWEEN(0, 255), .unit = "pixels",
     .derived = "kernel/2, rounded down", .text = "Zeros on each side."},
    {"conv.groups", LAYER_INT(groups), BETWEEN(1, 65536), .standard = "1",
     .text = "Groups of channels convolved apart."},
    {"conv.bias", LAYER_BOOL(bias), .derived = "false before a norm, else true",
     .text = "A bias a channel."},
    {"linear.out", LAYER_INT(out), .words = classes_words, BETWEEN(1, 1 << 20),
     .unit = "features",
     .text = "Features made; the last linear layer's are the classes."},
    {"linear.bias", LAYER_BOOL(bias),
     .derived = "false before a norm, else true", .text = "A bias a feature."},
    {"norm.kind", LAYER_WORD(norm, norm_words), .derived = "model.norm",
     .text = "As model.norm."},
    {"norm.alpha", LAYER_FLOAT(alpha), ABOVE(0), .derived = "model.norm_alpha",
     .text = "As model.norm_alpha."},
    {"norm.zero_init", LAYER_BOOL(zero_init), .standard = "false",
     .text = "gamma starts at 0."},
    {"neuron.add", LAYER_NAME(add), .standard = SURGE_NOTHING,
     .text = "A second input, added to the first before the neuron: a norm or "
             "a layer above it with the same map (ResNet)."},
    {"neuron.pda", LAYER_BOOL(pda), .derived = "from pda.layers",
     .text = "Takes part in membrane potential distribution adjustment."},
    {"avgpool.kernel", LAYER_INT(kernel), .words = global_words,
     BETWEEN(1, 255), .unit = "pixels", .standard = "2",
     .text = "Side of the window; global: the whole map."},
    {"avgpool.stride", LAYER_INT(stride), BETWEEN(1, 255), .unit = "pixels",
     .derived = "kernel", .text = "Step of the window."},
    {"avgpool.pad", LAYER_INT(pad), BETWEEN(0, 127), .unit = "pixels",
     .standard = "0", .text = "Zeros on each side, at most half the kernel."},
    {"maxpool.kernel", LAYER_INT(kernel), .words = global_words,
     BETWEEN(1, 255), .unit = "pixels", .standard = "2",
     .text = "Side of the window; global: the whole map."},
    {"maxpool.stride", LAYER_INT(stride), BETWEEN(1, 255), .unit = "pixels",
     .derived = "kernel", .text = "Step of the window."},
    {"maxpool.pad", LAYER_INT(pad), BETWEEN(0, 127), .unit = "pixels",
     .standard = "0",
     .text = "Rows and columns on each side that no maximum is taken from, at "
             "most half the kernel."},
    {"dropout.p", LAYER_FLOAT(p), BELOW_ONE, .standard = "0.5",
     .text = "Share dropped; one draw a sample holds for all steps."},
    {"add.add", LAYER_NAME(add), .standard = SURGE_NOTHING,
     .text = "A norm or a layer above it with the same map: added to what the "
             "layer reads (SEW-ResNet, MS-ResNet); none: a norm alone."},
};

static_assert(sizeof surge_keys / sizeof *surge_keys == SURGE_KEY_COUNT,
              "SURGE_KEY_COUNT");
static_assert(sizeof surge_layer_keys / sizeof *surge_layer_keys ==
                  SURGE_LAYER_KEY_COUNT,
              "SURGE_LAYER_KEY_COUNT");
static_assert(sizeof(surge_family) == sizeof(int32_t), "enums are 32 bits");

/* ======================================================================== *
 *  Looking up
 * ======================================================================== */

const char *surge_key_name(const surge_key *key) {
  const char *dot = strchr(key->path, '.');
  return dot ? dot + 1 : key->path;
}

bool surge_key_in(const surge_key *key, const char *section) {
  const char *name = surge_key_name(key);
  size_t length = strlen(section);
  if (name == key->path) return length == 0;
  return (size_t)(name - key->path) == length + 1 &&
         memcmp(key->path, section, length) == 0;
}

size_t surge_key_index(const char *path) {
  size_t i = 0;
  while (strcmp(surge_keys[i].path, path) != 0) i++;
  return i;
}

const char *surge_word_of(const surge_word *words, double value) {
  for (; words && words->text; words++)
    if (words->value == value) return words->text;
  return NULL;
}
