/* conv2d.c - convolution on the device: cuDNN, channels last.
 *
 * Which interface. cuDNN has two: calls with fixed descriptors, which its
 * headers mark deprecated but cuDNN 9 still has, and graphs of operations. A
 * graph could sum the norm's statistics in the convolution's epilogue, and save
 * a pass over z; but the engines that do so are compiled while the program
 * runs, their number and order change from version to version, and a graph is
 * several hundred lines of attributes. The fixed calls are enough for one
 * convolution, so they are taken, and confined to this file.
 *
 * Which arithmetic. Of fp32 CUDNN_FMA_MATH: the default would round inputs to
 * tf32 on tensor cores, which is done where the context allows it. Of bf16
 * tensor cores, with sums in fp32. Transforms (FFT, Winograd) multiply fewer
 * times but leave the error bound of backend.h; only algorithms that sum
 * products are taken.
 *
 * Gradients of bf16 weights: cuDNN writes the gradient of a filter in the
 * filter's type alone. Each call's is rounded to bf16 once, in the workspace,
 * and then added to the fp32 gradient.
 *
 * Which algorithm. For each number of images the first that is usable: in the
 * order of cuDNN's heuristic with `deterministic`, and then only if it declares
 * itself deterministic; else in the order of times that cuDNN measures while
 * the net is planned (measuring allocates; a smaller number of images that
 * comes later, the last batch of an evaluation, is left to the heuristic). The
 * workspace booked is always the whole cap, so what was chosen for one number
 * of images never limits another, and a plan without a device books the same.
 *
 * Biases are bias.cu's: one kernel for all, and a sum of known order. */
#include <stdlib.h>

#include "kernels/cuda/cast.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/libraries.h"

typedef enum direction {
  FORWARD,
  BACKWARD_DATA,
  BACKWARD_WEIGHTS,
  PASSES
} direction;

static const char *const op_name[PASSES] = {
    "conv2d_forward", "conv2d_backward_data", "conv2d_backward_weights"};

#define ALGORITHMS 8 /* more than cuDNN numbers in any pass */
#define ANSWERS 16   /* candidates asked for */
#define CHOICES 4    /* numbers of images that a plan remembers */
#define UNKNOWN (-1)

/* Algorithms that sum products, and so keep the error bound. */
static const bool sums_products[PASSES][ALGORITHMS] = {
    [FORWARD] = {[CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM] = true,
                 [CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM] = true,
                 [CUDNN_CONVOLUTION_FWD_ALGO_GEMM] = true},
    [BACKWARD_DATA] = {[CUDNN_CONVOLUTION_BWD_DATA_ALGO_0] = true,
                       [CUDNN_CONVOLUTION_BWD_DATA_ALGO_1] = true},
    [BACKWARD_WEIGHTS] = {[CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0] = true,
                          [CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1] = true,
                          [CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3] = true}};

/* What serves one number of images. */
typedef struct choice {
  size_t images; /* 0: free */
  cudnnTensorDescriptor_t x, y;
  int algorithm[PASSES]; /* or UNKNOWN */
  cudnnMathType_t math[PASSES];
} choice;

struct surge_conv2d_plan {
  surge_context *context;
  surge_conv2d_shape shape;
  cudnnFilterDescriptor_t w;
  cudnnConvolutionDescriptor_t conv;
  choice *choices; /* [CHOICES]; filled while planning, later where images
                    * are fewer */
};

