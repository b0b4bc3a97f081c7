/* bytes.h - a window that moves over a file's bytes, or over bytes in memory.
 *
 * Readers of streams see bytes at..at + size; they take from the front and ask
 * for more. A file is read in pieces, so memory does not grow with it. */
#ifndef SURGE_EVENTS_BYTES_H
#define SURGE_EVENTS_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <surge/status.h>

typedef struct surge_bytes {
  const uint8_t *at; /* the first byte that was not taken                     */
  size_t size;       /* bytes that are there                                  */
  uint64_t offset;   /* of `at` from the start                                */
  uint64_t total;    /* bytes of the whole                                    */
  const char *path;  /* for errors; not owned                                 */
  int fd;            /* -1: memory                                            */
  uint8_t *buffer;   /* of a file; owned                                      */
  size_t capacity;
} surge_bytes;

/* SURGE_ERROR_DATA: there is no such file, or it is none. `path` must outlive
 * the window. */
surge_status surge_bytes_open(surge_bytes *bytes, const char *path);
void surge_bytes_memory(surge_bytes *bytes, const uint8_t *memory, size_t size,
                        const char *name);
void surge_bytes_close(surge_bytes *bytes);

/* At least `wanted` bytes in the window, or all that are left of the whole. */
surge_status surge_bytes_want(surge_bytes *bytes, size_t wanted);

/* Takes `count` bytes, at most `size`, from the front. */
void surge_bytes_take(surge_bytes *bytes, size_t count);

/* Back to the first byte. */
void surge_bytes_rewind(surge_bytes *bytes);

#endif
