/* number.c - see number.h. One pass loads bits, a second one gives them their
 * meaning: loops that a compiler makes fast. */
#include "src/events/number.h"

#include <math.h>
#include <string.h>

bool surge_number_known(const surge_number *number) {
  size_t bytes = number->bytes;
  return bytes == 2 || bytes == 4 || bytes == 8 ||
         (bytes == 1 && number->kind != 'f');
}

#define LOAD(type, turned)                                                     \
  for (size_t i = 0; i < count; i++) {                                         \
    type value;                                                                \
    memcpy(&value, at + i * stride, sizeof value);                             \
    out[i] = (int64_t)(turned);                                                \
  }

/* Zero extended. */
static void load_bits(const surge_number *number, const uint8_t *at,
                      size_t stride, size_t count, int64_t *out) {
  bool turn = number->big_endian;
  if (number->bytes == 1) {
    LOAD(uint8_t, value)
  } else if (number->bytes == 2) {
    LOAD(uint16_t, turn ? __builtin_bswap16(value) : value)
  } else if (number->bytes == 4) {
    LOAD(uint32_t, turn ? __builtin_bswap32(value) : value)
  } else {
    LOAD(uint64_t, turn ? __builtin_bswap64(value) : value)
  }
}

/* IEEE 754's binary16. */
static double from_half(uint64_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = ldexp(fraction, -24);
  if (exponent > 0) value = ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) value = HUGE_VAL; /* also what is not a number */
  return bits >> 15 ? -value : value;
}

static double from_bits(int64_t bits, size_t bytes) {
  uint32_t low = (uint32_t)bits;
  float single;
  double value;
  memcpy(&single, &low, sizeof single);
  memcpy(&value, &bits, sizeof value);
  return bytes == 2 ? from_half(low) : bytes == 4 ? (double)single : value;
}

static size_t round_floats(size_t bytes, size_t count, double scale,
                           int64_t *out) {
  for (size_t i = 0; i < count; i++) {
    double value = from_bits(out[i], bytes) * scale;
    if (!(fabs(value) < 0x1p63)) return i; /* nor where it is no number */
    out[i] = llrint(value);
  }
  return count;
}

size_t surge_number_load(const surge_number *number, const uint8_t *at,
                         size_t stride, size_t count, double scale,
                         int64_t *out) {
  unsigned unused = 64 - 8 * (unsigned)number->bytes;
  load_bits(number, at, stride, count, out);
  if (number->kind == 'f')
    return round_floats(number->bytes, count, scale, out);
  for (size_t i = 0; i < count && number->kind == 'i'; i++)
    out[i] = (int64_t)((uint64_t)out[i] << unused) >> unused;
  for (size_t i = 0; i < count && number->kind == 'u'; i++)
    if (out[i] < 0) return i;
  return count;
}
