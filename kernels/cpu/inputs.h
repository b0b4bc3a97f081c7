/* inputs.h - one or two inputs that are added up, forward and back: what the
 * neuron op and the sum share on the CPU.
 *
 * The maps of one step are cut into pieces of at most SURGE_ROW elements. One
 * thread takes a piece through all T steps: it reads z once from memory, and
 * what depends on the channel, spread over the piece's elements, stays in its
 * own cache. The loops are over the elements of a row, without a branch, so
 * that the compiler makes vector code of them; time is the loop outside. */
#ifndef SURGE_KERNELS_CPU_INPUTS_H
#define SURGE_KERNELS_CPU_INPUTS_H

#include "kernels/cpu/cpu.h"

#define SURGE_ROW 256
typedef float surge_row[SURGE_ROW];

/* Steps that are taken through a row at once, where so many are left: what
 * belongs to an element then stays in registers in between. */
#define SURGE_STRIDE 4

/* --- a call's inputs ------------------------------------------------------ */

typedef struct surge_cpu_inputs {
  const surge_neuron_input *input; /* [count]                                */
  int32_t count, T, C;
  surge_cpu_cut cut;
  size_t groups; /* of pieces; each has its own partial sums                 */
  size_t M;      /* elements of one step                                     */
  size_t row;    /* most elements of a piece, at most SURGE_ROW              */
} surge_cpu_inputs;

surge_cpu_inputs surge_cpu_inputs_of(const surge_neuron_input *input,
                                     int32_t count, const surge_map *map,
                                     int32_t T, int32_t N, size_t row);

/* Where input `which` of step t starts. */
static inline const float *surge_cpu_input_at(const surge_cpu_inputs *in,
                                              int which, size_t t,
                                              size_t offset) {
  const surge_neuron_input *input = &in->input[which];
  return surge_cpu_from(input->z, (input->is_static ? 0 : t * in->M) + offset);
}

/* --- rows: what depends on the channel, an element of the piece each ------ */

/* Lanes that a fold for `parts` leaves in a piece. */
static inline size_t surge_cpu_lanes(const surge_cpu_piece *piece,
                                     size_t parts) {
  size_t period = (size_t)piece->period;
  if (parts == 1) return 1;
  return period < piece->length ? period : piece->length;
}

/* Repeats the first `lanes` elements over the row. */
void surge_cpu_repeat(float *row, size_t lanes, size_t length);

/* row[i] = values[channel of element i]; `parts` 1: the same for all. */
void surge_cpu_spread(float *restrict row, const surge_cpu_piece *piece,
                      const float *values, size_t parts);

/* Adds the rows of `lanes` elements that x consists of, by halves, into the
 * first: a chain of log2(length/lanes) additions. */
void surge_cpu_fold(float *x, size_t length, size_t lanes);

/* total[part of lane] += the row's elements, folded; then they are zero. */
void surge_cpu_fold_into(double *total, float *x, const surge_cpu_piece *piece,
                         size_t parts);

/* A group's partial results, [groups, count]: the first becomes the sum of all,
 * in their order. */
void surge_cpu_combine(double *partial, size_t groups, size_t count);

/* --- forward: the sum of the inputs --------------------------------------- */

typedef struct surge_cpu_affine {
  _Alignas(64) surge_row scale[2], shift[2]; /* of each input */
  surge_cpu_piece filled;
} surge_cpu_affine;

/* What differs by channel; false where the piece before had the same. */
bool surge_cpu_affine_fill(surge_cpu_affine *rows, const surge_cpu_inputs *in,
                           const surge_cpu_piece *piece);

/* The sum of the inputs at step t: in `row`, or a pointer to z where the only
 * input is plain. */
const float *surge_cpu_input_sum(float *row, surge_cpu_affine *rows,
                                 const surge_cpu_inputs *in,
                                 const surge_cpu_piece *piece, size_t t);

/* --- backward: what an input receives ------------------------------------- */

/* Where the gradient of one input goes; see neuron_backward in backend.h. */
typedef struct surge_cpu_receiver {
  float *da; /* [T or 1, N] of map by `mode`, or NULL                        */
  surge_mode mode;
  float *sums;     /* [Tk, 2, C], or NULL                                    */
  double *partial; /* [groups, Tk, 2, C], where there are sums               */
} surge_cpu_receiver;

/* One thread's rows of it. */
typedef struct surge_cpu_received {
  surge_cpu_piece filled;            /* of mean                              */
  _Alignas(64) surge_row mean;       /* of a normalised input                */
  _Alignas(64) surge_row da;         /* of a static input, over t            */
  _Alignas(64) surge_row sum0, sum1; /* over t and some pieces: of da and    */
                                     /* da*(z - mean)                        */
} surge_cpu_received;

/* Bytes of the partial sums of input `which`: by sizes alone, for it is asked
 * before there are arrays. */
size_t surge_cpu_partial_bytes(const surge_cpu_inputs *in, int which);

/* Before a group's first piece: rows and partial sums are zero. */
void surge_cpu_receive_group(surge_cpu_received *rows,
                             const surge_cpu_receiver *to,
                             const surge_cpu_inputs *in, int which, size_t g);

/* Before a piece's first step. */
void surge_cpu_receive_piece(surge_cpu_received *rows,
                             const surge_cpu_receiver *to,
                             const surge_cpu_inputs *in, int which,
                             const surge_cpu_piece *piece);

/* Steps t .. t+count-1 (count 1 or SURGE_STRIDE, and 1 where an input has a
 * scale for each step); da of step t+k starts at da + k*stride. */
void surge_cpu_receive_steps(surge_cpu_received *rows,
                             const surge_cpu_receiver *to,
                             const surge_cpu_inputs *in, int which, size_t g,
                             const surge_cpu_piece *piece, const float *da,
                             size_t stride, size_t t, size_t count);

/* After its last: a static input's gradient, which is a sum over steps. */
void surge_cpu_receive_end(const surge_cpu_received *rows,
                           const surge_cpu_receiver *to,
                           const surge_cpu_inputs *in, int which,
                           const surge_cpu_piece *piece);

/* Moves the rows of sums, of `piece`'s channels, into the group's. */
void surge_cpu_receive_settle(surge_cpu_received *rows,
                              const surge_cpu_receiver *to,
                              const surge_cpu_inputs *in, int which, size_t g,
                              const surge_cpu_piece *piece);

/* After all groups: the sums, from the partial ones in order. */
void surge_cpu_receive_finish(const surge_cpu_receiver *to,
                              const surge_cpu_inputs *in, int which);

/* Steps at once when `left` remain: one where sums are taken step by step. */
size_t surge_cpu_receive_stride(const surge_cpu_inputs *in, size_t left);

/* Pieces that share rows of sums: of the same channels, few enough that the
 * chain of float additions behind one place stays short. Zero: none yet. */
typedef struct surge_cpu_chain {
  surge_cpu_piece piece; /* the longest of them                              */
  size_t terms;          /* of one place                                     */
} surge_cpu_chain;

/* Whether a piece of T terms may join; if not, the rows are settled first and
 * the chain is zero again. */
bool surge_cpu_chain_takes(const surge_cpu_chain *chain,
                           const surge_cpu_piece *piece, int32_t T);
void surge_cpu_chain_join(surge_cpu_chain *chain, const surge_cpu_piece *piece,
                          int32_t T);

#endif
