/* cut.c - how the maps of one step are cut into pieces, and workspace into
 * arrays (see cpu.h). */
#include "kernels/cpu/cpu.h"

static size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

surge_cpu_cut surge_cpu_cut_maps(const surge_map *map, int32_t N,
                                 size_t limit) {
  size_t plane = (size_t)map->h * (size_t)map->w, c = (size_t)map->c;
  size_t n = (size_t)N;
  surge_cpu_cut cut = {.strips_per_image = 1, .period = map->c};
  size_t strips;
  if (map->layout == SURGE_BLOCKED8 && plane > 1) { /* a strip: 8 channels */
    strips = n * (c / 8);
    cut.strip = 8 * plane;
    cut.strips_per_image = map->c / 8;
    cut.period = cut.channel_step = 8;
    cut.step = limit / 8 * 8;
  } else if (c <= limit) { /* one strip, pieces of whole pixels */
    strips = 1;
    cut.strip = n * plane * c;
    cut.step = limit / c * c;
  } else { /* a strip: a pixel's channels, in several pieces */
    strips = n * plane;
    cut.strip = c;
    cut.step = limit;
  }
  cut.per_strip = ceil_div(cut.strip, cut.step);
  cut.count = strips * cut.per_strip;
  return cut;
}

surge_cpu_piece surge_cpu_piece_at(const surge_cpu_cut *cut, size_t p) {
  size_t strip = p / cut->per_strip, start = p % cut->per_strip * cut->step;
  size_t rest = cut->strip - start;
  surge_cpu_piece piece = {
      .offset = strip * cut->strip + start,
      .length = rest < cut->step ? rest : cut->step,
      .channel =
          (int32_t)(strip % (size_t)cut->strips_per_image) * cut->channel_step +
          (int32_t)(start % (size_t)cut->period),
      .period = cut->period,
  };
  return piece;
}

void *surge_cpu_take(surge_cpu_scratch *scratch, size_t bytes) {
  void *part = scratch->base ? scratch->base + scratch->used : NULL;
  scratch->used += (bytes + 63) / 64 * 64;
  return part;
}
