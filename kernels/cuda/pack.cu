/* pack.cu - spikes in bits, sums of them in bytes, and back; see backend.h.
 *
 * A thread takes V neighbouring elements, 16 bytes. V divides 8: a byte of
 * spikes comes from 8/V neighbours within a warp, who hand their bits down, and
 * the first of them alone writes it.
 * Bytes, b those of an element: pack reads b and writes 1/8 or 1 an element,
 * unpack the other way round. */
#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector.h"
#include "kernels/shared/pack.h"

/* This thread's first element. */
template <int V>
static __device__ size_t first_element(void) {
  return V * (blockIdx.x * (size_t)blockDim.x + threadIdx.x);
}

/* V elements of [count] from `first` on; behind the end they are 0. */
template <int V, typename E>
static __device__ surge_packed<E, V> fetch_some(const E *from, size_t first,
                                                size_t count) {
  if (first + V <= count) return surge_fetch<V>(from + first);
  surge_packed<E, V> some = {};
#pragma unroll
  for (size_t v = 0; v < V; v++)
    if (first + v < count) some.v[v] = from[first + v];
  return some;
}

/* Writes those of V elements that lie within [count]. */
template <int V, typename E>
static __device__ void put_some(E *to, size_t first, size_t count,
                                const surge_packed<E, V> &some) {
  if (first + V <= count) {
    *(surge_packed<E, V> *)(void *)(to + first) = some;
    return;
  }
#pragma unroll
  for (size_t v = 0; v < V; v++)
    if (first + v < count) to[first + v] = some.v[v];
}

/* --- spikes --------------------------------------------------------------- */

/* All lanes of a warp come to the shuffles, with or without elements. */
template <typename E, int V>
__global__ void pack_spikes_kernel(surge_pack a) {
  size_t first = first_element<V>();
  surge_packed<E, V> x = fetch_some<V>((const E *)a.x, first, a.count);
  unsigned byte = 0;
#pragma unroll
  for (int v = 0; v < V; v++) byte |= (unsigned)((float)x.v[v] != 0.0f) << v;
#pragma unroll
  for (int held = V; held < 8; held *= 2)
    byte |= __shfl_down_sync(0xffffffffu, byte, (unsigned)(held / V)) << held;
  if (first % 8 == 0 && first < a.count)
    ((uint8_t *)a.packed)[first / 8] = (uint8_t)byte;
}

template <typename E, int V>
__global__ void unpack_spikes_kernel(surge_pack a) {
  size_t first = first_element<V>();
  if (first >= a.count) return;
  unsigned bits = ((const uint8_t *)a.packed)[first / 8] >> first % 8;
  surge_packed<E, V> x;
#pragma unroll
  for (int v = 0; v < V; v++) x.v[v] = (E)(float)(bits >> v & 1u);
  put_some<V>((E *)a.x, first, a.count, x);
}

/* --- levels --------------------------------------------------------------- */

template <typename E, int V>
__global__ void pack_levels_kernel(surge_pack a) {
  size_t first = first_element<V>();
  surge_packed<E, V> x = fetch_some<V>((const E *)a.x, first, a.count);
  surge_packed<uint8_t, V> k;
#pragma unroll
  for (int v = 0; v < V; v++) k.v[v] = surge_pack_level((float)x.v[v], a.scale);
  put_some<V>((uint8_t *)a.packed, first, a.count, k);
}

template <typename E, int V>
__global__ void unpack_levels_kernel(surge_pack a) {
  size_t first = first_element<V>();
  surge_packed<uint8_t, V> k =
      fetch_some<V>((const uint8_t *)a.packed, first, a.count);
  surge_packed<E, V> x;
#pragma unroll
  for (int v = 0; v < V; v++) x.v[v] = (E)surge_unpack_level(k.v[v], a.scale);
  put_some<V>((E *)a.x, first, a.count, x);
}

/* --- ops ------------------------------------------------------------------ */

/* Queues `wide`, V elements a thread, where both arrays allow it. */
typedef void pack_kernel(surge_pack);

static void queue(surge_context *context, const surge_pack *a, unsigned V,
                  pack_kernel *wide, pack_kernel *narrow) {
  bool whole = surge_aligned(a->packed) && surge_aligned(a->x);
  SURGE_LAUNCH((whole ? wide : narrow),
               surge_cuda_blocks(a->count, SURGE_CUDA_BLOCK * (whole ? V : 1)),
               SURGE_CUDA_BLOCK, 0, context->stream, *a);
}

template <typename E>
static void queue_pack(surge_context *context, const surge_pack *a) {
  const int V = surge_wide<E>;
  if (a->bits == 1)
    queue(context, a, V, pack_spikes_kernel<E, V>, pack_spikes_kernel<E, 1>);
  else
    queue(context, a, V, pack_levels_kernel<E, V>, pack_levels_kernel<E, 1>);
}

template <typename E>
static void queue_unpack(surge_context *context, const surge_pack *a) {
  const int V = surge_wide<E>;
  if (a->bits == 1)
    queue(context, a, V, unpack_spikes_kernel<E, V>,
          unpack_spikes_kernel<E, 1>);
  else
    queue(context, a, V, unpack_levels_kernel<E, V>,
          unpack_levels_kernel<E, 1>);
}

surge_status surge_cuda_pack(surge_context *context, const surge_pack *a) {
  SURGE_TRY(surge_check_pack("pack", a));
  SURGE_BY_TYPE(a->type, queue_pack, context, a);
  return surge_cuda_launched(context, "pack");
}

surge_status surge_cuda_unpack(surge_context *context, const surge_pack *a) {
  SURGE_TRY(surge_check_pack("unpack", a));
  SURGE_BY_TYPE(a->type, queue_unpack, context, a);
  return surge_cuda_launched(context, "unpack");
}
