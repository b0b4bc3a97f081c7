/* flatbuffer.c - see flatbuffer.h. */
#include "src/events/flatbuffer.h"

/* `size` bytes, at most 8, little-endian; false: they are not all there. */
static bool number_at(const surge_flatbuffer *buffer, size_t at, size_t size,
                      uint64_t *value) {
  if (at > buffer->size || size > buffer->size - at) return false;
  *value = 0;
  for (size_t i = 0; i < size; i++)
    *value |= (uint64_t)buffer->bytes[at + i] << (8 * i);
  return true;
}

bool surge_flatbuffer_root(const surge_flatbuffer *buffer, size_t *table) {
  uint64_t offset, distance;
  if (!number_at(buffer, 0, 4, &offset)) return false;
  *table = (size_t)offset;
  return number_at(buffer, *table, 4, &distance);
}

/* Where a field lies; 0: it is left out. */
static size_t place_of(const surge_flatbuffer *buffer, size_t table,
                       int field) {
  uint64_t distance, bytes, place;
  size_t entry = 4 + 2 * (size_t)field;
  if (!number_at(buffer, table, 4, &distance)) return 0;
  int64_t vtable = (int64_t)table - (int32_t)(uint32_t)distance;
  if (vtable < 0 || !number_at(buffer, (size_t)vtable, 2, &bytes) ||
      entry + 2 > bytes ||
      !number_at(buffer, (size_t)vtable + entry, 2, &place))
    return 0;
  return place == 0 ? 0 : table + (size_t)place;
}

void surge_flatbuffer_scalar(const surge_flatbuffer *buffer, size_t table,
                             int field, size_t size, int64_t *value) {
  uint64_t bits;
  size_t place = place_of(buffer, table, field);
  if (place == 0 || !number_at(buffer, place, size, &bits)) return;
  unsigned unused = 64 - 8 * (unsigned)size;
  *value = (int64_t)(bits << unused) >> unused;
}

bool surge_flatbuffer_vector(const surge_flatbuffer *buffer, size_t table,
                             int field, size_t size, const uint8_t **elements,
                             size_t *count) {
  uint64_t offset, length;
  size_t place = place_of(buffer, table, field);
  *elements = buffer->bytes;
  *count = 0;
  if (place == 0) return true;
  if (!number_at(buffer, place, 4, &offset) ||
      !number_at(buffer, place + (size_t)offset, 4, &length))
    return false;
  size_t first = place + (size_t)offset + 4;
  if (length > (buffer->size - first) / size) return false;
  *elements = buffer->bytes + first;
  *count = (size_t)length;
  return true;
}
