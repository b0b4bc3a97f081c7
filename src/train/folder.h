/* folder.h - the files of a run: metrics.csv, layers.csv, histograms.csv,
 * log.txt, TensorBoard events. Every line is flushed; a line that cannot be written (read-only
 * folder, full disk) is SURGE_ERROR_DATA and names the file. */
#ifndef SURGE_TRAIN_FOLDER_H
#define SURGE_TRAIN_FOLDER_H

#include <surge/train.h>

#include "src/train/tensorboard.h"

typedef struct surge_folder {
  char path[SURGE_PATH];
  FILE *metrics, *layers, *histograms, *log;
  surge_tensorboard *board;
} surge_folder;

/* mkdir -p: what `--out` names. */
surge_status surge_folder_make(const char *path);

/* Is nothing there, or a folder without files? */
bool surge_folder_is_empty(const char *path);

/* Makes the folder (and its parents) and begins its files. An existing folder
 * with files is SURGE_ERROR_RECIPE unless `force`: then its files are begun
 * anew, and old checkpoints and event files removed. */
surge_status surge_folder_create(surge_folder *folder, const char *path,
                                 const surge_recipe *recipe, bool force);

/* Goes on with the files of a run of which `epochs` are done: rows of later
 * epochs are taken out, and recipe.yaml says how long it goes on now. */
surge_status surge_folder_resume(surge_folder *folder, const char *path,
                                 const surge_recipe *recipe, int32_t epochs);
void surge_folder_close(surge_folder *folder);

/* A line of log.txt. */
surge_status surge_folder_log(surge_folder *folder, const char *line);

/* The row of metrics.csv and the epoch's scalars. */
surge_status surge_folder_epoch(surge_folder *folder,
                                const surge_epoch_result *result);

/* The rows of layers.csv and histograms.csv for the statistics that `net` has
 * accumulated on `split` ("train", "validation" or "test"); evaluations show
 * on TensorBoard too. Epoch 0 is the first batch before any update. */
surge_status surge_folder_layers(surge_folder *folder, surge_net *net,
                                 int32_t epoch, const char *split);

#endif
