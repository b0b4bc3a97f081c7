/* input.cu - images and rates become the network's input; who draws which
 * number stands in kernels/shared/input.h.
 *
 * Bytes, b those of an element, for N maps of E elements:
 *   augment   reads T E N bytes of image (2 T E N where mixed), writes b T E N
 *   poisson   reads b E N (T times, from the cache), writes b T E N */
#include <surge/data.h>

#include "kernels/cuda/check.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector.h"
#include "kernels/shared/input.h"

/* --- augment --------------------------------------------------------------- */

/* The host's arrays of a call, handed over by value. */
typedef struct channel_scales {
  float mean[SURGE_MAX_CHANNELS], std[SURGE_MAX_CHANNELS];
} channel_scales;

/* Selects, not an index: arguments that are indexed would go to memory. */
static __device__ float scale_of(const float *scales, size_t c) {
  float scale = scales[0];
#pragma unroll
  for (size_t k = 1; k < SURGE_MAX_CHANNELS; k++)
    scale = c == k ? scales[k] : scale;
  return scale;
}

/* V neighbouring elements of an image's map. */
template <typename E, int V, bool MIX>
__global__ void augment_kernel(surge_augment a, channel_scales scales,
                               size_t items) {
  size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (i >= items) return;
  size_t per_image = surge_map_elements(&a.map) / V, map = i / per_image;
  size_t N = (size_t)a.N, t = map / N, n = map % N;
  size_t C = (size_t)a.map.c, W = (size_t)a.map.w;
  surge_shown own = surge_show(&a, t, n), other = own;
  if (MIX) other = surge_show(&a, t, surge_mix_partner(n, N));
  surge_values<V> x;
#pragma unroll
  for (int v = 0; v < V; v++) {
    size_t element = V * (i % per_image) + (size_t)v, pixel = element / C;
    int32_t row = (int32_t)(pixel / W), column = (int32_t)(pixel % W);
    int32_t c = (int32_t)(element % C);
    float mean = scale_of(scales.mean, (size_t)c);
    float std = scale_of(scales.std, (size_t)c);
    x.v[v] = surge_shown_value(&own, &a.map, row, column, c, mean, std);
    if (MIX)
      x.v[v] = surge_mix_values(
          &a.step->mix, row, column, x.v[v],
          surge_shown_value(&other, &a.map, row, column, c, mean, std));
  }
  surge_store((E *)a.x + V * i, x);
}

template <typename E, bool MIX>
static void launch_augment(surge_context *context, const surge_augment *a,
                           const channel_scales &scales) {
  const int V = surge_wide<E>;
  size_t elements = surge_map_elements(&a->map);
  bool wide = elements % V == 0 && surge_aligned(a->x);
  size_t maps = (size_t)a->T * (size_t)a->N;
  size_t items = maps * (wide ? elements / V : elements);
  SURGE_LAUNCH((wide ? augment_kernel<E, V, MIX> : augment_kernel<E, 1, MIX>),
               surge_cuda_blocks(items, SURGE_CUDA_BLOCK), SURGE_CUDA_BLOCK, 0,
               context->stream, *a, scales, items);
}

/* Mixing has kernels of its own: the others do not pay for it. */
template <typename E>
static void queue_augment(surge_context *context, const surge_augment *a,
                          const channel_scales &scales) {
  if (a->mix)
    launch_augment<E, true>(context, a, scales);
  else
    launch_augment<E, false>(context, a, scales);
}

static surge_status check_channels(const surge_augment *a) {
  if (a->map.c <= SURGE_MAX_CHANNELS) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                    "augment: map: wanted at most %d channels, found %d",
                    SURGE_MAX_CHANNELS, a->map.c);
}

surge_status surge_cuda_augment(surge_context *context,
                                const surge_augment *a) {
  SURGE_TRY(surge_check_augment(a));
  SURGE_TRY(surge_cuda_check_layout("augment", &a->map));
  SURGE_TRY(check_channels(a));
  channel_scales scales = {};
  for (int32_t c = 0; c < a->map.c; c++) {
    scales.mean[c] = a->mean[c];
    scales.std[c] = a->std[c];
  }
  SURGE_BY_TYPE(a->map.type, queue_augment, context, a, scales);
  return surge_cuda_launched(context, "augment");
}

/* --- poisson --------------------------------------------------------------- */

/* A thread a quad, whose four elements share a draw; a map's last quad may be
 * cut short unless V = 4. */
template <typename E, int V>
__global__ void poisson_kernel(surge_poisson a, size_t items) {
  size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (i >= items) return;
  size_t quads = surge_map_quads(&a.map), q = i % quads, map = i / quads;
  size_t n = map % (size_t)a.N, t = map / (size_t)a.N;
  size_t elements = surge_map_elements(&a.map);
  const E *x = (const E *)a.x + n * elements;
  E *s = (E *)a.s + map * elements;
  surge_philox4 draw =
      surge_philox(a.step->seed, a.step->epoch, SURGE_RANDOM_POISSON,
                   a.sample[n], (uint32_t)(t * quads + q));
#pragma unroll
  for (size_t k = 0; k < 4; k += V) {
    if (4 * q + k >= elements) break;
    surge_values<V> value = surge_load<V>(x + 4 * q + k);
#pragma unroll
    for (int v = 0; v < V; v++)
      value.v[v] =
          surge_uniform(draw.x[k + (size_t)v]) < value.v[v] ? 1.0f : 0.0f;
    surge_store(s + 4 * q + k, value);
  }
}

template <typename E>
static void queue_poisson(surge_context *context, const surge_poisson *a) {
  bool wide = surge_map_elements(&a->map) % 4 == 0 && surge_aligned(a->x) &&
              surge_aligned(a->s);
  size_t items = (size_t)a->T * (size_t)a->N * surge_map_quads(&a->map);
  SURGE_LAUNCH((wide ? poisson_kernel<E, 4> : poisson_kernel<E, 1>),
               surge_cuda_blocks(items, SURGE_CUDA_BLOCK), SURGE_CUDA_BLOCK, 0,
               context->stream, *a, items);
}

surge_status surge_cuda_poisson(surge_context *context,
                                const surge_poisson *a) {
  SURGE_TRY(surge_check_poisson(a));
  SURGE_TRY(surge_cuda_check_layout("poisson", &a->map));
  SURGE_BY_TYPE(a->map.type, queue_poisson, context, a);
  return surge_cuda_launched(context, "poisson");
}
