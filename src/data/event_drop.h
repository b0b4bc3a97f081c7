/* event_drop.h - EventDrop (Gu, Sng, Hu & Yu 2021): training recordings lose
 * nothing, the events of a random time or of a random area, or random ones. */
#ifndef SURGE_DATA_EVENT_DROP_H
#define SURGE_DATA_EVENT_DROP_H

#include <surge/data.h>

/* Blocks of a sample's stream SURGE_RANDOM_EVENTS. */
enum {
  SURGE_BLOCK_ROLL,
  SURGE_BLOCK_DROP,
  SURGE_BLOCK_EVENTS /* and on: four events each */
};

/* Makes event i the event number *kept, which it is or comes behind. */
static inline void surge_event_keep(surge_events *events, size_t i,
                                    size_t *kept) {
  events->t[*kept] = events->t[i];
  events->x[*kept] = events->x[i];
  events->y[*kept] = events->y[i];
  events->p[(*kept)++] = events->p[i];
}

/* Drops events of a sample, a function of (seed, epoch, sample) alone; none
 * where it would be all. As the authors' code has it:
 *   time    1/10 to 9/10 of the recording's, from a random time on
 *   area    1/20 to 5/20 of the sensor's sides, around a random pixel
 *   random  each event with 1/10 to 9/10, where theirs drops so many of them */
void surge_event_drop(surge_events *events, int32_t width, int32_t height,
                      const surge_data_pass *pass, uint32_t sample);

#endif
