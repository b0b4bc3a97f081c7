/* test_same_bits.c - an op that works element by element gives the bits of the
 * CPU on every backend: both run the formulas of kernels/shared. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/values.h"

/* A backend's context and the arrays of one call on it. */
#define ARRAYS 16
typedef struct machine {
  const surge_backend *b;
  surge_context *context;
  void *array[ARRAYS];
  int arrays;
} machine;

static machine machine_open(const surge_backend *b) {
  machine m = {.b = b};
  surge_context_options options = {.threads = 1, .deterministic = true};
  cr_assert_eq(b->open(&m.context, &options), SURGE_OK, "%s",
               surge_last_error());
  return m;
}

static void machine_close(machine *m) {
  while (m->arrays > 0) m->b->release(m->context, m->array[--m->arrays]);
  m->b->close(m->context);
}

static void *put(machine *m, const void *host, size_t bytes) {
  void *device = NULL;
  cr_assert(m->arrays < ARRAYS);
  cr_assert_eq(m->b->allocate(m->context, &device, bytes), SURGE_OK);
  cr_assert_eq(m->b->upload(m->context, device, host, bytes), SURGE_OK);
  return m->array[m->arrays++] = device;
}

/* Random values; every third is a small integer, so that there are ties. */
static float *put_values(machine *m, uint64_t seed, size_t count) {
  float *values = test_random(seed, count, -2, 2);
  for (size_t i = 0; i < count; i += 3) values[i] = rintf(values[i]);
  float *device = put(m, values, count * sizeof *values);
  free(values);
  return device;
}

/* A call: queues an op on arrays of the machine, and says where its outputs
 * lie. */
#define OUTPUTS 4
typedef struct outputs {
  float *device[OUTPUTS];
  size_t count[OUTPUTS];
} outputs;

typedef outputs call(machine *m, int variant);

/* Runs a call on the CPU and on the backend under test. */
static void compare(const char *name, call *f, int variants) {
  for (int v = 0; v < variants; v++) {
    machine cpu = machine_open(&surge_cpu),
            other = machine_open(test_backend());
    outputs a = f(&cpu, v), b = f(&other, v);
    for (int k = 0; k < OUTPUTS && a.device[k]; k++) {
      size_t bytes = a.count[k] * sizeof(float);
      float *x = malloc(bytes), *y = malloc(bytes);
      cr_assert_eq(cpu.b->download(cpu.context, x, a.device[k], bytes), 0);
      cr_assert_eq(other.b->download(other.context, y, b.device[k], bytes), 0);
      cr_expect(!memcmp(x, y, bytes), "%s, variant %d: output %d: other bits",
                name, v, k);
      free(x);
      free(y);
    }
    machine_close(&cpu);
    machine_close(&other);
  }
}

static void expect_ok(surge_status status) {
  cr_assert_eq(status, SURGE_OK, "%s", surge_last_error());
}

/* The batch's samples and step of the random ops. */
static const uint32_t samples[] = {3, 1, 4, 15, 92, 6, 5};
#define BATCH (sizeof samples / sizeof *samples)

static surge_step *put_step(machine *m) {
  surge_step step = test_step(5, 2);
  for (int g = 0; g < SURGE_GROUP_COUNT; g++) {
    step.learning_rate[g] = .03f;
    step.adam_scale1[g] = 1.7f;
    step.adam_scale2[g] = 9.3f;
  }
  step.mix.share = .3f;
  return put(m, &step, sizeof step);
}

/* Four channels a thread, or one. */
static const surge_map maps[] = {{9, 7, 8, SURGE_CHANNELS_LAST},
                                 {9, 7, 5, SURGE_CHANNELS_LAST}};

/* --- pooling --------------------------------------------------------------- */

/* Variants: map, kernel 2 to 4 of stride 2, that of 3 padded. */
static surge_pool pool_of(machine *m, int v) {
  surge_map in = maps[v % 2], out = in;
  int32_t kernel = 2 + v / 2, pad = kernel == 3;
  out.h = (in.h + 2 * pad - kernel) / 2 + 1;
  out.w = (in.w + 2 * pad - kernel) / 2 + 1;
  size_t ins = BATCH * surge_map_elements(&in),
         outs = BATCH * surge_map_elements(&out);
  return (surge_pool){.x = put_values(m, 1, ins),
                      .dx = put_values(m, 2, ins),
                      .y = put_values(m, 3, outs),
                      .dy = put_values(m, 4, outs),
                      .in = in,
                      .out = out,
                      .kernel = kernel,
                      .stride = 2,
                      .pad = pad,
                      .images = BATCH};
}