static cudnnDataType_t type_of(const surge_map *map) {
  return map->type == SURGE_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/* --- choosing an algorithm ------------------------------------------------ */

/* One line of cuDNN's answer, whose type differs from pass to pass. */
typedef struct candidate {
  int algorithm;
  cudnnStatus_t status;
  size_t bytes;
  cudnnDeterminism_t determinism;
  cudnnMathType_t math;
} candidate;

/* The most that a plan's products may do. */
static cudnnMathType_t math_of(const surge_conv2d_plan *plan) {
  bool cores = plan->context->options.tf32 || plan->shape.in.type == SURGE_BF16;
  return cores ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH;
}

/* Asks the heuristic, or the clock, for candidates of a pass, best first. */
#define SEARCH(name, answer, ask, measure, first, second, third)               \
  static surge_status name(const surge_conv2d_plan *plan, const choice *c,     \
                           bool measured, candidate *list, int *count) {       \
    answer found[ANSWERS];                                                     \
    SURGE_DNN("conv2d_plan", cudnnSetConvolutionMathType, plan->conv,          \
              math_of(plan));                                                  \
    SURGE_TRY(surge_cuda_dnn_check(                                            \
        "conv2d_plan", measured ? #measure : #ask,                             \
        (measured ? measure : ask)(plan->context->dnn, first, second,          \
                                   plan->conv, third, ANSWERS, count,          \
                                   found)));                                   \
    for (int i = 0; i < *count; i++)                                           \
      list[i] =                                                                \
          (candidate){(int)found[i].algo, found[i].status, found[i].memory,    \
                      found[i].determinism, found[i].mathType};                \
    return SURGE_OK;                                                           \
  }
SEARCH(search_forward, cudnnConvolutionFwdAlgoPerf_t,
       cudnnGetConvolutionForwardAlgorithm_v7,
       cudnnFindConvolutionForwardAlgorithm, c->x, plan->w, c->y)
SEARCH(search_backward_data, cudnnConvolutionBwdDataAlgoPerf_t,
       cudnnGetConvolutionBackwardDataAlgorithm_v7,
       cudnnFindConvolutionBackwardDataAlgorithm, plan->w, c->y, c->x)
SEARCH(search_backward_weights, cudnnConvolutionBwdFilterAlgoPerf_t,
       cudnnGetConvolutionBackwardFilterAlgorithm_v7,
       cudnnFindConvolutionBackwardFilterAlgorithm, c->x, c->y, plan->w)
#undef SEARCH

static bool is_usable(const surge_context_options *options, direction pass,
                      const candidate *k) {
  if (k->status != CUDNN_STATUS_SUCCESS) return false;
  if (k->bytes > options->workspace) return false;
  if (options->deterministic && k->determinism != CUDNN_DETERMINISTIC)
    return false;
  return k->algorithm < ALGORITHMS && sums_products[pass][k->algorithm];
}

static surge_status choose(const surge_conv2d_plan *plan, choice *c,
                           direction pass, bool planning) {
  static surge_status (*const search[PASSES])(
      const surge_conv2d_plan *, const choice *, bool, candidate *, int *) = {
      search_forward, search_backward_data, search_backward_weights};
  const surge_context_options *options = &plan->context->options;
  const surge_conv2d_shape *s = &plan->shape;
  candidate list[ANSWERS];
  int count = 0;
  SURGE_TRY(
      search[pass](plan, c, planning && !options->deterministic, list, &count));
  for (int i = 0; i < count; i++)
    if (is_usable(options, pass, &list[i])) {
      c->algorithm[pass] = list[i].algorithm;
      c->math[pass] =
          math_of(plan) == CUDNN_FMA_MATH ? CUDNN_FMA_MATH : list[i].math;
      return SURGE_OK;
    }
  return SURGE_FAIL(SURGE_ERROR_DEVICE,
                    "%s: wanted a%s algorithm of cuDNN for %zu images of "
                    "%dx%dx%d, %d filters of %dx%d, stride %d, pad %d, %d "
                    "groups, within %zu bytes, found none of %d",
                    op_name[pass],
                    options->deterministic ? " deterministic" : "", c->images,
                    s->in.h, s->in.w, s->in.c, s->out.c, s->kernel, s->kernel,
                    s->stride, s->pad, s->groups, options->workspace, count);
}

static surge_status describe(cudnnTensorDescriptor_t tensor, size_t images,
                             const surge_map *map) {
  SURGE_DNN("conv2d_plan", cudnnSetTensor4dDescriptor, tensor,
            CUDNN_TENSOR_NHWC, type_of(map), (int)images, map->c, map->h,
            map->w);
  return SURGE_OK;
}

/* The choice that serves so many images: a remembered one, a free one, or the
 * last one anew. */
static surge_status choice_of(const surge_conv2d_plan *plan, size_t images,
                              choice **found) {
  choice *c = plan->choices;
  while (c->images && c->images != images && c < plan->choices + CHOICES - 1)
    c++;
  *found = c;
  if (c->images == images) return SURGE_OK;
  c->images = 0;
  SURGE_TRY(describe(c->x, images, &plan->shape.in));
  SURGE_TRY(describe(c->y, images, &plan->shape.out));
  for (direction pass = 0; pass < PASSES; pass++) c->algorithm[pass] = UNKNOWN;
  c->images = images;
  return SURGE_OK;
}

/* The choice that serves a call, with its algorithm; its math is set. */
static surge_status choice_for(const surge_conv2d_plan *plan, size_t images,
                               direction pass, choice **c) {
  SURGE_TRY(choice_of(plan, images, c));
  if ((*c)->algorithm[pass] == UNKNOWN)
    SURGE_TRY(choose(plan, *c, pass, false));
  SURGE_DNN(op_name[pass], cudnnSetConvolutionMathType, plan->conv,
            (*c)->math[pass]);
  return SURGE_OK;
}

/* --- plans ---------------------------------------------------------------- */

static surge_status create_descriptors(surge_conv2d_plan *plan) {
  const char *op = "conv2d_plan";
  const surge_conv2d_shape *s = &plan->shape;
  SURGE_DNN(op, cudnnCreateFilterDescriptor, &plan->w);
  SURGE_DNN(op, cudnnSetFilter4dDescriptor, plan->w, type_of(&s->in),
            CUDNN_TENSOR_NHWC, s->out.c, s->in.c / s->groups, s->kernel,
            s->kernel);
  SURGE_DNN(op, cudnnCreateConvolutionDescriptor, &plan->conv);
  SURGE_DNN(op, cudnnSetConvolution2dDescriptor, plan->conv, s->pad, s->pad,
            s->stride, s->stride, 1, 1, CUDNN_CROSS_CORRELATION,
            CUDNN_DATA_FLOAT);
  SURGE_DNN(op, cudnnSetConvolutionGroupCount, plan->conv, s->groups);
  for (int i = 0; i < CHOICES; i++) {
    SURGE_DNN(op, cudnnCreateTensorDescriptor, &plan->choices[i].x);
    SURGE_DNN(op, cudnnCreateTensorDescriptor, &plan->choices[i].y);
  }
  return SURGE_OK;
}

surge_status surge_cuda_conv2d_plan(surge_context *context,
                                    surge_conv2d_plan **plan,
                                    const surge_conv2d_shape *shape) {
  *plan = NULL;
  SURGE_TRY(surge_check_conv2d_shape(shape));
  SURGE_TRY(surge_cuda_check_layout("conv2d_plan", &shape->in));
  SURGE_TRY(surge_cuda_check_layout("conv2d_plan", &shape->out));
  surge_conv2d_plan *p = calloc(1, sizeof *p);
  choice *choices = calloc(CHOICES, sizeof *choices);
  if (!p || !choices) {
    free(p);
    free(choices);
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "conv2d_plan: no memory for a plan");
  }
  *p = (surge_conv2d_plan){
      .context = context, .shape = *shape, .choices = choices};
  surge_status status =
      context->options.plan_only ? SURGE_OK : create_descriptors(p);
  if (status == SURGE_OK)
    *plan = p;
  else
    surge_cuda_conv2d_release(p);
  return status;
}

