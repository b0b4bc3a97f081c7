/* inputs.c - inputs that are added up, and what they receive (see inputs.h). */
#include "kernels/cpu/inputs.h"

#include <string.h>

#include "kernels/shared/neuron.h"

/* --- a call's inputs ------------------------------------------------------ */

surge_cpu_inputs surge_cpu_inputs_of(const surge_neuron_input *input,
                                     int32_t count, const surge_map *map,
                                     int32_t T, int32_t N, size_t row) {
  surge_cpu_inputs in = {
      .input = input, .count = count, .T = T, .C = map->c, .row = row};
  in.cut = surge_cpu_cut_maps(map, N, row);
  in.groups = in.cut.count < SURGE_CPU_GROUPS ? in.cut.count : SURGE_CPU_GROUPS;
  in.M = (size_t)N * surge_map_elements(map);
  return in;
}

/* --- rows ---------------------------------------------------------------- */

void surge_cpu_repeat(float *row, size_t lanes, size_t length) {
  for (size_t done = lanes; done < length; done *= 2) {
    size_t rest = length - done;
    memcpy(row + done, row, (rest < done ? rest : done) * sizeof *row);
  }
}

void surge_cpu_spread(float *restrict row, const surge_cpu_piece *piece,
                      const float *values, size_t parts) {
  size_t lanes = surge_cpu_lanes(piece, parts);
  memcpy(row, values + (parts == 1 ? 0 : piece->channel), lanes * sizeof *row);
  surge_cpu_repeat(row, lanes, piece->length);
}

/* Whether rows that were filled for a piece ({0}: none) are those of this one
 * too; if not, they are to be filled now. A shorter piece of the same channels
 * needs the start of the same rows. */
static bool is_filled(surge_cpu_piece *filled, const surge_cpu_piece *piece) {
  if (filled->channel == piece->channel && filled->length >= piece->length)
    return true;
  *filled = *piece;
  return false;
}

void surge_cpu_fold(float *x, size_t length, size_t lanes) {
  for (size_t count = length / lanes; count > 1;) {
    size_t half = (count + 1) / 2, moved = (count - half) * lanes;
    const float *second = x + half * lanes;
#pragma omp simd
    for (size_t i = 0; i < moved; i++) x[i] += second[i];
    count = half;
  }
}

void surge_cpu_fold_into(double *total, float *x, const surge_cpu_piece *piece,
                         size_t parts) {
  size_t lanes = surge_cpu_lanes(piece, parts);
  double *own = total + (parts == 1 ? 0 : piece->channel);
  surge_cpu_fold(x, piece->length, lanes);
  for (size_t l = 0; l < lanes; l++) own[l] += (double)x[l];
  memset(x, 0, piece->length * sizeof *x);
}

void surge_cpu_combine(double *partial, size_t groups, size_t count) {
  for (size_t g = 1; g < groups; g++)
    for (size_t i = 0; i < count; i++) partial[i] += partial[g * count + i];
}

/* --- forward ------------------------------------------------------------- */

bool surge_cpu_affine_fill(surge_cpu_affine *rows, const surge_cpu_inputs *in,
                           const surge_cpu_piece *piece) {
  size_t C = (size_t)in->C;
  if (is_filled(&rows->filled, piece)) return false;
  for (int which = 0; which < in->count; which++) {
    const surge_neuron_input *input = &in->input[which];
    if (!input->scale || input->per_step) continue;
    surge_cpu_spread(rows->scale[which], piece, input->scale, C);
    surge_cpu_spread(rows->shift[which], piece, input->shift, C);
  }
  return true;
}

/* TEBN's scale and shift differ by step: these rows are filled each time. */
static void fill_step(surge_cpu_affine *rows, const surge_cpu_inputs *in,
                      const surge_cpu_piece *piece, int which, size_t t) {
  const surge_neuron_input *input = &in->input[which];
  size_t C = (size_t)in->C;
  surge_cpu_spread(rows->scale[which], piece, input->scale + t * C, C);
  surge_cpu_spread(rows->shift[which], piece, input->shift + t * C, C);
}

static void affine_row(float *restrict x, const float *restrict z,
                       const float *restrict scale, const float *restrict shift,
                       size_t length) {
  for (size_t i = 0; i < length; i++)
    x[i] = surge_affine(scale[i], z[i], shift[i]);
}

static void add_affine_row(float *restrict x, const float *restrict z,
                           const float *restrict scale,
                           const float *restrict shift, size_t length) {
  for (size_t i = 0; i < length; i++)
    x[i] += surge_affine(scale[i], z[i], shift[i]);
}

static void add_row(float *restrict x, const float *restrict z, size_t length) {
  for (size_t i = 0; i < length; i++) x[i] += z[i];
}

