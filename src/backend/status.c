/* status.c - the last error of each thread. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <surge/status.h>

static _Thread_local char last_error[2048];

const char *surge_last_error(void) { return last_error; }

const char *surge_status_text(surge_status status) {
  switch (status) {
#define TEXT(name, code, text)                                                 \
  case SURGE_##name: return text;
    SURGE_STATUS_LIST(TEXT)
#undef TEXT
  }
  return "an unknown status";
}

int surge_exit_code(surge_status status) {
  switch (status) {
#define CODE(name, code, text)                                                 \
  case SURGE_##name: return code;
    SURGE_STATUS_LIST(CODE)
#undef CODE
  }
  return 1;
}

surge_status surge_fail_at(surge_status status, const char *file, int line,
                           const char *format, ...) {
  char text[sizeof last_error - 256];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  /* A fault of the user's recipe, data or device needs no place in SURGE's
   * own code; a fault of SURGE does. */
  if (status != SURGE_ERROR_INTERNAL)
    snprintf(last_error, sizeof last_error, "%s", text);
  else {
    const char *slash = strrchr(file, '/');
    snprintf(last_error, sizeof last_error, "%s:%d: %s",
             slash ? slash + 1 : file, line, text);
  }
  return status;
}