void surge_cuda_conv2d_release(surge_conv2d_plan *plan) {
  if (!plan) return;
  for (int i = 0; i < CHOICES; i++) {
    if (plan->choices[i].x) cudnnDestroyTensorDescriptor(plan->choices[i].x);
    if (plan->choices[i].y) cudnnDestroyTensorDescriptor(plan->choices[i].y);
  }
  if (plan->conv) cudnnDestroyConvolutionDescriptor(plan->conv);
  if (plan->w) cudnnDestroyFilterDescriptor(plan->w);
  free(plan->choices);
  free(plan);
}

/* Rows of a bias: pixels of all images. */
static size_t pixels(const surge_conv2d_shape *s, size_t images) {
  return images * (size_t)s->out.h * (size_t)s->out.w;
}

static size_t weights(const surge_conv2d_shape *s) {
  return (size_t)s->out.c * (size_t)(s->in.c / s->groups) * (size_t)s->kernel *
         (size_t)s->kernel;
}

/* Bytes at the workspace's start for a rounded gradient of the weights, whole
 * lines of 256: what follows is aligned as cuDNN likes. */
static size_t rounded_gradient(const surge_conv2d_shape *s) {
  if (s->in.type == SURGE_F32) return 0;
  return (weights(s) * surge_dtype_bytes(s->in.type) + 255) / 256 * 256;
}

