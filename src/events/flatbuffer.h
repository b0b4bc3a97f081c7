/* flatbuffer.h - fields of a FlatBuffers table, of bytes that nobody vouches
 * for.
 *
 * A buffer begins with the offset of its root table. A table begins with the
 * distance back to its vtable: u16 bytes of the vtable, u16 bytes of the table,
 * then for each field u16 where it lies in the table, 0 where it is left out.
 * Strings and vectors are u32 offsets from where they stand to u32 count and
 * elements. All little-endian. Whatever points outside the buffer is as if it
 * were left out. */
#ifndef SURGE_EVENTS_FLATBUFFER_H
#define SURGE_EVENTS_FLATBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct surge_flatbuffer {
  const uint8_t *bytes; /* not owned */
  size_t size;
} surge_flatbuffer;

/* Where the root table begins; false: there is none. */
bool surge_flatbuffer_root(const surge_flatbuffer *buffer, size_t *table);

/* A scalar field of `size` bytes, sign extended; `value` stays where the field
 * is left out. */
void surge_flatbuffer_scalar(const surge_flatbuffer *buffer, size_t table,
                             int field, size_t size, int64_t *value);

/* The elements of a vector of elements of `size` bytes, or a string's (1); none
 * where it is left out. False: it is there, but does not lie within the
 * buffer. */
bool surge_flatbuffer_vector(const surge_flatbuffer *buffer, size_t table,
                             int field, size_t size, const uint8_t **elements,
                             size_t *count);

#endif
