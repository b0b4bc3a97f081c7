/* recipe.h - one experiment as a YAML file describes it.
 *
 * One table (src/config/schema.c) gives every key its type, unit, range,
 * default and a sentence; it reads recipes, prints `surge help recipe` and
 * writes the effective recipe of a run. A recipe that this file's functions
 * wrote reads back to the same struct. */
#ifndef SURGE_RECIPE_H
#define SURGE_RECIPE_H

#include <stdio.h>
#include <surge/backend.h>
#include <surge/events.h>
#include <surge/neuron.h>
#include <surge/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SURGE_WORD 64    /* longest word of a recipe, with its final 0        */
#define SURGE_PATH 1024  /* longest path, with its final 0                    */
#define SURGE_MAX_T 4096 /* time steps                                       */
#define SURGE_IMAGE_SIZE 224 /* data.size 0 of a folder of images            */
#define SURGE_MAX_WIDTHS 16 /* entries of model.channels and model.hidden     */

typedef enum surge_norm_kind {
  SURGE_NORM_TDBN, /* alpha*theta from the layer's neuron (Zheng 2021)        */
  SURGE_NORM_BN,   /* alpha*theta = 1                                         */
  SURGE_NORM_TEBN  /* tdbn with a learned scale a step (Duan 2022)            */
} surge_norm_kind;

typedef enum surge_layer_kind {
  SURGE_LAYER_CONV,   /* {out, kernel, stride, pad, groups, bias}             */
  SURGE_LAYER_LINEAR, /* {out, bias}                                          */
  SURGE_LAYER_NORM,   /* {kind, alpha}: of what one neuron or add reads       */
  SURGE_LAYER_NEURON, /* {add}, overrides of `neuron`, `surrogate` and `pda`  */
  SURGE_LAYER_AVGPOOL, /* {kernel, stride, pad}; kernel 0: global              */
  SURGE_LAYER_MAXPOOL, /* {kernel, stride, pad}                                */
  SURGE_LAYER_DROPOUT, /* {p}                                                  */
  SURGE_LAYER_ADD, /* {add}: the sum of two layers, or a norm written out  */
  SURGE_LAYER_INTEGRATOR /* not written in recipes: readout membrane adds it   */
} surge_layer_kind;

#define SURGE_FROM_IMAGE "image" /* names that no layer can have */
#define SURGE_NOTHING "none"

/* One layer of a network, all defaults filled in. */
typedef struct surge_layer_spec {
  surge_layer_kind kind;
  char name[SURGE_WORD]; /* unique; "conv1", "neuron1", ... where not given */
  int32_t line, column;  /* where it stands in the recipe; 0: from the zoo */
  char from[SURGE_WORD]; /* what it reads: a layer before it, a norm where a */
                         /* neuron or an add reads it, or SURGE_FROM_IMAGE    */
  char add[SURGE_WORD]; /* neuron, add: what is added to it, or SURGE_NOTHING */
  int32_t out;          /* conv, linear */
  int32_t kernel, stride;   /* conv, pools */
  int32_t pad;              /* conv, pools */
  int32_t groups;           /* conv */
  bool bias;                /* conv, linear */
  surge_norm_kind norm;     /* norm */
  float alpha;              /* norm: alpha of alpha*theta */
  bool zero_init;           /* norm: gamma starts at 0 */
  float p;                  /* dropout */
  surge_neuron_spec neuron; /* neuron */
  bool pda;                 /* neuron: this layer takes part in PDA */
} surge_layer_spec;

typedef enum surge_arch {
  SURGE_ARCH_CONVNET, /* (conv-norm-neuron[-pool])... then linear              */
  SURGE_ARCH_MLP, /* (linear-norm-neuron)... then linear                   */
  SURGE_ARCH_CIFARNET, /* Wu 2019: 128-256-P-512-P-1024-512 conv, 1024-512 fc  */
  SURGE_ARCH_VGG11, /* Simonyan 2015, A and D, with one linear layer        */
  SURGE_ARCH_VGG16,
  SURGE_ARCH_VGGSNN, /* Deng 2022 (TET)                                      */
  SURGE_ARCH_PLIF_NET, /* Fang 2021 (PLIF), by the data set                    */
  SURGE_ARCH_RESNET19, /* Zheng 2021 (tdBN): two branches into one neuron      */
  SURGE_ARCH_RESNET20,
  SURGE_ARCH_SEW_RESNET18, /* Fang 2021 (SEW): spikes are added                */
  SURGE_ARCH_SEW_RESNET34,
  SURGE_ARCH_SEW_RESNET50,
  SURGE_ARCH_MS_RESNET18, /* Hu 2021 (MS): membrane shortcut                   */
  SURGE_ARCH_MS_RESNET34,
  SURGE_ARCH_LAYERS /* model.layers                                         */
} surge_arch;

