/* backend.h - the boundary: one table of operations, filled once a backend.
 *
 * An op covers the whole sequence: the loop over time is inside. Each takes its
 * context and one struct of arguments, outputs first; the structs below are the
 * contract, and this file is the only place where it stands. What holds for
 * all of them:
 *
 *   shapes      T steps, N batch, H W C a map, K channels out, I O features,
 *               M = N*H*W*C neurons, P = 1 or C (granularity). An activation
 *               is [T,N] of a surge_map; a static one (the same image at every
 *               step) is [1,N] of it and is read with a step stride of 0.
 *   types       maps are fp32 or bf16 (map.type), whole nets of one type; void *
 *               points to such elements. An op reads them, computes in fp32 and
 *               rounds once, to nearest even, when it writes (a bias of a bf16
 *               map is added to the rounded product, and rounded again; a bf16
 *               convolution's dw is rounded before it is accumulated). All else
 *               is fp32.
 *               A backend without bf16 is never asked: planning refuses.
 *   pointers    into memory of the context's device, 64-byte aligned at the
 *               start of each tensor, except where "host" is said.
 *   outputs     are overwritten; parameter gradients, metrics and statistics
 *               are accumulated; the gradient of an activation has a mode.
 *   memory      no op allocates: scratch is booked with the op's `_workspace`
 *               slot and handed in.
 *   time        an op is queued on the context's stream; `download` and `sync`
 *               wait. All that changes by step lies in a surge_step on the
 *               device, so that a captured step can be replayed.
 *   exactness   fp32; reductions are cut by sizes alone and end in double, in a
 *               fixed order: the bits depend neither on threads nor on the run.
 *               Each |error| <= (depth of the reduction + 2) u sum |terms|.
 *   errors      arguments are checked by src/backend/checks.c with the same
 *               words on every backend, before anything is written. A failed
 *               device call is SURGE_ERROR_DEVICE and names the op; outputs are
 *               then undefined and the context may only be closed.
 *
 * The reference of op <x> is tests/ref64/<x>.c, in double, plain loops. */
#ifndef SURGE_BACKEND_H
#define SURGE_BACKEND_H

#include <surge/neuron.h>
#include <surge/status.h>
#include <surge/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct surge_context surge_context; /* a device and its stream */

/* How the gradient of an activation is delivered: a fan-out costs no pass. */
typedef enum surge_mode { SURGE_WRITE, SURGE_ADD } surge_mode;

/* Optimiser groups; a parameter arena is laid out in this order. */
typedef enum surge_group {
  SURGE_GROUP_WEIGHT, /* weights: decayed                                    */
  SURGE_GROUP_NORM,   /* gamma, beta, tebn's k, biases: no decay             */
  SURGE_GROUP_WIDTH,  /* rho = ln w: own Adam, no decay, outside clipping    */
  SURGE_GROUP_DECAY,  /* p, d or d_s = sigmoid(p): own Adam, likewise        */
  SURGE_GROUP_COUNT
} surge_group;

/* Pixels top <= y < top + h, left <= x < left + w; none where h or w is 0. */
typedef struct surge_rectangle {
  int32_t top, left, h, w;
} surge_rectangle;

/* How a batch's images are mixed, each with the one before it, the first with
 * the last (torchvision's RandomMixup, RandomCutmix). */
typedef struct surge_mix {
  float share;            /* of an image's own label; 1: not mixed         */
  surge_rectangle pasted; /* h > 0, cutmix: the other's pixels stand here; */
                          /* h 0, mixup: share*own + (1 - share)*other     */
} surge_mix;

/* All that changes from step to step; on the device. */
typedef struct surge_step {
  uint64_t seed;   /* Philox key, with epoch below        */
  uint32_t epoch;  /* 0 in the first epoch                */
  uint32_t logged; /* 1: statistics are wanted            */
  uint64_t number; /* of the optimiser's step, from 1     */
  float learning_rate[SURGE_GROUP_COUNT];
  float adam_scale1[SURGE_GROUP_COUNT]; /* 1/(1 - beta1^t), from double      */
  float adam_scale2[SURGE_GROUP_COUNT]; /* 1/(1 - beta2^t), from double      */
  float schedule; /* progress of the run in [0, 1]       */
  surge_mix mix;  /* of the loaded batch                 */
} surge_step;

/* What a Philox stream is drawn for: never the same numbers twice. */
typedef enum surge_random_use {
  SURGE_RANDOM_VIEW,  /* which part of an image file is seen: host       */
  SURGE_RANDOM_ORDER, /* shuffling: host                                 */
  SURGE_RANDOM_INIT,  /* parameters: host                                */
  SURGE_RANDOM_AUGMENT,
  SURGE_RANDOM_POISSON,
  SURGE_RANDOM_DROPOUT, /* + index of the dropout layer                    */
  SURGE_RANDOM_POLICY = 1 << 16, /* data.policy: host                        */
  SURGE_RANDOM_MIX,              /* mixup, cutmix: host, a batch a sample    */
  SURGE_RANDOM_EVENTS            /* data.roll, data.drop_event: host         */
} surge_random_use;

