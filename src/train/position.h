/* position.h - where a run stands, and the checkpoints that hold it. */
#ifndef SURGE_TRAIN_POSITION_H
#define SURGE_TRAIN_POSITION_H

#include "src/train/session.h"

typedef struct surge_position {
  int32_t epoch;      /* epochs done                                        */
  int32_t batch;      /* batches done of the epoch that is under way        */
  int64_t step;       /* optimizer steps done                               */
  double best;        /* accuracy of the best epoch; -1: none yet           */
  int32_t best_epoch; /* 1 + its index                                      */
} surge_position;

/* Writes a checkpoint of the session's net; with `state` all that training
 * resumes from. */
surge_status surge_position_save(surge_session *session,
                                 const surge_position *position,
                                 const char *path, bool state);

/* Restores net, optimizer and position. */
surge_status surge_position_restore(surge_session *session,
                                    surge_position *position, const char *path);

#endif
