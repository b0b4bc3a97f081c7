/* conv2d.c - convolutions by oneDNN, cut so that threads cannot change bits.
 *
 * The images of a call are dealt out as items: slices of `slice` images, then
 * what remains one by one. Both sizes follow from the layer's shape alone, so
 * two primitives a pass serve any number of images, and each item is a call of
 * one thread inside SURGE's own loop. Weights are packed into the primitive's
 * format once a call. Weight gradients are summed within fixed groups of items,
 * then over the groups, in order.
 *
 * A channels-last input of more than one channel in front of a blocked output
 * (an RGB image) has no fast primitive: its items are staged as planes first. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/onednn.h"
#include "src/backend/checks.h"

#define MOST_SLICE 16           /* images                                       */
#define SLICE_MACS 6.7e7        /* about so much work a call, else fewer images */
#define MOST_GROUPS 16          /* of partial weight gradients                  */
#define MOST_PARTIALS (1u << 24) /* floats in all groups, where weights are large */

enum { SRC, WEIGHTS, BIAS, DST, SCRATCH };

/* A primitive for one number of images, with memory objects a thread. */
typedef struct conv_variant {
  dnnl_primitive_t run, stage;  /* stage: NULL, or x to planes (data: back)     */
  dnnl_memory_t (*memory)[SURGE_ONEDNN_ARGUMENTS]; /* [threads]                 */
  dnnl_memory_t (*staged)[SURGE_ONEDNN_ARGUMENTS]; /* [threads] of `stage`      */
  size_t images, scratch;       /* bytes                                        */
} conv_variant;

/* One of the three passes. */
typedef struct conv_pass {
  conv_variant variant[2];      /* a slice; one image                           */
  surge_md *packed;             /* the weights as the primitive wants them      */
  dnnl_primitive_t pack;        /* logical to packed; weight gradients: back    */
  dnnl_memory_t pack_memory[SURGE_ONEDNN_ARGUMENTS];
} conv_pass;

struct surge_conv2d_plan {
  surge_conv2d_shape shape;
  int threads;
  size_t slice, in, out;        /* images; elements of one image                */
  bool staged;
  conv_pass pass[3];            /* by surge_pass_kind                           */
  surge_md *logical;            /* weights                                      */
  dnnl_stream_t *stream;        /* [threads]                                    */
};

/* --- planning ------------------------------------------------------------- */

static const int run_arguments[3][SURGE_ONEDNN_ARGUMENTS] = {
    {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST,
     DNNL_ARG_SCRATCHPAD},
    {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DIFF_DST,
     DNNL_ARG_SCRATCHPAD},
    {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS, DNNL_ARG_DIFF_DST,
     DNNL_ARG_SCRATCHPAD}};
/* A reorder: from the first to the second. */
static const int reorder_arguments[SURGE_ONEDNN_ARGUMENTS] = {DNNL_ARG_FROM,
                                                              DNNL_ARG_TO, 0, 0, 0};

static size_t weight_count(const surge_conv2d_shape *s) {
  return (size_t)s->out.c * (size_t)s->kernel * (size_t)s->kernel *
         (size_t)(s->in.c / s->groups);
}

static surge_status map_md(surge_md **md, const surge_map *map, size_t images,
                           bool planes) {
  const int64_t dims[4] = {(int64_t)images, map->c, map->h, map->w};
  return surge_md_create(md, 4, dims,
                         map->layout == SURGE_BLOCKED8 ? dnnl_nChw8c
                         : planes                      ? dnnl_nchw
                                                       : dnnl_nhwc);
}

static surge_status weights_md(surge_md **md, const surge_conv2d_shape *s,
                               bool logical) {
  const int64_t K = s->out.c, C = s->in.c, G = s->groups, R = s->kernel;
  if (G == 1) {
    const int64_t dims[4] = {K, C, R, R};
    return surge_md_create(md, 4, dims, logical ? dnnl_ohwi : dnnl_format_tag_any);
  }
  const int64_t dims[5] = {G, K / G, C / G, R, R};
  return surge_md_create(md, 5, dims, logical ? dnnl_gohwi : dnnl_format_tag_any);
}