/* Sums since they were last zeroed; on the device. */
typedef struct surge_metrics {
  double loss;      /* sum over samples of the task loss                 */
  double pda;       /* sum over samples of sum over layers of D_l        */
  uint64_t correct; /* samples whose largest score is the label's, where */
                    /* mixed that of the larger share                    */
  uint64_t samples;
} surge_metrics;

/* A step's fault on the device: 0, or 1 + the index of the first layer (in
 * network order) that was not finite. Once set, optimisers change nothing. */
typedef uint32_t surge_fault;

/* ======================================================================== *
 *  Convolution and linear layers: libraries do the arithmetic, or, where x is
 *  mostly 0, loops that skip it: 0 adds nothing there, even times a weight or
 *  dy that is not finite.
 * ======================================================================== */

typedef struct surge_conv2d_shape {
  surge_map in, out; /* out.h = (in.h + 2*pad - kernel)/stride + 1        */
  int32_t kernel, stride, pad, groups;
  bool bias;
} surge_conv2d_shape;

typedef struct surge_conv2d_plan surge_conv2d_plan; /* chosen algorithms */

/* y = conv(x, w) + b over `images` images (T*N, or N for a static input).
 * w is [K, kernel, kernel, C/groups], logical order on every backend. */
typedef struct surge_conv2d_forward {
  void *y;        /* [images] of out, overwritten                      */
  const void *x;  /* [images] of in                                    */
  const void *w;  /* of in's type                                      */
  const float *b; /* [K], or NULL without bias                         */
  size_t images;
  void *workspace;
} surge_conv2d_forward;

/* dx = transposed convolution of dy: dx = (mode add: dx +) conv^T(dy, w). */
typedef struct surge_conv2d_backward_data {
  void *dx;       /* [images] of in, by mode                           */
  const void *dy; /* [images] of out                                   */
  const void *w;  /* of in's type                                      */
  surge_mode mode;
  size_t images;
  void *workspace;
} surge_conv2d_backward_data;

/* dw += sum over images of dy x patches of x; db += sum of dy. */
typedef struct surge_conv2d_backward_weights {
  float *dw; /* as w, accumulated                                 */
  float *db; /* [K] accumulated, or NULL without bias             */
  const void *dy, *x;
  size_t images;
  void *workspace;
} surge_conv2d_backward_weights;

/* y = x w^T + b. The features of x are a map, I = H*W*C, in x's own layout;
 * w is [O, H, W, C] in logical order. */
typedef struct surge_linear {
  void *y;        /* forward: [images, O] overwritten                  */
  void *dx;       /* backward_data: [images] of in, by mode            */
  float *dw, *db; /* backward_weights: accumulated; db may be NULL     */
  const void *x, *dy, *w; /* as the direction needs; all of in's type        */
  const float *b; /* [O], or NULL                                      */
  surge_map in;
  int32_t out; /* O                                                 */
  surge_mode mode;
  size_t images;
  void *workspace;
} surge_linear;

/* ======================================================================== *
 *  Pooling
 * ======================================================================== */

/* Windows of kernel x kernel over the map with `pad` rows and columns more on
 * each side, at most half the kernel; rows and columns that do not fill a
 * window are left out (floor), as PyTorch. kernel = H = W is global pooling.
 *   average   y = sum of the window's pixels / kernel^2, the padding being 0;
 *             dx = dy / kernel^2 to each
 *   maximum   y = max of the window's pixels, the padding left out; dx = dy to
 *             the first maximum in row-major order (found again from x:
 *             nothing is stored). Where pixels are NaN the last of these is
 *             the maximum                                                    */
typedef struct surge_pool {
  void *y;           /* forward: [images] of out, overwritten             */
  void *dx;          /* backward: [images] of in, by mode                 */
  const void *x;     /* forward; backward of maximum                      */
  const void *dy;    /* backward                                          */
  surge_map in, out; /* the same layout, the same C                       */
  int32_t kernel, stride, pad;
  surge_mode mode;
  size_t images;
} surge_pool;

/* ======================================================================== *
 *  Normalisation: tdBN (Zheng 2021), BN, TEBN (Duan 2022)
 * ======================================================================== */

/* Turns channel statistics into the affine map that the neuron op applies:
 *     a[t] = scale[k]*z + shift[k],  k = t with `step_scale`, else 0
 *     scale = alpha_theta * gamma * rstd * p[t]
 *     shift = (beta - alpha_theta * gamma * rstd * mean) * p[t]
 * with mean and biased variance over (T, N, H, W) a channel when training,
 * else the running ones; rstd = 1/sqrt(var + eps). Scalars go through double.
 * Running estimates: r += momentum*(new - r), variance unbiased by the count
 * T*N*H*W also where z is static (as PyTorch on the repeated input). A
 * statistic that is not finite sets the fault.
 * Moments: mean and M2 a block, combined in double (Chan); never E[x^2]-m^2.
 * Bytes: reads z once. */
