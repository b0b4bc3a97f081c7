/* report.cpp - how a violation ends the program, and errors by name. */
#include <stdarg.h>
#include <stdio.h>

#include "tests/emulator/internal.h"

namespace surge_emulator {

std::string running;

void fail(const char *format, ...) {
  std::string doing = running; /* freed memory may be in use: copy first */
  fprintf(stderr, "emulator: %s%s", doing.c_str(), doing.empty() ? "" : ": ");
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  fflush(stderr);
  abort();
}

static cudaError_t last_error = cudaSuccess;

cudaError_t failed(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

} /* namespace surge_emulator */

cudaError_t cudaPeekAtLastError(void) { return surge_emulator::last_error; }

cudaError_t cudaGetLastError(void) {
  cudaError_t error = surge_emulator::last_error;
  surge_emulator::last_error = cudaSuccess;
  return error;
}

const char *cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define X(code, number, text) \
  case code:                  \
    return #code;
    SURGE_EMULATOR_ERRORS(X)
#undef X
  }
  return "cudaErrorUnknown";
}

const char *cudaGetErrorString(cudaError_t error) {
  switch (error) {
#define X(code, number, text) \
  case code:                  \
    return text;
    SURGE_EMULATOR_ERRORS(X)
#undef X
  }
  return "unknown error";
}
