/* bench_ops.c - how fast the memory-bound ops of a backend move memory.
 *
 *     bench_ops [--device cpu|cuda] [--type fp32|bf16] [-T 4] [-N 64] [-C 128]
 *               [-S 32] [-r 20]
 *
 * Every op runs on [T, N, S, S, C] (S: side of a map); -r repetitions are
 * queued and waited for once, in turn with a copy of as many bytes on the
 * device; medians of five such rounds. CSV on standard output: op, bytes that
 * the op moves as its contract counts them, ms, GB/s, and the share of the
 * copy's GB/s. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <surge/surge.h>
#include <unistd.h>

#include "kernels/shared/element.h"
#include "src/backend/clock.h"

#define ROUNDS 5

/* --- the arrays that all ops share ----------------------------------------- */

typedef struct bench {
  const surge_backend *b;
  surge_context *context;
  int32_t T, N, C, side, repeats;
  surge_map map, pooled;
  size_t M, count;       /* elements of one step, of all T */
  size_t bytes;          /* of an array [T, N] of map      */
  void *z, *s, *gs, *da; /* [T, N] of map                  */
  float *g;              /* [count] an optimizer's         */
  float *w, *m, *v;      /* [count] an optimizer's         */
  float *channel[8];     /* [2C] small vectors             */
  float *scalars, *width, *sums, *rho, *drho;
  surge_step *step;
  surge_fault *fault;
  surge_metrics *metrics;
  surge_neuron_statistics *statistics;
  surge_histogram *histogram;
  surge_pda_coefficients *pda;
  uint64_t *nonzero;
  uint32_t *sample;
  void *workspace;
  surge_neuron_spec spec;
} bench;

static void check(surge_status status) {
  if (status == SURGE_OK) return;
  fprintf(stderr, "bench_ops: %s\n", surge_last_error());
  exit(surge_exit_code(status));
}

static void *zeros(bench *x, size_t bytes) {
  void *memory;
  check(x->b->allocate(x->context, &memory, bytes));
  check(x->b->zero(x->context, memory, bytes));
  return memory;
}

/* `count` values, spread evenly over [-2, 2), one block repeated. */
static void *values(bench *x, size_t count, surge_dtype type) {
  enum { BLOCK = 4096 };
  static float block[BLOCK];
  size_t width = surge_dtype_bytes(type);
  char *memory = zeros(x, count * width);
  for (size_t i = 0; i < BLOCK; i++)
    surge_store(block, type, i,
                (float)((i * 2654435761u >> 7) % BLOCK) * (4.0f / BLOCK) - 2);
  for (size_t i = 0; i < count; i += BLOCK) {
    size_t n = count - i < BLOCK ? count - i : BLOCK;
    check(x->b->upload(x->context, memory + i * width, block, n * width));
  }
  return memory;
}

/* --- ops --------------------------------------------------------------------- */

static surge_neuron neuron_of(bench *x) {
  surge_neuron_input input = {.z = x->z,
                              .scale = x->channel[0],
                              .shift = x->channel[1],
                              .mean = x->channel[2],
                              .rstd = x->channel[3]};
  return (surge_neuron){.spec = x->spec,
                        .map = x->map,
                        .T = x->T,
                        .N = x->N,
                        .inputs = 1,
                        .input = {input},
                        .scalars = x->scalars,
                        .width = x->width,
                        .workspace = x->workspace};
}

static surge_status neuron_forward(bench *x) {
  surge_neuron_forward a = {
      .common = neuron_of(x), .s = x->s, .fault = x->fault};
  return x->b->neuron_forward(x->context, &a);
}

static surge_status neuron_forward_pda(bench *x) {
  surge_neuron_forward a = {.common = neuron_of(x),
                            .s = x->s,
                            .fault = x->fault,
                            .pda = x->pda,
                            .pda_scale = 0.1f,
                            .metrics = x->metrics};
  a.common.spec.pda = SURGE_PDA_MOMENT;
  return x->b->neuron_forward(x->context, &a);
}