typedef struct surge_norm_forward {
  float *scale, *shift; /* [Tk, C], Tk = T with step_scale else 1            */
  float *mean, *rstd;   /* [C], kept for backward                            */
  float *running_mean, *running_var; /* [C], updated when training           */
  const void *z; /* [T or 1, N] of map; not read in evaluation        */
  const float *gamma, *beta; /* [C]                                          */
  const float *step_scale;   /* TEBN's p [T], or NULL                        */
  surge_fault *fault;
  surge_map map;
  int32_t T, N;
  uint32_t layer; /* index that a fault reports                        */
  bool is_static, training;
  float alpha_theta, eps, momentum;
  void *workspace;
} surge_norm_forward;

/* From da (gradient of the current) and the neuron's channel sums
 * S0 = sum da, S1 = sum da*zhat, zhat = (z - mean)*rstd, [Tk, 2, C]:
 *     dgamma += alpha_theta * sum_k p S1      dbeta += sum_k p S0
 *     dp[t]  += sum_c alpha_theta gamma S1[t] + beta S0[t]
 *     dz = alpha_theta gamma rstd (p[t] da - B0/n - zhat B1/n),
 *     B = sum_k p[k] S[k], n = T*N*H*W
 * For a static z, da already is the sum over t of p[t] da[t], [1, N] of map,
 * and the mean terms count T times. dz may be da. Training statistics only. */
typedef struct surge_norm_backward {
  void *dz; /* as z, overwritten; may alias da                   */
  float *dgamma, *dbeta, *dstep_scale; /* accumulated; last NULL unless TEBN */
  const void *da, *z; /* as z                                              */
  const float *mean, *rstd, *gamma, *beta, *step_scale;
  const float *sums; /* [Tk, 2, C] from neuron_backward                   */
  surge_map map;
  int32_t T, N;
  bool is_static;
  float alpha_theta;
} surge_norm_backward;

/* ======================================================================== *
 *  The neuron: current -> LIF over all T -> spikes, one pass
 * ======================================================================== */

/* Scalars of a layer, on the device, computed once a step in double, rounded
 * once (neuron_scalars), read by forward and backward:
 *     scalars[SURGE_SCALAR_...]      width[2][P]: w at t = 0, w at t > 0      */
enum {
  SURGE_SCALAR_DECAY, /* d                                                 */
  SURGE_SCALAR_GAIN,  /* 1 - d with decay_input, else 1                    */
  SURGE_SCALAR_PDA_MEAN,
  SURGE_SCALAR_PDA_STD, /* mu0, s0 of the target      */
  SURGE_SCALAR_SYNAPSE, /* d_s: there only where the neuron has a synapse    */
  SURGE_SCALAR_COUNT
};

/* Without a synapse i is never computed: the neuron of d_s = 0 is the same. */
SURGE_INLINE bool surge_neuron_synaptic(const surge_neuron_spec *spec) {
  return spec->synapse_learned || spec->synapse_decay > 0;
}

/* How many scalars a neuron has. */
SURGE_INLINE size_t surge_scalar_count(const surge_neuron_spec *spec) {
  return surge_neuron_synaptic(spec) ? SURGE_SCALAR_COUNT
                                     : SURGE_SCALAR_SYNAPSE;
}

typedef struct surge_neuron_scalars {
  float *scalars;   /* [surge_scalar_count] overwritten                  */
  float *width;     /* [2, P] overwritten, P = C per channel else 1      */
  const float *rho; /* [P] ln w; NULL unless the width is learned        */
  const float *decay_logit; /* [1] p; NULL unless the decay is learned       */
  const float *synapse_logit; /* [1] likewise, of the synapse                */
  const float *gamma[2]; /* [C] of each norm that the neuron reads: both     */
                         /* NULL unless SURGE_WIDTH_NORM, else the second may */
  const surge_step *step; /* `schedule`; NULL unless the width is scheduled */
  surge_neuron_spec spec;
  int32_t C;
} surge_neuron_scalars;

/* One current, of a neuron or of a sum: a = scale[k]*z + shift[k] (two
 * roundings), or z itself where scale is NULL. In a neuron a second input is
 * added to the first, then the gain of decay_input is applied: x = a0 + a1,
 * current = gain*x. */
typedef struct surge_neuron_input {
  const void *z; /* [T or 1, N] of map                                */
  const float *scale, *shift; /* [Tk, C] or NULL                             */
  const float *mean, *rstd;   /* [C]; backward only, NULL where plain        */
  const float *step_scale;    /* TEBN's p [T]; backward only                 */
  bool is_static; /* z is [1, N]                                       */
  bool per_step;  /* Tk = T                                            */
} surge_neuron_input;

