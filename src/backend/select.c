/* select.c - which table a recipe's `device` means in this build. */
#include <surge/train.h>

surge_status surge_backend_find(const surge_backend **backend,
                                surge_device device) {
  if (device == SURGE_DEVICE_CUDA)
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "device: wanted cuda, found a build "
                      "whose only backend is the CPU's");
  *backend = &surge_cpu;
  return SURGE_OK;
}
