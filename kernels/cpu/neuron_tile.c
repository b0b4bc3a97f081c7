/* neuron_tile.c - tiles, their spread values and their currents. */
#include "kernels/cpu/neuron_tile.h"

#include <string.h>

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* u[T][E] of a tile should stay in the first cache: 16 KiB. */
static size_t tile_neurons(size_t T) {
  size_t fits = 4096 / T / 8 * 8;
  return least(SURGE_TILE, fits > 8 ? fits : 8);
}

static size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }

surge_neuron_tiling surge_neuron_tiling_of(const surge_neuron *n) {
  size_t T = (size_t)n->T, C = (size_t)n->map.c;
  surge_neuron_tiling t = {.E = tile_neurons(T), .T = T, .C = C};
  t.M = (size_t)n->N * surge_map_elements(&n->map);
  t.cut = surge_cpu_cut_maps(&n->map, n->N, t.E);
  t.groups = least(SURGE_CPU_GROUPS, t.cut.count);
  size_t doubles = C + 3; /* width, decay, pda, fault */
  for (int32_t k = 0; k < n->inputs; k++)
    doubles += 2 * C * (n->input[k].per_step ? T : 1);
  t.group_bytes = padded(doubles * sizeof(double)) +
                  padded(C * sizeof(surge_moments)) +
                  padded(T * sizeof(surge_neuron_statistics)) +
                  padded(sizeof(surge_histogram)) +
                  padded(T * t.E * sizeof(float));
  return t;
}

size_t surge_cpu_neuron_workspace(surge_context *context,
                                  const surge_neuron *a) {
  (void)context;
  surge_neuron_tiling t = surge_neuron_tiling_of(a);
  return t.groups * t.group_bytes;
}

surge_neuron_partials surge_neuron_partials_of(const surge_neuron *n,
                                               const surge_neuron_tiling *t,
                                               size_t g) {
  char *at = (char *)n->workspace + g * t->group_bytes;
  surge_neuron_partials p = {.u = (void *)at};
  at += padded(t->T * t->E * sizeof(float));
  p.moments = (void *)at;
  at += padded(t->C * sizeof(surge_moments));
  p.statistics = (void *)at;
  at += padded(t->T * sizeof(surge_neuron_statistics));
  p.histogram = (void *)at;
  at += padded(sizeof(surge_histogram));
  p.width = (void *)at;
  p.decay = p.width + t->C;
  p.pda = p.decay + 1;
  p.fault = p.pda + 1;
  double *next = p.fault + 1;
  for (int32_t k = 0; k < n->inputs; k++) {
    p.sums[k] = next;
    next += 2 * t->C * (n->input[k].per_step ? t->T : 1);
  }
  return p;
}

void surge_neuron_spread(float *spread, const float *values,
                         const surge_cpu_piece *piece) {
  size_t period = least((size_t)piece->period, piece->length);
  const float *first = values + piece->channel;
  for (size_t i = 0; i < piece->length; i += period)
    memcpy(spread + i, first, least(period, piece->length - i) * sizeof *first);
}

/* The affine map of input k at step t. */
static void spread_affine(surge_neuron_tile *tile, int32_t k, size_t t) {
  const surge_neuron_input *in = &tile->n->input[k];
  size_t at = in->per_step ? t * (size_t)tile->n->map.c : 0;
  surge_neuron_spread(tile->scale[k], in->scale + at, &tile->piece);
  surge_neuron_spread(tile->shift[k], in->shift + at, &tile->piece);
}

static void spread_width(surge_neuron_tile *tile, int row) {
  const surge_neuron *n = tile->n;
  bool channels = n->spec.granularity == SURGE_PER_CHANNEL;
  size_t length = tile->piece.length;
  float *inv_w = tile->inv_w[row];
  if (channels) {
    surge_neuron_spread(inv_w, n->width + row * n->map.c, &tile->piece);
    for (size_t i = 0; i < length; i++) inv_w[i] = 1.0f / inv_w[i];
  } else {
    float inverse = 1.0f / n->width[row];
    for (size_t i = 0; i < length; i++) inv_w[i] = inverse;
  }
}

void surge_neuron_tile_begin(surge_neuron_tile *tile, const surge_neuron *n,
                             const surge_neuron_tiling *tiling, size_t p) {
  tile->n = n;
  tile->piece = surge_cpu_piece_at(&tiling->cut, p);
  tile->M = tiling->M;
  spread_width(tile, 0);
  spread_width(tile, 1);
  for (int32_t k = 0; k < n->inputs; k++)
    if (n->input[k].scale && !n->input[k].per_step) spread_affine(tile, k, 0);
}

/* x = a, or x + a where `add`; a = scale*z + shift, two roundings. */
static void add_input(surge_neuron_tile *tile, int32_t k, size_t t, float *x,
                      bool add) {
  const float *z = surge_neuron_z(tile, k, t);
  const surge_neuron_input *in = &tile->n->input[k];
  size_t length = tile->piece.length;
  if (!in->scale) {
    for (size_t i = 0; i < length; i++) x[i] = add ? x[i] + z[i] : z[i];
    return;
  }
  if (in->per_step) spread_affine(tile, k, t);
  const float *scale = tile->scale[k], *shift = tile->shift[k];
  for (size_t i = 0; i < length; i++) {
    float a = scale[i] * z[i] + shift[i];
    x[i] = add ? x[i] + a : a;
  }
}

void surge_neuron_current(surge_neuron_tile *tile, size_t t, float *x) {
  for (int32_t k = 0; k < tile->n->inputs; k++) add_input(tile, k, t, x, k > 0);
}

void surge_neuron_reduce(double *total, const float *v,
                         const surge_cpu_piece *piece, bool channels) {
  size_t period = channels ? (size_t)piece->period : 8;
  period = least(period, piece->length);
  if (channels) {
    double *first = total + piece->channel;
    for (size_t i = 0; i < piece->length; i += period) {
      size_t width = least(period, piece->length - i);
      for (size_t c = 0; c < width; c++) first[c] += (double)v[i + c];
    }
    return;
  }
  double lanes[8] = {0};
  for (size_t i = 0; i < piece->length; i += period) {
    size_t width = least(period, piece->length - i);
    for (size_t c = 0; c < width; c++) lanes[c] += (double)v[i + c];
  }
  *total += ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
            ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}