static surge_status neuron_forward_statistics(bench *x) {
  surge_neuron_forward a = {.common = neuron_of(x),
                            .s = x->s,
                            .fault = x->fault,
                            .statistics = x->statistics,
                            .histogram = x->histogram};
  return x->b->neuron_forward(x->context, &a);
}

static surge_status neuron_backward(bench *x) {
  surge_neuron_backward a = {.common = neuron_of(x),
                             .da = {x->da},
                             .sums = {x->sums},
                             .drho = x->drho,
                             .gs = x->gs};
  return x->b->neuron_backward(x->context, &a);
}

/* A membrane shortcut: a norm and the stream. */
static surge_add add_of(bench *x) {
  surge_neuron neuron = neuron_of(x);
  return (surge_add){.y = x->s,
                     .da = {x->da},
                     .sums = {x->sums},
                     .dy = x->gs,
                     .map = x->map,
                     .T = x->T,
                     .N = x->N,
                     .inputs = 2,
                     .input = {neuron.input[0], {.z = x->gs}},
                     .workspace = x->workspace};
}

static surge_status add_forward(bench *x) {
  surge_add a = add_of(x);
  return x->b->add_forward(x->context, &a);
}

static surge_status add_backward(bench *x) {
  surge_add a = add_of(x);
  return x->b->add_backward(x->context, &a);
}

static surge_norm_forward norm_of(bench *x) {
  return (surge_norm_forward){.scale = x->channel[4],
                              .shift = x->channel[5],
                              .mean = x->channel[6],
                              .rstd = x->channel[7],
                              .running_mean = x->channel[6] + x->C,
                              .running_var = x->channel[7] + x->C,
                              .z = x->z,
                              .gamma = x->channel[0],
                              .beta = x->channel[1],
                              .fault = x->fault,
                              .map = x->map,
                              .T = x->T,
                              .N = x->N,
                              .training = true,
                              .alpha_theta = 1,
                              .eps = 1e-5f,
                              .momentum = 0.1f,
                              .workspace = x->workspace};
}

static surge_status norm_forward(bench *x) {
  surge_norm_forward a = norm_of(x);
  return x->b->norm_forward(x->context, &a);
}

static surge_status norm_backward(bench *x) {
  surge_norm_backward a = {.dz = x->s,
                           .da = x->da,
                           .dgamma = x->channel[6],
                           .dbeta = x->channel[7],
                           .z = x->z,
                           .mean = x->channel[2],
                           .rstd = x->channel[3],
                           .gamma = x->channel[0],
                           .beta = x->channel[1],
                           .sums = x->sums,
                           .map = x->map,
                           .T = x->T,
                           .N = x->N,
                           .alpha_theta = 1};
  return x->b->norm_backward(x->context, &a);
}

static surge_pool pool_of(bench *x) {
  return (surge_pool){.x = x->z,
                      .y = x->s,
                      .dy = x->gs,
                      .dx = x->da,
                      .in = x->map,
                      .out = x->pooled,
                      .kernel = 2,
                      .stride = 2,
                      .images = (size_t)(x->T * x->N)};
}

#define POOL(op)                                                               \
  static surge_status op(bench *x) {                                           \
    surge_pool a = pool_of(x);                                                 \
    return x->b->op(x->context, &a);                                           \
  }
POOL(avgpool_forward)
POOL(avgpool_backward)
POOL(maxpool_forward)
POOL(maxpool_backward)

static surge_integrator integrator_of(bench *x) {
  return (surge_integrator){.y = x->s,
                            .x = x->z,
                            .scalars = x->scalars,
                            .type = x->map.type,
                            .T = x->T,
                            .M = x->M};
}

static surge_status integrator_forward(bench *x) {
  surge_integrator a = integrator_of(x);
  return x->b->integrator_forward(x->context, &a);
}

static surge_status integrator_backward(bench *x) {
  surge_integrator a = integrator_of(x);
  return x->b->integrator_backward(x->context, &a);
}