/* Memory objects of every thread for the mds of a primitive. */
static surge_status thread_memories(
    dnnl_memory_t (**memory)[SURGE_ONEDNN_ARGUMENTS], int threads,
    const surge_md *const md[SURGE_ONEDNN_ARGUMENTS]) {
  *memory = calloc((size_t)threads, sizeof **memory);
  if (!*memory) return SURGE_FAIL(SURGE_ERROR_DEVICE, "conv2d: no memory to plan");
  for (int thread = 0; thread < threads; thread++)
    for (int i = 0; i < SURGE_ONEDNN_ARGUMENTS; i++)
      SURGE_TRY(surge_onednn_memory(&(*memory)[thread][i], md[i]));
  return SURGE_OK;
}

/* The reorder between an item's own layout and planes. */
static surge_status plan_stage(surge_conv2d_plan *plan, surge_pass_kind kind,
                               conv_variant *v, const surge_md *planes) {
  surge_md *own = NULL;
  surge_status status = map_md(&own, &plan->shape.in, v->images, false);
  const surge_md *from = kind == SURGE_CONV_DATA ? planes : own;
  const surge_md *to = kind == SURGE_CONV_DATA ? own : planes;
  const surge_md *const both[SURGE_ONEDNN_ARGUMENTS] = {from, to};
  if (status == SURGE_OK) status = surge_onednn_reorder(&v->stage, from, to);
  if (status == SURGE_OK) status = thread_memories(&v->staged, plan->threads, both);
  surge_md_free(own);
  return status;
}

static surge_status plan_variant(surge_conv2d_plan *plan, surge_pass_kind kind,
                                 conv_variant *v, size_t images) {
  const surge_conv2d_shape *s = &plan->shape;
  conv_pass *pass = &plan->pass[kind];
  surge_conv_mds mds = {.weights = pass->packed};
  surge_md *any = NULL, *chosen = NULL, *scratch = NULL;
  const int64_t channels[1] = {s->out.c};
  v->images = images;
  surge_status status = map_md(&mds.src, &s->in, images, plan->staged);
  if (status == SURGE_OK) status = map_md(&mds.dst, &s->out, images, false);
  if (status == SURGE_OK && s->bias && kind != SURGE_CONV_DATA)
    status = surge_md_create(&mds.bias, 1, channels, dnnl_x);
  if (status == SURGE_OK && !pass->packed) { /* the first variant chooses */
    status = weights_md(&any, s, false);
    mds.weights = any;
  }
  if (status == SURGE_OK)
    status = surge_onednn_convolution(&v->run, kind, &mds, s->stride, s->pad,
                                      &chosen, &scratch);
  v->scratch = surge_md_bytes(scratch);
  const surge_md *const all[SURGE_ONEDNN_ARGUMENTS] = {mds.src, chosen, mds.bias,
                                                       mds.dst, scratch};
  if (status == SURGE_OK) status = thread_memories(&v->memory, plan->threads, all);
  if (status == SURGE_OK && plan->staged) status = plan_stage(plan, kind, v, mds.src);
  surge_md_free(mds.src);
  surge_md_free(mds.dst);
  surge_md_free(mds.bias);
  surge_md_free(any);
  surge_md_free(scratch);
  if (pass->packed)
    surge_md_free(chosen);
  else
    pass->packed = chosen;
  return status;
}

static surge_status plan_pass(surge_conv2d_plan *plan, surge_pass_kind kind) {
  conv_pass *pass = &plan->pass[kind];
  SURGE_TRY(plan_variant(plan, kind, &pass->variant[0], plan->slice));
  SURGE_TRY(plan_variant(plan, kind, &pass->variant[1], 1));
  const surge_md *from = plan->logical, *to = pass->packed;
  if (kind == SURGE_CONV_WEIGHTS) {
    from = pass->packed;
    to = plan->logical;
  }
  SURGE_TRY(surge_onednn_memory(&pass->pack_memory[0], from));
  SURGE_TRY(surge_onednn_memory(&pass->pack_memory[1], to));
  return surge_onednn_reorder(&pass->pack, from, to);
}