/* Statistics of one step t of one layer; accumulated over calls. */
typedef struct surge_neuron_statistics {
  double count;        /* elements                                          */
  double mean, m2;     /* of u: mean, sum of squared deviations             */
  double window;       /* elements inside the surrogate's window: |x| < w/2 */
                       /* rectangular, < w triangular, central half else    */
  double spikes;       /* sum of s: with soft_forward of soft spikes        */
  double quantization; /* sum of (u - s)^2                                  */
} surge_neuron_statistics;

/* Histogram of u over all steps: SURGE_HISTOGRAM_BINS equal bins over
 * [-4 theta, 4 theta), then below, then above; accumulated. */
#define SURGE_HISTOGRAM_BINS 64
typedef uint64_t surge_histogram[SURGE_HISTOGRAM_BINS + 2];

/* PDA's result a layer (or channel): q[t] = dL/du = c0 + c1*(u - m) for the
 * moment kind; for the quantization kind c0 = lambda/elements, c1 = m = 0. */
typedef struct surge_pda_coefficients {
  float m, c0, c1;
} surge_pda_coefficients;

/* What forward and backward share. */
typedef struct surge_neuron {
  surge_neuron_spec spec;
  surge_map map;
  int32_t T, N;
  int32_t inputs; /* 1 or 2                                            */
  surge_neuron_input input[2];
  const float *scalars, *width; /* from neuron_scalars                       */
  const float *v_in; /* [N] of map in fp32, or NULL: 0                    */
  const float *i_in; /* likewise; NULL without a synapse                  */
  uint32_t layer;    /* index that a fault reports                        */
  void *workspace;   /* neuron_workspace bytes                            */
} surge_neuron;

/* s = LIF(current), or of i where the neuron has a synapse (neuron.h has the
 * steps of both). Writes nothing else unless asked: backward recomputes i and u
 * from z. With pda: D (mean over P where per channel) times N is added to
 * metrics->pda, and the coefficients carry lambda = pda_scale already.
 * s is 0 or 1 (S_w(u - theta) with soft_forward; then the reset uses that).
 * A membrane that is not finite sets the fault.
 * Bytes: reads z and writes s once. */
typedef struct surge_neuron_forward {
  surge_neuron common;
  void *s;        /* [T, N] of map, overwritten                        */
  float *v_out;   /* [N] of map in fp32, overwritten, or NULL          */
  float *i_out;   /* likewise; NULL without a synapse                  */
  float *current; /* [T, N] of map in fp32, overwritten, or NULL: gain*x */
  surge_pda_coefficients *pda; /* [P] overwritten; NULL where PDA is off     */
  float pda_scale; /* lambda / spiking layers with PDA (/ accumulation) */
  surge_metrics *metrics; /* NULL where PDA is off                      */
  surge_neuron_statistics *statistics; /* [T] accumulated, or NULL           */
  surge_histogram *histogram; /* accumulated, or NULL                       */
  surge_fault *fault;
} surge_neuron_forward;

/* The adjoint (method: delta, gu, gv; x = u - theta; h = h_w(x)):
 *     delta = gs[t] + (detach ? 0 : hard ? gv*(v_reset - u) : -theta*gv)
 *     gu    = delta*h + gv*(hard ? 1 - s : 1) + q[t]
 *     gv    = d*gu
 *     gi[t] = gu[t] + d_s*gi[t+1]            without a synapse gu[t]
 *     drho += w * sum delta*(-(x/w)*h)       ddecay_logit += d(1-d)*sum gu*v[t-1]
 *             (with decay_input also d(1-d)*sum -(gi + g_current)*x)
 *     dsynapse_logit += d_s(1-d_s)*sum gi[t]*i[t-1]
 *     da[t] = gain*(gi[t] + g_current[t])
 * where d_s*gi[T] is gi_out and d_s*gi[0] is di_in, as gv starts from gv_out and
 * ends in dv_in.
 * With detach and soft_forward the reset keeps the forward's soft spike as a
 * constant. u is rebuilt from z: exactly the forward's spikes. gs may alias
 * da[0]. Where an input is static its da is [1,N]: the sum over t (weighted by
 * TEBN's p). Channel sums for the norm of each normalised input:
 * sums[k] = { sum da, sum da*zhat } over (N,H,W) and the steps of k.
 * Bytes: reads z and gs, writes da. */
typedef struct surge_neuron_backward {
  surge_neuron common;
  void *da[2]; /* a gradient an input, or NULL where not wanted.    */
               /* Both inputs normalised and neither or both        */
               /* static: da[1] may be NULL, da[0] serves both      */
  surge_mode mode[2];
  float *sums[2];        /* [Tk, 2, C] overwritten; NULL where input is plain */
  float *dv_in;          /* [N] of map in fp32, overwritten, or NULL          */
  float *di_in;          /* likewise; NULL without a synapse                  */
  float *drho;           /* [P] accumulated; NULL unless the width is learned */
  float *ddecay_logit;   /* [1] accumulated; NULL unless the decay is         */
  float *dsynapse_logit; /* [1] likewise, of the synapse                     */
  const void *gs;        /* [T, N] of map                                     */
  const float *gv_out;   /* [N] of map in fp32, or NULL: 0                    */
  const float *gi_out;   /* likewise; NULL without a synapse                  */
  const float *g_current;            /* [T, N] of map in fp32, or NULL     */
  const surge_pda_coefficients *pda; /* [P]; NULL where PDA is off         */
} surge_neuron_backward;

