/* spikes.h - convolutions that skip the zeros of x.
 *
 * Behind a neuron most of x is 0, and x + 0 w = x: only what is not 0 needs its
 * products with the weights (forward) or with dy (gradient of the weights).
 * Every value counts as itself, so spikes that were pooled (multiples of 1/4)
 * or scaled by a dropout are served like plain ones. The gradient of x cannot
 * skip: dy is dense. Functions work on one image, on the calling thread, and
 * allocate nothing; kernels/cpu/conv2d.c chooses between them and oneDNN.
 *
 * What is skipped is not looked at: 0 times a weight that is not finite adds
 * nothing here. The gradient meets zeros beyond dy's edges, so an x that is not
 * finite may make NaN of a dw that it has no part in. */
#ifndef SURGE_KERNELS_CPU_SPIKES_H
#define SURGE_KERNELS_CPU_SPIKES_H

#include <surge/backend.h>

/* How a convolution's arrays are cut. Weights and their gradient are packed
 * as [tiles][kernel][kernel][C][tile]; what a last tile has beyond K is neither
 * written nor read. */
typedef struct surge_spikes {
  surge_conv2d_shape shape;
  int32_t tile, tiles;    /* output channels side by side, multiple of 8      */
  int32_t kernel_rows;    /* of a tile's weights that stay in cache together  */
  int32_t strip;          /* rows of x whose dy stays in cache                */
  size_t packed, scratch; /* floats of packed weights; bytes of scratch       */

  /* Non-zeros of an image up to which skipping is faster than oneDNN; 0 where
   * it never is, or not for these maps. */
  size_t forward_limit, gradient_limit;
} surge_spikes;

surge_spikes surge_spikes_of(const surge_conv2d_shape *shape);

/* packed = w, [K, kernel, kernel, C], and dw += packed. */
void surge_spikes_pack(const surge_spikes *s, float *packed, const float *w);
void surge_spikes_unpack(const surge_spikes *s, float *dw, const float *packed);

/* y = conv(x, w) + b of one image; b may be NULL. */
void surge_spikes_forward(const surge_spikes *s, float *y, const float *x,
                          const float *packed, const float *b, void *scratch);

/* packed += gradient of the weights, db (or NULL) += sum of dy, of one image. */
void surge_spikes_gradient(const surge_spikes *s, float *packed, float *db,
                           const float *dy, const float *x, void *scratch);

#endif
