/* pack.c - spikes in bits, sums of them in bytes, and back: one pass each.
 *
 * The loops over a byte's eight elements are for the compiler's vectors: a
 * comparison, a bit of each lane's own, and one reduction. */
#include "kernels/cpu/cpu.h"
#include "kernels/shared/pack.h"
#include "src/backend/checks.h"

#define CHUNK 4096 /* elements of a piece: whole bytes, no thread shares one */
#define INLINED static inline __attribute__((always_inline))

/* --- spikes --------------------------------------------------------------- */

/* A byte and its `count` elements: 8 but for the last byte's. */
INLINED uint8_t gather_byte(const float *x, unsigned count) {
  unsigned byte = 0;
#pragma omp simd reduction(| : byte)
  for (unsigned i = 0; i < count; i++) byte |= x[i] != 0.0f ? 1u << i : 0u;
  return (uint8_t)byte;
}

INLINED void spread_byte(float *x, unsigned byte, unsigned count) {
#pragma omp simd
  for (unsigned i = 0; i < count; i++) x[i] = byte & 1u << i ? 1.0f : 0.0f;
}

/* Elements start to start + count of a call, start in whole bytes. */
typedef void piece_function(const surge_pack *a, size_t start, size_t count);

static void pack_spikes(const surge_pack *a, size_t start, size_t count) {
  uint8_t *to = (uint8_t *)a->packed + start / 8;
  const float *x = surge_cpu_from(a->x, start);
  for (; count >= 8; count -= 8, x += 8) *to++ = gather_byte(x, 8);
  if (count) *to = gather_byte(x, (unsigned)count);
}

static void unpack_spikes(const surge_pack *a, size_t start, size_t count) {
  const uint8_t *from = (const uint8_t *)a->packed + start / 8;
  float *x = surge_cpu_to(a->x, start);
  for (; count >= 8; count -= 8, x += 8) spread_byte(x, *from++, 8);
  if (count) spread_byte(x, *from, (unsigned)count);
}

/* --- levels --------------------------------------------------------------- */

static void pack_levels(const surge_pack *a, size_t start, size_t count) {
  uint8_t *to = (uint8_t *)a->packed + start;
  const float *x = surge_cpu_from(a->x, start), scale = a->scale;
#pragma omp simd
  for (size_t i = 0; i < count; i++) to[i] = surge_pack_level(x[i], scale);
}

static void unpack_levels(const surge_pack *a, size_t start, size_t count) {
  const uint8_t *from = (const uint8_t *)a->packed + start;
  float *x = surge_cpu_to(a->x, start), scale = a->scale;
#pragma omp simd
  for (size_t i = 0; i < count; i++) x[i] = surge_unpack_level(from[i], scale);
}

/* --- ops ------------------------------------------------------------------ */

static void run(surge_context *context, const surge_pack *a,
                piece_function *each) {
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t start = 0; start < a->count; start += CHUNK) {
    size_t rest = a->count - start;
    each(a, start, rest < CHUNK ? rest : CHUNK);
  }
}

surge_status surge_cpu_pack(surge_context *context, const surge_pack *a) {
  SURGE_TRY(surge_check_pack("pack", a));
  run(context, a, a->bits == 1 ? pack_spikes : pack_levels);
  return SURGE_OK;
}

surge_status surge_cpu_unpack(surge_context *context, const surge_pack *a) {
  SURGE_TRY(surge_check_pack("unpack", a));
  run(context, a, a->bits == 1 ? unpack_spikes : unpack_levels);
  return SURGE_OK;
}