static surge_status plan_all(surge_conv2d_plan *plan) {
  plan->stream = calloc((size_t)plan->threads, sizeof *plan->stream);
  if (!plan->stream)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "conv2d: no memory to plan");
  for (int thread = 0; thread < plan->threads; thread++)
    SURGE_TRY(surge_onednn_stream(&plan->stream[thread]));
  SURGE_TRY(weights_md(&plan->logical, &plan->shape, true));
  for (int kind = 0; kind < 3; kind++)
    SURGE_TRY(plan_pass(plan, (surge_pass_kind)kind));
  return SURGE_OK;
}

surge_status surge_cpu_conv2d_plan(surge_context *context,
                                   surge_conv2d_plan **out,
                                   const surge_conv2d_shape *shape) {
  *out = NULL;
  SURGE_TRY(surge_check_conv2d_shape(shape));
  surge_conv2d_plan *plan = calloc(1, sizeof *plan);
  if (!plan) return SURGE_FAIL(SURGE_ERROR_DEVICE, "conv2d: no memory to plan");
  plan->shape = *shape;
  plan->threads = context->threads;
  plan->in = surge_map_elements(&shape->in);
  plan->out = surge_map_elements(&shape->out);
  plan->staged = shape->in.layout == SURGE_CHANNELS_LAST &&
                 shape->out.layout == SURGE_BLOCKED8;
  double macs = (double)plan->out * (double)weight_count(shape) / shape->out.c;
  plan->slice = MOST_SLICE;
  while (plan->slice > 1 && (double)plan->slice * macs > SLICE_MACS) plan->slice /= 2;
  surge_status status = plan_all(plan);
  if (status != SURGE_OK)
    surge_cpu_conv2d_release(plan);
  else
    *out = plan;
  return status;
}

static void release_memories(dnnl_memory_t (*memory)[SURGE_ONEDNN_ARGUMENTS],
                             int threads) {
  for (int thread = 0; memory && thread < threads; thread++)
    for (int i = 0; i < SURGE_ONEDNN_ARGUMENTS; i++)
      if (memory[thread][i]) dnnl_memory_destroy(memory[thread][i]);
  free(memory);
}

static void release_pass(conv_pass *pass, int threads) {
  for (int k = 0; k < 2; k++) {
    conv_variant *v = &pass->variant[k];
    if (v->run) dnnl_primitive_destroy(v->run);
    if (v->stage) dnnl_primitive_destroy(v->stage);
    release_memories(v->memory, threads);
    release_memories(v->staged, threads);
    if (pass->pack_memory[k]) dnnl_memory_destroy(pass->pack_memory[k]);
  }
  if (pass->pack) dnnl_primitive_destroy(pass->pack);
  surge_md_free(pass->packed);
}

void surge_cpu_conv2d_release(surge_conv2d_plan *plan) {
  if (!plan) return;
  for (int kind = 0; kind < 3; kind++) release_pass(&plan->pass[kind], plan->threads);
  for (int thread = 0; plan->stream && thread < plan->threads; thread++)
    if (plan->stream[thread]) dnnl_stream_destroy(plan->stream[thread]);
  free(plan->stream);
  surge_md_free(plan->logical);
  free(plan);
}

/* --- workspace: packed weights or sums, then a part a thread, then groups -- */

static size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }

static size_t item_count(const surge_conv2d_plan *plan, size_t images) {
  return images / plan->slice + images % plan->slice;
}