typedef enum surge_init {
  SURGE_INIT_PYTORCH, /* uniform in +-1/sqrt(fan_in)                    */
  SURGE_INIT_KAIMING_FAN_OUT /* convolutions: normal, variance 2/fan_out       */
} surge_init;

typedef enum surge_on_error {
  SURGE_ON_ERROR_STOP,
  SURGE_ON_ERROR_SKIP
} surge_on_error;
typedef enum surge_coding {
  SURGE_CODING_DIRECT,
  SURGE_CODING_POISSON
} surge_coding;
typedef enum surge_readout {
  SURGE_READOUT_LOGITS, /* last layer is linear                              */
  SURGE_READOUT_MEMBRANE, /* its output through an integrator with neuron.decay */
  SURGE_READOUT_SPIKES /* its output through a neuron                       */
} surge_readout;
typedef enum surge_schedule_kind {
  SURGE_SCHEDULE_CONSTANT,
  SURGE_SCHEDULE_COSINE,
  SURGE_SCHEDULE_STEP
} surge_schedule_kind;
typedef enum surge_precision {
  SURGE_PRECISION_FP32,
  SURGE_PRECISION_TF32, /* products alone                                     */
  SURGE_PRECISION_BF16  /* maps and products; neurons and the rest in fp32    */
} surge_precision;
typedef enum surge_memory { /* what lives from forward to backward             */
                            SURGE_MEMORY_NORMAL, /* currents and spikes                                */
                            SURGE_MEMORY_PACKED, /* currents; spikes in a bit, sums of them in a byte  */
                            SURGE_MEMORY_RECOMPUTE /* these; convolutions and products are done again    */
} surge_memory;
typedef enum surge_policy { /* data.policy                                     */
                            SURGE_POLICY_NONE,
                            SURGE_POLICY_AUTOAUGMENT, /* Cubuk 2019, CIFAR-10's                       */
                            SURGE_POLICY_TRIVIALAUGMENT /* Mueller 2021, the wide space                 */
} surge_policy;
typedef enum surge_counts {
  SURGE_COUNTS_SUM,
  SURGE_COUNTS_BINARY
} surge_counts;
typedef enum surge_device {
  SURGE_DEVICE_AUTO,
  SURGE_DEVICE_CPU,
  SURGE_DEVICE_CUDA
} surge_device;

