/* check_sheet.c - see check.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/data/check.h"
#include "src/data/image.h"

enum {
  GAP = 8, /* pixels around each tile */
  TILE_W = SURGE_MAP_W,
  TILE_H = SURGE_MAP_H,
  SHEET_W = GAP + 2 * (TILE_W + GAP),
};

static const uint8_t white = 255, black[3] = {0}, bar[3] = {40, 90, 160};

/* Fills h x w pixels with a colour, [3]. */
static void fill(surge_check_sheet *sheet, int32_t top, int32_t left, int32_t h,
                 int32_t w, const uint8_t *rgb) {
  for (int32_t y = top; y < top + h; y++)
    for (int32_t x = left; x < left + w; x++)
      memcpy(sheet->rgb + 3 * ((size_t)y * SHEET_W + (size_t)x), rgb, 3);
}

/* Bars from the bottom, the highest as high as the tile. */
static void paint_rate(surge_check_sheet *sheet, const surge_rate *rate,
                       int32_t top, int32_t left) {
  int begin, end;
  uint64_t most = 1;
  surge_rate_range(rate, &begin, &end);
  for (int i = begin; i < end; i++)
    if (rate->counts[i] > most) most = rate->counts[i];
  for (int i = begin; i < end; i++) {
    int bins = end - begin;
    int32_t from = TILE_W * (i - begin) / bins;
    int32_t to = TILE_W * (i - begin + 1) / bins;
    double share = (double)rate->counts[i] / (double)most;
    int32_t height = (int32_t)ceil(share * TILE_H);
    fill(sheet, top + TILE_H - height, left + from, height,
         to - from > 1 ? to - from - 1 : 1, bar);
  }
}

static int32_t cells(int32_t pixels, unsigned shift) {
  return pixels > 1 ? ((pixels - 1) >> shift) + 1 : 1;
}

/* The sensor as large as whole pixels let it be; brightness is the logarithm of
 * a cell's events, so that few are seen beside a pixel that never rests. */
static void paint_map(surge_check_sheet *sheet, const surge_summary *s,
                      int32_t top, int32_t left) {
  unsigned shift = s->map->shift;
  int32_t stated_w = s->info.width, stated_h = s->info.height;
  int32_t w = cells(stated_w > 0 ? stated_w : s->width, shift);
  int32_t h = cells(stated_h > 0 ? stated_h : s->height, shift);
  uint32_t most = 1;
  if (w > TILE_W) w = TILE_W; /* a sensor larger than what was seen of it */
  if (h > TILE_H) h = TILE_H;
  for (int32_t y = 0; y < h; y++)
    for (int32_t x = 0; x < w; x++)
      if (s->map->counts[y][x] > most) most = s->map->counts[y][x];
  int32_t zoom = TILE_W / w < TILE_H / h ? TILE_W / w : TILE_H / h;
  for (int32_t y = 0; y < h; y++)
    for (int32_t x = 0; x < w; x++) {
      double share = log1p(s->map->counts[y][x]) / log1p(most);
      uint8_t grey = (uint8_t)lrint(255 * share);
      fill(sheet, top + y * zoom, left + x * zoom, zoom, zoom,
           (const uint8_t[]){grey, grey, grey});
    }
}

surge_status surge_check_paint(surge_check_sheet *sheet,
                               const surge_summary *summary) {
  int32_t top = sheet->rows == 0 ? GAP : sheet->h, h = top + TILE_H + GAP;
  uint8_t *rgb = realloc(sheet->rgb, (size_t)h * SHEET_W * 3);
  if (!rgb)
    return SURGE_FAIL(
        SURGE_ERROR_DEVICE,
        "wanted memory for a picture of %d x %d pixels, found less", h,
        SHEET_W);
  memset(rgb + (size_t)sheet->h * SHEET_W * 3, white,
         (size_t)(h - sheet->h) * SHEET_W * 3);
  *sheet = (surge_check_sheet){rgb, h, sheet->rows + 1};
  fill(sheet, top, GAP + TILE_W + GAP, TILE_H, TILE_W, black);
  paint_rate(sheet, &summary->rate, top, GAP);
  paint_map(sheet, summary, top, GAP + TILE_W + GAP);
  return SURGE_OK;
}

surge_status surge_check_write(const surge_check_sheet *sheet,
                               const char *path) {
  if (sheet->rows == 0)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted a file to draw, found none that can be read",
                      path);
  return surge_png_write(path, sheet->rgb, sheet->h, SHEET_W);
}
