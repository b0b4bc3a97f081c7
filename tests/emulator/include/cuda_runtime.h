/* cuda_runtime.h - the part of CUDA C++ that SURGE's kernels are written in, for
 * the host compiler (see tests/emulator/emulator.h). */
#ifndef SURGE_EMULATOR_CUDA_RUNTIME_H
#define SURGE_EMULATOR_CUDA_RUNTIME_H

#ifndef __cplusplus
#error "cuda_runtime.h is for .cu files; C includes cuda_runtime_api.h"
#endif

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda_runtime_api.h"

#define __global__ __attribute__((unused))
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

/* --- vectors --------------------------------------------------------------- */
struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1)
      : x(x_), y(y_), z(z_) {}
};

#define SURGE_EMULATOR_VECTORS(type, name)                                     \
  struct alignas(2 * sizeof(type)) name##2 {                                   \
    type x, y;                                                                 \
  };                                                                           \
  struct alignas(16) name##4 {                                                 \
    type x, y, z, w;                                                           \
  };                                                                           \
  static inline name##2 make_##name##2(type x, type y) { return {x, y}; }      \
  static inline name##4 make_##name##4(type x, type y, type z, type w) {       \
    return {x, y, z, w};                                                       \
  }
SURGE_EMULATOR_VECTORS(float, float)
SURGE_EMULATOR_VECTORS(int, int)
SURGE_EMULATOR_VECTORS(unsigned, uint)
struct alignas(16) double2 {
  double x, y;
};
static inline double2 make_double2(double x, double y) { return {x, y}; }

/* --- a thread's place ------------------------------------------------------- */
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
enum { warpSize = 32 };

/* --- what threads do together (block.cpp) ----------------------------------- */
#define SURGE_EMULATOR_CALLER                                                  \
  const char *file = __builtin_FILE(), int line = __builtin_LINE()
namespace surge_emulator {
enum class warp_op {
  sync,
  shfl,
  shfl_down,
  shfl_up,
  shfl_xor,
  ballot,
  all,
  any
};
uint64_t warp(warp_op op, unsigned mask, uint64_t value, unsigned operand,
              int width, const char *file, int line);
void block_barrier(const char *file, int line);
int block_count(int predicate, const char *file, int line);

template <class T>
T shuffle(warp_op op, unsigned mask, T value, unsigned operand, int width,
          const char *file, int line) {
  static_assert(std::is_arithmetic<T>::value, "shuffles move numbers");
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  bits = warp(op, mask, bits, operand, width, file, line);
  memcpy(&value, &bits, sizeof value);
  return value;
}
} /* namespace surge_emulator */

