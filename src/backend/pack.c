/* pack.c - which levels come back from a byte: for those who plan. */
#include <surge/backend.h>

#include "kernels/shared/element.h"
#include "kernels/shared/pack.h"

/* k/scale as a map holds it. */
static float level(surge_dtype type, uint8_t k, float scale) {
  float x = surge_unpack_level(k, scale);
  return type == SURGE_BF16 ? surge_bf16_to_float(surge_float_to_bf16(x)) : x;
}

bool surge_pack_exact(surge_dtype type, float scale, int32_t most) {
  if (most > UINT8_MAX) return false;
  for (int32_t k = 0; k <= most; k++) {
    float x = level(type, (uint8_t)k, scale);
    if (level(type, surge_pack_level(x, scale), scale) != x) return false;
  }
  return true;
}
