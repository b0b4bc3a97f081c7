/* loader.c - batches gathered on a thread of their own, two ahead.
 *
 * Three slots turn in a ring: one that the caller holds and two that are
 * filled ahead of it. `filled` and `given` count batches since the loader was
 * made; batch number k lies in slot k % 3. The producer fills while
 * filled - given < 2, so it never touches slot (given - 1) % 3, the held one -
 * not even when an epoch is broken off and another started. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <surge/data.h>

#include "src/backend/clock.h"
#include "src/data/order.h"

#define AHEAD 2
#define SLOTS (AHEAD + 1)

typedef struct loader_slot {
  uint8_t *images;  /* [batch, H, W, C]; NULL where the set is mirrored */
  int32_t *labels;  /* [batch]; likewise */
  uint32_t *sample; /* [batch]          */
  int32_t n, index;
} loader_slot;

struct surge_loader {
  /* Fixed by surge_loader_create. */
  const surge_dataset *set;
  size_t image_bytes;
  int32_t count, batch, batches;
  uint32_t *samples; /* [count], as given */
  loader_slot slots[SLOTS];
  pthread_t thread;

  pthread_mutex_t mutex;  /* guards what follows, down to `stop`         */
  pthread_cond_t changed; /* something of it did                         */
  uint64_t filled, given;
  int32_t next_fill;      /* batch of the epoch that is filled next      */
  int32_t next_give;      /* and that surge_loader_next hands out next   */
  bool filling;           /* the producer reads `order`, writes a slot   */
  bool stop;

  uint32_t *order; /* [count], of this epoch; written while not `filling` */
  double waited;   /* seconds; touched by the caller's thread alone       */
};

/* --- the producer --------------------------------------------------------- */

static void gather(const surge_loader *loader, loader_slot *slot,
                   int32_t index) {
  const surge_dataset *set = loader->set;
  size_t bytes = loader->image_bytes;
  int32_t first = index * loader->batch, rest = loader->count - first;
  slot->index = index;
  slot->n = rest < loader->batch ? rest : loader->batch;
  for (int32_t i = 0; i < slot->n; i++) {
    uint32_t sample = loader->order[first + i];
    slot->sample[i] = sample;
    if (set->mirror_images) continue;
    memcpy(slot->images + (size_t)i * bytes, set->images + sample * bytes,
           bytes);
    slot->labels[i] = set->labels[sample];
  }
}

static bool has_work(const surge_loader *loader) {
  return loader->next_fill < loader->batches &&
         loader->filled - loader->given < AHEAD;
}

static void *produce(void *argument) {
  surge_loader *loader = argument;
  pthread_mutex_lock(&loader->mutex);
  while (!loader->stop) {
    if (!has_work(loader)) {
      pthread_cond_wait(&loader->changed, &loader->mutex);
      continue;
    }
    loader_slot *slot = &loader->slots[loader->filled % SLOTS];
    int32_t index = loader->next_fill;
    loader->filling = true;
    pthread_mutex_unlock(&loader->mutex);
    gather(loader, slot, index);
    pthread_mutex_lock(&loader->mutex);
    loader->filling = false;
    loader->filled++;
    loader->next_fill++;
    pthread_cond_broadcast(&loader->changed);
  }
  pthread_mutex_unlock(&loader->mutex);
  return NULL;
}

/* --- making and unmaking -------------------------------------------------- */

static surge_status check_create(const surge_dataset *set,
                                 const uint32_t *samples, int32_t count,
                                 int32_t batch) {
  if (count < 1 || batch < 1)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "surge_loader_create: count, batch: wanted at least 1, "
                      "found %d and %d",
                      (int)count, (int)batch);
  for (int32_t i = 0; i < count; i++)
    if (samples[i] >= (uint32_t)set->count)
      return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                        "surge_loader_create: samples[%d]: wanted less than "
                        "%d, found %u",
                        (int)i, (int)set->count, (unsigned)samples[i]);
  return SURGE_OK;
}

static bool allocate(surge_loader *loader) {
  size_t count = (size_t)loader->count, batch = (size_t)loader->batch;
  loader->samples = malloc(count * sizeof *loader->samples);
  loader->order = malloc(count * sizeof *loader->order);
  bool all = loader->samples && loader->order;
  for (int i = 0; i < SLOTS; i++) {
    loader_slot *slot = &loader->slots[i];
    slot->sample = malloc(batch * sizeof *slot->sample);
    all = all && slot->sample;
    if (loader->set->mirror_images) continue;
    slot->images = malloc(batch * loader->image_bytes);
    slot->labels = malloc(batch * sizeof *slot->labels);
    all = all && slot->images && slot->labels;
  }
  return all;
}

