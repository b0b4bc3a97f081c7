/* bench_spikes.c - what skipping zeros saves: a convolution and the gradient of
 * its weights by spikes.c beside oneDNN, whose time does not depend on x.
 *
 *     bench_spikes
 *
 * One thread, its CPU time (so that a busy neighbour shows only in the caches),
 * the least of several runs, microseconds an image; weights packed anew each
 * time, as in a step. CSV on standard output: the shape (channels in and out,
 * side, kernel), the share of x that is not 0, the two ways forward, the share
 * up to which the op skips, and the same of the gradient. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <surge/surge.h>
#include <time.h>

#include "kernels/cpu/spikes.h"

#define RUNS 9
#define IMAGES 32

typedef struct layer {
  int32_t in, out, side, kernel;
} layer;

static const layer layers[] = {
    {16, 32, 28, 3}, {32, 64, 14, 3},   {32, 64, 28, 3}, {64, 128, 7, 3},
    {48, 96, 14, 3}, {128, 128, 16, 3}, {16, 32, 14, 5}, {64, 64, 8, 1},
};
static const double shares[] = {.05, .1, .2, .3, .5, .7};

typedef struct bench {
  surge_context *context;
  surge_conv2d_plan *plan;
  surge_spikes spikes;
  size_t in, out, weights; /* elements of a map, of the weights */
  float *x, *y, *dy, *w, *dw, *packed;
  void *scratch, *workspace;
} bench;

static void check(surge_status status) {
  if (status == SURGE_OK) return;
  fprintf(stderr, "bench_spikes: %s\n", surge_last_error());
  exit(surge_exit_code(status));
}

static void *memory(size_t bytes) {
  void *block = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (block) return memset(block, 0, (bytes + 63) / 64 * 64);
  fprintf(stderr, "bench_spikes: no memory\n");
  exit(1);
}

/* Uniform in [0, 1). */
static double uniform(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (double)(state >> 11) * 0x1p-53;
}

static float *values(size_t count) {
  float *array = memory(count * sizeof *array);
  for (size_t i = 0; i < count; i++) array[i] = (float)uniform() - .5f;
  return array;
}

static void draw_spikes(bench *b, double share) {
  for (size_t i = 0; i < IMAGES * b->in; i++) b->x[i] = uniform() < share;
}

/* --- the two ways ----------------------------------------------------------- */

static void dense_forward(bench *b) {
  surge_conv2d_forward a = {.y = b->y,
                            .x = b->x,
                            .w = b->w,
                            .images = IMAGES,
                            .workspace = b->workspace};
  check(surge_cpu.conv2d_forward(b->context, b->plan, &a));
}

static void dense_gradient(bench *b) {
  surge_conv2d_backward_weights a = {.dw = b->dw,
                                     .dy = b->dy,
                                     .x = b->x,
                                     .images = IMAGES,
                                     .workspace = b->workspace};
  check(surge_cpu.conv2d_backward_weights(b->context, b->plan, &a));
}

static void sparse_forward(bench *b) {
  surge_spikes_pack(&b->spikes, b->packed, b->w);
  for (size_t i = 0; i < IMAGES; i++)
    surge_spikes_forward(&b->spikes, b->y + i * b->out, b->x + i * b->in,
                         b->packed, NULL, b->scratch);
}

static void sparse_gradient(bench *b) {
  memset(b->packed, 0, b->spikes.packed * sizeof *b->packed);
  for (size_t i = 0; i < IMAGES; i++)
    surge_spikes_gradient(&b->spikes, b->packed, NULL, b->dy + i * b->out,
                          b->x + i * b->in, b->scratch);
  surge_spikes_unpack(&b->spikes, b->dw, b->packed);
}

/* --- timing ------------------------------------------------------------------ */

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Microseconds an image. */
static double time_of(bench *b, void (*run)(bench *)) {
  double least = 1e9;
  for (int i = 0; i < RUNS; i++) {
    double start = seconds();
    run(b);
    double passed = seconds() - start;
    if (passed < least) least = passed;
  }
  return 1e6 * least / IMAGES;
}

static void open_layer(bench *b, const layer *l) {
  surge_map in = {l->side, l->side, l->in, SURGE_CHANNELS_LAST};
  surge_map out = {l->side, l->side, l->out, SURGE_CHANNELS_LAST};
  surge_conv2d_shape shape = {.in = in,
                              .out = out,
                              .kernel = l->kernel,
                              .stride = 1,
                              .pad = l->kernel / 2,
                              .groups = 1};
  check(surge_cpu.conv2d_plan(b->context, &b->plan, &shape));
  b->spikes = surge_spikes_of(&shape);
  b->in = surge_map_elements(&in);
  b->out = surge_map_elements(&out);
  b->weights = (size_t)(l->out * l->kernel * l->kernel * l->in);
  b->x = memory(IMAGES * b->in * sizeof *b->x);
  b->y = memory(IMAGES * b->out * sizeof *b->y);
  b->dy = values(IMAGES * b->out);
  b->w = values(b->weights);
  b->dw = memory(b->weights * sizeof *b->dw);
  b->packed = memory(b->spikes.packed * sizeof *b->packed);
  b->scratch = memory(b->spikes.scratch);
  b->workspace = memory(surge_cpu.conv2d_workspace(b->plan, IMAGES));
}

static void close_layer(bench *b) {
  void *all[] = {b->x,  b->y,      b->dy,      b->w,
                 b->dw, b->packed, b->scratch, b->workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
  surge_cpu.conv2d_release(b->plan);
}

static void measure(bench *b, const layer *l) {
  open_layer(b, l);
  draw_spikes(b, 1); /* the op leaves this to oneDNN */
  double forward = time_of(b, dense_forward);
  double gradient = time_of(b, dense_gradient);
  for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
    draw_spikes(b, shares[i]);
    printf("%d,%d,%d,%d,%.2f,", l->in, l->out, l->side, l->kernel, shares[i]);
    printf("%.1f,%.1f,%.2f,", time_of(b, sparse_forward), forward,
           (double)b->spikes.forward_limit / (double)b->in);
    printf("%.1f,%.1f,%.2f\n", time_of(b, sparse_gradient), gradient,
           (double)b->spikes.gradient_limit / (double)b->in);
    fflush(stdout);
  }
  close_layer(b);
}

int main(void) {
  bench b;
  surge_context_options options = {.threads = 1, .deterministic = true};
  check(surge_cpu.open(&b.context, &options));
  printf(
      "in,out,side,kernel,share,forward_us,onednn_us,skips_up_to,"
      "gradient_us,onednn_gradient_us,gradient_skips_up_to\n");
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    measure(&b, &layers[i]);
  surge_cpu.close(b.context);
  return 0;
}
