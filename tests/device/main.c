/* main.c - the main of test programs whose backend is a device.
 *
 * Criterion leaves with 0 where it skips, so a device that does not open is
 * looked for here: 77, which ctest counts as skipped, or with SURGE_REQUIRE_GPU=1
 * a failure. Criterion starts a process a test that comes by no main: what each
 * needs is done by a constructor. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

#define SKIPPED 77

/* Recipes whose device is `auto` train on the backend under test. */
__attribute__((constructor)) static void make_known(void) {
  surge_backend_register(test_backend());
}

/* 0, or the exit code where no device opens, said in one line. */
static int look_for_device(const char *program) {
  surge_context *context = NULL;
  surge_context_options options = {.deterministic = true};
  if (test_backend()->open(&context, &options) == SURGE_OK) {
    test_backend()->close(context);
    return 0;
  }
  const char *required = getenv("SURGE_REQUIRE_GPU");
  bool failed = required && !strcmp(required, "1");
  fprintf(stderr, "%s: %s: %s\n", program, failed ? "failed" : "skipped",
          surge_last_error());
  return failed ? EXIT_FAILURE : SKIPPED;
}

int main(int argc, char **argv) {
  int code = look_for_device(argv[0]);
  if (code) return code;
  struct criterion_test_set *tests = criterion_initialize();
  if (criterion_handle_args(argc, argv, true))
    code = criterion_run_all_tests(tests) ? EXIT_SUCCESS : EXIT_FAILURE;
  criterion_finalize(tests);
  return code;
}
