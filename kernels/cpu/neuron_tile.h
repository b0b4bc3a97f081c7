/* neuron_tile.h - what the forward and backward neuron ops share on the CPU.
 *
 * The maps of one step are cut into tiles of E neurons that stay in the first
 * cache: all T steps of a tile are walked before the next begins, with plain
 * loops over its E neurons, which the compiler turns into vectors. Everything
 * that depends on the channel is spread over the tile once. Tiles are dealt to
 * SURGE_CPU_GROUPS groups by sizes alone; a group has scratch and partial sums
 * of its own, and partials are added in the order of the groups. */
#ifndef SURGE_KERNELS_CPU_NEURON_TILE_H
#define SURGE_KERNELS_CPU_NEURON_TILE_H

#include "kernels/cpu/cpu.h"
#include "kernels/shared/moments.h"

#define SURGE_TILE 256 /* most neurons of a tile */

/* Sizes that follow from an op's arguments. */
typedef struct surge_neuron_tiling {
  surge_cpu_cut cut;
  size_t groups, M;      /* groups; elements of one step                       */
  size_t E;              /* most neurons of a tile                             */
  size_t T, C;
  size_t group_bytes;    /* workspace of a group                               */
} surge_neuron_tiling;

surge_neuron_tiling surge_neuron_tiling_of(const surge_neuron *n);

/* Partial sums of a group, in double; sizes for the most that an op may ask.
 * Order of the arrays in a group's workspace. */
typedef struct surge_neuron_partials {
  double *sums[2];       /* [Tk, 2, C] an input                                */
  double *width;         /* [C] -sum delta x h                                 */
  double *decay;         /* [1]                                                */
  double *pda;           /* [1] quantization: sum of D                         */
  surge_moments *moments; /* [C]                                               */
  double *fault;         /* [1] 1: not finite                                  */
  surge_neuron_statistics *statistics; /* [T]                                  */
  uint64_t *histogram;   /* [SURGE_HISTOGRAM_BINS + 2]                         */
  float *u;              /* [T, E] scratch                                     */
} surge_neuron_partials;

surge_neuron_partials surge_neuron_partials_of(const surge_neuron *n,
                                               const surge_neuron_tiling *tiling,
                                               size_t g);

/* A tile, with the per-channel values spread over its neurons. */
typedef struct surge_neuron_tile {
  const surge_neuron *n;
  surge_cpu_piece piece;
  size_t M;
  float inv_w[2][SURGE_TILE];    /* 1/w at t = 0 and after                     */
  float scale[2][SURGE_TILE], shift[2][SURGE_TILE]; /* of each input           */
} surge_neuron_tile;

/* Begins a tile: widths, and the affine maps that do not change by step. */
void surge_neuron_tile_begin(surge_neuron_tile *tile, const surge_neuron *n,
                             const surge_neuron_tiling *tiling, size_t p);

/* spread[i] = values[channel of i], of the tile's neurons. */
void surge_neuron_spread(float *spread, const float *values,
                         const surge_cpu_piece *piece);

/* The current of step t before the gain: x[i] = a0 + a1. */
void surge_neuron_current(surge_neuron_tile *tile, size_t t, float *x);

/* Row t of input k for the tile (row 0 where it is static). */
static inline const float *surge_neuron_z(const surge_neuron_tile *tile,
                                          int32_t k, size_t t) {
  const surge_neuron_input *in = &tile->n->input[k];
  return in->z + (in->is_static ? 0 : t * tile->M) + tile->piece.offset;
}

/* 1/w of step t. */
static inline const float *surge_neuron_inv_w(const surge_neuron_tile *tile,
                                              size_t t) {
  return tile->inv_w[t > 0];
}

/* Adds v[i], of the tile's neurons, to total[channel of i]; `channels` false:
 * all to total[0]. */
void surge_neuron_reduce(double *total, const float *v,
                         const surge_cpu_piece *piece, bool channels);

#endif
