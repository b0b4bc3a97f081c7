/* conv2d.c - convolutions: SURGE cuts, and skips zeros where there are enough
 * of them (spikes.c); else oneDNN computes.
 *
 * oneDNN's own threads would change bits with their number, so the images are
 * cut into slices by sizes alone and each slice is a one-thread call within
 * SURGE's parallel loop. Slices come in a few sizes, `level_images`, so that
 * any number of images runs on primitives that the plan has made. Weight
 * gradients are summed slice after slice within a group of images, and the
 * groups' sums in order. A slice forward, and a group of a weight gradient, is
 * computed the one way or the other by the non-zeros that are counted in it, so
 * that the choice is one of sizes and data. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/spikes.h"
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
  surge_spikes spikes;
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
  p->spikes = surge_spikes_of(shape);
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

/* Where the parts of a pass's workspace lie, in bytes from its start, where
 * oneDNN's weights are. A slot has scratch and, behind it, the result of one
 * slice: of dx where it is added, or the gradients of weights and bias. */
typedef struct workspace {
  size_t packed;            /* weights as spikes.c wants them                 */
  size_t slots;             /* the first slot                                 */
  size_t scratch, slot;     /* bytes of a slot: its scratch, in all           */
  size_t partials, partial; /* sums of the groups, and bytes of one           */
  size_t sparse;            /* a bool a group: did it skip zeros?             */
  size_t groups;
  size_t total;
} workspace;

