/* loss.cu - losses over a batch; the formulas are in kernels/shared/loss.h.
 *
 * One block: a thread takes every LOSS_BLOCK-th sample, and the sums meet in
 * an order that the block's size fixes. A batch has few logits, so the bytes do
 * not count: reads [T, N, classes*vote] some five times, from the cache, and
 * writes it once. */
#include "kernels/cuda/fault.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/reduce.h"
#include "kernels/shared/loss.h"

#define LOSS_BLOCK 256

__global__ void loss_kernel(surge_loss a) {
  double loss = 0, correct = 0; /* a count, exact */
  for (int32_t n = (int32_t)threadIdx.x; n < a.N; n += LOSS_BLOCK) {
    bool hit;
    loss += surge_loss_sample(&a, n, &hit);
    correct += hit;
  }
  loss = surge_block_sum(loss);
  correct = surge_block_sum(correct);
  if (threadIdx.x > 0) return;
  a.metrics->loss += loss;
  a.metrics->correct += (uint64_t)correct;
  a.metrics->samples += (uint64_t)a.N;
  if (!isfinite(loss)) surge_cuda_fault(a.fault, a.layer);
}

surge_status surge_cuda_loss(surge_context *context, const surge_loss *a) {
  SURGE_TRY(surge_check_loss(a));
  SURGE_LAUNCH(loss_kernel, 1u, LOSS_BLOCK, 0, context->stream, *a);
  return surge_cuda_launched(context, "loss");
}
