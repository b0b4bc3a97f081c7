/* measure.h - what a run's tables do not say, asked of its last checkpoint. */
#ifndef SURGE_REPORT_MEASURE_H
#define SURGE_REPORT_MEASURE_H

#include <surge/train.h>

/* What one convolution or linear layer does for an inference. */
typedef struct surge_layer_work {
  char name[SURGE_WORD];
  bool binary;
  double rate; /* share of its inputs that are not 0 */
  surge_energy energy;
} surge_layer_work;

/* Spikes of some neurons of a layer for some images. */
typedef struct surge_raster {
  char name[SURGE_WORD];
  int32_t neurons, of; /* so many are shown, of so many */
  int32_t T, images;
  uint8_t *spike; /* [images, T, neurons]; owned */
} surge_raster;

#define SURGE_RASTER_IMAGES 4
#define SURGE_RASTER_NEURONS 32

typedef struct surge_measured {
  char why_not[2048]; /* why nothing else is filled in, or "" */
  char device[256];
  surge_evaluation result;
  surge_anytime anytime;
  int32_t classes;
  uint64_t *confusion;            /* [classes (true), classes (said)]; owned */
  char (*class_name)[SURGE_WORD]; /* [classes]; owned */
  surge_layer_work *work;         /* [works]; owned */
  int32_t works;
  surge_raster *raster; /* [rasters]; owned */
  int32_t rasters;
} surge_measured;

/* Evaluates checkpoint_last of a run's folder on the test images,
 * `overrides` on top of its recipe. Where that cannot be done, `why_not`
 * says why; nothing is wrong with the rest of a report then. Must be freed. */
void surge_measure(surge_measured *measured, const char *run,
                   const char *const *overrides);

/* The same of `work`, `result` and `device` alone, on the first so many
 * images. */
void surge_measure_work(surge_measured *measured, const char *run,
                        const char *const *overrides, int32_t images);
void surge_measured_free(surge_measured *measured);

/* Of a whole inference. */
surge_energy surge_measured_energy(const surge_measured *measured);

#endif
