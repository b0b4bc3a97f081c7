/* norm.c - channel statistics, and the norm's share of the backward pass.
 *
 * Maps are cut into pieces that fit the first-level cache. Within a piece,
 * element i belongs to lane i % lanes, where `lanes` is a multiple of the
 * channels' period and wide enough for vectors: so one inner loop without a
 * channel index serves both layouts and any number of channels. */
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/shared/fault.h"
#include "kernels/shared/norm.h"
#include "src/backend/checks.h"

#define MAX_LANES 4096  /* of a piece; its smallest limit: 16 KiB             */
#define MAX_PIECE 32768 /* elements: 128 KiB, for many channels               */
#define LANES 64        /* at least so many                                   */
#define DEPTH 64        /* elements that a lane adds at most                  */

/* Lanes of a piece: the period doubled until it is wide enough for vectors but
 * not too wide for the piece, or as much of the period as a piece can hold. */
static size_t lanes_of(const surge_cpu_piece *piece) {
  size_t lanes = (size_t)piece->period;
  while (lanes < LANES && 8 * lanes <= piece->length) lanes *= 2;
  return lanes < MAX_LANES ? lanes : MAX_LANES;
}

/* Channels that a piece holds: piece->channel and the ones behind it. */
static size_t channels_of(const surge_cpu_piece *piece) {
  size_t period = (size_t)piece->period;
  return period < piece->length ? period : piece->length;
}

/* --- moments of a piece -------------------------------------------------- */

/* sum[l] += the elements of lane l; four rows at a time, or loading and
 * storing the sums would cost more than adding. */
static void sum_lanes(float *restrict sum, const float *restrict x,
                      size_t length, size_t lanes) {
  size_t i = 0, row = lanes;
  for (; i + 4 * row <= length; i += 4 * row)
    for (size_t l = 0; l < lanes; l++) {
      const float *y = x + i + l;
      sum[l] += (y[0] + y[row]) + (y[2 * row] + y[3 * row]);
    }
  for (; i < length; i += row) {
    size_t rest = length - i, width = rest < row ? rest : row;
    for (size_t l = 0; l < width; l++) sum[l] += x[i + l];
  }
}

/* The same of the deviations from a centre a lane, and of their squares. */
static void deviate_lanes(float *restrict sum, float *restrict squares,
                          const float *restrict x, const float *restrict centre,
                          size_t length, size_t lanes) {
  size_t i = 0, row = lanes;
  for (; i + 4 * row <= length; i += 4 * row) {
    for (size_t l = 0; l < 4 * row; l += 16)
      __builtin_prefetch(x + length + i + l);
    for (size_t l = 0; l < lanes; l++) {
      const float *y = x + i + l;
      float a = y[0] - centre[l], b = y[row] - centre[l];
      float c = y[2 * row] - centre[l], d = y[3 * row] - centre[l];
      sum[l] += (a + b) + (c + d);
      squares[l] += (a * a + b * b) + (c * c + d * d);
    }
  }
  for (; i < length; i += row) {
    size_t rest = length - i, width = rest < row ? rest : row;
    for (size_t l = 0; l < width; l++) {
      float a = x[i + l] - centre[l];
      sum[l] += a;
      squares[l] += a * a;
    }
  }
}

/* Adds lanes of the same channel, by halves, into the first `period`. */
static void fold_lanes(float *sum, size_t lanes, size_t period) {
  for (size_t width = lanes / 2; width >= period; width /= 2)
    for (size_t l = 0; l < width; l++) sum[l] += sum[l + width];
}

/* Repeats the first `period` values over all lanes. */
static void spread_lanes(float *value, size_t lanes, size_t period) {
  for (size_t l = period; l < lanes; l++) value[l] = value[l - period];
}

/* A group's moments, an array a field so that merging fills vectors. */
typedef struct channel_moments {
  double *n, *mean, *m2; /* [C] */
} channel_moments;

static channel_moments group_moments(const surge_norm_forward *a, size_t g) {
  size_t C = (size_t)a->map.c;
  double *first = (double *)a->workspace + g * 3 * C;
  return (channel_moments){first, first + C, first + 2 * C};
}