const float *surge_cpu_input_sum(float *row, surge_cpu_affine *rows,
                                 const surge_cpu_inputs *in,
                                 const surge_cpu_piece *piece, size_t t) {
  size_t length = piece->length;
  for (int which = 0; which < in->count; which++) {
    const float *z = surge_cpu_input_at(in, which, t, piece->offset);
    if (in->input[which].per_step) fill_step(rows, in, piece, which, t);
    if (!in->input[which].scale) {
      if (in->count == 1) return z;
      if (which == 0) memcpy(row, z, length * sizeof *row);
      if (which == 1) add_row(row, z, length);
    } else if (which == 0) {
      affine_row(row, z, rows->scale[0], rows->shift[0], length);
    } else {
      add_affine_row(row, z, rows->scale[1], rows->shift[1], length);
    }
  }
  return row;
}

/* --- backward ------------------------------------------------------------ */

static size_t steps_of(const surge_cpu_inputs *in, int which) {
  return in->input[which].per_step ? (size_t)in->T : 1;
}

/* Doubles of one group's sums. */
static size_t partial_count(const surge_cpu_inputs *in, int which) {
  return steps_of(in, which) * 2 * (size_t)in->C;
}

size_t surge_cpu_partial_bytes(const surge_cpu_inputs *in, int which) {
  return in->groups * partial_count(in, which) * sizeof(double);
}

void surge_cpu_receive_group(surge_cpu_received *rows,
                             const surge_cpu_receiver *to,
                             const surge_cpu_inputs *in, int which, size_t g) {
  size_t count = partial_count(in, which);
  if (!to->sums) return;
  rows->filled = (surge_cpu_piece){0};
  memset(rows->sum0, 0, sizeof rows->sum0);
  memset(rows->sum1, 0, sizeof rows->sum1);
  memset(to->partial + g * count, 0, count * sizeof(double));
}

void surge_cpu_receive_piece(surge_cpu_received *rows,
                             const surge_cpu_receiver *to,
                             const surge_cpu_inputs *in, int which,
                             const surge_cpu_piece *piece) {
  const surge_neuron_input *input = &in->input[which];
  if (to->sums && !is_filled(&rows->filled, piece))
    surge_cpu_spread(rows->mean, piece, input->mean, (size_t)in->C);
  if (to->da && input->is_static)
    memset(rows->da, 0, piece->length * sizeof(float));
}

typedef enum delivery { DELIVER_NONE, DELIVER_WRITE, DELIVER_ADD } delivery;

/* What a loop is compiled for; a constant where the loop is called. */
typedef struct receive_case {
  size_t count;
  bool sums;
  delivery mode;
} receive_case;

/* The arrays of a few steps: that of step k starts k strides further. */
typedef struct receive_rows {
  const float *da, *z;
  float *to;
  size_t da_stride, z_stride, to_stride, length;
} receive_rows;

/* The channel sums over some steps and, of an input that is not static, its
 * gradient: one look at da. */
static inline __attribute__((always_inline)) void receive_loop(
    surge_cpu_received *rows, const receive_rows *r, const receive_case is) {
  const receive_rows row = *r;
  const float *mean = rows->mean;
  float *sum0 = rows->sum0, *sum1 = rows->sum1;
#pragma GCC ivdep
  for (size_t i = 0; i < row.length; i++) {
    float s0 = is.sums ? sum0[i] : 0, s1 = is.sums ? sum1[i] : 0;
#pragma GCC unroll 4
    for (size_t k = 0; k < is.count; k++) {
      float da = row.da[k * row.da_stride + i];
      if (is.sums) s0 += da;
      if (is.sums) s1 += da * (row.z[k * row.z_stride + i] - mean[i]);
      if (is.mode == DELIVER_ADD) da += row.to[k * row.to_stride + i];
      if (is.mode != DELIVER_NONE) row.to[k * row.to_stride + i] = da;
    }
    if (!is.sums) continue;
    sum0[i] = s0;
    sum1[i] = s1;
  }
}

/* Each function below makes one word of the case a constant. */
static inline __attribute__((always_inline)) void receive_by_mode(
    surge_cpu_received *rows, const receive_rows *r, surge_mode mode,
    receive_case is) {
  receive_case none = is, write = is, add = is;
  none.mode = DELIVER_NONE;
  write.mode = DELIVER_WRITE;
  add.mode = DELIVER_ADD;
  if (!r->to)
    receive_loop(rows, r, none);
  else if (mode == SURGE_WRITE)
    receive_loop(rows, r, write);
  else
    receive_loop(rows, r, add);
}