static surge_status dropout(bench *x) {
  surge_dropout a = {.y = x->s,
                     .x = x->z,
                     .sample = x->sample,
                     .step = x->step,
                     .map = x->map,
                     .T = x->T,
                     .N = x->N,
                     .p = 0.2f};
  return x->b->dropout(x->context, &a);
}

static surge_status count_nonzero(bench *x) {
  surge_count_nonzero a = {
      .nonzero = x->nonzero, .x = x->z, .type = x->map.type, .count = x->count};
  return x->b->count_nonzero(x->context, &a);
}

static surge_status gradient_norm(bench *x) {
  surge_gradient_norm a = {.norm = x->channel[4],
                           .clip = x->channel[5],
                           .fault = x->fault,
                           .fault_step = x->nonzero,
                           .step = x->step,
                           .g = x->g,
                           .count = x->count,
                           .max_norm = 1,
                           .workspace = x->workspace};
  return x->b->gradient_norm(x->context, &a);
}

/* One group, as large as the arrays. */
static surge_status optimize(bench *x, surge_optimizer kind) {
  surge_optimize a = {.step = x->step, .fault = x->fault};
  a.update[SURGE_GROUP_WEIGHT] = (surge_update){.kind = kind,
                                                .count = x->count,
                                                .w = x->w,
                                                .m = x->m,
                                                .v = x->v,
                                                .g = x->g,
                                                .momentum = 0.9f,
                                                .beta1 = 0.9f,
                                                .beta2 = 0.999f,
                                                .eps = 1e-8f,
                                                .w_min = -1e30f,
                                                .w_max = 1e30f};
  return x->b->optimize(x->context, &a);
}

static surge_status optimize_sgd(bench *x) { return optimize(x, SURGE_SGD); }
static surge_status optimize_adam(bench *x) { return optimize(x, SURGE_ADAM); }

static surge_status average(bench *x) {
  surge_average a = {.e = x->v,
                     .w = x->w,
                     .count = x->count,
                     .decay = 0.999f,
                     .fault = x->fault};
  return x->b->average(x->context, &a);
}

/* s holds the packed bytes. */
static surge_pack pack_of(bench *x, void *elements, int32_t bits) {
  return (surge_pack){.packed = x->s,
                      .x = elements,
                      .type = x->map.type,
                      .bits = bits,
                      .scale = 9,
                      .count = x->count};
}

#define PACK(name, op, elements, bits)                                         \
  static surge_status name(bench *x) {                                         \
    surge_pack a = pack_of(x, elements, bits);                                 \
    return x->b->op(x->context, &a);                                           \
  }
PACK(pack_bits, pack, x->z, 1)
PACK(unpack_bits, unpack, x->da, 1)
PACK(pack_bytes, pack, x->z, 8)
PACK(unpack_bytes, unpack, x->da, 8)

/* Arrays of [T, N] of map that each op reads and writes, as its contract counts
 * them; a pooled one is a quarter, a packed one takes `bits` an element. An
 * optimizer's are of fp32. */
typedef struct op {
  const char *name;
  surge_status (*run)(bench *x);
  double arrays;
  bool optimizer;
  int32_t bits;
} op;

static const op ops[] = {
    {"neuron_forward", neuron_forward, 2},
    {"neuron_forward_pda", neuron_forward_pda, 2},
    {"neuron_forward_statistics", neuron_forward_statistics, 2},
    {"neuron_backward", neuron_backward, 3},
    {"add_forward", add_forward, 3},
    {"add_backward", add_backward, 3},
    {"norm_forward", norm_forward, 1},
    {"norm_backward", norm_backward, 3},
    {"avgpool_forward", avgpool_forward, 1.25},
    {"avgpool_backward", avgpool_backward, 1.25},
    {"maxpool_forward", maxpool_forward, 1.25},
    {"maxpool_backward", maxpool_backward, 2.25},
    {"integrator_forward", integrator_forward, 2},
    {"integrator_backward", integrator_backward, 2},
    {"dropout", dropout, 2},
    {"count_nonzero", count_nonzero, 1},
    {"pack_bits", pack_bits, 1, .bits = 1},
    {"unpack_bits", unpack_bits, 1, .bits = 1},
    {"pack_bytes", pack_bytes, 1, .bits = 8},
    {"unpack_bytes", unpack_bytes, 1, .bits = 8},
    {"gradient_norm", gradient_norm, 1, true},
    {"optimize_sgd", optimize_sgd, 5, true},
    {"optimize_adam", optimize_adam, 7, true},
    {"average", average, 3, true},
};
#define OPS (sizeof ops / sizeof *ops)