/* Two passes over data that the first has brought near: a centre, then the
 * deviations from it, both sums in float, the rest in double. */
static void add_piece(channel_moments total, const float *x,
                      const surge_cpu_piece *piece) {
  float centre[MAX_LANES], sum[MAX_LANES], squares[MAX_LANES];
  size_t lanes = lanes_of(piece), period = (size_t)piece->period;
  size_t channels = channels_of(piece);
  double n = (double)(piece->length / channels);
  memset(centre, 0, lanes * sizeof *centre);
  memset(sum, 0, lanes * sizeof *sum);
  memset(squares, 0, lanes * sizeof *squares);
  sum_lanes(centre, x, piece->length, lanes);
  fold_lanes(centre, lanes, period);
  for (size_t c = 0; c < channels; c++) centre[c] /= (float)n;
  spread_lanes(centre, lanes, period);
  deviate_lanes(sum, squares, x, centre, piece->length, lanes);
  fold_lanes(sum, lanes, period);
  fold_lanes(squares, lanes, period);
  for (size_t c = 0; c < channels; c++) {
    size_t k = (size_t)piece->channel + c;
    surge_moments both = surge_moments_merge(
        (surge_moments){total.n[k], total.mean[k], total.m2[k]},
        surge_moments_about((double)centre[c], n, (double)sum[c],
                            (double)squares[c]));
    total.n[k] = both.n;
    total.mean[k] = both.mean;
    total.m2[k] = both.m2;
  }
}

/* --- forward ------------------------------------------------------------- */

/* Pieces of z: those of one step, as often as z has steps. */
typedef struct norm_work {
  surge_cpu_cut cut;
  size_t pieces, groups, step_elements;
} norm_work;

/* Rows of many channels make large pieces, or merging would cost more than
 * summing. */
static size_t piece_limit(const surge_map *map) {
  size_t deep = DEPTH * (size_t)map->c;
  if (deep < MAX_LANES || (size_t)map->c > MAX_LANES) return MAX_LANES;
  return deep < MAX_PIECE ? deep : MAX_PIECE;
}

static norm_work work_of(const surge_map *map, int32_t T, int32_t N,
                         bool is_static) {
  norm_work work = {.cut = surge_cpu_cut_maps(map, N, piece_limit(map))};
  work.pieces = work.cut.count * (is_static ? 1 : (size_t)T);
  work.groups = work.pieces < SURGE_CPU_GROUPS ? work.pieces : SURGE_CPU_GROUPS;
  work.step_elements = (size_t)N * surge_map_elements(map);
  return work;
}

size_t surge_cpu_norm_workspace(surge_context *context,
                                const surge_norm_forward *a) {
  (void)context;
  if (!a->training) return 0;
  norm_work work = work_of(&a->map, a->T, a->N, a->is_static);
  return work.groups * 3 * (size_t)a->map.c * sizeof(double);
}

static void reduce_group(const surge_norm_forward *a, const norm_work *work,
                         size_t g) {
  channel_moments total = group_moments(a, g);
  memset(total.n, 0, 3 * (size_t)a->map.c * sizeof(double));
  for (size_t i = surge_cpu_first(work->pieces, work->groups, g);
       i < surge_cpu_first(work->pieces, work->groups, g + 1); i++) {
    size_t t = i / work->cut.count;
    surge_cpu_piece piece = surge_cpu_piece_at(&work->cut, i % work->cut.count);
    add_piece(total,
              surge_cpu_from(a->z, t * work->step_elements + piece.offset),
              &piece);
  }
}

/* Moments of channel c over all groups, in their order. */
static surge_moments combine_groups(const surge_norm_forward *a, size_t groups,
                                    size_t c) {
  surge_moments m = {0, 0, 0};
  for (size_t g = 0; g < groups; g++) {
    channel_moments part = group_moments(a, g);
    if (part.n[c] == 0) continue; /* its pieces hold other channels */
    m = surge_moments_merge(
        m, (surge_moments){part.n[c], part.mean[c], part.m2[c]});
  }
  return m;
}