static void receive_by_case(surge_cpu_received *rows, const receive_rows *r,
                            surge_mode mode, size_t count, bool sums) {
  const receive_case summed = {.count = 1, .sums = true}, plain = {.count = 1};
  const receive_case summed_stride = {.count = SURGE_STRIDE, .sums = true};
  const receive_case plain_stride = {.count = SURGE_STRIDE};
  if (sums && count == SURGE_STRIDE)
    receive_by_mode(rows, r, mode, summed_stride);
  else if (sums)
    receive_by_mode(rows, r, mode, summed);
  else if (count == SURGE_STRIDE)
    receive_by_mode(rows, r, mode, plain_stride);
  else
    receive_by_mode(rows, r, mode, plain);
}

/* Moves the rows of sums into the group's, of step k. */
static void flush_sums(surge_cpu_received *rows, const surge_cpu_receiver *to,
                       const surge_cpu_inputs *in, int which, size_t g,
                       const surge_cpu_piece *piece, size_t k) {
  size_t C = (size_t)in->C;
  double *total = to->partial + g * partial_count(in, which) + k * 2 * C;
  surge_cpu_fold_into(total, rows->sum0, piece, C);
  surge_cpu_fold_into(total + C, rows->sum1, piece, C);
}

void surge_cpu_receive_steps(surge_cpu_received *rows,
                             const surge_cpu_receiver *to,
                             const surge_cpu_inputs *in, int which, size_t g,
                             const surge_cpu_piece *piece, const float *da,
                             size_t stride, size_t t, size_t count) {
  const surge_neuron_input *input = &in->input[which];
  bool moving = to->da && !input->is_static;
  receive_rows r = {.da = da,
                    .z = surge_cpu_input_at(in, which, t, piece->offset),
                    .to = moving ? to->da + t * in->M + piece->offset : NULL,
                    .da_stride = stride,
                    .z_stride = input->is_static ? 0 : in->M,
                    .to_stride = in->M,
                    .length = piece->length};
  if (to->sums || moving)
    receive_by_case(rows, &r, to->mode, count, to->sums != NULL);
  if (to->sums && input->per_step) flush_sums(rows, to, in, which, g, piece, t);
  if (!to->da || moving) return;
  for (size_t k = count; k-- > 0;) {
    float p = input->step_scale ? input->step_scale[t + k] : 1.0f;
    for (size_t i = 0; i < piece->length; i++)
      rows->da[i] += p * da[k * stride + i];
  }
}

void surge_cpu_receive_end(const surge_cpu_received *rows,
                           const surge_cpu_receiver *to,
                           const surge_cpu_inputs *in, int which,
                           const surge_cpu_piece *piece) {
  if (!to->da || !in->input[which].is_static) return;
  float *own = to->da + piece->offset;
  if (to->mode == SURGE_ADD)
    for (size_t i = 0; i < piece->length; i++) own[i] += rows->da[i];
  else
    memcpy(own, rows->da, piece->length * sizeof *own);
}

void surge_cpu_receive_settle(surge_cpu_received *rows,
                              const surge_cpu_receiver *to,
                              const surge_cpu_inputs *in, int which, size_t g,
                              const surge_cpu_piece *piece) {
  if (to->sums && !in->input[which].per_step)
    flush_sums(rows, to, in, which, g, piece, 0);
}

void surge_cpu_receive_finish(const surge_cpu_receiver *to,
                              const surge_cpu_inputs *in, int which) {
  size_t C = (size_t)in->C;
  const float *rstd = in->input[which].rstd;
  if (!to->sums) return;
  surge_cpu_combine(to->partial, in->groups, partial_count(in, which));
  for (size_t k = 0; k < steps_of(in, which); k++)
    for (size_t c = 0; c < C; c++) {
      size_t at = 2 * k * C + c;
      to->sums[at] = (float)to->partial[at];
      to->sums[at + C] = (float)(to->partial[at + C] * (double)rstd[c]);
    }
}

size_t surge_cpu_receive_stride(const surge_cpu_inputs *in, size_t left) {
  for (int which = 0; which < in->count; which++)
    if (in->input[which].per_step) return 1;
  return left < SURGE_STRIDE ? 1 : SURGE_STRIDE;
}

/* --- pieces that share rows of sums --------------------------------------- */

/* Float additions that make one place: a bound on the chain, large enough that
 * folding costs little. */
#define MAX_TERMS 32

bool surge_cpu_chain_takes(const surge_cpu_chain *chain,
                           const surge_cpu_piece *piece, int32_t T) {
  return chain->terms == 0 || (chain->piece.channel == piece->channel &&
                               chain->terms + (size_t)T <= MAX_TERMS);
}

void surge_cpu_chain_join(surge_cpu_chain *chain, const surge_cpu_piece *piece,
                          int32_t T) {
  if (chain->piece.length < piece->length) chain->piece = *piece;
  chain->terms += (size_t)T;
}
