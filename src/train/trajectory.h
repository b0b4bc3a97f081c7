/* trajectory.h - what the steps of a short training run leave for another
 * framework to follow them: `surge grad --steps`. */
#ifndef SURGE_TRAIN_TRAJECTORY_H
#define SURGE_TRAIN_TRAJECTORY_H

#include "src/train/session.h"

/* Tensors "steps.<name>", a row a step, written as the steps are made:
 *   images, labels   of all batches, one behind the other: rows of images
 *   batch            images of the step
 *   learning_rate    [SURGE_GROUP_COUNT]
 *   loss, pda        mean over the batch, before the update
 *   width.<layer>    as the step used it
 *   state.<name>     every parameter and running statistic before its update:
 *                    a peer starts each step from there, because two runs that
 *                    differ by a rounding drift apart within a few steps */
typedef struct surge_trajectory {
  surge_tensor_list list;
  size_t state;   /* first of the list's tensors that are state */
  int32_t steps;  /* recorded                                   */
  int64_t images; /* of the steps recorded                      */
} surge_trajectory;

/* Memory for `steps` steps of an open session. Close it in any case. */
surge_status surge_trajectory_open(surge_trajectory *trajectory,
                                   surge_session *session, int32_t steps);

/* Adds the step whose forward pass has just run. */
surge_status surge_trajectory_step(surge_trajectory *trajectory,
                                   surge_session *session,
                                   const surge_batch *batch,
                                   const surge_step *step);

/* Moves the trajectory to `list`, and "after.<name>" for every parameter and
 * running statistic of the net as it is now. */
surge_status surge_trajectory_finish(surge_trajectory *trajectory,
                                     surge_session *session,
                                     surge_tensor_list *list);
void surge_trajectory_close(surge_trajectory *trajectory);

#endif
