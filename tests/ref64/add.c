/* add.c - see add.h. */
#include "tests/ref64/add.h"

#include <math.h>
#include <stdlib.h>

static double rounded_if(bool rounded, double x) {
  return rounded ? (double)(float)x : x;
}

size_t ref_add_elements(const ref_add *n) {
  return (size_t)n->N * surge_map_elements(&n->map);
}

static bool stands(const ref_input *in) {
  return in->is_static && !in->per_step;
}

static bool is_static(const ref_add *n) {
  return stands(&n->input[0]) && (n->inputs == 1 || stands(&n->input[1]));
}

size_t ref_add_steps(const ref_add *n) {
  return is_static(n) ? 1 : (size_t)n->T;
}

static size_t channel_at(const ref_add *n, size_t i) {
  return (size_t)surge_channel_of(&n->map, i % surge_map_elements(&n->map));
}

/* Place of element i at step t among those of input `which`. */
static size_t place_of(const ref_add *n, int which, size_t t, size_t i) {
  return (n->input[which].is_static ? 0 : t * ref_add_elements(n)) + i;
}

/* a = scale*z + shift, or z. */
static double input_at(const ref_add *n, int which, size_t t, size_t i) {
  const ref_input *in = &n->input[which];
  double z = in->z[place_of(n, which, t, i)];
  if (!in->scale) return z;
  size_t k = (in->per_step ? t * (size_t)n->map.c : 0) + channel_at(n, i);
  double product = rounded_if(n->rounded, in->scale[k] * z);
  return rounded_if(n->rounded, product + in->shift[k]);
}

double *ref_add_forward(const ref_add *n) {
  size_t M = ref_add_elements(n), steps = ref_add_steps(n);
  double *y = calloc(steps * M, sizeof *y);
  for (size_t t = 0; t < steps; t++)
    for (size_t i = 0; i < M; i++) {
      double sum = input_at(n, 0, t, i);
      if (n->inputs == 2)
        sum = rounded_if(n->rounded, sum + input_at(n, 1, t, i));
      y[t * M + i] = sum;
    }
  return y;
}

static void add(ref_sum *sum, size_t i, double term) {
  sum->value[i] += term;
  sum->abs[i] += fabs(term);
}

static void receive(const ref_add *n, ref_add_gradient *g, int which,
                    const double *dy) {
  const ref_input *in = &n->input[which];
  size_t M = ref_add_elements(n), C = (size_t)n->map.c;
  size_t steps = ref_add_steps(n);
  bool summed = in->is_static && !is_static(n);
  g->da[which] = ref_sum_create((in->is_static ? 1 : steps) * M);
  g->sums[which] =
      ref_sum_create(in->scale ? (in->per_step ? (size_t)n->T : 1) * 2 * C : 0);
  for (size_t t = 0; t < steps; t++)
    for (size_t i = 0; i < M; i++) {
      size_t at = place_of(n, which, t, i), c = channel_at(n, i);
      size_t row = (in->per_step ? t : 0) * 2 * C;
      double gradient = dy[t * M + i];
      double p = summed && in->step_scale ? in->step_scale[t] : 1;
      add(&g->da[which], at, p * gradient);
      if (!in->scale) continue;
      double zhat = (in->z[at] - in->mean[c]) * in->rstd[c];
      add(&g->sums[which], row + c, gradient);
      add(&g->sums[which], row + C + c, gradient * zhat);
    }
}

ref_add_gradient ref_add_backward(const ref_add *n, const double *dy) {
  ref_add_gradient g = {{{0}}, {{0}}};
  for (int which = 0; which < n->inputs; which++) receive(n, &g, which, dy);
  return g;
}

void ref_add_gradient_free(ref_add_gradient *g) {
  for (int which = 0; which < 2; which++) {
    ref_sum_free(&g->da[which]);
    ref_sum_free(&g->sums[which]);
  }
}
