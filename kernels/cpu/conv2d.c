/* conv2d.c - convolutions: oneDNN computes, SURGE cuts.
 *
 * oneDNN's own threads would change bits with their number, so the images are
 * cut into slices by sizes alone and each slice is a one-thread call within
 * SURGE's parallel loop. Slices come in a few sizes, `level_images`, so that
 * any number of images runs on primitives that the plan has made. Weight
 * gradients are summed slice after slice within a group of images, and the
 * groups' sums in order. */
#include <omp.h>
#include <stdlib.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/onednn.h"
#include "src/backend/checks.h"

/* A slice is so large that its calls' own cost is small (multiply-adds), that
 * reading the weights is (pixels of y), and that adding up gradients is. */
#define SLICE_LEVELS 4
#define SLICE_WORK 2e6
#define SLICE_PIXELS 256
#define GRADIENT_PIXELS 1024

/* At least so many slices of a pass, and groups of a weight gradient; groups
 * beyond these only while all their sums stay within 8 MiB. */
#define SLICES 8
#define GROUPS 8
#define GROUP_FLOATS (8 << 18)

struct surge_conv2d_plan {
  surge_conv2d_shape shape;
  int slots;                       /* threads, each with its scratch         */
  int levels[SURGE_ONEDNN_PASSES]; /* slice sizes of a pass                  */
  surge_onednn_conv *pass[SURGE_ONEDNN_PASSES];
};

/* Images of a slice of each level. */
static const size_t level_images[SLICE_LEVELS] = {1, 4, 16, 64};

/* --- slices --------------------------------------------------------------- */

typedef struct slice {
  size_t first, images;
  int level;
} slice;

/* Slices of `images` images, the largest ones of level `top`. */
static size_t slice_count(size_t images, int top) {
  size_t count = 0;
  for (int level = top; level >= 0; level--) {
    count += images / level_images[level];
    images %= level_images[level];
  }
  return count;
}

static slice slice_at(size_t images, int top, size_t s) {
  size_t first = 0;
  for (int level = top;; level--) {
    size_t size = level_images[level], here = (images - first) / size;
    if (s < here) return (slice){first + s * size, size, level};
    first += here * size;
    s -= here;
  }
}

/* The largest level of a pass that leaves at least `slices` slices. */
static int top_level(const surge_conv2d_plan *plan, surge_onednn_pass pass,
                     size_t images, size_t slices) {
  int level = plan->levels[pass] - 1;
  while (level > 0 && images < slices * level_images[level]) level--;
  return level;
}

/* Slice sizes up to the first one whose work makes a call's cost small. */
static int count_levels(const surge_conv2d_shape *s, surge_onednn_pass pass) {
  double pixels = (double)s->out.h * s->out.w;
  double work = pixels * s->kernel * s->kernel * s->out.c * s->in.c / s->groups;
  double least =
      pass == SURGE_ONEDNN_BACKWARD_WEIGHTS ? GRADIENT_PIXELS : SLICE_PIXELS;
  int level = 0;
  while (level < SLICE_LEVELS - 1) {
    double images = (double)level_images[level];
    if (images * work >= SLICE_WORK && images * pixels >= least) break;
    level++;
  }
  return level + 1;
}

/* --- plan ----------------------------------------------------------------- */

surge_status surge_cpu_conv2d_plan(surge_context *context,
                                   surge_conv2d_plan **plan,
                                   const surge_conv2d_shape *shape) {
  *plan = NULL;
  SURGE_TRY(surge_check_conv2d_shape(shape));
  surge_conv2d_plan *p = calloc(1, sizeof *p);
  if (!p) return SURGE_FAIL(SURGE_ERROR_DEVICE, "conv2d_plan: no memory");
  p->shape = *shape;
  p->slots = context->threads;
  surge_status status = SURGE_OK;
  for (int i = 0; i < SURGE_ONEDNN_PASSES && status == SURGE_OK; i++) {
    surge_onednn_pass pass = (surge_onednn_pass)i;
    p->levels[i] = count_levels(shape, pass);
    status = surge_onednn_create(&p->pass[i], shape, pass, level_images,
                                 p->levels[i], p->slots);
  }
  if (status == SURGE_OK)
    *plan = p;
  else
    surge_cpu_conv2d_release(p);
  return status;
}