/* ======================================================================== *
 *  The sum outside a neuron, and the membrane readout
 * ======================================================================== */

/* y = a0, or a0 + a1: a residual sum that no neuron takes in. Spike-element-wise
 * add (SEW-ResNet, Fang 2021): two plain spike maps; membrane shortcut
 * (MS-ResNet, Hu 2021): norm(conv) + the stream, and y is the stream that lives
 * on. Each input as the neuron's, a = scale[k]*z + shift[k] (two roundings) or z
 * itself; the sum is in fp32, in this order, rounded once more. With one input
 * it is a norm that is written out.
 * y is [1,N] where all inputs are static and none has a scale for each step,
 * else [T,N], and a static input is read with a step stride of 0.
 *     da[i] = dy
 * Where input i is static and y is not, da[i] is [1,N]: the sum over t of dy[t]
 * (weighted by TEBN's p), as in neuron_backward, and so are the channel sums of
 * a normalised input, of which norm_backward makes dgamma, dbeta, dp and dz:
 * sums[i] = { sum da, sum da*zhat } over (N,H,W) and the steps of k. Of a static
 * y all are over its one step: dy is the sum over t already.
 * Bytes: forward reads z of each input once, writes y; backward reads dy once
 * and z of each input with sums once, writes da. */
typedef struct surge_add {
  void *y;     /* forward: [T or 1, N] of map, overwritten; no z    */
  void *da[2]; /* backward: a gradient an input, by mode, or NULL:  */
               /* not wanted, for unless it is a sum over t it is   */
               /* dy. May be dy itself (mode write, no sum over t); */
               /* both may be one array, the second mode add        */
  surge_mode mode[2];
  float *sums[2]; /* [Tk, 2, C] overwritten; NULL where input is plain */
  const void *dy; /* backward: as y                                    */
  surge_map map;
  int32_t T, N;
  int32_t inputs; /* 1 or 2                                            */
  surge_neuron_input input[2];
  void *workspace; /* add_workspace bytes (by sizes alone: no array is  */
                   /* looked at); forward, or without sums: may be NULL */
} surge_add;

/* Membrane readout: u[t] = d*u[t-1] + x[t] without firing or reset; backward
 * dx[t] = g[t] + d*dx[t+1]. The decay is the scalar of neuron_scalars. */
typedef struct surge_integrator {
  void *y;       /* forward [T, M], backward: dx [T, M]; overwritten  */
  const void *x; /* forward [T, M], backward: dy; may alias y         */
  const float *scalars;
  surge_dtype type; /* of x and y                                        */
  int32_t T;
  size_t M;
} surge_integrator;

/* ======================================================================== *
 *  Input, dropout, losses
 * ======================================================================== */

/* A batch of images as the loader has it -> the network's input:
 *     x = (u8/unit - mean[c]) / std[c], zero where a crop leaves the image
 *         (padding is applied before normalisation, as torchvision does)
 * crop: shift by up to crop_pad pixels each way; flip: mirrored with p = .5;
 * then two that set whole pixels of x to 0, the normalised mean:
 * cutout: a square of cutout x cutout around a pixel drawn from all (DeVries &
 *         Taylor 2017), cut off at the border;
 * random_erasing: with this probability a rectangle of 0.02 to 0.33 of the
 *         area and height/width 0.3 to 3.3 (torchvision's RandomErasing).
 * All drawn with Philox by (seed, epoch, sample), the same at all steps. Only
 * when `training`.
 * mix: the image so made and the one made of the batch's image before it are
 *         mixed as step->mix says; each product and the sum round. */
typedef struct surge_augment {
  void *x;               /* [T, N] of map, overwritten                        */
  const uint8_t *images; /* [N, T, H, W, C] channels-last, or with `gather` */
                         /* the whole set, whose image sample[n] is the    */
                         /* batch's n                                      */
  const uint32_t *sample; /* [N] index of each in its data set              */
  const surge_step *step;
  surge_map map;
  int32_t T; /* 1: one image for all steps                        */
  int32_t N;
  float unit; /* of a byte: 255 of an image, 1 where it counts     */
  const float *mean, *std;  /* host [C]                                       */
  int32_t crop_pad, cutout; /* pixels; cutout 0: none                        */
  float random_erasing;     /* 0 <= p <= 1                                    */
  bool flip, mix, training, gather;
} surge_augment;

/* s[t] = 1 where a uniform number is below x (x in [0,1]), by (seed, epoch,
 * sample, t, element). */
typedef struct surge_poisson {
  void *s;       /* [T, N] of map, overwritten                        */
  const void *x; /* [N] of map                                        */
  const uint32_t *sample;
  const surge_step *step;
  surge_map map;
  int32_t T, N;
} surge_poisson;

