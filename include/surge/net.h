/* net.h - a network planned once, run many times.
 *
 *     surge_net_create     layers, shapes, every tensor and its place; no
 *                          memory of the device is taken yet
 *     surge_net_allocate   one allocation a role; parameters initialised
 *     surge_net_load       a batch and the step's numbers go to the device
 *     surge_net_forward    all layers over all T steps, then the loss
 *     surge_net_backward   gradients accumulate
 *     surge_net_update     clipping, optimisers, averages; gradients are
 *                          zeroed
 *
 * From the second step on nothing allocates, on host or device. */
#ifndef SURGE_NET_H
#define SURGE_NET_H

#include <stdio.h>
#include <surge/backend.h>
#include <surge/checkpoint.h>
#include <surge/data.h>
#include <surge/recipe.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct surge_net surge_net;

typedef struct surge_net_options {
  int32_t T;          /* steps; 0: the recipe's                           */
  int32_t N;          /* largest batch; 0: the recipe's                   */
  bool training;      /* plan gradients and optimizer state               */
  bool soft;          /* the smooth twin: soft_forward in every neuron    */
  bool keep_currents; /* each neuron's current is kept for a dump         */
  bool no_graph;      /* every step is queued op by op                    */
} surge_net_options;

/* Plans a network. `recipe` and `data` must outlive it. SURGE_ERROR_RECIPE
 * names the layer that does not fit. */
surge_status surge_net_create(surge_net **net, const surge_backend *backend,
                              surge_context *context,
                              const surge_recipe *recipe,
                              const surge_dataset_info *data,
                              const surge_net_options *options);
void surge_net_destroy(surge_net *net);

/* Prints layers, shapes, parameters, and bytes by role (`--dry-run`). */
void surge_net_describe(const surge_net *net, FILE *file);

surge_status surge_net_allocate(surge_net *net);

/* What a recipe asks of the input's op: parameters alone, no arrays. */
surge_augment surge_augment_of(const surge_recipe *recipe,
                               const surge_dataset_info *info, bool training);

/* Uploads a batch (batch->n <= N) and the step's numbers, among them how the
 * batch is mixed (surge_mix_draw). */
surge_status surge_net_load(surge_net *net, const surge_batch *batch,
                            const surge_step *step);

/* What a forward pass does besides its outputs. */
typedef enum surge_pass {
  SURGE_PASS_EVALUATE, /* running statistics, no dropout, no augmentation; */
                       /* with optim.ema_decay the averages, not what is   */
                       /* trained                                          */
  SURGE_PASS_TRAIN
} surge_pass;

/* Runs the layers and the loss on the loaded batch. With `statistics` the
 * neurons' statistics, histograms and input rates are accumulated too. */
surge_status surge_net_forward(surge_net *net, surge_pass pass,
                               bool statistics);
surge_status surge_net_backward(surge_net *net);
surge_status surge_net_update(surge_net *net);

/* A training step (forward, backward and, with `update`, the optimisers) and an
 * evaluation as one: a backend with graphs records each kind of step at its
 * second time and replays it from then on, with the same bits. */
surge_status surge_net_train(surge_net *net, bool statistics, bool update);
surge_status surge_net_evaluate(surge_net *net, bool statistics);

/* Sums since the last surge_net_reset_metrics. */
surge_status surge_net_metrics(surge_net *net, surge_metrics *metrics);
surge_status surge_net_reset_metrics(surge_net *net);

/* Name of the first layer that was not finite, or NULL, and the number, from 1,
 * of the first update that was left out for it; 0: none was so far. */
surge_status surge_net_fault(surge_net *net, const char **layer,
                             uint64_t *step);

/* SURGE_ERROR_DIVERGED where a layer was not finite: an evaluation of it says
 * nothing. Names the layer and `file`, which the parameters are from. */
surge_status surge_net_check_finite(surge_net *net, const char *file);

/* Mean over T (and votes) of the loaded batch's logits, [n, classes]. */
surge_status surge_net_scores(surge_net *net, float *scores);

/* Steps of a pass. */
int32_t surge_net_steps(const surge_net *net);

/* The loaded batch's logits, mean over votes, [T, n, classes]. */
surge_status surge_net_logits(surge_net *net, float *logits);

