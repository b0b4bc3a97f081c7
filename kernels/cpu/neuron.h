/* neuron.h - what the two directions of the neuron op share on the CPU.
 *
 * One thread takes a piece (inputs.h) through all T steps: it reads z (and
 * dL/ds) once from memory, and everything else - v, u of all steps, what
 * depends on the channel spread over the piece's elements - stays in its own
 * cache. */
#ifndef SURGE_KERNELS_CPU_NEURON_H
#define SURGE_KERNELS_CPU_NEURON_H

#include "kernels/cpu/inputs.h"
#include "kernels/shared/neuron.h"

/* --- a call, and its parts ----------------------------------------------- */

typedef struct surge_cpu_neuron {
  const surge_neuron *a;
  surge_cpu_inputs in; /* rows are shorter where T is large */
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
  surge_cpu_affine affine;
  _Alignas(64) surge_row width[2], inverse[2]; /* w, 1/w at t = 0, t > 0 */
} surge_cpu_rows;

/* What is the same for all pieces: a width a layer. Before any fill. */
void surge_cpu_rows_start(surge_cpu_rows *rows, const surge_cpu_neuron *call);

/* What differs by channel; false where the piece before had the same. */
bool surge_cpu_rows_fill(surge_cpu_rows *rows, const surge_cpu_neuron *call,
                         const surge_cpu_piece *piece);

/* --- one step of a piece -------------------------------------------------- */

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

/* What a step hands on to the next: the membrane, and the synapse's current
 * where there is a synapse. */
typedef struct surge_cpu_state {
  _Alignas(64) surge_row v, i;
} surge_cpu_state;

/* u and s (either may be NULL) of steps t .. t+count-1, count 1 or
 * SURGE_STRIDE; the state of step t-1 becomes that of the last. False where s
 * is wanted and a u is not finite. */
bool surge_cpu_neuron_step(surge_cpu_steps u, surge_cpu_steps s,
                           surge_cpu_state *state, surge_cpu_rows *rows,
                           const surge_cpu_neuron *call,
                           const surge_cpu_piece *piece, size_t t,
                           size_t count);

/* The piece's part of a state [N] of map, or 0 where that is NULL. */
void surge_cpu_start_row(float *row, const float *from,
                         const surge_cpu_piece *piece);

/* The state before the first step: v_in, i_in. */
void surge_cpu_neuron_start(surge_cpu_state *state,
                            const surge_cpu_neuron *call,
                            const surge_cpu_piece *piece);

#endif
