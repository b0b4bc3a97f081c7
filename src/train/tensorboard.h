/* tensorboard.h - a TensorBoard event file: scalars and histograms.
 *
 * TFRecord framing (masked CRC-32C) around protobuf `Event` messages, encoded
 * by protobuf-c from src/train/event.proto. */
#ifndef SURGE_TRAIN_TENSORBOARD_H
#define SURGE_TRAIN_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>
#include <surge/recipe.h>

typedef struct surge_tensorboard surge_tensorboard;

/* Opens "folder/events.out.tfevents.<time>.<host>" for appending and writes
 * the version event. SURGE_ERROR_DATA where the folder is not writable. */
surge_status surge_tensorboard_open(surge_tensorboard **board,
                                    const char *folder);
void surge_tensorboard_close(surge_tensorboard *board);

surge_status surge_tensorboard_scalar(surge_tensorboard *board, const char *tag,
                                      int64_t step, double value);

/* `bins` counts; bin i ends at right_edge[i] (ascending). min, max, sum and sum
 * of squares as TensorBoard's HistogramProto has them. */
surge_status surge_tensorboard_histogram(surge_tensorboard *board,
                                         const char *tag, int64_t step,
                                         size_t bins, const double *right_edge,
                                         const double *count, double min,
                                         double max, double sum,
                                         double sum_squares);

/* The keys of a recipe as the run's hyper-parameters: numbers, booleans, words
 * (TensorBoard's page HPARAMS). */
surge_status surge_tensorboard_recipe(surge_tensorboard *board,
                                      const surge_recipe *recipe);

/* Flushes to disk; called once an epoch. */
surge_status surge_tensorboard_flush(surge_tensorboard *board);

#endif