static size_t round64(size_t bytes) { return (bytes + 63) / 64 * 64; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static size_t weight_count(const surge_conv2d_shape *s) {
  return (size_t)s->out.c * (size_t)(s->in.c / s->groups) * (size_t)s->kernel *
         (size_t)s->kernel;
}

/* Floats of a gradient of weights as one of the two packs them, and of it and
 * the gradient of the bias that follows. */
static size_t packed_count(const surge_conv2d_plan *plan, bool sparse) {
  const surge_onednn_conv *conv = plan->pass[SURGE_ONEDNN_BACKWARD_WEIGHTS];
  return sparse ? plan->spikes.packed
                : surge_onednn_packed_bytes(conv) / sizeof(float);
}
static size_t gradient_count(const surge_conv2d_plan *plan, bool sparse) {
  size_t bias = plan->shape.bias ? (size_t)plan->shape.out.c : 0;
  return packed_count(plan, sparse) + bias;
}
static size_t most_gradient_count(const surge_conv2d_plan *plan) {
  return larger(gradient_count(plan, false), gradient_count(plan, true));
}

/* Groups of a weight gradient: as many as there are largest slices, but at
 * least GROUPS, so that threads find work, and no more memory than allowed. */
static size_t group_count(const surge_conv2d_plan *plan, size_t images) {
  int level = plan->levels[SURGE_ONEDNN_BACKWARD_WEIGHTS] - 1;
  size_t groups = images / level_images[level];
  size_t most = GROUP_FLOATS / most_gradient_count(plan);
  if (most > SURGE_CPU_GROUPS) most = SURGE_CPU_GROUPS;
  if (groups > most) groups = most;
  if (groups < GROUPS) groups = GROUPS;
  return groups < images ? groups : images;
}

static workspace lay_out(const surge_conv2d_plan *plan, surge_onednn_pass pass,
                         size_t images) {
  const surge_onednn_conv *conv = plan->pass[pass];
  workspace w = {.scratch = round64(surge_onednn_scratch_bytes(conv))};
  size_t weights = surge_onednn_packed_bytes(conv), packed = 0, result = 0;
  if (pass == SURGE_ONEDNN_FORWARD)
    packed = plan->spikes.packed * sizeof(float);
  if (pass == SURGE_ONEDNN_BACKWARD_DATA)
    result = level_images[plan->levels[pass] - 1] *
             surge_map_elements(&plan->shape.in) * sizeof(float);
  else
    w.scratch = larger(w.scratch, plan->spikes.scratch);
  if (pass == SURGE_ONEDNN_BACKWARD_WEIGHTS) {
    weights = weight_count(&plan->shape) * sizeof(float); /* unpacked */
    result = gradient_count(plan, false) * sizeof(float);
    w.groups = group_count(plan, images);
    w.partial = round64(most_gradient_count(plan) * sizeof(float));
  }
  w.packed = round64(weights);
  w.slots = w.packed + round64(packed);
  w.slot = w.scratch + round64(result);
  w.partials = w.slots + (size_t)plan->slots * w.slot;
  w.sparse = w.partials + w.groups * w.partial;
  w.total = w.sparse + round64(w.groups * sizeof(bool));
  return w;
}

size_t surge_cpu_conv2d_workspace(const surge_conv2d_plan *plan,
                                  size_t images) {
  size_t most = 0;
  for (int i = 0; i < SURGE_ONEDNN_PASSES; i++)
    most = larger(most, lay_out(plan, (surge_onednn_pass)i, images).total);
  return most;
}

static void *at(void *memory, size_t bytes) { return (char *)memory + bytes; }

/* The calling thread's slot of a workspace. */
static char *slot_of(void *memory, const workspace *w, int slot) {
  return at(memory, w->slots + (size_t)slot * w->slot);
}

/* Do `images` images have so many zeros that skipping them pays? `limit` is of
 * one image. */
static bool is_sparse(const surge_conv2d_plan *plan, size_t limit,
                      const float *x, size_t images) {
  size_t count = images * surge_map_elements(&plan->shape.in);
  return limit && surge_cpu_nonzeros(x, count) <= images * limit;
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
  size_t limit; /* non-zeros of an image of x up to which zeros are skipped */
  bool add;
} sweep;

static void add_to(float *restrict sum, const float *restrict x, size_t count) {
  for (size_t i = 0; i < count; i++) sum[i] += x[i];
}

static void skip_zeros(const sweep *r, const slice *s) {
  const surge_conv2d_shape *shape = &r->plan->shape;
  char *own = slot_of(r->memory, &r->w, omp_get_thread_num());
  for (size_t i = s->first; i < s->first + s->images; i++)
    surge_spikes_forward(&r->plan->spikes,
                         r->y + i * surge_map_elements(&shape->out),
                         r->x + i * surge_map_elements(&shape->in),
                         at(r->memory, r->w.packed), r->bias, own);
}

static int run_slice(const sweep *r, const slice *s) {
  const surge_conv2d_shape *shape = &r->plan->shape;
  int slot = omp_get_thread_num();
  char *own = slot_of(r->memory, &r->w, slot);
  size_t elements = surge_map_elements(&shape->in);
  float *x = r->x + s->first * elements;
  if (is_sparse(r->plan, r->limit, x, s->images)) {
    skip_zeros(r, s);
    return 0;
  }
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
  if (r->limit)
    surge_spikes_pack(&r->plan->spikes, at(r->memory, r->w.packed), w);
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
             .w = lay_out(plan, SURGE_ONEDNN_FORWARD, a->images),
             .limit = plan->spikes.forward_limit};
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

/* The images of group g, and where their sum belongs. */
typedef struct group {
  size_t images;
  const float *x, *dy; /* of the first image */
  float *sum;          /* gradients of weights, packed, and bias */
  bool *sparse;
} group;

static group group_at(const surge_conv2d_plan *plan,
                      const surge_conv2d_backward_weights *a,
                      const workspace *w, size_t g) {
  size_t first = surge_cpu_first(a->images, w->groups, g);
  size_t in = surge_map_elements(&plan->shape.in);
  size_t out = surge_map_elements(&plan->shape.out);
  return (group){.images = surge_cpu_first(a->images, w->groups, g + 1) - first,
                 .x = surge_cpu_from(a->x, first * in),
                 .dy = surge_cpu_from(a->dy, first * out),
                 .sum = at(a->workspace, w->partials + g * w->partial),
                 .sparse = (bool *)at(a->workspace, w->sparse) + g};
}

/* The group's sum, image after image, without the zeros of x. */
static void sum_spikes(const surge_conv2d_plan *plan, const group *g,
                       void *scratch) {
  const surge_conv2d_shape *shape = &plan->shape;
  float *db = shape->bias ? g->sum + plan->spikes.packed : NULL;
  memset(g->sum, 0, gradient_count(plan, true) * sizeof *g->sum);
  for (size_t i = 0; i < g->images; i++)
    surge_spikes_gradient(&plan->spikes, g->sum, db,
                          g->dy + i * surge_map_elements(&shape->out),
                          g->x + i * surge_map_elements(&shape->in), scratch);
}

/* The group's sum, slice after slice, by oneDNN. */
static int sum_slices(const surge_conv2d_plan *plan, const group *g, int slot,
                      char *own, float *beside) {
  const surge_onednn_pass pass = SURGE_ONEDNN_BACKWARD_WEIGHTS;
  const surge_conv2d_shape *shape = &plan->shape;
  int top = top_level(plan, pass, g->images, 1);
  for (size_t i = 0, count = slice_count(g->images, top); i < count; i++) {
    slice s = slice_at(g->images, top, i);
    const float *x = g->x + s.first * surge_map_elements(&shape->in);
    const float *dy = g->dy + s.first * surge_map_elements(&shape->out);
    float *result = i ? beside : g->sum;
    surge_onednn_arrays arrays = {.x = (void *)(uintptr_t)x,
                                  .y = (void *)(uintptr_t)dy,
                                  .packed = result,
                                  .bias = result + packed_count(plan, false),
                                  .scratch = own};
    int status = surge_onednn_run(plan->pass[pass], s.level, slot, &arrays);
    if (status) return status;
    if (i) add_to(g->sum, result, gradient_count(plan, false));
  }
  return 0;
}

static int run_group(const surge_conv2d_plan *plan,
                     const surge_conv2d_backward_weights *a, const workspace *w,
                     size_t index) {
  group g = group_at(plan, a, w, index);
  int slot = omp_get_thread_num();
  char *own = slot_of(a->workspace, w, slot);
  *g.sparse = is_sparse(plan, plan->spikes.gradient_limit, g.x, g.images);
  if (!*g.sparse)
    return sum_slices(plan, &g, slot, own, (float *)(void *)(own + w->scratch));
  sum_spikes(plan, &g, own);
  return 0;
}

#define CHUNK 1024 /* floats of a gradient that a thread reduces at a time */

/* The sum over the groups of a kind, added in double, in the place of the first
 * one's; NULL where there is none. */
static float *reduce_groups(const surge_conv2d_plan *plan, const workspace *w,
                            void *memory, bool sparse) {
  const bool *kind = at(memory, w->sparse);
  size_t count = gradient_count(plan, sparse), begin = 0;
  while (begin < w->groups && kind[begin] != sparse) begin++;
  if (begin == w->groups) return NULL;
  size_t stride = w->partial / sizeof(float);
  float *partial = at(memory, w->partials), *total = partial + begin * stride;
#pragma omp parallel for num_threads(plan->slots) schedule(static)
  for (size_t first = 0; first < count; first += CHUNK) {
    double sum[CHUNK] = {0};
    size_t rest = count - first, length = rest < CHUNK ? rest : CHUNK;
    for (size_t g = begin; g < w->groups; g++) {
      if (kind[g] != sparse) continue;
      for (size_t i = 0; i < length; i++)
        sum[i] += (double)partial[g * stride + first + i];
    }
    for (size_t i = 0; i < length; i++) total[first + i] = (float)sum[i];
  }
  return total;
}

/* dw and db += the groups of a kind. */
static surge_status add_groups(const surge_conv2d_plan *plan,
                               const surge_conv2d_backward_weights *a,
                               const workspace *w, bool sparse) {
  float *total = reduce_groups(plan, w, a->workspace, sparse);
  if (!total) return SURGE_OK;
  if (sparse) {
    surge_spikes_unpack(&plan->spikes, a->dw, total);
  } else {
    const surge_onednn_conv *conv = plan->pass[SURGE_ONEDNN_BACKWARD_WEIGHTS];
    SURGE_TRY(surge_onednn_unpack(conv, a->workspace, total));
    add_to(a->dw, a->workspace, weight_count(&plan->shape));
  }
  if (a->db)
    add_to(a->db, total + packed_count(plan, sparse),
           (size_t)plan->shape.out.c);
  return SURGE_OK;
}

surge_status surge_cpu_conv2d_backward_weights(
    surge_context *context, const surge_conv2d_plan *plan,
    const surge_conv2d_backward_weights *a) {
  (void)context;
  SURGE_TRY(surge_check_conv2d_backward_weights(&plan->shape, a));
  workspace w = lay_out(plan, SURGE_ONEDNN_BACKWARD_WEIGHTS, a->images);
  int n = plan->slots, bad = 0;
#pragma omp parallel for num_threads(n) schedule(dynamic) reduction(max : bad)
  for (size_t g = 0; g < w.groups; g++) {
    int status = run_group(plan, a, &w, g);
    if (status > bad) bad = status;
  }
  SURGE_TRY(surge_onednn_check("conv2d_backward_weights", bad));
  SURGE_TRY(add_groups(plan, a, &w, false));
  return add_groups(plan, a, &w, true);
}