static inline void __syncthreads(SURGE_EMULATOR_CALLER) {
  surge_emulator::block_barrier(file, line);
}
static inline int __syncthreads_count(int predicate, SURGE_EMULATOR_CALLER) {
  return surge_emulator::block_count(predicate, file, line);
}
static inline int __syncthreads_or(int predicate, SURGE_EMULATOR_CALLER) {
  return surge_emulator::block_count(predicate, file, line) > 0;
}
static inline int __syncthreads_and(int predicate, SURGE_EMULATOR_CALLER) {
  return surge_emulator::block_count(!predicate, file, line) == 0;
}
static inline void __syncwarp(unsigned mask = 0xffffffffu,
                              SURGE_EMULATOR_CALLER) {
  surge_emulator::warp(surge_emulator::warp_op::sync, mask, 0, 0, 32, file,
                       line);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32,
              SURGE_EMULATOR_CALLER) {
  return surge_emulator::shuffle(surge_emulator::warp_op::shfl, mask, value,
                                 (unsigned)lane, width, file, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   SURGE_EMULATOR_CALLER) {
  return surge_emulator::shuffle(surge_emulator::warp_op::shfl_down, mask,
                                 value, delta, width, file, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 SURGE_EMULATOR_CALLER) {
  return surge_emulator::shuffle(surge_emulator::warp_op::shfl_up, mask, value,
                                 delta, width, file, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32,
                  SURGE_EMULATOR_CALLER) {
  return surge_emulator::shuffle(surge_emulator::warp_op::shfl_xor, mask, value,
                                 (unsigned)lanes, width, file, line);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate,
                                     SURGE_EMULATOR_CALLER) {
  return (unsigned)surge_emulator::warp(surge_emulator::warp_op::ballot, mask,
                                        predicate != 0, 0, 32, file, line);
}
static inline int __all_sync(unsigned mask, int predicate,
                             SURGE_EMULATOR_CALLER) {
  return (int)surge_emulator::warp(surge_emulator::warp_op::all, mask,
                                   predicate != 0, 0, 32, file, line);
}
static inline int __any_sync(unsigned mask, int predicate,
                             SURGE_EMULATOR_CALLER) {
  return (int)surge_emulator::warp(surge_emulator::warp_op::any, mask,
                                   predicate != 0, 0, 32, file, line);
}
static inline void __threadfence(void) {}
static inline void __threadfence_block(void) {}

/* --- atomics: whole numbers only -------------------------------------------- */
namespace surge_emulator {
template <class T>
constexpr bool is_atomic =
    std::is_same<T, int>::value || std::is_same<T, unsigned>::value ||
    std::is_same<T, unsigned long long>::value;
template <class T, class F>
T atomic(T *at, F change) {
  static_assert(is_atomic<T>,
                "SURGE has no float atomics: their sums depend on the order of "
                "the threads; reduce in a fixed order instead");
  T old = *at;
  *at = change(old);
  return old;
}
template <class T>
struct same {
  typedef T type;
}; /* keeps an argument out of template deduction */
} /* namespace surge_emulator */

#define SURGE_EMULATOR_ATOMIC(name, expression)                                \
  template <class T>                                                           \
  T name(T *at, typename surge_emulator::same<T>::type value) {                \
    return surge_emulator::atomic(at, [=](T old) { return (T)(expression); }); \
  }
SURGE_EMULATOR_ATOMIC(atomicAdd, old + value)
SURGE_EMULATOR_ATOMIC(atomicSub, old - value)
SURGE_EMULATOR_ATOMIC(atomicMin, value < old ? value : old)
SURGE_EMULATOR_ATOMIC(atomicMax, value > old ? value : old)
SURGE_EMULATOR_ATOMIC(atomicAnd, old &value)
SURGE_EMULATOR_ATOMIC(atomicOr, old | value)
SURGE_EMULATOR_ATOMIC(atomicExch, ((void)old, value))
SURGE_EMULATOR_ATOMIC(atomicInc, old >= value ? 0 : old + 1)
template <class T>
T atomicCAS(T *at, typename surge_emulator::same<T>::type expected,
            typename surge_emulator::same<T>::type value) {
  return surge_emulator::atomic(
      at, [=](T old) { return old == expected ? value : old; });
}

/* --- arithmetic --------------------------------------------------------------- */
#define SURGE_EMULATOR_MINMAX(type)                                            \
  static inline type min(type a, type b) { return b < a ? b : a; }             \
  static inline type max(type a, type b) { return a < b ? b : a; }
SURGE_EMULATOR_MINMAX(int)
SURGE_EMULATOR_MINMAX(unsigned)
SURGE_EMULATOR_MINMAX(long)
SURGE_EMULATOR_MINMAX(unsigned long)
SURGE_EMULATOR_MINMAX(long long)
SURGE_EMULATOR_MINMAX(unsigned long long)
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __frcp_rn(float a) { return 1.0f / a; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }
static inline double rsqrt(double a) { return 1.0 / sqrt(a); }
static inline int __popc(unsigned a) { return __builtin_popcount(a); }
static inline int __popcll(unsigned long long a) {
  return __builtin_popcountll(a);
}
static inline int __ffs(int a) { return __builtin_ffs(a); }
static inline int __clz(int a) {
  return a == 0 ? 32 : __builtin_clz((unsigned)a);
}
static inline unsigned __umulhi(unsigned a, unsigned b) {
  return (unsigned)(((uint64_t)a * b) >> 32);
}
static inline unsigned __brev(unsigned a) {
  unsigned r = 0;
  for (int i = 0; i < 32; i++) r |= (a >> i & 1u) << (31 - i);
  return r;
}

namespace surge_emulator {
template <class To, class From>
To bits(From value) {
  static_assert(sizeof(To) == sizeof(From), "");
  To result;
  memcpy(&result, &value, sizeof result);
  return result;
}
} /* namespace surge_emulator */
static inline unsigned __float_as_uint(float a) {
  return surge_emulator::bits<unsigned>(a);
}
static inline int __float_as_int(float a) {
  return surge_emulator::bits<int>(a);
}
static inline float __uint_as_float(unsigned a) {
  return surge_emulator::bits<float>(a);
}
static inline float __int_as_float(int a) {
  return surge_emulator::bits<float>(a);
}
static inline long long __double_as_longlong(double a) {
  return surge_emulator::bits<long long>(a);
}
static inline double __longlong_as_double(long long a) {
  return surge_emulator::bits<double>(a);
}
template <class T>
static inline T __ldg(const T *at) {
  return *at;
}
template <class T>
static inline T __ldcs(const T *at) {
  return *at;
}
template <class T>
static inline void __stcs(T *at, T value) {
  *at = value;
}

/* --- attributes of a kernel ---------------------------------------------------- */
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
namespace surge_emulator {
cudaError_t set_shared_limit(const void *kernel, int bytes);
}
template <class... P>
cudaError_t cudaFuncSetAttribute(void (*kernel)(P...), cudaFuncAttribute,
                                 int bytes) {
  return surge_emulator::set_shared_limit((const void *)kernel, bytes);
}
template <class T>
cudaError_t cudaMalloc(T **memory, size_t bytes) {
  return cudaMalloc((void **)memory, bytes);
}

#endif