typedef struct surge_recipe {
  char name[SURGE_WORD];
  int64_t seed;
  surge_device device;
  int32_t threads; /* 0: all cores */
  surge_precision precision;
  surge_memory memory;
  bool deterministic;
  int32_t workspace_mb; /* cap under which library algorithms are chosen */
  int32_t T;

  struct surge_data_recipe {
    char set[SURGE_WORD];  /* fashion_mnist, mnist, cifar10, cifar100, ... */
    char path[SURGE_PATH]; /* folder; "": where the set's package puts it */
    int32_t limit;         /* training images used; 0: all */
    int32_t test_limit;    /* test images used; 0: all */
    int32_t validation;    /* training images held out for validation */
    bool normalize;        /* per-channel mean and deviation of the set */
    int32_t crop_pad;      /* random crop after padding by so many pixels */
    bool flip;             /* random horizontal flip */
    int32_t cutout;        /* side of a square set to 0; 0: none */
    float random_erasing;  /* probability of an erased rectangle */
    surge_policy policy;   /* operations on training images' bytes */
    float mixup, cutmix;   /* alpha of Beta(alpha, alpha); 0: off */
    int32_t size;          /* sides of the network's input; 0: the set's */
    int32_t resize;  /* shorter side before the centre is taken; 0: auto */
    int32_t workers; /* threads that prepare images; 0: as `threads` */
    surge_on_error on_error; /* of an image or recording that cannot be read */
    char cache[SURGE_PATH];  /* folder of frames; "": none */
    float split;             /* share of each class that is trained on */
    int32_t sensor[2], sensor_count; /* recordings: width and height */
    surge_frames_by split_by;        /* how they are cut into T frames */
    int32_t duration_us;             /* of a frame by duration */
    surge_counts counts;             /* what a frame says of a pixel's events */
    int32_t roll;    /* random circular shift by up to so many pixels */
    bool drop_event; /* EventDrop */
  } data;

  struct surge_model_recipe {
    surge_arch arch;
    int32_t channels[SURGE_MAX_WIDTHS]; /* of a convolution, or of a stage */
    int32_t channel_count;
    bool pool[SURGE_MAX_WIDTHS]; /* convnet: 2x2 pooling after each */
    int32_t pool_count;
    int32_t hidden[SURGE_MAX_WIDTHS]; /* of a hidden layer */
    int32_t hidden_count;
    surge_layer_kind pooling; /* SURGE_LAYER_AVGPOOL or MAXPOOL */
    int32_t kernel;           /* convnet: of each convolution */
    bool norm_on;             /* zoo: a norm before each neuron */
    surge_norm_kind norm;
    float norm_alpha;
    surge_init init;
    bool zero_init_residual; /* ResNets                                   */
    float dropout;           /* zoo: before the last linear layer, plif_net */
                             /* before each; 0: none                      */
    surge_coding coding;
    surge_readout readout;
    int32_t vote;             /* output neurons a class */
    surge_layer_spec *layers; /* of SURGE_ARCH_LAYERS; owned */
    int32_t layer_count;
  } model;

  surge_neuron_spec neuron;    /* defaults of every spiking layer */
  float pda_weight;            /* lambda; pda kind is in `neuron.pda`, */
                               /* SURGE_PDA_OFF where lambda is 0           */
  surge_pda_kind pda_kind;     /* as the recipe has it */
  char pda_layers[SURGE_PATH]; /* "all" or comma-separated layer names */

  struct surge_loss_recipe {
    surge_loss_kind kind;
    float label_smoothing, tet_lambda;
  } loss;

  struct surge_optim_recipe {
    surge_optimizer kind;
    float lr, momentum, weight_decay;
    bool nesterov;
    float beta1, beta2, eps;
    float width_lr, decay_lr;     /* Adam of the widths and of the decays */
    float clip_norm;              /* of weights, norms and biases; 0: off */
    float ema_decay;              /* of the average that is evaluated; 0: off */
    surge_schedule_kind schedule; /* keys schedule.* */
    float warmup_epochs, lr_min, gamma;
    int32_t milestones[SURGE_MAX_WIDTHS]; /* epochs, step schedule */
    int32_t milestone_count;
  } optim;

  struct surge_train_recipe {
    int32_t epochs, batch;
    int32_t accumulate;       /* batches a step */
    int32_t log_every;        /* steps between logged statistics */
    int32_t eval_every;       /* epochs */
    int32_t checkpoint_every; /* steps between saves within an epoch; 0: none */
  } train;
} surge_recipe;

/* Reads a recipe and applies `overrides` ("a.b=value", NULL-terminated or
 * NULL) in order. SURGE_ERROR_RECIPE names file, line, column, key, what was
 * wanted and what was found; unknown keys come with the nearest known one. An
 * override's place is "--set". The recipe must be freed in either case. */
surge_status surge_recipe_read(surge_recipe *recipe, const char *path,
                               const char *const *overrides);

/* The same from text in memory; `name` stands where the file name would. */
surge_status surge_recipe_parse(surge_recipe *recipe, const char *name,
                                const char *text, size_t size,
                                const char *const *overrides);

/* All defaults, no file. */
void surge_recipe_defaults(surge_recipe *recipe);

/* Writes the effective recipe, every key, as YAML; `decay` and `tau` both are
 * echoed (tau as a comment). */
surge_status surge_recipe_write(const surge_recipe *recipe, FILE *file);

/* The same as text, which the caller frees; NULL where it fails. */
surge_status surge_recipe_text(const surge_recipe *recipe, char **text);

/* The manual of `surge help recipe`: every key with type, unit, range, default
 * and sentence. */
void surge_recipe_help(FILE *file);

/* The recipe's word for a value of an enum key: ("surrogate.family",
 * SURGE_ARCTAN) is "arctan"; NULL where the key has none. */
const char *surge_recipe_word(const char *key, int32_t value);

/* The recipe's word for a kind of layer; "integrator" for the one without. */
const char *surge_layer_word(surge_layer_kind kind);

void surge_recipe_free(surge_recipe *recipe);

#ifdef __cplusplus
}
#endif
#endif