static void release(surge_loader *loader) {
  for (int i = 0; i < SLOTS; i++) {
    free(loader->slots[i].images);
    free(loader->slots[i].labels);
    free(loader->slots[i].sample);
  }
  free(loader->samples);
  free(loader->order);
  free(loader);
}

surge_status surge_loader_create(surge_loader **loader,
                                 const surge_dataset *set,
                                 const uint32_t *samples, int32_t count,
                                 int32_t batch) {
  *loader = NULL;
  SURGE_TRY(check_create(set, samples, count, batch));
  const surge_dataset_info *info = set->info;
  surge_loader *made = calloc(1, sizeof *made);
  if (!made) return SURGE_FAIL(SURGE_ERROR_DEVICE, "loader: no memory");
  made->set = set;
  made->image_bytes = (size_t)info->h * (size_t)info->w * (size_t)info->c;
  made->count = count;
  made->batch = batch < count ? batch : count;
  made->batches = (count - 1) / batch + 1;
  made->next_fill = made->next_give = made->batches; /* no epoch yet */
  if (!allocate(made)) {
    release(made);
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "loader: wanted memory for %d batches of %d images, "
                      "found less",
                      SLOTS, (int)batch);
  }
  memcpy(made->samples, samples, (size_t)count * sizeof *samples);
  pthread_mutex_init(&made->mutex, NULL);
  pthread_cond_init(&made->changed, NULL);
  int fault = pthread_create(&made->thread, NULL, produce, made);
  if (fault) {
    release(made);
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "loader: no thread: %s",
                      strerror(fault));
  }
  *loader = made;
  return SURGE_OK;
}

void surge_loader_destroy(surge_loader *loader) {
  if (!loader) return;
  pthread_mutex_lock(&loader->mutex);
  loader->stop = true;
  pthread_cond_broadcast(&loader->changed);
  pthread_mutex_unlock(&loader->mutex);
  pthread_join(loader->thread, NULL);
  pthread_cond_destroy(&loader->changed);
  pthread_mutex_destroy(&loader->mutex);
  release(loader);
}

/* --- an epoch ------------------------------------------------------------- */

surge_status surge_loader_start(surge_loader *loader, uint64_t seed,
                                uint32_t epoch, int32_t first, bool shuffle) {
  if (first < 0 || first > loader->batches)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "surge_loader_start: first: wanted 0 to %d, found %d",
                      (int)loader->batches, (int)first);
  pthread_mutex_lock(&loader->mutex);
  /* Nothing more is begun, and what was begun is finished and dropped. */
  loader->next_fill = loader->batches;
  while (loader->filling) pthread_cond_wait(&loader->changed, &loader->mutex);
  memcpy(loader->order, loader->samples,
         (size_t)loader->count * sizeof *loader->order);
  if (shuffle)
    surge_shuffle(loader->order, loader->count, seed, epoch, SURGE_ORDER_EPOCH);
  loader->filled = loader->given;
  loader->next_fill = loader->next_give = first;
  loader->waited = 0;
  pthread_cond_broadcast(&loader->changed);
  pthread_mutex_unlock(&loader->mutex);
  return SURGE_OK;
}

/* Called with the mutex held; the time is only read where there is a wait. */
static void wait_for_batch(surge_loader *loader) {
  if (loader->filled > loader->given) return;
  double begin = surge_seconds();
  while (loader->filled == loader->given)
    pthread_cond_wait(&loader->changed, &loader->mutex);
  loader->waited += surge_seconds() - begin;
}

surge_status surge_loader_next(surge_loader *loader, surge_batch *batch) {
  *batch = (surge_batch){0};
  pthread_mutex_lock(&loader->mutex);
  if (loader->next_give < loader->batches) {
    wait_for_batch(loader);
    const loader_slot *slot = &loader->slots[loader->given % SLOTS];
    *batch = (surge_batch){.set = loader->set,
                           .images = slot->images,
                           .labels = slot->labels,
                           .sample = slot->sample,
                           .n = slot->n,
                           .index = slot->index};
    loader->given++;
    loader->next_give++;
    pthread_cond_broadcast(&loader->changed);
  } else {
    batch->index = loader->batches;
  }
  pthread_mutex_unlock(&loader->mutex);
  return SURGE_OK;
}

int32_t surge_loader_batches(const surge_loader *loader) {
  return loader->batches;
}

double surge_loader_waited(const surge_loader *loader) {
  return loader->waited;
}