static outputs pool_outputs(const surge_pool *a, float *added) {
  size_t ins = BATCH * surge_map_elements(&a->in);
  return (outputs){{a->y, a->dx, added},
                   {BATCH * surge_map_elements(&a->out), ins, ins}};
}

typedef surge_status pool_op(surge_context *, const surge_pool *);

static outputs run_pool(machine *m, int v, pool_op *forward,
                        pool_op *backward) {
  surge_pool a = pool_of(m, v), add = a;
  add.dx = put_values(m, 5, BATCH * surge_map_elements(&a.in));
  add.mode = SURGE_ADD;
  expect_ok(forward(m->context, &a));
  expect_ok(backward(m->context, &a));
  expect_ok(backward(m->context, &add));
  return pool_outputs(&a, add.dx);
}

static outputs average(machine *m, int v) {
  return run_pool(m, v, m->b->avgpool_forward, m->b->avgpool_backward);
}

static outputs maximum(machine *m, int v) {
  return run_pool(m, v, m->b->maxpool_forward, m->b->maxpool_backward);
}

Test(same_bits, pool) {
  compare("average", average, 6);
  compare("maximum", maximum, 6);
}

/* --- inputs and dropout ------------------------------------------------------ */

/* Variants: map, training or not, pixels erased or not, images mixed or not. */
static outputs augment(machine *m, int v) {
  static const float mean[] = {.1f, .2f, .3f}, std[] = {.4f, .5f, .6f};
  surge_map map = {v % 2 ? 7 : 8, 5, 3, SURGE_CHANNELS_LAST};
  int32_t T = 1 + v % 3;
  size_t count = (size_t)T * BATCH * surge_map_elements(&map);
  uint8_t *images = malloc(count);
  for (size_t i = 0; i < count; i++) images[i] = (uint8_t)(i * 37 % 251);
  surge_augment a = {.x = put_values(m, 6, count),
                     .images = put(m, images, count),
                     .sample = put(m, samples, sizeof samples),
                     .step = put_step(m),
                     .map = map,
                     .T = T,
                     .N = BATCH,
                     .unit = v % 3 ? 1 : 255,
                     .mean = mean,
                     .std = std,
                     .crop_pad = 2,
                     .cutout = v / 4 % 2 * 3,
                     .random_erasing = (float)(v / 4 % 2) * .7f,
                     .flip = true,
                     .mix = v / 8 && v / 2 % 2 == 0,
                     .training = v / 2 % 2 == 0};
  expect_ok(m->b->augment(m->context, &a));
  free(images);
  return (outputs){{a.x}, {count}};
}

static outputs poisson(machine *m, int v) {
  enum { T = 3 };
  size_t count = BATCH * surge_map_elements(&maps[v]);
  surge_poisson a = {.s = put_values(m, 7, T * count),
                     .x = put_values(m, 8, count),
                     .sample = put(m, samples, sizeof samples),
                     .step = put_step(m),
                     .map = maps[v],
                     .T = T,
                     .N = BATCH};
  expect_ok(m->b->poisson(m->context, &a));
  return (outputs){{a.s}, {T * count}};
}

static outputs dropout(machine *m, int v) {
  enum { T = 3 };
  size_t count = T * BATCH * surge_map_elements(&maps[v]);
  surge_dropout a = {.y = put_values(m, 9, count),
                     .x = put_values(m, 10, count),
                     .sample = put(m, samples, sizeof samples),
                     .step = put_step(m),
                     .map = maps[v],
                     .T = T,
                     .N = BATCH,
                     .index = 2,
                     .p = .3f};
  expect_ok(m->b->dropout(m->context, &a));
  return (outputs){{a.y}, {count}};
}

Test(same_bits, inputs_and_dropout) {
  compare("augment", augment, 16);
  compare("poisson", poisson, 2);
  compare("dropout", dropout, 2);
}

/* --- the sum ----------------------------------------------------------------- */

/* Variants: map, the second input static or not. What is summed over steps or
 * elements has an order of its own: not compared. */
static outputs sum(machine *m, int v) {
  enum { T = 3 };
  size_t C = (size_t)maps[v % 2].c,
         M = BATCH * surge_map_elements(&maps[v % 2]);
  bool is_static = v / 2;
  size_t second = is_static ? M : T * M;
  float *scale = put_values(m, 30, 2 * C), *dy = put_values(m, 31, T * M);
  surge_add a = {
      .y = put_values(m, 32, T * M),
      .da = {put_values(m, 33, T * M), put_values(m, 34, second)},
      .mode = {SURGE_ADD, SURGE_ADD},
      .dy = dy,
      .map = maps[v % 2],
      .T = T,
      .N = BATCH,
      .inputs = 2,
      .input = {
          {.z = put_values(m, 35, T * M), .scale = scale, .shift = scale + C},
          {.z = put_values(m, 36, second), .is_static = is_static}}};
  expect_ok(m->b->add_forward(m->context, &a));
  if (!is_static) expect_ok(m->b->add_backward(m->context, &a));
  return (outputs){{a.y, a.da[0], a.da[1]}, {T * M, T * M, second}};
}