void surge_cpu_conv2d_release(surge_conv2d_plan *plan) {
  if (!plan) return;
  for (int i = 0; i < SURGE_ONEDNN_PASSES; i++)
    surge_onednn_release(plan->pass[i]);
  free(plan);
}

/* --- workspace ------------------------------------------------------------ */

/* Where the parts of a pass's workspace lie, in bytes from its start. A slot
 * has oneDNN's scratch and, behind it, the result of one slice: of dx where it
 * is added, or the gradients of weights and bias. */
typedef struct workspace {
  size_t slots;             /* the first slot, behind the weights             */
  size_t scratch, slot;     /* bytes of a slot: its scratch, in all           */
  size_t partials, partial; /* sums of the groups, and bytes of one           */
  size_t groups;
  size_t total;
} workspace;

static size_t round64(size_t bytes) { return (bytes + 63) / 64 * 64; }

static size_t weight_count(const surge_conv2d_shape *s) {
  return (size_t)s->out.c * (size_t)(s->in.c / s->groups) * (size_t)s->kernel *
         (size_t)s->kernel;
}

/* Floats of a gradient of weights, as packed, and bias. */
static size_t gradient_count(const surge_conv2d_plan *plan) {
  const surge_onednn_conv *conv = plan->pass[SURGE_ONEDNN_BACKWARD_WEIGHTS];
  size_t bias = plan->shape.bias ? (size_t)plan->shape.out.c : 0;
  return surge_onednn_packed_bytes(conv) / sizeof(float) + bias;
}

/* Groups of a weight gradient: as many as there are largest slices, but at
 * least GROUPS, so that threads find work, and no more memory than allowed. */
static size_t group_count(const surge_conv2d_plan *plan, size_t images) {
  int level = plan->levels[SURGE_ONEDNN_BACKWARD_WEIGHTS] - 1;
  size_t groups = images / level_images[level];
  size_t most = GROUP_FLOATS / gradient_count(plan);
  if (most > SURGE_CPU_GROUPS) most = SURGE_CPU_GROUPS;
  if (groups > most) groups = most;
  if (groups < GROUPS) groups = GROUPS;
  return groups < images ? groups : images;
}

static workspace lay_out(const surge_conv2d_plan *plan, surge_onednn_pass pass,
                         size_t images) {
  const surge_onednn_conv *conv = plan->pass[pass];
  workspace w = {.scratch = round64(surge_onednn_scratch_bytes(conv))};
  size_t weights = round64(surge_onednn_packed_bytes(conv)), result = 0;
  if (pass == SURGE_ONEDNN_BACKWARD_DATA)
    result = level_images[plan->levels[pass] - 1] *
             surge_map_elements(&plan->shape.in) * sizeof(float);
  if (pass == SURGE_ONEDNN_BACKWARD_WEIGHTS) {
    weights = weight_count(&plan->shape) * sizeof(float); /* unpacked */
    result = gradient_count(plan) * sizeof(float);
    w.groups = group_count(plan, images);
    w.partial = round64(result);
  }
  w.slots = round64(weights);
  w.slot = w.scratch + round64(result);
  w.partials = w.slots + (size_t)plan->slots * w.slot;
  w.total = w.partials + w.groups * w.partial;
  return w;
}

size_t surge_cpu_conv2d_workspace(const surge_conv2d_plan *plan,
                                  size_t images) {
  size_t most = 0;
  for (int i = 0; i < SURGE_ONEDNN_PASSES; i++) {
    size_t total = lay_out(plan, (surge_onednn_pass)i, images).total;
    if (total > most) most = total;
  }
  return most;
}

