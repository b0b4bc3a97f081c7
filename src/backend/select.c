/* select.c - which table a recipe's `device` means in this program.
 *
 * libsurge does not link a device's libraries, so it does not name its table:
 * a program that links one makes it known here. */
#include <stdio.h>
#include <surge/train.h>

static const surge_backend *registered; /* NULL where a program has none */

void surge_backend_register(const surge_backend *device) {
  registered = device;
}

surge_status surge_backend_open(const surge_backend **backend,
                                surge_context **context, surge_device device,
                                const surge_context_options *options,
                                char note[SURGE_NOTE]) {
  note[0] = 0;
  *context = NULL;
  if (device == SURGE_DEVICE_CUDA && !registered)
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "device: wanted cuda, found a build whose only backend "
                      "is the CPU's");
  if (device != SURGE_DEVICE_CPU && registered) {
    *backend = registered;
    surge_status status = registered->open(context, options);
    if (status == SURGE_OK || device == SURGE_DEVICE_CUDA) return status;
    snprintf(note, SURGE_NOTE, "device: auto takes the CPU: %s",
             surge_last_error());
  }
  *backend = &surge_cpu;
  return surge_cpu.open(context, options);
}
