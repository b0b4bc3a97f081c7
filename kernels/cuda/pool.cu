/* pool.cu - average and maximum pooling; see backend.h.
 *
 * Forward: a thread a window, V channels. Backward: a thread a pixel of dx,
 * which gathers from the windows that hold it in their order, so that each
 * element is written once and the bits are those of the CPU's scatter. The
 * maximum is found anew for each pixel of a window: kernel^2 reads of x, all
 * but the first from the cache.
 * Bytes, b those of an element, I and O elements of in and out:
 *   average   forward reads b I, writes b O; backward reads b O, writes b I
 *   maximum   the same, and backward reads x, b I
 *   SURGE_ADD reads dx too, b I */
#include "kernels/cuda/check.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector.h"

/* Where a thread's V channels lie in maps of images. */
typedef struct pool_place {
  size_t image;
  int32_t y, x;
  size_t channel;
} pool_place;

static __device__ size_t thread_index(void) {
  return blockIdx.x * (size_t)blockDim.x + threadIdx.x;
}

/* Place of item i, V channels an item. */
template <int V>
static __device__ pool_place place_of(const surge_map *map, size_t i) {
  size_t columns = (size_t)map->c / V, w = (size_t)map->w, h = (size_t)map->h;
  size_t pixel = i / columns, row = pixel / w;
  pool_place p = {row / h, (int32_t)(row % h), (int32_t)(pixel % w),
                  V * (i % columns)};
  return p;
}

/* Index of pixel (y, x) of a place's image, at its channel. */
static __device__ size_t index_of(const surge_map *map, const pool_place &p,
                                  int32_t y, int32_t x) {
  size_t row = p.image * (size_t)map->h + (size_t)y;
  return (row * (size_t)map->w + (size_t)x) * (size_t)map->c + p.channel;
}

/* --- one window ----------------------------------------------------------- */

/* The pixels of window (oy, ox) that lie in the map, of each side the first
 * and the one behind the last. */
typedef struct window_pixels {
  int32_t y, x, end_y, end_x;
} window_pixels;

static __device__ window_pixels pixels_of(const surge_pool &a, int32_t oy,
                                          int32_t ox) {
  int32_t y = oy * a.stride - a.pad, x = ox * a.stride - a.pad;
  window_pixels w = {max(y, 0), max(x, 0), min(y + a.kernel, a.in.h),
                     min(x + a.kernel, a.in.w)};
  return w;
}

/* Mean of window (y, x) of out, row by row, so that errors grow with 2*kernel,
 * not with kernel^2. */
template <typename E, int V>
static __device__ surge_values<V> window_mean(const surge_pool &a,
                                              const pool_place &p) {
  surge_values<V> sum = {};
  window_pixels w = pixels_of(a, p.y, p.x);
  for (int32_t iy = w.y; iy < w.end_y; iy++) {
    surge_values<V> row = {};
    for (int32_t ix = w.x; ix < w.end_x; ix++) {
      surge_values<V> x =
          surge_load<V>((const E *)a.x + index_of(&a.in, p, iy, ix));
#pragma unroll
      for (int v = 0; v < V; v++) row.v[v] += x.v[v];
    }
#pragma unroll
    for (int v = 0; v < V; v++) sum.v[v] += row.v[v];
  }
#pragma unroll
  for (int v = 0; v < V; v++) sum.v[v] /= (float)(a.kernel * a.kernel);
  return sum;
}

/* The maximum of V channels of a window, and which pixel (row-major, of the
 * map) has it first. */
template <int V>
struct maxima {
  surge_values<V> best;
  int32_t where[V];
};

/* Of window (oy, ox). NaN beats every number, as in PyTorch: a fault must not
 * vanish. */
template <typename E, int V>
static __device__ maxima<V> window_maximum(const surge_pool &a,
                                           const pool_place &p, int32_t oy,
                                           int32_t ox) {
  maxima<V> m;
  const E *in = (const E *)a.x;
  window_pixels w = pixels_of(a, oy, ox);
  m.best = surge_load<V>(in + index_of(&a.in, p, w.y, w.x));
#pragma unroll
  for (int v = 0; v < V; v++) m.where[v] = w.y * a.in.w + w.x;
  for (int32_t iy = w.y; iy < w.end_y; iy++)
    for (int32_t ix = w.x; ix < w.end_x; ix++) {
      surge_values<V> x = surge_load<V>(in + index_of(&a.in, p, iy, ix));
#pragma unroll
      for (int v = 0; v < V; v++) {
        bool beats = x.v[v] > m.best.v[v] || isnan(x.v[v]);
        m.best.v[v] = beats ? x.v[v] : m.best.v[v];
        m.where[v] = beats ? iy * a.in.w + ix : m.where[v];
      }
    }
  return m;
}

/* --- forward --------------------------------------------------------------- */

template <typename E, int V, bool maximum>
__global__ void forward_kernel(surge_pool a, size_t items) {
  size_t i = thread_index();
  if (i >= items) return;
  pool_place p = place_of<V>(&a.out, i);
  surge_values<V> y;
  if (maximum)
    y = window_maximum<E, V>(a, p, p.y, p.x).best;
  else
    y = window_mean<E, V>(a, p);
  surge_store((E *)a.y + V * i, y);
}

/* --- backward -------------------------------------------------------------- */