/* y = x * mask/(1-p), one mask for all T; the same call with y = dx, x = dy is
 * the backward. Drawn by (seed, epoch, sample, layer); may be in place. */
typedef struct surge_dropout {
  void *y;
  const void *x; /* [T, N] of map                                     */
  const uint32_t *sample;
  const surge_step *step;
  surge_map map;
  int32_t T, N;
  uint32_t index; /* which dropout layer, from 0                       */
  float p;        /* share dropped, 0 <= p < 1                         */
} surge_dropout;

typedef enum surge_loss_kind {
  SURGE_LOSS_MEAN, /* cross entropy of the logits' mean over T               */
  SURGE_LOSS_TET,  /* (1-l) mean_t CE(o_t) + l mean_t mean (o_t - theta)^2   */
  SURGE_LOSS_MSE   /* mean over classes of (mean_t o_t - onehot)^2           */
} surge_loss_kind;

/* Loss and its gradient in one pass. `vote` output neurons speak for a class:
 * logits are [T, N, classes*vote], averaged in groups. Label smoothing e:
 * target = (1-e) onehot + e/classes. With `step`, of a batch that was mixed as
 * step->mix says, onehot is share*onehot(own) + (1-share)*onehot(label of the
 * sample before). Adds to metrics: per-sample losses, correct (the first
 * maximum is the label, of two the one with the larger share), samples. dlogits
 * is scaled by gradient_scale/N. A loss that is not finite sets the fault. */
typedef struct surge_loss {
  void *dlogits; /* [T, N, classes*vote] overwritten, NULL: evaluation */
  float *scores; /* [N, classes] mean over T and votes, overwritten    */
  surge_metrics *metrics;
  surge_fault *fault;
  const void *logits;
  surge_dtype type;      /* of logits and dlogits                           */
  const int32_t *labels; /* [N] in 0..classes-1, or those of the whole set  */
  int32_t T, N, classes, vote;
  surge_loss_kind kind;
  float label_smoothing, tet_lambda, tet_target; /* l; theta                  */
  float gradient_scale; /* 1/accumulation                                  */
  uint32_t layer;
  const uint32_t *sample; /* [N] places in labels; NULL: 0..N-1              */
  const surge_step *step; /* NULL: labels are not mixed                      */
} surge_loss;

/* ======================================================================== *
 *  Optimisers: one call for all groups of a parameter arena
 * ======================================================================== */

/* *norm = sqrt(sum g^2), *clip = min(1, max_norm/(norm + 1e-6)) (max_norm 0:
 * 1), as torch.nn.utils.clip_grad_norm_. A norm that is not finite sets the
 * fault to `layer` + 1. As every update passes here, the first that finds a
 * fault, its own included, leaves its number. */
typedef struct surge_gradient_norm {
  float *norm, *clip; /* [1] each                                           */
  surge_fault *fault;
  uint64_t *fault_step; /* step->number where there is a fault and it is 0    */
  const surge_step *step;
  const float *g;
  size_t count;
  float max_norm;
  uint32_t layer;
  void *workspace; /* gradient_norm_workspace bytes                      */
} surge_gradient_norm;

typedef enum surge_optimizer {
  SURGE_SGD,
  SURGE_ADAM,
  SURGE_ADAMW
} surge_optimizer;

/* One group's update, from g = clip*g (clip NULL: 1) and the step's numbers of
 * the group.
 *   SGD          g += weight_decay*w; m = momentum*m + g (first step: m = g, as
 *                m starts at 0); w -= lr*(nesterov ? g + momentum*m : m). As
 *                torch.optim.SGD.
 *   Adam, AdamW  m += (1-b1)(g - m); v = b2 v + (1-b2) g^2;
 *                w -= lr*(m*scale1)/(sqrt(v*scale2) + eps), weight decay
 *                coupled (Adam: g += wd*w) or decoupled (AdamW: w -= lr*wd*w
 *                first); then w is held in [w_min, w_max]. As torch.optim.Adam,
 *                AdamW. */
typedef struct surge_update {
  surge_optimizer kind;
  size_t count;      /* 0: the arena has none of this group, all is unread */
  float *w, *m, *v;  /* [count] updated; v: of Adam and AdamW alone        */
  void *rounded;     /* bf16 [count] overwritten with the new w, or NULL   */
  const float *g;    /* [count]                                            */
  const float *clip; /* [1] or NULL                                        */
  float weight_decay;
  float momentum; /* SGD                                                */
  bool nesterov;
  float beta1, beta2, eps; /* Adam, AdamW                                     */
  float w_min, w_max;      /* -INFINITY, INFINITY: no bounds                  */
} surge_update;

/* A step of all groups at once. A fault leaves everything as it is.
 * Bytes, a parameter: SGD reads w, m, g, writes w, m; Adam v besides; rounded
 * weights are written once. */
typedef struct surge_optimize {
  surge_update update[SURGE_GROUP_COUNT]; /* by surge_group                   */
  const surge_step *step;
  const surge_fault *fault;
} surge_optimize;

