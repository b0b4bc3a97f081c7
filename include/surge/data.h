/* data.h - data sets and the loader that batches them.
 *
 * A data set is what its files hold, as bytes, in memory or, where it is a
 * folder of images or of recordings, decoded and cut to the network's input when
 * one is asked for. A sample is an image, [H, W, C], or of recordings the counts
 * of events in T frames, [T, H, W, C]. The loader's workers put training images
 * through the recipe's policy. Shifting, flipping, mixing and normalising are an
 * op of the backend (surge_augment), so that they run where the network runs. */
#ifndef SURGE_DATA_H
#define SURGE_DATA_H

#include <surge/events.h>
#include <surge/recipe.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SURGE_MAX_CHANNELS 4 /* of an input image                             */

typedef enum surge_split { SURGE_TRAIN, SURGE_TEST } surge_split;

/* What is known of a set before its files are read. */
typedef struct surge_dataset_info {
  const char *name;         /* the recipe's word, "fashion_mnist"             */
  int32_t h, w, c, classes; /* of the network's input; 0: the recipe's, the   */
                            /* folder's (surge_dataset_describe)              */
  int32_t resize;           /* image files: their shorter side is made so     */
                            /* long before the centre is taken                */
  int32_t train_count, test_count; /* 0: as many as there are                 */
  float mean[SURGE_MAX_CHANNELS], std[SURGE_MAX_CHANNELS]; /* of value/255    */
  const char *default_path; /* folder used where data.path is ""              */
  const char *install_hint; /* how to get it, one sentence                    */
  const char *const *names; /* [classes]; or NULL: numbers, or its folders    */
  int32_t steps;            /* frames a sample, the network's T; 0: an image  */
  surge_framing framing;    /* of recordings; T, sides and c as above         */
  uint8_t most;             /* events that a byte of a frame counts up to     */
  bool on_side;             /* AEDAT 2.0 recordings: x and y change places    */
} surge_dataset_info;

typedef struct surge_dataset {
  const surge_dataset_info *info;
  int32_t count;
  uint8_t *images; /* [count] samples; owned; or NULL, and           */
  struct surge_files *files; /* each is decoded on demand; owned        */
  int32_t *labels;     /* [count]; owned                                 */
  surge_policy policy; /* what images go through that are trained on     */
  int32_t roll;        /* and recordings: pixels of a random shift,      */
  bool drop_event;     /* EventDrop                                      */
  struct surge_frame_cache *cache; /* of frames; owned; or NULL               */
  /* Where a backend's ops read both (its `mirror`), or NULL; not owned. */
  const uint8_t *mirror_images;
  const int32_t *mirror_labels;
} surge_dataset;

/* The registry entry of a recipe's `data.set`; NULL where there is none. */
const surge_dataset_info *surge_dataset_find(const char *name);

/* Bytes of a sample; and steps, 1 of an image. */
size_t surge_sample_bytes(const surge_dataset_info *info);
int32_t surge_sample_steps(const surge_dataset_info *info);

/* What a network of T steps must know of a recipe's set: the registry entry and,
 * of a folder of images or recordings, the recipe's size and as many classes as
 * both splits have, or the one that is there. SURGE_ERROR_RECIPE: an unknown set, or one that the
 * recipe's crop does not fit; SURGE_ERROR_DATA: a folder that has no classes,
 * other ones in each split, or one of which it cannot be told whether it is. */
surge_status surge_dataset_describe(surge_dataset_info *info,
                                    const struct surge_data_recipe *recipe,
                                    int32_t T);

/* Is the data there? SURGE_ERROR_DATA names the first missing file and how to
 * get it; reads nothing. */
surge_status surge_dataset_probe(const struct surge_data_recipe *recipe);

/* Reads a split whole, or lists its image files. SURGE_ERROR_DATA names the
 * file, what was expected (sizes, magic number, label range) and what was
 * found. `info`, of surge_dataset_describe, must outlive the set. */
