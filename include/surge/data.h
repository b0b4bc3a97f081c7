/* data.h - data sets in memory and the loader that batches them.
 *
 * A data set is what its files hold, as bytes; cropping, flipping and
 * normalising are an op of the backend (surge_augment), so that they run where
 * the network runs. */
#ifndef SURGE_DATA_H
#define SURGE_DATA_H

#include <surge/recipe.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SURGE_MAX_CHANNELS 4 /* of an input image                             */

typedef enum surge_split { SURGE_TRAIN, SURGE_TEST } surge_split;

/* What is known of a set before its files are read. */
typedef struct surge_dataset_info {
  const char *name;         /* the recipe's word, "fashion_mnist"             */
  int32_t h, w, c, classes;
  int32_t train_count, test_count;
  float mean[SURGE_MAX_CHANNELS], std[SURGE_MAX_CHANNELS]; /* of value/255    */
  const char *default_path; /* folder used where data.path is ""              */
  const char *install_hint; /* how to get it, one sentence                    */
} surge_dataset_info;

typedef struct surge_dataset {
  const surge_dataset_info *info;
  int32_t count;
  uint8_t *images;          /* [count, H, W, C]; owned                        */
  int32_t *labels;          /* [count]; owned                                 */
  /* Where a backend's ops read both (its `mirror`), or NULL; not owned. */
  const uint8_t *mirror_images;
  const int32_t *mirror_labels;
} surge_dataset;

/* The registry entry of a recipe's `data.set`; NULL where there is none. */
const surge_dataset_info *surge_dataset_find(const char *name);

/* Is the data there? SURGE_ERROR_DATA names the first missing file and how to
 * get it; reads nothing. */
surge_status surge_dataset_probe(const struct surge_data_recipe *recipe);

/* Reads a split whole. SURGE_ERROR_DATA names the file, what was expected
 * (sizes, magic number, label range) and what was found. */
surge_status surge_dataset_open(surge_dataset *set,
                                const struct surge_data_recipe *recipe,
                                surge_split split);
void surge_dataset_close(surge_dataset *set);

/* Reads one file of any number of images in the set's format and size; labels
 * are the file's, or 0 where it has none. */
surge_status surge_dataset_open_file(surge_dataset *set,
                                     const surge_dataset_info *info,
                                     const char *path);

/* Splits the training images into those trained on and those held out: a
 * stratified-by-nothing random choice fixed by `seed` alone, then `limit` of
 * the rest. Arrays are owned by the caller. */
surge_status surge_dataset_split(const surge_dataset *set,
                                 const struct surge_data_recipe *recipe,
                                 uint64_t seed, uint32_t **train,
                                 int32_t *train_count, uint32_t **validation,
                                 int32_t *validation_count);

/* A batch, valid until the next call of surge_loader_next. */
typedef struct surge_batch {
  const surge_dataset *set;
  const uint8_t *images;    /* [n, H, W, C]; NULL where the set is mirrored   */
  const int32_t *labels;    /* [n]; likewise                                  */
  const uint32_t *sample;   /* [n] index in the data set                      */
  int32_t n;                /* the last batch of an epoch may be smaller      */
  int32_t index;            /* of the batch in its epoch, from 0              */
} surge_batch;

/* Gathers batches on a thread of its own, two ahead; of a mirrored set only
 * the indices, as the ops gather the images themselves. */
typedef struct surge_loader surge_loader;

surge_status surge_loader_create(surge_loader **loader,
                                 const surge_dataset *set,
                                 const uint32_t *samples, int32_t count,
                                 int32_t batch);
void surge_loader_destroy(surge_loader *loader);

/* Begins an epoch at batch `first` (resuming: > 0). With `shuffle` the order
 * is a function of (seed, epoch) alone: Fisher-Yates driven by Philox. */
surge_status surge_loader_start(surge_loader *loader, uint64_t seed,
                                uint32_t epoch, int32_t first, bool shuffle);

/* The next batch; batch->n is 0 at the end of the epoch. */
surge_status surge_loader_next(surge_loader *loader, surge_batch *batch);

/* Batches an epoch, ceil(count / batch). */
int32_t surge_loader_batches(const surge_loader *loader);

/* Seconds that surge_loader_next has waited since surge_loader_start. */
double surge_loader_waited(const surge_loader *loader);

#ifdef __cplusplus
}
#endif
#endif
