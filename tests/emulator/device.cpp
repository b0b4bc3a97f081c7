/* device.cpp - the one device there is, and what a launch may ask of it. */
#include <stdio.h>

#include <map>

#include "tests/emulator/internal.h"

namespace surge_emulator {

static const unsigned most_threads = 1024, most_yz = 65535;
static const size_t shared_default = 48 * 1024, shared_most = 227 * 1024;
static std::map<const void *, size_t> shared_limits;

cudaError_t set_shared_limit(const void *kernel, int bytes) {
  if (bytes < 0 || (size_t)bytes > shared_most)
    return failed(cudaErrorInvalidValue);
  shared_limits[kernel] = (size_t)bytes;
  return cudaSuccess;
}

static void check_launch(const kernel &k) {
  auto limit = shared_limits.find(k.address);
  size_t shared =
      limit == shared_limits.end() ? shared_default : limit->second;
  const dim3 &g = k.grid, &b = k.block;
  if (g.x == 0 || g.y == 0 || g.z == 0 || g.x > 0x7fffffffu || g.y > most_yz ||
      g.z > most_yz || (uint64_t)g.x * g.y * g.z > 0x7fffffffu)
    fail("launch of %s: a grid of %u x %u x %u blocks", k.name, g.x, g.y, g.z);
  if (b.x == 0 || b.y == 0 || b.z == 0 || b.x > most_threads ||
      b.y > most_threads || b.z > 64 ||
      (uint64_t)b.x * b.y * b.z > most_threads)
    fail("launch of %s: blocks of %u x %u x %u threads", k.name, b.x, b.y, b.z);
  if (k.shared > shared)
    fail("launch of %s: %zu bytes of shared memory, the limit is %zu", k.name,
         k.shared, shared);
}

void queue_kernel(const kernel &k, cudaStream_t stream) {
  check_launch(k);
  failed(queue(stream, {k.name, access::kernel, [=] { run_grid(k); }}));
}

} /* namespace surge_emulator */

using namespace surge_emulator;

cudaError_t cudaGetDeviceCount(int *count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : failed(cudaErrorInvalidDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *prop, int device) {
  if (device != 0) return failed(cudaErrorInvalidDevice);
  *prop = cudaDeviceProp();
  snprintf(prop->name, sizeof prop->name, "SURGE emulator");
  size_t available;
  cudaMemGetInfo(&available, &prop->totalGlobalMem);
  prop->sharedMemPerBlock = shared_default;
  prop->major = 9;
  prop->multiProcessorCount = 4;
  prop->warpSize = 32;
  prop->maxThreadsPerBlock = (int)most_threads;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute,
                                   int device) {
  cudaDeviceProp prop;
  if (cudaGetDeviceProperties(&prop, device) != cudaSuccess)
    return cudaErrorInvalidDevice;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = prop.maxThreadsPerBlock; break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = (int)prop.sharedMemPerBlock;
      break;
    case cudaDevAttrWarpSize: *value = prop.warpSize; break;
    case cudaDevAttrMultiProcessorCount:
      *value = prop.multiProcessorCount;
      break;
    case cudaDevAttrComputeCapabilityMajor: *value = prop.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = prop.minor; break;
  }
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
