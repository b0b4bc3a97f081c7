/* dropout.cu - one mask for all steps: a thread draws a quad's numbers once and
 * takes its four elements through time.
 *
 * Bytes, b those of an element, for T N maps of E elements: reads b T E N,
 * writes b T E N. */
#include "kernels/cuda/check.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector.h"
#include "kernels/shared/input.h"

/* mask/(1-p) of quad q of sample n. */
static __device__ surge_values<4> draw_factors(const surge_dropout &a, size_t n,
                                               size_t q) {
  surge_philox4 draw =
      surge_philox(a.step->seed, a.step->epoch, SURGE_RANDOM_DROPOUT + a.index,
                   a.sample[n], (uint32_t)q);
  float kept = 1.0f / (1.0f - a.p);
  surge_values<4> factor;
#pragma unroll
  for (int k = 0; k < 4; k++)
    factor.v[k] = surge_uniform(draw.x[k]) < a.p ? 0.0f : kept;
  return factor;
}

/* A map's last quad may be cut short unless V = 4. */
template <typename E, int V>
__global__ void dropout_kernel(surge_dropout a, size_t items) {
  size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (i >= items) return;
  size_t elements = surge_map_elements(&a.map), quads = surge_map_quads(&a.map);
  size_t n = i / quads, q = i % quads, step = (size_t)a.N * elements;
  surge_values<4> factor = draw_factors(a, n, q);
  for (size_t t = 0; t < (size_t)a.T; t++)
#pragma unroll
    for (size_t k = 0; k < 4; k += V) {
      if (4 * q + k >= elements) break;
      size_t at = t * step + n * elements + 4 * q + k;
      surge_values<V> x = surge_load<V>((const E *)a.x + at);
#pragma unroll
      for (int v = 0; v < V; v++) x.v[v] *= factor.v[k + (size_t)v];
      surge_store((E *)a.y + at, x);
    }
}

template <typename E>
static void queue(surge_context *context, const surge_dropout *a) {
  bool wide = surge_map_elements(&a->map) % 4 == 0 && surge_aligned(a->x) &&
              surge_aligned(a->y);
  size_t items = (size_t)a->N * surge_map_quads(&a->map);
  SURGE_LAUNCH((wide ? dropout_kernel<E, 4> : dropout_kernel<E, 1>),
               surge_cuda_blocks(items, SURGE_CUDA_BLOCK), SURGE_CUDA_BLOCK, 0,
               context->stream, *a, items);
}

surge_status surge_cuda_dropout(surge_context *context,
                                const surge_dropout *a) {
  SURGE_TRY(surge_check_dropout(a));
  SURGE_TRY(surge_cuda_check_layout("dropout", &a->map));
  SURGE_BY_TYPE(a->map.type, queue, context, a);
  return surge_cuda_launched(context, "dropout");
}