/* Gradients of a group: the weights, packed, then the bias. */
static size_t gradient_bytes(const surge_conv2d_plan *plan) {
  return padded(surge_md_bytes(plan->pass[SURGE_CONV_WEIGHTS].packed)) +
         padded((size_t)plan->shape.out.c * sizeof(float));
}

static size_t group_count(const surge_conv2d_plan *plan, size_t images) {
  size_t groups = item_count(plan, images);
  size_t most = MOST_PARTIALS / (gradient_bytes(plan) / sizeof(float));
  if (most < 1) most = 1;
  if (most > MOST_GROUPS) most = MOST_GROUPS;
  return groups < most ? groups : most;
}

/* A thread's part: scratchpad, staged planes or a slice of dx, and for weight
 * gradients what one item gives. */
static size_t scratch_bytes(const conv_pass *pass) {
  size_t a = pass->variant[0].scratch, b = pass->variant[1].scratch;
  return padded(a > b ? a : b);
}

static size_t slice_bytes(const surge_conv2d_plan *plan) {
  return padded(plan->slice * plan->in * sizeof(float));
}

static size_t thread_bytes(const surge_conv2d_plan *plan, surge_pass_kind kind) {
  size_t bytes = scratch_bytes(&plan->pass[kind]) + slice_bytes(plan);
  if (kind == SURGE_CONV_DATA) bytes += slice_bytes(plan); /* dx before adding */
  if (kind == SURGE_CONV_WEIGHTS) bytes += gradient_bytes(plan);
  return bytes;
}

size_t surge_cpu_conv2d_workspace(const surge_conv2d_plan *plan, size_t images) {
  size_t most = 0;
  for (int kind = 0; kind < 3; kind++) {
    size_t bytes = padded(surge_md_bytes(plan->pass[kind].packed)) +
                   (size_t)plan->threads * thread_bytes(plan, (surge_pass_kind)kind);
    if (kind == SURGE_CONV_WEIGHTS)
      bytes += padded(weight_count(&plan->shape) * sizeof(float)) +
               group_count(plan, images) * gradient_bytes(plan);
    most = bytes > most ? bytes : most;
  }
  return most;
}

/* --- items ---------------------------------------------------------------- */

/* What an item of a pass works on. */
typedef struct conv_call {
  const surge_conv2d_plan *plan;
  surge_pass_kind kind;
  const float *x, *dy;   /* forward and weights: x; data and weights: dy */
  float *y, *dx;
  const float *b;
  surge_mode mode;
  char *packed, *threads; /* in the workspace */
} conv_call;

static surge_status pack_weights(const surge_conv2d_plan *plan,
                                 surge_pass_kind kind, const float *w,
                                 void *packed) {
  const conv_pass *pass = &plan->pass[kind];
  void *const data[SURGE_ONEDNN_ARGUMENTS] = {(void *)(uintptr_t)w, packed};
  return surge_onednn_run(pass->pack, plan->stream[0], reorder_arguments,
                          pass->pack_memory, data);
}

static surge_status stage_item(const conv_variant *v, dnnl_stream_t stream,
                               int thread, const void *from, void *to) {
  void *const data[SURGE_ONEDNN_ARGUMENTS] = {(void *)(uintptr_t)from, to};
  return surge_onednn_run(v->stage, stream, reorder_arguments, v->staged[thread],
                          data);
}

/* dx of an item from where it was computed. */
static surge_status deliver_item(const conv_call *c, const conv_variant *v,
                                 int thread, char *own, float *dx) {
  const surge_conv2d_plan *plan = c->plan;
  float *computed = (float *)(void *)own;
  if (plan->staged) {
    float *back = (float *)(void *)(own + slice_bytes(plan));
    if (c->mode == SURGE_WRITE) back = dx;
    SURGE_TRY(stage_item(v, plan->stream[thread], thread, own, back));
    computed = back;
  }
  if (c->mode == SURGE_WRITE) return SURGE_OK;
  for (size_t i = 0; i < v->images * plan->in; i++) dx[i] = dx[i] + computed[i];
  return SURGE_OK;
}

