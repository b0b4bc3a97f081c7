/* readers.h - one reader a file format, and what the registry does with it. */
#ifndef SURGE_DATA_READERS_H
#define SURGE_DATA_READERS_H

#include <surge/data.h>

typedef struct surge_reader surge_reader;
struct surge_reader {
  const void *layout; /* the reader's own, where one serves several formats */

  /* Adds to the registry's entry what recipe and folder say; or NULL. Of a set
   * whose classes are known the folder is not looked at, and is "". */
  surge_status (*describe)(const surge_reader *reader, surge_dataset_info *info,
                           const struct surge_data_recipe *recipe,
                           const char *folder);

  /* Are the files of both splits there? Reads nothing. */
  surge_status (*probe)(const surge_reader *reader,
                        const surge_dataset_info *info, const char *folder);

  /* Fills set->images and set->labels, which hold set->count samples of
   * set->info's sizes. Files of any other count or size are refused. */
  surge_status (*fill)(const surge_reader *reader, const surge_dataset *set,
                       const char *folder, surge_split split);

  /* In place of `fill`, lists a split's image files: sets set->files,
   * set->labels and set->count. */
  surge_status (*list)(const surge_reader *reader, surge_dataset *set,
                       const struct surge_data_recipe *recipe,
                       const char *folder, surge_split split);

  /* Reads one file of any number of images into `set`, whose info is given:
   * allocates its arrays and sets its count. */
  surge_status (*open)(const surge_reader *reader, surge_dataset *set,
                       const char *path);
};

extern const surge_reader surge_idx_reader;      /* idx.c: the MNIST family  */
extern const surge_reader surge_cifar10_reader;  /* cifar.c: .bin records    */
extern const surge_reader surge_cifar100_reader; /* cifar.c                  */
extern const surge_reader surge_folder_reader;   /* image_folder.c           */
extern const surge_reader surge_event_reader;    /* event_folder.c           */
extern const surge_reader surge_gesture_reader;  /* dvs_gesture.c            */
extern const surge_reader surge_shd_reader;      /* spike_trains.c           */
extern const surge_reader surge_ssc_reader;      /* spike_trains.c           */

/* Reads a split of the set that `info` describes; *set is empty on failure. */
surge_status surge_dataset_read(surge_dataset *set,
                                const surge_dataset_info *info,
                                const surge_reader *reader, const char *folder,
                                surge_split split);

/* Memory for `count` samples of set->info's sizes, labels 0. */
surge_status surge_dataset_allocate(surge_dataset *set, int32_t count);

/* Is `label`, of sample `i` in the file `path`, a class of the set? */
surge_status surge_check_label(const surge_dataset_info *info, const char *path,
                               int32_t i, int32_t label);

#endif