/* --- setting up ---------------------------------------------------------------- */

static size_t largest(size_t a, size_t b) { return a > b ? a : b; }

static void make_small(bench *x) {
  size_t C = (size_t)x->C;
  for (size_t i = 0; i < sizeof x->channel / sizeof *x->channel; i++)
    x->channel[i] = values(x, 2 * C, SURGE_F32);
  x->scalars = zeros(x, SURGE_SCALAR_COUNT * sizeof(float));
  x->width = zeros(x, 2 * sizeof(float));
  x->sums = zeros(x, 2 * C * sizeof(float));
  x->rho = zeros(x, sizeof(float));
  x->drho = zeros(x, sizeof(float));
  x->step = zeros(x, sizeof *x->step);
  x->fault = zeros(x, sizeof *x->fault);
  x->metrics = zeros(x, sizeof *x->metrics);
  x->statistics = zeros(x, (size_t)x->T * sizeof *x->statistics);
  x->histogram = zeros(x, sizeof *x->histogram);
  x->pda = zeros(x, sizeof *x->pda);
  x->nonzero = zeros(x, sizeof *x->nonzero);
  x->sample = zeros(x, (size_t)x->N * sizeof *x->sample);
  surge_neuron_scalars scalars = {.scalars = x->scalars,
                                  .width = x->width,
                                  .rho = x->rho,
                                  .spec = x->spec,
                                  .C = x->C};
  check(x->b->neuron_scalars(x->context, &scalars));
}

static void make_arrays(bench *x) {
  x->map.layout = x->b->layout(x->C);
  x->map.h = x->map.w = x->side;
  x->map.c = x->C;
  x->pooled = x->map;
  x->pooled.h = x->pooled.w = x->side / 2;
  x->M = (size_t)x->N * surge_map_elements(&x->map);
  x->count = (size_t)x->T * x->M;
  x->spec = (surge_neuron_spec){.decay = 0.25f,
                                .v_threshold = 1,
                                .detach_reset = true,
                                .width_rule = SURGE_WIDTH_LEARNED,
                                .width = 1,
                                .width_min = 1e-3f,
                                .width_max = 1e3f,
                                .pda_epsilon = 0.05f};
  x->bytes = x->count * surge_dtype_bytes(x->map.type);
  x->z = values(x, x->count, x->map.type);
  x->gs = values(x, x->count, x->map.type);
  x->s = zeros(x, x->bytes);
  x->da = zeros(x, x->bytes);
  x->g = values(x, x->count, SURGE_F32);
  x->w = zeros(x, x->count * sizeof(float));
  x->m = zeros(x, x->count * sizeof(float));
  x->v = zeros(x, x->count * sizeof(float));
  make_small(x);
  surge_neuron neuron = neuron_of(x);
  neuron.spec.pda = SURGE_PDA_MOMENT;
  surge_norm_forward norm = norm_of(x);
  surge_add add = add_of(x);
  size_t bytes = x->b->gradient_norm_workspace(x->count);
  bytes = largest(bytes, x->b->neuron_workspace(x->context, &neuron));
  bytes = largest(bytes, x->b->norm_workspace(x->context, &norm));
  bytes = largest(bytes, x->b->add_workspace(x->context, &add));
  x->workspace = zeros(x, bytes + 1);
}

/* --- timing --------------------------------------------------------------- */