/* Runs item i; a weights item leaves its gradients at `gradient`. */
static surge_status run_item(const conv_call *c, size_t images, size_t i,
                             char *gradient) {
  const surge_conv2d_plan *plan = c->plan;
  size_t slices = images / plan->slice;
  const conv_pass *pass = &plan->pass[c->kind];
  const conv_variant *v = &pass->variant[i >= slices];
  size_t first = i < slices ? i * plan->slice
                            : slices * plan->slice + (i - slices);
  int thread = omp_get_thread_num();
  char *scratch = c->threads + (size_t)thread * thread_bytes(plan, c->kind);
  char *own = scratch + scratch_bytes(pass); /* a slice of x or dx */
  bool data = c->kind == SURGE_CONV_DATA;
  float *dx = data ? c->dx + first * plan->in : NULL;
  const void *src = data ? dx : c->x + first * plan->in;
  if (plan->staged || (data && c->mode == SURGE_ADD)) {
    if (!data) SURGE_TRY(stage_item(v, plan->stream[thread], thread, src, own));
    src = own;
  }
  char *bias = gradient + padded(surge_md_bytes(pass->packed));
  bool weights = c->kind == SURGE_CONV_WEIGHTS;
  void *const arguments[SURGE_ONEDNN_ARGUMENTS] = {
      [SRC] = (void *)(uintptr_t)src,
      [WEIGHTS] = weights ? gradient : c->packed,
      [BIAS] = weights ? bias : (void *)(uintptr_t)c->b,
      [DST] = c->kind == SURGE_CONV_FORWARD
                  ? c->y + first * plan->out
                  : (void *)(uintptr_t)(c->dy + first * plan->out),
      [SCRATCH] = scratch};
  SURGE_TRY(surge_onednn_run(v->run, plan->stream[thread], run_arguments[c->kind],
                             v->memory[thread], arguments));
  return src == own && data ? deliver_item(c, v, thread, own, dx) : SURGE_OK;
}

/* All items on all threads; the first failure is told on the calling one. */
static surge_status run_items(surge_context *context, const conv_call *c,
                              size_t images) {
  size_t items = item_count(c->plan, images);
  int failed = 0;
#pragma omp parallel for num_threads(context->threads) schedule(dynamic) \
    reduction(| : failed)
  for (size_t i = 0; i < items; i++)
    failed |= run_item(c, images, i, c->packed) != SURGE_OK;
  if (!failed) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "conv2d: oneDNN failed on a slice of %zu "
                    "images", images);
}

/* --- the ops -------------------------------------------------------------- */

surge_status surge_cpu_conv2d_forward(surge_context *context,
                                      const surge_conv2d_plan *plan,
                                      const surge_conv2d_forward *a) {
  SURGE_TRY(surge_check_conv2d_forward(&plan->shape, a));
  char *workspace = a->workspace;
  size_t packed = padded(surge_md_bytes(plan->pass[SURGE_CONV_FORWARD].packed));
  const conv_call c = {.plan = plan, .kind = SURGE_CONV_FORWARD, .x = a->x, .y = a->y,
                       .b = a->b, .packed = workspace, .threads = workspace + packed};
  SURGE_TRY(pack_weights(plan, c.kind, a->w, workspace));
  return run_items(context, &c, a->images);
}

surge_status surge_cpu_conv2d_backward_data(surge_context *context,
                                            const surge_conv2d_plan *plan,
                                            const surge_conv2d_backward_data *a) {
  SURGE_TRY(surge_check_conv2d_backward_data(&plan->shape, a));
  char *workspace = a->workspace;
  size_t packed = padded(surge_md_bytes(plan->pass[SURGE_CONV_DATA].packed));
  const conv_call c = {.plan = plan, .kind = SURGE_CONV_DATA, .dx = a->dx,
                       .dy = a->dy, .mode = a->mode, .packed = workspace,
                       .threads = workspace + packed};
  SURGE_TRY(pack_weights(plan, c.kind, a->w, workspace));
  return run_items(context, &c, a->images);
}

