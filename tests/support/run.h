/* run.h - what tests of whole runs share: recipes from text, runs in temporary
 * folders, checkpoints compared to the bit. They train on Fashion-MNIST, in
 * SURGE_TEST_DATA or of the Debian package; where it is missing the test is
 * skipped by name. */
#ifndef SURGE_TESTS_RUN_H
#define SURGE_TESTS_RUN_H

#include <surge/surge.h>

/* A small network with every wiring, and every kind of output that is packed:
 * spikes, their mean, their sum. Recipe text behind what a test says of data
 * and training. */
#define RUN_RESIDUAL                                                           \
  "surrogate: {family: arctan}\n"                                              \
  "model:\n"                                                                   \
  "  layers:\n"                                                                \
  "    - conv: {out: 8}\n"                                                     \
  "    - norm\n"                                                               \
  "    - neuron\n"                                                             \
  "    - avgpool: 2\n"                                                         \
  "    - conv: {out: 8}\n"                                                     \
  "    - norm\n"                                                               \
  "    - neuron: {add: avgpool1}\n" /* before the neuron */                    \
  "    - conv: {out: 8}\n"                                                     \
  "    - norm\n"                                                               \
  "    - neuron\n"                                                             \
  "    - add: neuron2\n" /* spikes */                                          \
  "    - conv: {out: 16, stride: 2}\n"                                         \
  "    - norm\n"                                                               \
  "    - conv: {out: 16, stride: 2, kernel: 1, from: add1}\n"                  \
  "    - norm\n"                                                               \
  "    - add: {from: norm4, add: norm5}\n" /* a stream */                      \
  "    - neuron\n"                                                             \
  "    - maxpool: 2\n"                                                         \
  "    - linear: {out: 16}\n"                                                  \
  "    - norm\n"                                                               \
  "    - neuron\n"                                                             \
  "    - linear: {out: classes}\n"

/* A recipe from YAML text, with up to one override or NULL. */
surge_recipe run_recipe(const char *yaml, const char *override);

/* Makes data->path the set's folder in SURGE_TEST_DATA, where that has one. */
void run_find_data(struct surge_data_recipe *data);

/* Skips the calling test unless Fashion-MNIST is there. */
void run_needs_data(void);

/* A new temporary folder, and its removal with all that is in it. */
void run_make_folder(char folder[64]);
void run_remove_folder(const char *folder);

/* Trains into folder/name; `stop` may be NULL. */
surge_status run_train(const surge_recipe *recipe, const char *folder,
                       const char *name, bool resume,
                       const volatile sig_atomic_t *stop);

/* Fails the test where two checkpoints differ in a tensor's bits. */
void run_same_checkpoints(const char *folder, const char *a, const char *b);

/* Fails the test where metrics.csv differ outside their columns of time. */
void run_same_metrics(const char *folder, const char *a, const char *b);

/* A column of the last row of metrics.csv, by its header. */
double run_metric(const char *folder, const char *name, const char *column);

#endif