/* Books, and chooses for this number of images; where nothing can be chosen the
 * op that needs it says so. */
size_t surge_cuda_conv2d_workspace(const surge_conv2d_plan *plan,
                                   size_t images) {
  const surge_context_options *options = &plan->context->options;
  choice *c;
  if (!options->plan_only && choice_of(plan, images, &c) == SURGE_OK)
    for (direction pass = 0; pass < PASSES; pass++)
      if (c->algorithm[pass] == UNKNOWN) (void)!choose(plan, c, pass, true);
  size_t bias = surge_cuda_bias_workspace(pixels(&plan->shape, images),
                                          (size_t)plan->shape.out.c);
  size_t dnn = rounded_gradient(&plan->shape) + options->workspace;
  return bias > dnn ? bias : dnn;
}

/* --- the ops -------------------------------------------------------------- */

static const float zero = 0, one = 1;

surge_status surge_cuda_conv2d_forward(surge_context *context,
                                       const surge_conv2d_plan *plan,
                                       const surge_conv2d_forward *a) {
  const char *op = op_name[FORWARD];
  choice *c;
  SURGE_TRY(surge_check_conv2d_forward(&plan->shape, a));
  SURGE_TRY(choice_for(plan, a->images, FORWARD, &c));
  SURGE_DNN(op, cudnnConvolutionForward, context->dnn, &one, c->x, a->x,
            plan->w, a->w, plan->conv,
            (cudnnConvolutionFwdAlgo_t)c->algorithm[FORWARD], a->workspace,
            context->options.workspace, &zero, c->y, a->y);
  surge_cuda_bias_add(context, a->y, plan->shape.out.type, a->b,
                      pixels(&plan->shape, a->images),
                      (size_t)plan->shape.out.c);
  return surge_cuda_launched(context, op);
}

surge_status surge_cuda_conv2d_backward_data(
    surge_context *context, const surge_conv2d_plan *plan,
    const surge_conv2d_backward_data *a) {
  const char *op = op_name[BACKWARD_DATA];
  choice *c;
  SURGE_TRY(surge_check_conv2d_backward_data(&plan->shape, a));
  SURGE_TRY(choice_for(plan, a->images, BACKWARD_DATA, &c));
  SURGE_DNN(op, cudnnConvolutionBackwardData, context->dnn, &one, plan->w, a->w,
            c->y, a->dy, plan->conv,
            (cudnnConvolutionBwdDataAlgo_t)c->algorithm[BACKWARD_DATA],
            a->workspace, context->options.workspace,
            a->mode == SURGE_ADD ? &one : &zero, c->x, a->dx);
  return surge_cuda_launched(context, op);
}

surge_status surge_cuda_conv2d_backward_weights(
    surge_context *context, const surge_conv2d_plan *plan,
    const surge_conv2d_backward_weights *a) {
  const char *op = op_name[BACKWARD_WEIGHTS];
  const surge_conv2d_shape *s = &plan->shape;
  size_t rounded = rounded_gradient(s);
  choice *c;
  SURGE_TRY(surge_check_conv2d_backward_weights(s, a));
  SURGE_TRY(choice_for(plan, a->images, BACKWARD_WEIGHTS, &c));
  SURGE_DNN(op, cudnnConvolutionBackwardFilter, context->dnn, &one, c->x, a->x,
            c->y, a->dy, plan->conv,
            (cudnnConvolutionBwdFilterAlgo_t)c->algorithm[BACKWARD_WEIGHTS],
            (char *)a->workspace + rounded, context->options.workspace,
            rounded ? &zero : &one, plan->w,
            rounded ? a->workspace : (void *)a->dw);
  if (rounded) surge_cuda_add_rounded(context, a->dw, a->workspace, weights(s));
  surge_cuda_bias_sum(context, a->db, a->dy, s->out.type, pixels(s, a->images),
                      (size_t)s->out.c, a->workspace);
  return surge_cuda_launched(context, op);
}