static void *at(void *memory, size_t bytes) { return (char *)memory + bytes; }

/* The calling thread's slot of a workspace. */
static char *slot_of(void *memory, const workspace *w, int slot) {
  return at(memory, w->slots + (size_t)slot * w->slot);
}

/* --- forward and gradient of the input ------------------------------------ */

/* The arrays of a pass that runs slice by slice. `add`: a slice's x is computed
 * beside the array and added to it. */
typedef struct sweep {
  const surge_conv2d_plan *plan;
  surge_onednn_pass pass;
  float *x, *y;
  void *bias, *memory;
  workspace w;
  bool add;
} sweep;

static void add_to(float *restrict sum, const float *restrict x, size_t count) {
  for (size_t i = 0; i < count; i++) sum[i] += x[i];
}

static int run_slice(const sweep *r, const slice *s) {
  const surge_conv2d_shape *shape = &r->plan->shape;
  int slot = omp_get_thread_num();
  char *own = slot_of(r->memory, &r->w, slot);
  size_t elements = surge_map_elements(&shape->in);
  float *x = r->x + s->first * elements;
  float *result = r->add ? (float *)(void *)(own + r->w.scratch) : x;
  surge_onednn_arrays arrays = {
      .x = result,
      .y = r->y + s->first * surge_map_elements(&shape->out),
      .packed = r->memory,
      .bias = r->bias,
      .scratch = own};
  int status =
      surge_onednn_run(r->plan->pass[r->pass], s->level, slot, &arrays);
  if (r->add && !status) add_to(x, result, s->images * elements);
  return status;
}

/* Packs the weights and runs all slices; returns the worst status. */
static surge_status run_slices(const char *op, const sweep *r, const float *w,
                               size_t images) {
  SURGE_TRY(surge_onednn_pack(r->plan->pass[r->pass], r->memory, w));
  int n = r->plan->slots, top = top_level(r->plan, r->pass, images, SLICES);
  int bad = 0;
  size_t count = slice_count(images, top);
#pragma omp parallel for num_threads(n) schedule(dynamic) reduction(max : bad)
  for (size_t i = 0; i < count; i++) {
    slice s = slice_at(images, top, i);
    int status = run_slice(r, &s);
    if (status > bad) bad = status;
  }
  return surge_onednn_check(op, bad);
}

surge_status surge_cpu_conv2d_forward(surge_context *context,
                                      const surge_conv2d_plan *plan,
                                      const surge_conv2d_forward *a) {
  (void)context;
  SURGE_TRY(surge_check_conv2d_forward(&plan->shape, a));
  sweep r = {.plan = plan,
             .pass = SURGE_ONEDNN_FORWARD,
             .x = (float *)(uintptr_t)a->x, /* oneDNN's arguments: not const */
             .y = a->y,
             .bias = (void *)(uintptr_t)a->b,
             .memory = a->workspace,
             .w = lay_out(plan, SURGE_ONEDNN_FORWARD, a->images)};
  return run_slices("conv2d_forward", &r, a->w, a->images);
}

surge_status surge_cpu_conv2d_backward_data(
    surge_context *context, const surge_conv2d_plan *plan,
    const surge_conv2d_backward_data *a) {
  (void)context;
  SURGE_TRY(surge_check_conv2d_backward_data(&plan->shape, a));
  sweep r = {.plan = plan,
             .pass = SURGE_ONEDNN_BACKWARD_DATA,
             .x = a->dx,
             .y = (float *)(uintptr_t)a->dy,
             .memory = a->workspace,
             .w = lay_out(plan, SURGE_ONEDNN_BACKWARD_DATA, a->images),
             .add = a->mode == SURGE_ADD};
  return run_slices("conv2d_backward_data", &r, a->w, a->images);
}

