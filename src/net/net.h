/* net.h - inside of a network: layers, tensor ids, arenas.
 *
 * Schedule, as lifetimes count it: layer i runs forward at time i, the loss at
 * time L, layer i runs backward at time 2L - i; what lives throughout has
 * first = -1, last = 2L + 1. */
#ifndef SURGE_NET_INTERNAL_H
#define SURGE_NET_INTERNAL_H

#include <surge/net.h>

#include "src/net/model.h"
#include "src/net/table.h"

#define SURGE_NONE (-1) /* id of a tensor that a layer does not have */

/* Tensor ids of a norm. */
typedef struct surge_norm_ids {
  int32_t gamma, beta, step_scale; /* parameters                             */
  int32_t running_mean, running_var; /* buffers                               */
  int32_t scale, shift, mean, rstd, sums; /* scalars                          */
} surge_norm_ids;

/* How what backward reads again is kept until then (activations.c). */
typedef enum surge_keep {
  SURGE_KEEP_WHOLE,
  SURGE_KEEP_PACKED,
  SURGE_KEEP_REBUILT
} surge_keep;

/* Tensor ids of one layer. */
typedef struct surge_layer_ids {
  /* parameters, each with a gradient at the same offset */
  int32_t weight, bias, rho, decay_logit, synapse_logit;
  surge_norm_ids norm[2]; /* of each source */
  /* scalars and statistics */
  int32_t scalars, width, pda, statistics, histogram, nonzero;
  /* activations */
  int32_t out, current;
  surge_keep keep; /* of `out`                                            */
  int32_t packed, again; /* SURGE_NONE where it is kept whole                 */
  int32_t read_last;  /* the last layer that reads it in forward             */
  int32_t restored;   /* time of backward at which `again` is filled         */
  int32_t place;      /* where it lies now: `out` or `again`                 */
  int32_t grad_out;   /* of `out`; SURGE_NONE: no backward                   */
  int32_t grad_in[2]; /* of each source, or SURGE_NONE: not wanted. May be    */
                      /* grad_out (in place, or an add that hands it on)     */
  surge_mode grad_mode[2];
  bool grad_lent; /* grad_out is another layer's: read it alone          */
} surge_layer_ids;

/* Steps that a backend has recorded as graphs, by what differs in them. */
typedef struct surge_recording {
  const surge_dataset *mirrored;
  int32_t n;
  uint32_t what;      /* work_bits of record.c */
  bool warm;          /* done once without a graph: libraries are loaded */
  surge_graph *graph; /* or NULL */
} surge_recording;

#define SURGE_RECORDINGS 16
typedef struct surge_recordings {
  surge_recording steps[SURGE_RECORDINGS];
  int32_t count;
} surge_recordings;

struct surge_net {
  const surge_backend *backend;
  surge_context *context;
  const surge_recipe *recipe;
  const surge_dataset_info *data;
  surge_net_options options; /* T and N filled in */
  surge_model model;
  surge_table table;
  surge_layer_ids *ids;      /* [model.count] */
  surge_conv2d_plan **plans; /* [model.count], NULL where no convolution */
  void *arena[SURGE_ROLE_COUNT];
  size_t v_first;  /* optimizer: floats of the parameter arena */
                   /* before this one have no second moment */
  bool on_average; /* this pass reads averaged weights and statistics */
  int32_t images, labels, sample, step;           /* staging */
  int32_t input, coded, scores;                   /* activations */
  int32_t metrics, fault, fault_step, norm, clip; /* scalars */
  int32_t n;                                      /* loaded batch */
  const surge_dataset *mirrored; /* its set, where ops read that themselves */
  surge_recordings recordings;
  surge_layer_time *times; /* [model.count]; NULL: no profile */
  float *host;             /* where reports are downloaded to */
  size_t host_bytes;
};

/* Address of a tensor; NULL for SURGE_NONE. */
static inline void *surge_at(const surge_net *net, int32_t id) {
  if (id < 0) return NULL;
  const surge_tensor *t = &net->table.tensors[id];
  return (char *)net->arena[t->role] + t->offset;
}

/* Whether evaluations are made with weights that were averaged while training
 * (optim.ema_decay). A net that only evaluates has but those it was given. */
static inline bool surge_net_averages(const surge_net *net) {
  return net->table.bytes[SURGE_ROLE_AVERAGE] > 0;
}

/* Average of a parameter or a running statistic: those follow the parameters. */
static inline void *surge_average_at(const surge_net *net, int32_t id) {
  const surge_tensor *t = &net->table.tensors[id];
  size_t first =
      t->role == SURGE_ROLE_BUFFER ? net->table.bytes[SURGE_ROLE_PARAMETER] : 0;
  return (char *)net->arena[SURGE_ROLE_AVERAGE] + first + t->offset;
}

/* A parameter or a running statistic as this pass reads it (and, in training,
 * writes it); NULL for SURGE_NONE. */
