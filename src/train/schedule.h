/* schedule.h - the numbers that change from step to step. */
#ifndef SURGE_TRAIN_SCHEDULE_H
#define SURGE_TRAIN_SCHEDULE_H

#include <surge/recipe.h>

/* Factor of the learning rates at optimizer step `step` (from 0):
 *   warm-up    (step + 1) / warm-up steps, linear
 *   cosine     from 1 to lr_min/lr over the steps that remain
 *   step       gamma ^ (milestones passed), by whole epochs */
double surge_learning_rate_factor(const struct surge_optim_recipe *optim,
                                  int64_t step, int64_t steps_per_epoch,
                                  int64_t total_steps);

/* The step block of optimizer step `step`; `logged` as given. */
surge_step surge_step_at(const surge_recipe *recipe, int32_t epoch,
                         int64_t step, int64_t steps_per_epoch, bool logged);

#endif
