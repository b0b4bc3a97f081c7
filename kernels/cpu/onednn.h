/* onednn.h - convolutions of oneDNN, each for one thread, ready to run.
 *
 * oneDNN's API differs between 2.x and 3.x, and its description of a call takes
 * more lines than the call: both stay in onednn.c. Every primitive is made for
 * one thread, because with several oneDNN splits reductions by their number and
 * the bits follow it; kernels/cpu/conv2d.c runs many side by side. */
#ifndef SURGE_KERNELS_CPU_ONEDNN_H
#define SURGE_KERNELS_CPU_ONEDNN_H

#include <surge/backend.h>

typedef enum surge_onednn_pass {
  SURGE_ONEDNN_FORWARD,
  SURGE_ONEDNN_BACKWARD_DATA,
  SURGE_ONEDNN_BACKWARD_WEIGHTS,
  SURGE_ONEDNN_PASSES
} surge_onednn_pass;

/* One pass of one convolution. It has a primitive for each of a few numbers of
 * images (`level` counts them) and, for each of `slots` threads, the memory
 * objects of a call, so that running allocates none. The packed weights, in the
 * order that the primitives prefer, are the same for all levels. Where oneDNN
 * has no fast code for the maps as they lie (a blocked one beside one that is
 * not, say), a call rearranges its images within its scratch. */
typedef struct surge_onednn_conv surge_onednn_conv;

/* images[levels] are the numbers of images, ascending; it must stay. Must be
 * released also where this failed. */
surge_status surge_onednn_create(surge_onednn_conv **conv,
                                 const surge_conv2d_shape *shape,
                                 surge_onednn_pass pass, const size_t *images,
                                 int levels, int slots);
void surge_onednn_release(surge_onednn_conv *conv); /* NULL: nothing */

size_t surge_onednn_packed_bytes(const surge_onednn_conv *conv);
size_t surge_onednn_scratch_bytes(const surge_onednn_conv *conv); /* a call */

/* packed = w in the primitives' order, and back. w is [K, kernel, kernel,
 * C/groups]. Called outside parallel regions. */
surge_status surge_onednn_pack(const surge_onednn_conv *conv, void *packed,
                               const float *w);
surge_status surge_onednn_unpack(const surge_onednn_conv *conv, float *w,
                                 void *packed);

/* What a call reads and writes: x or dx, y or dy, packed w or dw, b or db. */
typedef struct surge_onednn_arrays {
  void *x, *y, *packed, *bias, *scratch;
} surge_onednn_arrays;

/* Runs the primitive of `level` on the calling thread, which must be the only
 * one with this slot. Returns 0 or oneDNN's status, for surge_onednn_check. */
int surge_onednn_run(const surge_onednn_conv *conv, int level, int slot,
                     const surge_onednn_arrays *arrays);

/* SURGE_OK for 0, else a SURGE_ERROR_DEVICE that names the op. */
surge_status surge_onednn_check(const char *op, int status);

#endif
