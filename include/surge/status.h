/* status.h - how every call of SURGE says that it failed.
 *
 * A function that can fail returns a surge_status and leaves one line of text,
 * "file:line: call: what was wanted, what was found", for surge_last_error().
 * The library never prints and never exits: programs print once and leave with
 * the exit code that stands in the list below (and in `surge --help`). */
#ifndef SURGE_STATUS_H
#define SURGE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/*      name          exit code   what it means to a user */
#define SURGE_STATUS_LIST(X)                                                   \
  X(OK, 0, "ok")                                                               \
  X(ERROR_INTERNAL, 1, "a fault of SURGE itself")                              \
  X(ERROR_RECIPE, 2, "wrong usage or recipe")                                  \
  X(ERROR_DATA, 3, "data or files missing, damaged or not writable")           \
  X(ERROR_DEVICE, 4, "device or memory")                                       \
  X(ERROR_DIVERGED, 5, "the loss or a layer is not finite")                    \
  X(INTERRUPTED, 130, "interrupted; saved and resumable")

typedef enum surge_status {
#define SURGE_STATUS_ENUM(name, code, text) SURGE_##name = code,
  SURGE_STATUS_LIST(SURGE_STATUS_ENUM)
#undef SURGE_STATUS_ENUM
} surge_status;

#define SURGE_MUST_CHECK __attribute__((warn_unused_result))

/* Text of the calling thread's last failure; "" where there was none. */
const char *surge_last_error(void);

/* What a status means, one phrase of the list above. */
const char *surge_status_text(surge_status status);

/* The exit code of a program that ends with this status. */
int surge_exit_code(surge_status status);

/* Records a failure with its place and returns `status`. Use SURGE_FAIL. */
surge_status surge_fail_at(surge_status status, const char *file, int line,
                           const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Takes a line of text, where a call has more to say than that it failed. */
typedef surge_status surge_tell(void *user, const char *line);

#define SURGE_FAIL(status, ...)                                                \
  surge_fail_at((status), __FILE__, __LINE__, __VA_ARGS__)

/* Leaves the calling function with the status of a call that failed. */
#define SURGE_TRY(call)                                                        \
  do {                                                                         \
    surge_status surge_try_status_ = (call);                                   \
    if (surge_try_status_ != SURGE_OK) return surge_try_status_;               \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