static surge_status copy(bench *x) {
  return x->b->copy(x->context, x->da, x->z, x->bytes);
}

static double seconds_of(bench *x, surge_status (*run)(bench *x)) {
  double start = surge_seconds();
  for (int32_t i = 0; i < x->repeats; i++) check(run(x));
  check(x->b->sync(x->context));
  return (surge_seconds() - start) / x->repeats;
}

static void measure(bench *x, const op *o) {
  double times[ROUNDS], copies[ROUNDS];
  double array = 1e-9 * (double)x->bytes;
  double moved = o->arrays * (o->optimizer ? 4e-9 * (double)x->count : array) +
                 1e-9 * (double)surge_pack_bytes(x->count, o->bits);
  check(o->run(x)); /* warm */
  for (int r = 0; r < ROUNDS; r++) {
    times[r] = seconds_of(x, o->run);
    copies[r] = seconds_of(x, copy);
  }
  double seconds = surge_median(times, ROUNDS), rate = moved / seconds;
  double roof = 2 * array / surge_median(copies, ROUNDS);
  bool bf16 = x->map.type == SURGE_BF16 && !o->optimizer;
  printf("%s,%d,%d,%d,%d,%s,%.0f,%.4f,%.1f,%.1f,%.3f\n", o->name, x->T, x->N,
         x->C, x->side, bf16 ? "bf16" : "fp32", 1e9 * moved, 1e3 * seconds,
         rate, roof, rate / roof);
  fflush(stdout);
}

static surge_dtype type_of(const char *word) {
  if (!strcmp(word, "fp32")) return SURGE_F32;
  if (!strcmp(word, "bf16")) return SURGE_BF16;
  fprintf(stderr, "bench_ops: --type: wanted fp32 or bf16, found %s\n", word);
  exit(2);
}

static surge_device device_of(const char *word) {
  if (!strcmp(word, "cpu")) return SURGE_DEVICE_CPU;
  if (!strcmp(word, "cuda")) return SURGE_DEVICE_CUDA;
  fprintf(stderr, "bench_ops: --device: wanted cpu or cuda, found %s\n", word);
  exit(2);
}

int main(int argc, char **argv) {
#ifdef SURGE_HAVE_CUDA
  surge_backend_register(&surge_cuda);
#endif
  bench x = {.T = 4, .N = 64, .C = 128, .side = 32, .repeats = 20};
  surge_device device = SURGE_DEVICE_CPU;
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i], *value = i + 1 < argc ? argv[++i] : "";
    int number = atoi(value);
    if (!strcmp(name, "--device"))
      device = device_of(value);
    else if (!strcmp(name, "--type"))
      x.map.type = type_of(value);
    else if (!strcmp(name, "-T") && number > 0)
      x.T = number;
    else if (!strcmp(name, "-N") && number > 0)
      x.N = number;
    else if (!strcmp(name, "-C") && number > 0)
      x.C = number;
    else if (!strcmp(name, "-S") && number > 1)
      x.side = number;
    else if (!strcmp(name, "-r") && number > 0)
      x.repeats = number;
    else {
      fprintf(stderr,
              "bench_ops: wanted the options of its head, found %s %s\n", name,
              value);
      return 2;
    }
  }
  char line[256], note[SURGE_NOTE];
  surge_context_options options = {.deterministic = true};
  check(surge_backend_open(&x.b, &x.context, device, &options, note));
  x.b->describe(x.context, line, sizeof line);
  if (x.map.type == SURGE_BF16 && !x.b->bf16) {
    fprintf(stderr, "bench_ops: --type: wanted fp32 on %s, found bf16\n",
            x.b->name);
    return 2;
  }
  make_arrays(&x);
  printf("# %s\nop,T,N,C,side,type,bytes,ms,GB_per_s,copy_GB_per_s,share\n",
         line);
  for (size_t i = 0; i < OPS; i++) measure(&x, &ops[i]);
  x.b->close(x.context);
  return 0;
}
