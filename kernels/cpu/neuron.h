/* neuron.h - what the two directions of the neuron op share on the CPU.
 *
 * The maps of one step are cut into pieces of at most SURGE_ROW elements. One
 * thread takes a piece through all T steps: it reads z (and dL/ds) once from
 * memory, and everything else - v, u of all steps, what depends on the channel
 * spread over the piece's elements - stays in its own cache. The loops
 * are over the elements of a row, without a branch, so that the compiler makes
 * vector code of them; time is the loop outside. */
#ifndef SURGE_KERNELS_CPU_NEURON_H
#define SURGE_KERNELS_CPU_NEURON_H

#include "kernels/cpu/cpu.h"
#include "kernels/shared/neuron.h"

#define SURGE_ROW 256
typedef float surge_row[SURGE_ROW];

/* --- a call, and its parts ----------------------------------------------- */

typedef struct surge_cpu_neuron {
  const surge_neuron *a;
  surge_cpu_cut cut;
  size_t groups; /* of pieces; each has its own partial sums                 */
  size_t M;      /* elements of one step                                     */
  size_t row;    /* most elements of a piece: fewer where T is large         */
} surge_cpu_neuron;

surge_cpu_neuron surge_cpu_neuron_call(const surge_neuron *a);

/* Channels (or 1) that a granularity tells apart. */
static inline size_t surge_cpu_parts(const surge_neuron *a,
                                     surge_granularity granularity) {
  return granularity == SURGE_PER_CHANNEL ? (size_t)a->map.c : 1;
}

/* Bytes of workspace that each direction takes. */
size_t surge_cpu_neuron_forward_workspace(surge_context *context,
                                          const surge_neuron *a);
size_t surge_cpu_neuron_backward_workspace(surge_context *context,
                                           const surge_neuron *a);

/* --- rows: what depends on the channel, an element of the piece each ------ */

typedef struct surge_cpu_rows {
  _Alignas(64) surge_row scale[2], shift[2];   /* of each input */
  _Alignas(64) surge_row width[2], inverse[2]; /* w, 1/w at t = 0, t > 0 */
  surge_cpu_piece filled; /* the piece these rows were filled for */
} surge_cpu_rows;

/* Repeats the first `lanes` elements over the row. */
void surge_cpu_repeat(float *row, size_t lanes, size_t length);

/* row[i] = values[channel of element i]; `parts` 1: the same for all. */
void surge_cpu_spread(float *restrict row, const surge_cpu_piece *piece,
                      const float *values, size_t parts);

/* What is the same for all pieces: a width a layer. Before any fill. */
void surge_cpu_rows_start(surge_cpu_rows *rows, const surge_cpu_neuron *call);

/* What differs by channel; nothing where the piece before had the same. */
bool surge_cpu_rows_fill(surge_cpu_rows *rows, const surge_cpu_neuron *call,
                         const surge_cpu_piece *piece);

/* Adds the rows of `lanes` elements that x consists of, by halves, into the
 * first: a chain of log2(length/lanes) additions. */
void surge_cpu_fold(float *x, size_t length, size_t lanes);

/* total[part of lane] += the row's elements, folded; x is used up. */
void surge_cpu_fold_into(double *total, float *x, const surge_cpu_piece *piece,
                         size_t parts);

/* Lanes that a fold for `parts` leaves in a piece. */
static inline size_t surge_cpu_lanes(const surge_cpu_piece *piece,
                                     size_t parts) {
  size_t period = (size_t)piece->period;
  if (parts == 1) return 1;
  return period < piece->length ? period : piece->length;
}

/* --- one step of a piece -------------------------------------------------- */

/* Where input `which` of step t starts. */
static inline const float *surge_cpu_input_at(const surge_cpu_neuron *call,
                                              int which, size_t t,
                                              size_t offset) {
  const surge_neuron_input *input = &call->a->input[which];
  return surge_cpu_from(input->z,
                        (input->is_static ? 0 : t * call->M) + offset);
}

/* x = sum of the inputs at step t, before the gain: in `row`, or a pointer to
 * z where the only input is plain. */
const float *surge_cpu_neuron_input(float *row, surge_cpu_rows *rows,
                                    const surge_cpu_neuron *call,
                                    const surge_cpu_piece *piece, size_t t);

/* Steps that are taken through a row at once, where so many are left: v and
 * what belongs to the channel then stay in registers in between. */
#define SURGE_STRIDE 4

/* Steps to take at once when `left` remain. The smooth twin, made for proofs
 * and not for speed, goes step by step. */
static inline size_t surge_cpu_stride(const surge_neuron *a, size_t left) {
  return left < SURGE_STRIDE || a->spec.soft_forward ? 1 : SURGE_STRIDE;
}

/* Rows of several steps: that of step k starts at first + k*stride. */
typedef struct surge_cpu_steps {
  float *first;
  size_t stride;
} surge_cpu_steps;

/* u and s (either may be NULL) of steps t .. t+count-1, count 1 or
 * SURGE_STRIDE; v of step t-1 becomes that of the last. False where s
 * is wanted and a u is not finite. */
bool surge_cpu_neuron_step(surge_cpu_steps u, surge_cpu_steps s,
                           float *restrict v, surge_cpu_rows *rows,
                           const surge_cpu_neuron *call,
                           const surge_cpu_piece *piece, size_t t,
                           size_t count);

/* v before the first step: v_in or 0. */
void surge_cpu_neuron_start(float *v, const surge_cpu_neuron *call,
                            const surge_cpu_piece *piece);

#endif