static inline void *surge_learned_at(const surge_net *net, int32_t id) {
  return id >= 0 && net->on_average ? surge_average_at(net, id)
                                    : surge_at(net, id);
}

/* Type of all maps. */
static inline surge_dtype surge_net_type(const surge_net *net) {
  return net->model.input.type;
}

/* Address of a weight as this pass's convolutions and products read it: rounded
 * to the maps' type where that is bf16 (surge_net_round_weights,
 * surge_net_start_pass), the averaged ones behind those that are trained. */
static inline const void *surge_weight_at(const surge_net *net, int32_t id) {
  if (surge_net_type(net) == SURGE_F32) return surge_learned_at(net, id);
  size_t place = net->table.tensors[id].offset / sizeof(float) -
                 net->table.group_first[SURGE_GROUP_WEIGHT];
  if (net->on_average) place += net->table.group_count[SURGE_GROUP_WEIGHT];
  return (const uint16_t *)net->arena[SURGE_ROLE_CAST] + place;
}

/* Address of a parameter's gradient; NULL for SURGE_NONE. */
static inline float *surge_gradient_at(const surge_net *net, int32_t id) {
  if (id < 0) return NULL;
  return (float *)(void *)((char *)net->arena[SURGE_ROLE_GRADIENT] +
                           net->table.tensors[id].offset);
}

/* What layer i reads as its source k: a layer's output, or the coded input. */
static inline const void *surge_source_at(const surge_net *net, int32_t i,
                                          int32_t k) {
  int32_t from = net->model.layers[i].source[k].from;
  if (from >= 0) return surge_at(net, net->ids[from].place);
  return surge_at(net, net->coded >= 0 ? net->coded : net->input);
}

/* Images of a map: n, or T*n where it has steps. */
static inline size_t surge_images(const surge_net *net, bool is_static) {
  return (size_t)net->n * (is_static ? 1 : (size_t)net->options.T);
}

/* Images that a layer's op reads of its first source. */
static inline size_t surge_images_in(const surge_net *net, int32_t i) {
  return surge_images(net, net->model.layers[i].source[0].is_static);
}

/* Adds a tensor called `layer`.`what`; its id. */
int32_t surge_net_declare(surge_net *net, surge_tensor tensor,
                          const char *layer, const char *what);

/* An activation [steps, N] of a map that lives from `first` to `last`. */
int32_t surge_net_activation(surge_net *net, const char *layer,
                             const char *what, int64_t steps, surge_map map,
                             int32_t first, int32_t last);
void surge_net_declare_activations(surge_net *net);

/* Every output lies where forward puts it; an evaluation reads averages, if the
 * net has any. */
surge_status surge_net_start_pass(surge_net *net, surge_pass pass);

/* Packs what layer i was the last to read in this forward. */
surge_status surge_net_pack_sources(surge_net *net, int32_t i);

/* Restores what layer i's backward is the first to read. */
surge_status surge_net_restore_sources(surge_net *net, int32_t i);

/* The convolution or product of layer i. */
surge_status surge_net_multiply(surge_net *net, int32_t i);

/* Fills in the argument structs that several ops share. */
surge_neuron surge_net_neuron(const surge_net *net, int32_t i);
surge_conv2d_forward surge_net_conv(const surge_net *net, int32_t i);
surge_dropout surge_net_dropout(const surge_net *net, int32_t i);
surge_integrator surge_net_integrator(const surge_net *net, int32_t i);
surge_linear surge_net_linear(const surge_net *net, int32_t i);
surge_pack surge_net_pack(const surge_net *net, int32_t i);
surge_pool surge_net_pool(const surge_net *net, int32_t i);
surge_add surge_net_add(const surge_net *net, int32_t i);
surge_norm_forward surge_net_norm(const surge_net *net, int32_t i, int32_t k,
                                  surge_pass pass); /* of source k */

/* Around layer i's part of a pass: a profiler sees its name, and its seconds go
 * to the profile, if there is one. */
typedef enum surge_direction { SURGE_FORWARD, SURGE_BACKWARD } surge_direction;
double surge_profile_start(surge_net *net, int32_t i);
void surge_profile_end(surge_net *net, int32_t i, surge_direction direction,
                       double start);

/* Releases all graphs (record.c). */
void surge_net_forget_recordings(surge_net *net);

/* Fills `parameters` of a fresh net (init.c). */
surge_status surge_net_initialize(surge_net *net);

/* Rounds weights that came from the host, where maps are bf16: surge_net_update
 * keeps them rounded from then on (init.c). */
surge_status surge_net_round_weights(surge_net *net);

/* The same of the averages, for this pass alone: where they are read, they have
 * been moved by many steps (init.c). */
surge_status surge_net_round_averages(surge_net *net);

/* Averages start as what is trained, or the other way round, and follow it by a
 * step; nothing where the net has none (average.c). */
surge_status surge_net_start_averages(surge_net *net);
surge_status surge_net_adopt_averages(surge_net *net);
surge_status surge_net_average(surge_net *net);

#endif
