/* bytes.c - see bytes.h. */
#include "src/events/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 18) /* read at a time: stays in a core's cache */

static surge_status fail(const surge_bytes *bytes, int fault) {
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: byte %llu: %s", bytes->path,
                    (unsigned long long)(bytes->offset + bytes->size),
                    strerror(fault));
}

surge_status surge_bytes_open(surge_bytes *bytes, const char *path) {
  struct stat st;
  *bytes = (surge_bytes){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
  if (bytes->fd < 0)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path, strerror(errno));
  surge_status status = SURGE_OK;
  if (fstat(bytes->fd, &st) != 0)
    status = fail(bytes, errno);
  else if (!S_ISREG(st.st_mode))
    status = SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted a file, found %s", path,
                        S_ISDIR(st.st_mode) ? "a folder" : "none");
  if (status != SURGE_OK) {
    surge_bytes_close(bytes);
    return status;
  }
  bytes->total = (uint64_t)st.st_size;
  return SURGE_OK;
}

void surge_bytes_memory(surge_bytes *bytes, const uint8_t *memory, size_t size,
                        const char *name) {
  *bytes = (surge_bytes){
      .at = memory, .size = size, .total = size, .path = name, .fd = -1};
}

void surge_bytes_close(surge_bytes *bytes) {
  if (bytes->fd >= 0) close(bytes->fd);
  free(bytes->buffer);
  *bytes = (surge_bytes){.fd = -1};
}

/* Moves what is left to the buffer's front, and makes it `capacity` long. */
static surge_status make_room(surge_bytes *bytes, size_t capacity) {
  if (bytes->size > 0) memmove(bytes->buffer, bytes->at, bytes->size);
  if (capacity > bytes->capacity) {
    uint8_t *larger = realloc(bytes->buffer, capacity);
    if (!larger)
      return SURGE_FAIL(SURGE_ERROR_DEVICE,
                        "%s: wanted memory for %zu bytes, found less",
                        bytes->path, capacity);
    bytes->buffer = larger;
    bytes->capacity = capacity;
  }
  bytes->at = bytes->buffer;
  return SURGE_OK;
}

surge_status surge_bytes_want(surge_bytes *bytes, size_t wanted) {
  if (bytes->fd < 0 || bytes->size >= wanted) return SURGE_OK;
  SURGE_TRY(make_room(bytes, wanted > PIECE ? wanted : PIECE));
  while (bytes->size < wanted) {
    ssize_t got = read(bytes->fd, bytes->buffer + bytes->size,
                       bytes->capacity - bytes->size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(bytes, errno);
    if (got == 0) break;
    bytes->size += (size_t)got;
  }
  return SURGE_OK;
}

void surge_bytes_take(surge_bytes *bytes, size_t count) {
  bytes->at += count;
  bytes->size -= count;
  bytes->offset += count;
}

void surge_bytes_rewind(surge_bytes *bytes) {
  if (bytes->fd < 0) {
    bytes->at -= bytes->offset;
    bytes->size = bytes->total;
  } else {
    lseek(bytes->fd, 0, SEEK_SET); /* a regular file's cannot fail */
    bytes->size = 0;
  }
  bytes->offset = 0;
}
