/* event_drop.c - see event_drop.h. */
#include "src/data/event_drop.h"

#include "kernels/shared/philox.h"

/* What is dropped, drawn for a sample. */
typedef struct event_drop {
  enum { DROP_NONE, DROP_TIME, DROP_AREA, DROP_RANDOM, DROP_KINDS } kind;
  int64_t begin, end;               /* time: begin <= t < end                 */
  int32_t left, right, top, bottom; /* area: left <= x < right, ...          */
  uint32_t below;                   /* random: of 2^32                        */
  const surge_data_pass *pass;
  uint32_t sample;
} event_drop;

/* k parts of `side`, rounded up, around pixel `at`. */
static void around(int32_t at, int32_t side, uint32_t k, int32_t *begin,
                   int32_t *end) {
  int32_t length = (int32_t)((side * (int64_t)k + 19) / 20);
  *begin = at - length / 2;
  *end = *begin + length;
}

static event_drop draw_drop(const surge_events *events, int32_t width,
                            int32_t height, const surge_data_pass *pass,
                            uint32_t sample) {
  surge_philox4 draw = surge_philox(
      pass->seed, pass->epoch, SURGE_RANDOM_EVENTS, sample, SURGE_BLOCK_DROP);
  event_drop d = {.pass = pass, .sample = sample};
  d.kind = (int)(draw.x[0] % DROP_KINDS);
  uint32_t tenths = 1 + (uint32_t)surge_place(draw.x[1], 9);
  uint32_t twentieths = 1 + (uint32_t)surge_place(draw.x[1], 5);
  double span = (double)(events->t[events->count - 1] - events->t[0]) + 1;
  d.begin = events->t[0] + (int64_t)(span * (draw.x[2] * 0x1p-32));
  d.end = d.begin + (int64_t)(span * tenths / 10);
  around(surge_place(draw.x[2], (uint32_t)width), width, twentieths, &d.left,
         &d.right);
  around(surge_place(draw.x[3], (uint32_t)height), height, twentieths, &d.top,
         &d.bottom);
  d.below = (uint32_t)(0x1p32 * tenths / 10);
  return d;
}

static bool drops(const event_drop *d, const surge_events *events, size_t i) {
  switch (d->kind) {
    case DROP_TIME: return events->t[i] >= d->begin && events->t[i] < d->end;
    case DROP_AREA:
      return events->x[i] >= d->left && events->x[i] < d->right &&
             events->y[i] >= d->top && events->y[i] < d->bottom;
    case DROP_RANDOM: {
      surge_philox4 draw =
          surge_philox(d->pass->seed, d->pass->epoch, SURGE_RANDOM_EVENTS,
                       d->sample, SURGE_BLOCK_EVENTS + (uint32_t)(i / 4));
      return draw.x[i % 4] < d->below;
    }
    default: return false;
  }
}

void surge_event_drop(surge_events *events, int32_t width, int32_t height,
                      const surge_data_pass *pass, uint32_t sample) {
  if (events->count == 0) return;
  event_drop d = draw_drop(events, width, height, pass, sample);
  size_t kept = 0, dropped = 0;
  for (size_t i = 0; i < events->count; i++) dropped += drops(&d, events, i);
  if (dropped == 0 || dropped == events->count) return;
  for (size_t i = 0; i < events->count; i++)
    if (!drops(&d, events, i)) surge_event_keep(events, i, &kept);
  events->count = kept;
}