/* --- gradient of weights and bias ----------------------------------------- */

/* sum = the gradient over the images of group g, slice after slice. */
static int run_group(const surge_conv2d_plan *plan,
                     const surge_conv2d_backward_weights *a, const workspace *w,
                     size_t g) {
  const surge_onednn_pass pass = SURGE_ONEDNN_BACKWARD_WEIGHTS;
  size_t first = surge_cpu_first(a->images, w->groups, g);
  size_t images = surge_cpu_first(a->images, w->groups, g + 1) - first;
  size_t packed = surge_onednn_packed_bytes(plan->pass[pass]);
  int slot = omp_get_thread_num(), top = top_level(plan, pass, images, 1);
  char *own = slot_of(a->workspace, w, slot);
  char *sum = at(a->workspace, w->partials + g * w->partial);
  for (size_t i = 0, count = slice_count(images, top); i < count; i++) {
    slice s = slice_at(images, top, i);
    size_t image = first + s.first;
    const float *x = surge_cpu_from(a->x, image * surge_map_elements(&plan->shape.in));
    const float *dy = surge_cpu_from(a->dy, image * surge_map_elements(&plan->shape.out));
    char *result = i ? own + w->scratch : sum;
    surge_onednn_arrays arrays = {.x = (void *)(uintptr_t)x,
                                  .y = (void *)(uintptr_t)dy,
                                  .packed = result,
                                  .bias = result + packed,
                                  .scratch = own};
    int status = surge_onednn_run(plan->pass[pass], s.level, slot, &arrays);
    if (status) return status;
    if (i)
      add_to((float *)(void *)sum, (float *)(void *)result,
             gradient_count(plan));
  }
  return 0;
}

#define CHUNK 1024 /* floats of a gradient that a thread reduces at a time */

/* The first group's sum becomes that of all groups, added in double. */
static void reduce_groups(const surge_conv2d_plan *plan, const workspace *w,
                          void *memory) {
  size_t count = gradient_count(plan), stride = w->partial / sizeof(float);
  float *partial = at(memory, w->partials);
#pragma omp parallel for num_threads(plan->slots) schedule(static)
  for (size_t first = 0; first < count; first += CHUNK) {
    double sum[CHUNK] = {0};
    size_t rest = count - first, length = rest < CHUNK ? rest : CHUNK;
    for (size_t g = 0; g < w->groups; g++)
      for (size_t i = 0; i < length; i++)
        sum[i] += (double)partial[g * stride + first + i];
    for (size_t i = 0; i < length; i++) partial[first + i] = (float)sum[i];
  }
}

surge_status surge_cpu_conv2d_backward_weights(
    surge_context *context, const surge_conv2d_plan *plan,
    const surge_conv2d_backward_weights *a) {
  (void)context;
  SURGE_TRY(surge_check_conv2d_backward_weights(&plan->shape, a));
  const surge_onednn_conv *conv = plan->pass[SURGE_ONEDNN_BACKWARD_WEIGHTS];
  workspace w = lay_out(plan, SURGE_ONEDNN_BACKWARD_WEIGHTS, a->images);
  int n = plan->slots, bad = 0;
#pragma omp parallel for num_threads(n) schedule(dynamic) reduction(max : bad)
  for (size_t g = 0; g < w.groups; g++) {
    int status = run_group(plan, a, &w, g);
    if (status > bad) bad = status;
  }
  SURGE_TRY(surge_onednn_check("conv2d_backward_weights", bad));
  reduce_groups(plan, &w, a->workspace);
  char *total = at(a->workspace, w.partials);
  SURGE_TRY(surge_onednn_unpack(conv, a->workspace, total));
  add_to(a->dw, a->workspace, weight_count(&plan->shape));
  if (a->db)
    add_to(a->db, (float *)(void *)(total + surge_onednn_packed_bytes(conv)),
           (size_t)plan->shape.out.c);
  return SURGE_OK;
}
