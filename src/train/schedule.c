/* schedule.c - learning rates, Adam's corrections, the width schedule. */
#include "src/train/schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

double surge_learning_rate_factor(const struct surge_optim_recipe *optim,
                                  int64_t step, int64_t steps_per_epoch,
                                  int64_t total_steps) {
  double warm = (double)optim->warmup_epochs * (double)steps_per_epoch;
  double done = (double)step;
  if (done < warm) return fmin(1, (done + 1) / warm);
  if (optim->schedule == SURGE_SCHEDULE_COSINE) {
    double floor = (double)optim->lr_min / (double)optim->lr;
    double share = (done - warm) / fmax(1, (double)total_steps - warm);
    return floor + (1 - floor) * 0.5 * (1 + cos(pi * fmin(1, share)));
  }
  double factor = 1;
  if (optim->schedule == SURGE_SCHEDULE_STEP)
    for (int32_t i = 0; i < optim->milestone_count; i++)
      if (step / steps_per_epoch >= optim->milestones[i])
        factor *= (double)optim->gamma;
  return factor;
}

surge_step surge_step_at(const surge_recipe *recipe, int32_t epoch,
                         int64_t step, int64_t steps_per_epoch, bool logged) {
  const struct surge_optim_recipe *optim = &recipe->optim;
  int64_t total = steps_per_epoch * recipe->train.epochs;
  double factor =
      surge_learning_rate_factor(optim, step, steps_per_epoch, total);
  double t = (double)step + 1;
  float scale1 = (float)(1 / (1 - pow((double)optim->beta1, t)));
  float scale2 = (float)(1 / (1 - pow((double)optim->beta2, t)));
  const float base[SURGE_GROUP_COUNT] = {optim->lr, optim->lr, optim->width_lr,
                                         optim->decay_lr};
  surge_step block = {
      .seed = (uint64_t)recipe->seed,
      .epoch = (uint32_t)epoch,
      .logged = logged,
      .number = (uint64_t)step + 1,
      .schedule =
          total > 1 ? (float)((double)step / (double)(total - 1)) : 0.0f};
  for (int group = 0; group < SURGE_GROUP_COUNT; group++) {
    block.learning_rate[group] = (float)((double)base[group] * factor);
    block.adam_scale1[group] = scale1;
    block.adam_scale2[group] = scale2;
  }
  return block;
}