surge_status surge_dataset_open(surge_dataset *set,
                                const surge_dataset_info *info,
                                const struct surge_data_recipe *recipe,
                                surge_split split);
void surge_dataset_close(surge_dataset *set);

/* What images are read for. Of image files, training sees a random part, fixed
 * by (seed, epoch, sample) alone, anything else the centre. */
typedef struct surge_data_pass {
  bool train;
  uint64_t seed;
  uint32_t epoch;
} surge_data_pass;

/* One sample as the network's input. From any thread.
 * SURGE_ERROR_DATA names an image file that cannot be read. */
surge_status surge_dataset_image(const surge_dataset *set, uint32_t sample,
                                 const surge_data_pass *pass, uint8_t *image);

/* The name of a class; NULL where it has none but its number. */
const char *surge_dataset_class(const surge_dataset *set, int32_t label);

/* With data.on_error: skip, images that could not be read so far are kept in
 * mind: whether they are, how many there are, and a line on each, once: on the
 * first not told of from *sample on, which is then moved behind it; NULL: none.
 * The line lives with the set. */
bool surge_dataset_skips(const surge_dataset *set);
int32_t surge_dataset_skipped(const surge_dataset *set);
const char *surge_dataset_next_skipped(const surge_dataset *set,
                                       uint32_t *sample);

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
  const uint8_t *images;  /* [n] samples; NULL where the set is mirrored    */
  const int32_t *labels;  /* [n]; likewise                                  */
  const uint32_t *sample; /* [n] index in the data set                      */
  int32_t n;              /* the last batch of an epoch may be smaller      */
  int32_t index;          /* of the batch in its epoch, from 0              */
} surge_batch;

/* Gathers batches on `workers` threads of its own, two ahead; of a mirrored set
 * only the indices, as the ops gather the images themselves: such a set has no
 * policy. What a batch holds does not depend on `workers`. SURGE_ERROR_RECIPE: a
 * policy on images of other than 1 or 3 channels.
 *
 * Where a set skips images that cannot be read: in training the next in the
 * epoch's order that can be read stands in for one, so that batches keep their
 * size; in any other pass it is left out of its batch, and batches of none are
 * passed over. */
typedef struct surge_loader surge_loader;

surge_status surge_loader_create(surge_loader **loader,
                                 const surge_dataset *set,
                                 const uint32_t *samples, int32_t count,
                                 int32_t batch, int32_t workers);
void surge_loader_destroy(surge_loader *loader);

/* Begins an epoch at batch `first` (resuming: > 0). In a pass that trains the
 * order is a function of (seed, epoch) alone: Fisher-Yates driven by Philox. */
surge_status surge_loader_start(surge_loader *loader,
                                const surge_data_pass *pass, int32_t first);

/* The next batch; batch->n is 0 at the end of the epoch. SURGE_ERROR_DATA: what
 * surge_dataset_image said of the batch's first image that cannot be read. */
surge_status surge_loader_next(surge_loader *loader, surge_batch *batch);

/* Batches an epoch, ceil(count / batch). */
int32_t surge_loader_batches(const surge_loader *loader);

/* Seconds that surge_loader_next has waited since surge_loader_start. */
double surge_loader_waited(const surge_loader *loader);

/* Does the recipe mix the images of a batch that is trained on? */
bool surge_data_mixes(const struct surge_data_recipe *recipe);

/* How batch number `batch` of an epoch is mixed, a function of (seed, epoch,
 * batch) alone; share 1 where the recipe mixes nothing. Mixup's share is
 * Beta(alpha, alpha); cutmix's rectangle has 1 - Beta(alpha, alpha) of the area
 * around a random pixel before it is cut off at the border. */
surge_mix surge_mix_draw(const struct surge_data_recipe *recipe,
                         const surge_dataset_info *info, uint64_t seed,
                         uint32_t epoch, int32_t batch);

#ifdef __cplusplus
}
#endif
#endif
