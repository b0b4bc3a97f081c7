/* test_select.c - what does a recipe's `device` open, with and without a device
 * in the program? */
#include <criterion/criterion.h>
#include <string.h>
#include <surge/train.h>

static surge_status open_nothing(surge_context **context,
                                 const surge_context_options *options) {
  (void)options;
  *context = NULL;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "fake: wanted a device, found none");
}

static const surge_backend without_device = {.name = "fake",
                                             .open = open_nothing};

static surge_status open_as(surge_device device, const surge_backend **backend,
                            char note[SURGE_NOTE]) {
  surge_context *context;
  surge_context_options options = {.threads = 1};
  surge_status status =
      surge_backend_open(backend, &context, device, &options, note);
  if (status == SURGE_OK) (*backend)->close(context);
  return status;
}

Test(select, without_a_registered_device) {
  const surge_backend *backend;
  char note[SURGE_NOTE];
  cr_expect_eq(open_as(SURGE_DEVICE_AUTO, &backend, note), SURGE_OK);
  cr_expect_eq(backend, &surge_cpu);
  cr_expect_str_empty(note);
  cr_expect_eq(open_as(SURGE_DEVICE_CUDA, &backend, note), SURGE_ERROR_DEVICE);
  cr_expect_not_null(strstr(surge_last_error(), "only backend"));
}

Test(select, auto_falls_back_and_says_why) {
  const surge_backend *backend;
  char note[SURGE_NOTE];
  surge_backend_register(&without_device);
  cr_expect_eq(open_as(SURGE_DEVICE_AUTO, &backend, note), SURGE_OK);
  cr_expect_eq(backend, &surge_cpu);
  cr_expect_str_eq(note,
                   "device: auto takes the CPU: fake: wanted a device, "
                   "found none");
  cr_expect_eq(open_as(SURGE_DEVICE_CPU, &backend, note), SURGE_OK);
  cr_expect_eq(backend, &surge_cpu);
  cr_expect_str_empty(note);
  cr_expect_eq(open_as(SURGE_DEVICE_CUDA, &backend, note), SURGE_ERROR_DEVICE);
  cr_expect_not_null(strstr(surge_last_error(), "found none"));
}

Test(select, auto_takes_the_device_that_opens) {
  static surge_backend device;
  const surge_backend *backend;
  char note[SURGE_NOTE];
  device = surge_cpu; /* stands for a device that is there */
  device.name = "fake";
  surge_backend_register(&device);
  cr_expect_eq(open_as(SURGE_DEVICE_AUTO, &backend, note), SURGE_OK);
  cr_expect_str_eq(backend->name, "fake");
  cr_expect_str_empty(note);
}