Test(same_bits, sum) { compare("sum", sum, 4); }

/* --- the norm's backward ----------------------------------------------------- */

/* Variants: map, static or not, TEBN or not. dp adds up channels: not by
 * element. */
static outputs norm(machine *m, int v) {
  enum { T = 3 };
  size_t C = (size_t)maps[v % 2].c,
         M = BATCH * surge_map_elements(&maps[v % 2]);
  bool is_static = v / 2 % 2, tebn = v / 4 % 2;
  size_t count = is_static ? M : T * M;
  surge_norm_backward a = {.dz = put_values(m, 11, count),
                           .dgamma = put_values(m, 12, C),
                           .dbeta = put_values(m, 13, C),
                           .dstep_scale = tebn ? put_values(m, 14, T) : NULL,
                           .da = put_values(m, 15, count),
                           .z = put_values(m, 16, count),
                           .mean = put_values(m, 17, C),
                           .rstd = put_values(m, 18, C),
                           .gamma = put_values(m, 19, C),
                           .beta = put_values(m, 20, C),
                           .step_scale = tebn ? put_values(m, 21, T) : NULL,
                           .sums = put_values(m, 22, T * 2 * C),
                           .map = maps[v % 2],
                           .T = T,
                           .N = BATCH,
                           .is_static = is_static,
                           .alpha_theta = .7f};
  expect_ok(m->b->norm_backward(m->context, &a));
  return (outputs){{a.dz, a.dgamma, a.dbeta}, {count, C, C}};
}

Test(same_bits, norm_backward) { compare("norm_backward", norm, 8); }

/* --- optimisers --------------------------------------------------------------- */

#define PARAMETERS 4099

static void optimize(machine *m, surge_group group, surge_update update) {
  static const surge_fault none = 0;
  surge_optimize a = {.step = put_step(m), .fault = put(m, &none, sizeof none)};
  a.update[group] = update;
  expect_ok(m->b->optimize(m->context, &a));
}

/* Variants: nesterov or decoupled, bounded or not, a group that is aligned or
 * not. */
static outputs sgd(machine *m, int v) {
  static const float clip = .7f;
  size_t skip = (size_t)v / 2;
  float *w = put_values(m, 23, PARAMETERS), *v1 = put_values(m, 24, PARAMETERS);
  surge_update update = {.kind = SURGE_SGD,
                         .count = PARAMETERS - skip,
                         .w = w + skip,
                         .m = v1 + skip,
                         .g = put_values(m, 25, PARAMETERS) + skip,
                         .clip = put(m, &clip, sizeof clip),
                         .momentum = .9f,
                         .weight_decay = 5e-4f,
                         .nesterov = v % 2};
  optimize(m, SURGE_GROUP_NORM, update);
  return (outputs){{w, v1}, {PARAMETERS, PARAMETERS}};
}

static outputs adam(machine *m, int v) {
  static const float clip = .7f;
  size_t skip = (size_t)v / 2;
  float *w = put_values(m, 26, PARAMETERS), *m1 = put_values(m, 27, PARAMETERS);
  float *squares = test_random(28, PARAMETERS, 0, 1);
  float *m2 = put(m, squares, PARAMETERS * sizeof *squares);
  surge_update update = {.kind = v % 2 ? SURGE_ADAMW : SURGE_ADAM,
                         .count = PARAMETERS - skip,
                         .w = w + skip,
                         .m = m1 + skip,
                         .v = m2 + skip,
                         .g = put_values(m, 29, PARAMETERS) + skip,
                         .clip = put(m, &clip, sizeof clip),
                         .beta1 = .9f,
                         .beta2 = .999f,
                         .eps = 1e-8f,
                         .weight_decay = .01f,
                         .w_min = v % 2 ? -1.5f : -INFINITY,
                         .w_max = v % 2 ? 1.5f : INFINITY};
  optimize(m, SURGE_GROUP_WIDTH, update);
  free(squares);
  return (outputs){{w, m1, m2}, {PARAMETERS, PARAMETERS, PARAMETERS}};
}

Test(same_bits, optimisers) {
  compare("sgd", sgd, 4);
  compare("adam", adam, 4);
}
