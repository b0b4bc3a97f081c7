/* session.h - what every command that runs a network opens: a device, the
 * data, a net and its loaders. */
#ifndef SURGE_TRAIN_SESSION_H
#define SURGE_TRAIN_SESSION_H

#include <surge/train.h>

#include "src/backend/clock.h"

typedef struct surge_session {
  const surge_recipe *recipe;
  surge_dataset_info info; /* the sets and the net point here */
  const surge_backend *backend;
  surge_context *context;
  char note[SURGE_NOTE]; /* why `device: auto` took the CPU, or ""          */
  surge_dataset train, test;
  uint32_t *train_samples, *validation_samples, *test_samples;
  int32_t train_count, validation_count, test_count;
  surge_loader *train_loader, *validation_loader, *test_loader;
  surge_net *net;
} surge_session;

/* Opens the recipe's device alone; `plan_only`: to plan on, without a device. */
surge_status surge_session_device(surge_session *session, bool plan_only);

/* What a network is planned on without being allocated: the set's description
 * and the device, for `cuda` also on a machine without one, for `auto` what a
 * run here would take. */
surge_status surge_session_plan(surge_session *session,
                                const surge_recipe *recipe);

/* Opens device and net (allocated). The session must be closed in any case. */
surge_status surge_session_open(surge_session *session,
                                const surge_recipe *recipe,
                                const surge_net_options *options);

/* Reads data and starts loaders: training and validation images, test images. */
surge_status surge_session_open_train(surge_session *session);
surge_status surge_session_open_test(surge_session *session);
void surge_session_close(surge_session *session);

/* Hands `tell` a line on each image that could not be read since the last call
 * (data.on_error: skip), and one with their number, if there are any. */
surge_status surge_session_tell_skipped(surge_session *session,
                                        surge_tell *tell, void *user);

/* Restores parameters (and with `state` the optimizer and the rest). */
surge_status surge_session_restore(surge_session *session, const char *path,
                                   bool state);

/* surge_evaluate that hands over each batch once the network has seen it. */
typedef surge_status surge_each_batch(void *user, surge_net *net,
                                      const surge_batch *batch);
surge_status surge_evaluate_each(surge_net *net, surge_loader *loader,
                                 const surge_step *step, surge_each_batch *each,
                                 void *user, surge_evaluation *result);

/* The net's metrics as means. */
surge_status surge_evaluation_of(surge_net *net, double seconds,
                                 surge_evaluation *result);

#endif