surge_status surge_cpu_norm_forward(surge_context *context,
                                    const surge_norm_forward *a) {
  SURGE_TRY(surge_check_norm_forward(a));
  norm_work work = work_of(&a->map, a->T, a->N, a->is_static);
  size_t groups = a->training ? work.groups : 0;
  bool finite = true;
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t g = 0; g < groups; g++) reduce_group(a, &work, g);
#pragma omp parallel for num_threads(context->threads) schedule(static)        \
    reduction(&& : finite)
  for (size_t c = 0; c < (size_t)a->map.c; c++)
    finite = surge_norm_finish(a, c, combine_groups(a, groups, c)) && finite;
  if (!finite) *a->fault = surge_fault_first(*a->fault, a->layer);
  return SURGE_OK;
}

/* --- backward ------------------------------------------------------------ */

static void add_parameter_gradients(const surge_norm_backward *a) {
  size_t C = (size_t)a->map.c;
  for (size_t c = 0; c < C; c++) surge_norm_add_channel(a, c);
  if (!a->step_scale) return;
  for (size_t t = 0; t < (size_t)a->T; t++) {
    double sum = 0;
    for (size_t c = 0; c < C; c++) sum += surge_norm_step_share(a, t, c);
    a->dstep_scale[t] += (float)sum;
  }
}

/* A surge_norm_line a lane. */
typedef struct backward_lanes {
  float gain[MAX_LANES], offset[MAX_LANES], mean[MAX_LANES], slope[MAX_LANES];
  size_t lanes, t;
  int32_t channel; /* of lane 0; -1: nothing here yet */
} backward_lanes;

static void fill_lanes(backward_lanes *b, const surge_norm_backward *a,
                       const surge_cpu_piece *piece, size_t t) {
  size_t period = (size_t)piece->period, channels = channels_of(piece);
  b->lanes = lanes_of(piece);
  b->channel = piece->channel;
  b->t = t;
  for (size_t l = 0; l < channels; l++) {
    surge_norm_line line = surge_norm_line_of(a, t, (size_t)piece->channel + l);
    b->gain[l] = line.gain;
    b->offset[l] = line.offset;
    b->mean[l] = line.mean;
    b->slope[l] = line.slope;
  }
  spread_lanes(b->gain, b->lanes, period);
  spread_lanes(b->offset, b->lanes, period);
  spread_lanes(b->mean, b->lanes, period);
  spread_lanes(b->slope, b->lanes, period);
}

/* One piece; da and dz may be the same array, element by element. */
static void backward_piece(float *dz, const float *da, const float *z,
                           size_t length, const backward_lanes *b) {
  for (size_t i = 0; i < length; i += b->lanes) {
    size_t rest = length - i, row = rest < b->lanes ? rest : b->lanes;
#pragma omp simd
    for (size_t l = 0; l < row; l++) {
      surge_norm_line line = {b->gain[l], b->offset[l], b->mean[l],
                              b->slope[l]};
      dz[i + l] = surge_norm_gradient(line, da[i + l], z[i + l]);
    }
  }
}

static void backward_group(const surge_norm_backward *a, const norm_work *work,
                           size_t g) {
  backward_lanes lanes;
  lanes.channel = -1;
  for (size_t i = surge_cpu_first(work->pieces, work->groups, g);
       i < surge_cpu_first(work->pieces, work->groups, g + 1); i++) {
    size_t t = i / work->cut.count;
    surge_cpu_piece piece = surge_cpu_piece_at(&work->cut, i % work->cut.count);
    size_t start = t * work->step_elements + piece.offset;
    if (lanes.channel != piece.channel || lanes.t != t)
      fill_lanes(&lanes, a, &piece, t);
    backward_piece(surge_cpu_to(a->dz, start), surge_cpu_from(a->da, start),
                   surge_cpu_from(a->z, start), piece.length, &lanes);
  }
}

surge_status surge_cpu_norm_backward(surge_context *context,
                                     const surge_norm_backward *a) {
  SURGE_TRY(surge_check_norm_backward(a));
  norm_work work = work_of(&a->map, a->T, a->N, a->is_static);
  add_parameter_gradients(a);
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t g = 0; g < work.groups; g++) backward_group(a, &work, g);
  return SURGE_OK;
}