/* e += (1 - decay)(w - e): an average of w over the last 1/(1 - decay) steps or
 * so, its weight falling by decay a step (Polyak; timm's ModelEma). What e
 * begins as is the caller's. A fault leaves it as it is.
 * Bytes, an element: reads e, w, writes e. */
typedef struct surge_average {
  float *e;       /* [count] updated                                    */
  const float *w; /* [count]                                            */
  size_t count;
  float decay; /* 0 <= decay < 1                                     */
  const surge_fault *fault;
} surge_average;

/* *nonzero += elements of x that are not 0 (rates of a layer's inputs). */
typedef struct surge_count_nonzero {
  uint64_t *nonzero;
  const void *x;
  surge_dtype type;
  size_t count;
} surge_count_nonzero;

/* to = from, rounded to bf16: the weights that convolutions and products of
 * bf16 maps read, once they were set; surge_optimize keeps them so. The fp32
 * ones stay the ones that are trained. */
typedef struct surge_cast {
  void *to; /* bf16 [count], overwritten                          */
  const float *from;
  size_t count;
} surge_cast;

/* ======================================================================== *
 *  Memory: what backward reads again, kept in fewer bits
 * ======================================================================== */

/* Spikes, or small sums of them, packed after forward, unpacked for backward:
 *     1 bit    x is 0 or 1: bit i % 8, from the lowest, of byte i / 8 is
 *              element i; what is left of the last byte is 0
 *     8 bits   x = k/scale, k an integer in 0..255: byte i is k, the integer
 *              nearest to x*scale; unpacked k/scale, rounded as x was
 * Elements are taken in their order in memory, whatever the map's layout.
 *
 * Exact: an x that k/scale was rounded to, in fp32 or from there on to bf16,
 * comes back to the bit where surge_pack_exact says so. That is all k in fp32,
 * where rounding moves x*scale by k 2^-24 at most; in bf16, by k 2^-8, all k up
 * to 128, or to 255 where scale is 2^n, and all k <= scale <= 255. The average
 * pool divides, and so gives such x from spikes: scale = kernel^2 up to 15 x 15.
 * So do sums of up to 255 spikes (scale 1), and dropped spikes (scale = 1 - p).
 * Not a pool of a pool, nor a sum of pools, unless kernel^2 is 2^n: those are
 * rounded twice.
 * Any other x is the caller's fault, which the op does not see: 1 bit takes all
 * but 0 for 1, 8 bits keep the nearest integer's last eight (of NaN: anything).
 * Bytes, b those of an element: b*count + surge_pack_bytes(count, bits). */
typedef struct surge_pack {
  void *packed;     /* pack: [surge_pack_bytes] overwritten; unpack: read */
  void *x;          /* pack: [count] read; unpack: [count] overwritten    */
  surge_dtype type; /* of x                                               */
  int32_t bits;     /* 1 or 8                                             */
  float scale;      /* 8 bits: 2^-100 to 2^100; 1 bit: not read           */
  size_t count;
} surge_pack;

/* Bytes that `count` elements take in so many bits. */
SURGE_INLINE size_t surge_pack_bytes(size_t count, int32_t bits) {
  return (count * (size_t)bits + 7) / 8;
}

/* Whether in 8 bits every k/scale, k = 0..most, of a map of `type` comes back. */
bool surge_pack_exact(surge_dtype type, float scale, int32_t most);

/* ======================================================================== *
 *  The table
 * ======================================================================== */

/* A context: a device and its stream. */
typedef struct surge_context_options {
  int threads;        /* of the CPU; 0: one a core                         */
  bool deterministic; /* device: libraries take only algorithms that give  */
                      /* the same bits each time, chosen without timing    */
  size_t workspace;   /* device: bytes under which they are chosen         */
  bool tf32;          /* device: fp32 products may round inputs to tf32    */
  bool plan_only;     /* no device is opened: plans and sizes alone work   */
} surge_context_options;

typedef struct surge_graph surge_graph; /* a recorded step */