/* Norm of the gradient of the last update, before clipping. */
surge_status surge_net_gradient_norm(surge_net *net, float *norm);

/* Names of layers with spiking neurons, by number; NULL behind the last. */
const char *surge_net_spiking_layer(const surge_net *net, int32_t number);

/* State of one spiking layer. */
typedef struct surge_layer_report {
  const char *name;
  int32_t T;
  const surge_neuron_statistics
      *statistics;           /* [T], valid until the next call */
  const uint64_t *histogram; /* [SURGE_HISTOGRAM_BINS + 2] */
  const surge_neuron_spec *neuron;
  float threshold, decay;
  float synapse; /* its decay; 0: none */
  int32_t widths;
  const float *width; /* [widths] w (t = 0 for the norm rule) */
} surge_layer_report;
surge_status surge_net_layer_report(surge_net *net, int32_t number,
                                    surge_layer_report *report);
surge_status surge_net_reset_statistics(surge_net *net);

/* Input of one convolution or linear layer since the statistics were reset. */
typedef struct surge_work_report {
  const char *name;
  double macs;   /* multiply-accumulates, one image, one step */
  bool binary;   /* inputs are spikes */
  int32_t steps; /* applications an image: 1 where static */
  double rate;   /* share of inputs that were not zero */
} surge_work_report;
/* SURGE_OK with report->name NULL behind the last. */
surge_status surge_net_work_report(surge_net *net, int32_t number,
                                   surge_work_report *report);

/* Named tensors with memory of their own, as a file is written from. */
typedef struct surge_tensor_list {
  surge_named_tensor *tensors; /* names and data are owned                    */
  size_t count, capacity;
} surge_tensor_list;
void surge_tensor_list_free(surge_tensor_list *list);

/* All that a checkpoint holds of the network, downloaded: parameters and
 * running statistics as evaluations read them, averaged with optim.ema_decay;
 * with `state` (a training net) those that are trained, their averages
 * "average.<name>", optimizer moments "optim.m.<parameter>", gradients
 * accumulated so far "grad.<parameter>", metrics and statistics, so that
 * training goes on bit for bit. */
surge_status surge_net_save(surge_net *net, surge_tensor_list *list,
                            bool state);

/* Takes back what surge_net_save gave. Every parameter must be there, of the
 * right shape: SURGE_ERROR_DATA names the first that is not. `path` is named
 * in errors. With `state` the optimizer and the rest too; without it the
 * averages of a file that has both, unless the recipe's optim.ema_decay is 0. */
surge_status surge_net_restore(surge_net *net, const surge_safetensors *file,
                               const char *path, bool state);

/* One step's tensors for `surge grad`, in logical order: input, labels,
 * parameters, gradients "grad.<parameter>", each neuron's current and
 * statistics, logits, loss, pda. Needs `keep_currents`. */
surge_status surge_net_dump(surge_net *net, surge_tensor_list *list);

/* Appends the loaded batch's currents, "<layer>.current" [T, n, H, W, C] of each
 * spiking layer, in fp32; those that a decay_input scales are scaled. Needs
 * `keep_currents`. */
surge_status surge_net_currents(surge_net *net, surge_tensor_list *list);

/* The planned layers as a JSON list; the caller frees *text. */
surge_status surge_net_layers_json(const surge_net *net, char **text);

/* Spiking layers that take part in PDA. */
int32_t surge_net_pda_layers(const surge_net *net);

/* Seconds that each layer took, accumulated while profiling is on; the device
 * is waited for around every layer, so a profiled step is slower. */
typedef struct surge_layer_time {
  const char *name;
  bool neuron, norm;        /* a spiking layer, with a norm                   */
  bool product;             /* a convolution or a linear layer                */
  double forward, backward; /* seconds                                        */
  double inputs, outputs;   /* elements over all steps that the layer covers  */
} surge_layer_time;
/* Starts profiling; *times has *count entries and lives with the net. */
surge_status surge_net_profile(surge_net *net, const surge_layer_time **times,
                               int32_t *count);

/* Bytes of all arenas. */
size_t surge_net_bytes(const surge_net *net);

/* Number of trained values. */
size_t surge_net_parameter_count(const surge_net *net);

#ifdef __cplusplus
}
#endif
#endif