/* First and last window along one side that hold pixel `at`, of `out`; none
 * where the first is behind the last. */
static __device__ int32_t first_window(const surge_pool &a, int32_t at) {
  int32_t padded = at + a.pad;
  return padded < a.kernel ? 0 : (padded - a.kernel) / a.stride + 1;
}

static __device__ int32_t last_window(const surge_pool &a, int32_t at,
                                      int32_t out) {
  return min((at + a.pad) / a.stride, out - 1);
}

/* What window (oy, ox) gives to pixel p. */
template <typename E, int V, bool maximum>
static __device__ surge_values<V> share_of(const surge_pool &a,
                                           const pool_place &p, int32_t oy,
                                           int32_t ox) {
  surge_values<V> dy =
      surge_load<V>((const E *)a.dy + index_of(&a.out, p, oy, ox));
  if (maximum) {
    maxima<V> m = window_maximum<E, V>(a, p, oy, ox);
    int32_t own = p.y * a.in.w + p.x;
#pragma unroll
    for (int v = 0; v < V; v++) dy.v[v] = m.where[v] == own ? dy.v[v] : 0.0f;
  } else {
#pragma unroll
    for (int v = 0; v < V; v++) dy.v[v] /= (float)(a.kernel * a.kernel);
  }
  return dy;
}

template <typename E, int V, bool maximum>
__global__ void backward_kernel(surge_pool a, size_t items) {
  size_t i = thread_index();
  if (i >= items) return;
  pool_place p = place_of<V>(&a.in, i);
  surge_values<V> dx = {};
  if (a.mode == SURGE_ADD) dx = surge_load<V>((const E *)a.dx + V * i);
  int32_t last_y = last_window(a, p.y, a.out.h);
  int32_t last_x = last_window(a, p.x, a.out.w);
  for (int32_t oy = first_window(a, p.y); oy <= last_y; oy++)
    for (int32_t ox = first_window(a, p.x); ox <= last_x; ox++) {
      surge_values<V> share = share_of<E, V, maximum>(a, p, oy, ox);
#pragma unroll
      for (int v = 0; v < V; v++) dx.v[v] += share.v[v];
    }
  surge_store((E *)a.dx + V * i, dx);
}

/* --- ops ------------------------------------------------------------------- */

/* Queues `wide` or `narrow` over the elements of images of `map`. */
typedef void pool_kernel(surge_pool, size_t);

static void queue(surge_context *context, const surge_pool *a,
                  const surge_map *map, size_t V, pool_kernel *wide,
                  pool_kernel *narrow) {
  size_t elements = a->images * surge_map_elements(map);
  bool whole = (size_t)map->c % V == 0 && surge_aligned(a->x) &&
               surge_aligned(a->y) && surge_aligned(a->dx) &&
               surge_aligned(a->dy);
  size_t items = whole ? elements / V : elements;
  SURGE_LAUNCH((whole ? wide : narrow),
               surge_cuda_blocks(items, SURGE_CUDA_BLOCK), SURGE_CUDA_BLOCK, 0,
               context->stream, *a, items);
}

template <typename E>
static void queue_forward(surge_context *context, const surge_pool *a,
                          bool maximum) {
  const int V = surge_wide<E>;
  if (maximum)
    queue(context, a, &a->out, V, forward_kernel<E, V, true>,
          forward_kernel<E, 1, true>);
  else
    queue(context, a, &a->out, V, forward_kernel<E, V, false>,
          forward_kernel<E, 1, false>);
}

template <typename E>
static void queue_backward(surge_context *context, const surge_pool *a,
                           bool maximum) {
  const int V = surge_wide<E>;
  if (maximum)
    queue(context, a, &a->in, V, backward_kernel<E, V, true>,
          backward_kernel<E, 1, true>);
  else
    queue(context, a, &a->in, V, backward_kernel<E, V, false>,
          backward_kernel<E, 1, false>);
}

static surge_status forward(surge_context *context, const char *op,
                            const surge_pool *a, bool maximum) {
  SURGE_TRY(surge_check_pool_forward(op, a));
  SURGE_TRY(surge_cuda_check_layout(op, &a->in));
  SURGE_BY_TYPE(a->in.type, queue_forward, context, a, maximum);
  return surge_cuda_launched(context, op);
}

static surge_status backward(surge_context *context, const char *op,
                             const surge_pool *a, bool maximum) {
  SURGE_TRY(surge_check_pool_backward(op, a));
  SURGE_TRY(surge_cuda_check_layout(op, &a->in));
  SURGE_BY_TYPE(a->in.type, queue_backward, context, a, maximum);
  return surge_cuda_launched(context, op);
}

surge_status surge_cuda_avgpool_forward(surge_context *context,
                                        const surge_pool *a) {
  return forward(context, "avgpool_forward", a, false);
}

surge_status surge_cuda_avgpool_backward(surge_context *context,
                                         const surge_pool *a) {
  return backward(context, "avgpool_backward", a, false);
}

surge_status surge_cuda_maxpool_forward(surge_context *context,
                                        const surge_pool *a) {
  return forward(context, "maxpool_forward", a, true);
}

surge_status surge_cuda_maxpool_backward(surge_context *context,
                                         const surge_pool *a) {
  return backward(context, "maxpool_backward", a, true);
}