typedef struct surge_backend {
  const char *name; /* "cpu", "cuda" */
  bool queues;      /* ops run later: a download costs a wait, graphs pay    */
  bool bf16;        /* maps may be of SURGE_BF16                             */

  surge_status (*open)(surge_context **context,
                       const surge_context_options *options);
  void (*close)(surge_context *context); /* waits; NULL is nothing */
  /* One line of what it runs on, into text[size]. */
  void (*describe)(surge_context *context, char *text, size_t size);

  /* Memory of the device, 64-byte aligned; fails with the size asked for.
   * `upload`, `zero` and `copy` are queued like ops; the host's bytes are read
   * before upload returns. */
  surge_status (*allocate)(surge_context *context, void **memory, size_t bytes);
  void (*release)(surge_context *context, void *memory);
  surge_status (*upload)(surge_context *context, void *device, const void *host,
                         size_t bytes);
  surge_status (*download)(surge_context *context, void *host,
                           const void *device, size_t bytes);
  surge_status (*zero)(surge_context *context, void *device, size_t bytes);
  surge_status (*copy)(surge_context *context, void *to, const void *from,
                       size_t bytes); /* both on the device */
  surge_status (*sync)(surge_context *context);

  /* Opens a range of the host's time under a name, for a profiler (NVTX); NULL
   * closes the one opened last. */
  void (*mark)(surge_context *context, const char *name);

  /* What ops can read of host memory that stays as it is: *mirror is a copy on
   * the device, the host's own memory where that is the device's, or NULL where
   * a copy would take more than half of what is free. */
  surge_status (*mirror)(surge_context *context, const void **mirror,
                         const void *host, size_t bytes);
  void (*mirror_release)(surge_context *context, const void *mirror);

  /* A step as one graph: what is queued between capture and captured (no
   * upload, download or sync) is stored, and done at each replay. A backend
   * without graphs does it at once and hands out NULL. */
  surge_status (*capture)(surge_context *context);
  surge_status (*captured)(surge_context *context, surge_graph **graph);
  surge_status (*replay)(surge_context *context, surge_graph *graph);
  void (*graph_release)(surge_graph *graph); /* NULL is nothing */

  /* The layout this backend prefers for maps of c channels. */
  surge_layout (*layout)(int32_t c);

  /* Plans choose algorithms and may allocate; ops only execute. A workspace
   * serves any number of images up to `images`. */
  surge_status (*conv2d_plan)(surge_context *, surge_conv2d_plan **plan,
                              const surge_conv2d_shape *shape);
  void (*conv2d_release)(surge_conv2d_plan *plan);
  size_t (*conv2d_workspace)(const surge_conv2d_plan *plan, size_t images);
  surge_status (*conv2d_forward)(surge_context *, const surge_conv2d_plan *,
                                 const surge_conv2d_forward *);
  surge_status (*conv2d_backward_data)(surge_context *,
                                       const surge_conv2d_plan *,
                                       const surge_conv2d_backward_data *);
  surge_status (*conv2d_backward_weights)(
      surge_context *, const surge_conv2d_plan *,
      const surge_conv2d_backward_weights *);

  size_t (*linear_workspace)(surge_context *, const surge_linear *);
  surge_status (*linear_forward)(surge_context *, const surge_linear *);
  surge_status (*linear_backward_data)(surge_context *, const surge_linear *);
  surge_status (*linear_backward_weights)(surge_context *,
                                          const surge_linear *);

  surge_status (*avgpool_forward)(surge_context *, const surge_pool *);
  surge_status (*avgpool_backward)(surge_context *, const surge_pool *);
  surge_status (*maxpool_forward)(surge_context *, const surge_pool *);
  surge_status (*maxpool_backward)(surge_context *, const surge_pool *);

  size_t (*norm_workspace)(surge_context *, const surge_norm_forward *);
  surge_status (*norm_forward)(surge_context *, const surge_norm_forward *);
  surge_status (*norm_backward)(surge_context *, const surge_norm_backward *);

  surge_status (*neuron_scalars)(surge_context *, const surge_neuron_scalars *);
  size_t (*neuron_workspace)(surge_context *, const surge_neuron *);
  surge_status (*neuron_forward)(surge_context *, const surge_neuron_forward *);
  surge_status (*neuron_backward)(surge_context *,
                                  const surge_neuron_backward *);
  size_t (*add_workspace)(surge_context *, const surge_add *);
  surge_status (*add_forward)(surge_context *, const surge_add *);
  surge_status (*add_backward)(surge_context *, const surge_add *);
  surge_status (*integrator_forward)(surge_context *, const surge_integrator *);
  surge_status (*integrator_backward)(surge_context *,
                                      const surge_integrator *);

  surge_status (*augment)(surge_context *, const surge_augment *);
  surge_status (*poisson)(surge_context *, const surge_poisson *);
  surge_status (*dropout)(surge_context *, const surge_dropout *);
  surge_status (*loss)(surge_context *, const surge_loss *);

  size_t (*gradient_norm_workspace)(size_t count);
  surge_status (*gradient_norm)(surge_context *, const surge_gradient_norm *);
  surge_status (*optimize)(surge_context *, const surge_optimize *);
  surge_status (*average)(surge_context *, const surge_average *);
  surge_status (*count_nonzero)(surge_context *, const surge_count_nonzero *);
  surge_status (*cast)(surge_context *, const surge_cast *);

  surge_status (*pack)(surge_context *, const surge_pack *);
  surge_status (*unpack)(surge_context *, const surge_pack *);
} surge_backend;

extern const surge_backend surge_cpu;
extern const surge_backend surge_cuda; /* in libsurge_cuda */

/* Makes a device of its own library known to surge_backend_open, which always
 * knows the CPU: a program that links libsurge_cuda calls
 * surge_backend_register(&surge_cuda) once, before anything else of SURGE. */
void surge_backend_register(const surge_backend *device);

#ifdef __cplusplus
}
#endif
#endif