/* A group's items in order, summed into the group's gradients. */
static surge_status run_group(const conv_call *c, size_t images, size_t groups,
                              size_t g, char *gradients) {
  const surge_conv2d_plan *plan = c->plan;
  size_t items = item_count(plan, images), bytes = gradient_bytes(plan);
  size_t first = surge_cpu_first(items, groups, g);
  size_t last = surge_cpu_first(items, groups, g + 1);
  size_t bias = plan->shape.bias ? (size_t)plan->shape.out.c : 0;
  size_t packed = surge_md_bytes(plan->pass[c->kind].packed);
  size_t count = (bias ? padded(packed) : packed) / sizeof(float) + bias;
  char *sum = gradients + g * bytes;
  char *item = c->threads +
               (size_t)omp_get_thread_num() * thread_bytes(plan, c->kind) +
               scratch_bytes(&plan->pass[c->kind]) + slice_bytes(plan);
  SURGE_TRY(run_item(c, images, first, sum));
  for (size_t i = first + 1; i < last; i++) {
    SURGE_TRY(run_item(c, images, i, item));
    float *to = (float *)(void *)sum;
    const float *from = (const float *)(const void *)item;
    for (size_t k = 0; k < count; k++) to[k] = to[k] + from[k];
  }
  return SURGE_OK;
}

/* to[i] += the groups' values, in order, in double. */
static void sum_groups(surge_context *context, float *to, const char *gradients,
                       size_t offset, size_t count, size_t groups, size_t stride) {
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t i = 0; i < count; i++) {
    double sum = (double)to[i];
    for (size_t g = 0; g < groups; g++) {
      const char *at = gradients + g * stride + offset;
      sum += (double)((const float *)(const void *)at)[i];
    }
    to[i] = (float)sum;
  }
}

surge_status surge_cpu_conv2d_backward_weights(
    surge_context *context, const surge_conv2d_plan *plan,
    const surge_conv2d_backward_weights *a) {
  SURGE_TRY(surge_check_conv2d_backward_weights(&plan->shape, a));
  const conv_pass *pass = &plan->pass[SURGE_CONV_WEIGHTS];
  size_t packed = padded(surge_md_bytes(pass->packed)), stride = gradient_bytes(plan);
  size_t groups = group_count(plan, a->images), count = weight_count(&plan->shape);
  size_t threads = (size_t)plan->threads * thread_bytes(plan, SURGE_CONV_WEIGHTS);
  char *total = a->workspace, *logical = total + packed + threads;
  char *gradients = logical + padded(count * sizeof(float));
  const conv_call c = {.plan = plan, .kind = SURGE_CONV_WEIGHTS, .x = a->x,
                       .dy = a->dy, .packed = total, .threads = total + packed};
  int failed = 0;
#pragma omp parallel for num_threads(context->threads) schedule(dynamic) \
    reduction(| : failed)
  for (size_t g = 0; g < groups; g++)
    failed |= run_group(&c, a->images, groups, g, gradients) != SURGE_OK;
  if (failed)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "conv2d: oneDNN failed on the weight "
                      "gradients of %zu images", a->images);
  memset(total, 0, packed);
  sum_groups(context, (float *)(void *)total, gradients, 0,
             surge_md_bytes(pass->packed) / sizeof(float), groups, stride);
  if (a->db)
    sum_groups(context, a->db, gradients, packed, (size_t)plan->shape.out.c, groups,
               stride);
  void *const data[SURGE_ONEDNN_ARGUMENTS] = {total, logical};
  SURGE_TRY(surge_onednn_run(pass->pack, plan->stream[0], reorder_arguments,
                             pass->pack_memory, data));
  for (size_t i = 0; i < count; i++)
    a->dw[i] = a->dw[i] + ((const float *)(const void *)logical)[i];
  return SURGE_OK;
}
