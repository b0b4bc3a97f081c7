/* loader.c - batches gathered on threads of their own, two ahead.
 *
 * Three slots turn in a ring: one that the caller holds and two that are
 * filled ahead of it. `given` counts batches since the loader was made; batch
 * number k lies in slot k % 3. Workers claim pieces of the next two batches,
 * so they never touch slot (given - 1) % 3, the held one - not even when
 * an epoch is broken off and another started. A piece is one image where images
 * are decoded or changed, else the whole batch, for copying is not worth
 * sharing. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <surge/data.h>

#include "src/backend/clock.h"
#include "src/data/order.h"
#include "src/data/policy.h"

#define AHEAD 2
#define SLOTS (AHEAD + 1)
#define LEFT_OUT UINT32_MAX /* in place of a sample: it cannot be read */

typedef struct loader_slot {
  uint8_t *images;  /* [batch] samples; NULL where the set is mirrored */
  int32_t *labels;  /* [batch]; likewise */
  uint32_t *sample; /* [batch]          */
  int32_t n, index;
  int32_t done;   /* images gathered; n: it is ready              */
  int32_t failed; /* the first that could not be, and why; n: none */
  surge_status status;
  char error[2048];
} loader_slot;

/* Images place .. place + n - 1 of a slot, the first of them order[first]. */
typedef struct loader_piece {
  loader_slot *slot;
  int32_t place, n, first;
} loader_piece;

typedef struct loader_worker {
  surge_loader *loader;
  pthread_t thread;
  uint8_t *scratch; /* an image's bytes; NULL where the set has no policy */
} loader_worker;

struct surge_loader {
  /* Fixed by surge_loader_create. */
  const surge_dataset *set;
  size_t image_bytes;
  int32_t count, batch, batches;
  int32_t piece;     /* images that a worker claims at a time */
  uint32_t *samples; /* [count], as given */
  loader_slot slots[SLOTS];
  loader_worker *workers;
  uint8_t *scratch; /* theirs */
  int32_t running;  /* of them, those whose threads were started */

  pthread_mutex_t mutex;  /* guards what follows, down to `stop`           */
  pthread_cond_t changed; /* something of it did                           */
  uint64_t given;
  int32_t next_give;  /* batch of the epoch that is handed out next    */
  int64_t next_claim; /* place in `order` that is claimed next         */
  int32_t busy;       /* workers that read `order` and write to slots  */
  bool stop;

  uint32_t *order;      /* [count], of this epoch; written while none is busy */
  surge_data_pass pass; /* likewise                                      */
  double waited; /* seconds; touched by the caller's thread alone       */
};

/* --- the workers ---------------------------------------------------------- */

static loader_slot *slot_of(surge_loader *loader, int32_t batch) {
  uint64_t ahead = (uint64_t)(batch - loader->next_give);
  return &loader->slots[(loader->given + ahead) % SLOTS];
}

static void begin_slot(const surge_loader *loader, loader_slot *slot,
                       int32_t batch) {
  int32_t rest = loader->count - batch * loader->batch;
  slot->index = batch;
  slot->n = slot->failed = rest < loader->batch ? rest : loader->batch;
  slot->done = 0;
  slot->status = SURGE_OK;
}

/* Called with the mutex held; false where there is nothing to do. */
static bool claim(surge_loader *loader, loader_piece *piece) {
  if (loader->next_claim >= loader->count) return false;
  int32_t batch = (int32_t)(loader->next_claim / loader->batch);
  if (batch - loader->next_give >= AHEAD) return false;
  loader_slot *slot = slot_of(loader, batch);
  int32_t place = (int32_t)(loader->next_claim % loader->batch);
  if (place == 0) begin_slot(loader, slot, batch);
  int32_t rest = slot->n - place;
  *piece = (loader_piece){.slot = slot,
                          .place = place,
                          .n = rest < loader->piece ? rest : loader->piece,
                          .first = (int32_t)loader->next_claim};
  loader->next_claim += piece->n;
  return true;
}

/* One image as the batch has it. */
static surge_status read_image(const loader_worker *worker, uint32_t sample,
                               uint8_t *image) {
  const surge_dataset *set = worker->loader->set;
  const surge_data_pass *pass = &worker->loader->pass;
  SURGE_TRY(surge_dataset_image(set, sample, pass, image));
  if (!pass->train || set->policy == SURGE_POLICY_NONE) return SURGE_OK;
  const surge_dataset_info *info = set->info;
  const surge_pixels pixels = {image, worker->scratch, info->h, info->w,
                               info->c};
  surge_policy_apply(set->policy, &pixels, pass, sample);
  return SURGE_OK;
}

/* Reads sample order[place], or what stands for it, into a slot's place k. */
static surge_status gather(const loader_worker *worker, loader_slot *slot,
                           int32_t k, int32_t place) {
  const surge_loader *loader = worker->loader;
  const surge_dataset *set = loader->set;
  slot->sample[k] = loader->order[place];
  if (set->mirror_images) return SURGE_OK;
  for (int32_t i = 0; i < loader->count; i++) {
    uint32_t sample = loader->order[(place + (int64_t)i) % loader->count];
    surge_status status = read_image(
        worker, sample, slot->images + (size_t)k * loader->image_bytes);
    if (status == SURGE_ERROR_DATA && surge_dataset_skips(set)) {
      slot->sample[k] = LEFT_OUT;
      if (loader->pass.train) continue;
      return SURGE_OK;
    }
    slot->sample[k] = sample;
    slot->labels[k] = set->labels[sample];
    return status;
  }
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: wanted a training image that can be read, found none "
                    "of %d",
                    set->info->name, (int)loader->count);
}

/* Returns how many images were gathered before one failed. */
static int32_t gather_piece(const loader_worker *worker,
                            const loader_piece *piece, surge_status *status) {
  *status = SURGE_OK;
  for (int32_t k = 0; k < piece->n; k++) {
    *status = gather(worker, piece->slot, piece->place + k, piece->first + k);
    if (*status != SURGE_OK) return k;
  }
  return piece->n;
}

/* Called with the mutex held. Of several failures the first in the batch's
 * order is kept, whichever came first. */
static void settle(loader_piece *piece, int32_t gathered, surge_status status) {
  loader_slot *slot = piece->slot;
  int32_t failed = piece->place + gathered;
  slot->done += piece->n;
  if (status == SURGE_OK || failed >= slot->failed) return;
  slot->failed = failed;
  slot->status = status;
  snprintf(slot->error, sizeof slot->error, "%s", surge_last_error());
}

static void *work(void *argument) {
  const loader_worker *worker = argument;
  surge_loader *loader = worker->loader;
  loader_piece piece;
  surge_status status;
  pthread_mutex_lock(&loader->mutex);
  while (!loader->stop) {
    if (!claim(loader, &piece)) {
      pthread_cond_wait(&loader->changed, &loader->mutex);
      continue;
    }
    loader->busy++;
    pthread_mutex_unlock(&loader->mutex);
    int32_t gathered = gather_piece(worker, &piece, &status);
    pthread_mutex_lock(&loader->mutex);
    loader->busy--;
    settle(&piece, gathered, status);
    if (piece.slot->done == piece.slot->n || loader->busy == 0)
      pthread_cond_broadcast(&loader->changed);
  }
  pthread_mutex_unlock(&loader->mutex);
  return NULL;
}

/* --- making and unmaking -------------------------------------------------- */

static surge_status check_create(const surge_dataset *set,
                                 const uint32_t *samples, int32_t count,
                                 int32_t batch, int32_t workers) {
  if (count < 1 || batch < 1 || workers < 1)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "surge_loader_create: count, batch, workers: wanted at "
                      "least 1, found %d, %d and %d",
                      (int)count, (int)batch, (int)workers);
  if (set->mirror_images && set->policy)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "surge_loader_create: set: wanted no policy where it is "
                      "mirrored, found one");
  if (set->policy && set->info->c != 1 && set->info->c != 3)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "data.policy: wanted none on images of other than 1 or 3 "
                      "channels, found one on %d of %s",
                      (int)set->info->c, set->info->name);
  if (set->policy && set->info->steps > 0)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "data.policy: wanted none on recordings, found one on %s",
                      set->info->name);
  for (int32_t i = 0; i < count; i++)
    if (samples[i] >= (uint32_t)set->count)
      return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                        "surge_loader_create: samples[%d]: wanted less than "
                        "%d, found %u",
                        (int)i, (int)set->count, (unsigned)samples[i]);
  return SURGE_OK;
}

static bool allocate(surge_loader *loader, int32_t workers) {
  size_t count = (size_t)loader->count, batch = (size_t)loader->batch;
  loader->samples = malloc(count * sizeof *loader->samples);
  loader->order = malloc(count * sizeof *loader->order);
  loader->workers = calloc((size_t)workers, sizeof *loader->workers);
  bool all = loader->samples && loader->order && loader->workers;
  if (loader->set->policy) {
    loader->scratch = malloc((size_t)workers * loader->image_bytes);
    all = all && loader->scratch;
  }
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
  free(loader->workers);
  free(loader->scratch);
  free(loader);
}

static surge_status start_workers(surge_loader *loader, int32_t workers) {
  pthread_mutex_init(&loader->mutex, NULL);
  pthread_cond_init(&loader->changed, NULL);
  for (; loader->running < workers; loader->running++) {
    int32_t i = loader->running;
    loader_worker *worker = &loader->workers[i];
    worker->loader = loader;
    if (loader->scratch)
      worker->scratch = loader->scratch + (size_t)i * loader->image_bytes;
    int fault = pthread_create(&worker->thread, NULL, work, worker);
    if (fault)
      return SURGE_FAIL(SURGE_ERROR_DEVICE,
                        "loader: wanted %d threads, found %d: %s", (int)workers,
                        (int)i, strerror(fault));
  }
  return SURGE_OK;
}

surge_status surge_loader_create(surge_loader **loader,
                                 const surge_dataset *set,
                                 const uint32_t *samples, int32_t count,
                                 int32_t batch, int32_t workers) {
  *loader = NULL;
  SURGE_TRY(check_create(set, samples, count, batch, workers));
  surge_loader *made = calloc(1, sizeof *made);
  if (!made) return SURGE_FAIL(SURGE_ERROR_DEVICE, "loader: no memory");
  made->set = set;
  made->image_bytes = surge_sample_bytes(set->info);
  made->count = count;
  made->batch = batch < count ? batch : count;
  made->batches = (count - 1) / batch + 1;
  made->piece = set->files || set->policy ? 1 : made->batch;
  made->next_give = made->batches; /* no epoch yet */
  made->next_claim = count;
  if (!allocate(made, workers)) {
    release(made);
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "loader: wanted memory for %d batches of %d images, "
                      "found less",
                      SLOTS, (int)batch);
  }
  memcpy(made->samples, samples, (size_t)count * sizeof *samples);
  surge_status status = start_workers(made, workers);
  if (status == SURGE_OK)
    *loader = made;
  else
    surge_loader_destroy(made);
  return status;
}

void surge_loader_destroy(surge_loader *loader) {
  if (!loader) return;
  pthread_mutex_lock(&loader->mutex);
  loader->stop = true;
  pthread_cond_broadcast(&loader->changed);
  pthread_mutex_unlock(&loader->mutex);
  for (int32_t i = 0; i < loader->running; i++)
    pthread_join(loader->workers[i].thread, NULL);
  pthread_cond_destroy(&loader->changed);
  pthread_mutex_destroy(&loader->mutex);
  release(loader);
}

/* --- an epoch ------------------------------------------------------------- */

surge_status surge_loader_start(surge_loader *loader,
                                const surge_data_pass *pass, int32_t first) {
  if (first < 0 || first > loader->batches)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "surge_loader_start: first: wanted 0 to %d, found %d",
                      (int)loader->batches, (int)first);
  pthread_mutex_lock(&loader->mutex);
  /* Nothing more is begun, and what was begun is finished and dropped. */
  loader->next_claim = loader->count;
  while (loader->busy > 0) pthread_cond_wait(&loader->changed, &loader->mutex);
  loader->pass = *pass;
  memcpy(loader->order, loader->samples,
         (size_t)loader->count * sizeof *loader->order);
  if (pass->train)
    surge_shuffle(loader->order, loader->count, pass->seed, pass->epoch,
                  SURGE_ORDER_EPOCH);
  loader->next_give = first;
  loader->next_claim = (int64_t)first * loader->batch;
  loader->waited = 0;
  pthread_cond_broadcast(&loader->changed);
  pthread_mutex_unlock(&loader->mutex);
  return SURGE_OK;
}

/* Called with the mutex held: has the batch that is next been claimed to its
 * last image, and are all gathered? */
static bool is_ready(surge_loader *loader) {
  const loader_slot *slot = slot_of(loader, loader->next_give);
  int64_t first = (int64_t)loader->next_give * loader->batch;
  return loader->next_claim > first && slot->done == slot->n;
}

/* Called with the mutex held; the time is only read where there is a wait. */
static void wait_for_batch(surge_loader *loader) {
  if (is_ready(loader)) return;
  double begin = surge_seconds();
  while (!is_ready(loader)) pthread_cond_wait(&loader->changed, &loader->mutex);
  loader->waited += surge_seconds() - begin;
}

/* Moves the images that could be read together. */
static void close_gaps(const surge_loader *loader, loader_slot *slot) {
  int32_t kept = 0;
  size_t bytes = loader->image_bytes;
  for (int32_t k = 0; k < slot->n; k++) {
    if (slot->sample[k] == LEFT_OUT) continue;
    if (kept < k) {
      slot->sample[kept] = slot->sample[k];
      slot->labels[kept] = slot->labels[k];
      memcpy(slot->images + (size_t)kept * bytes,
             slot->images + (size_t)k * bytes, bytes);
    }
    kept++;
  }
  slot->n = kept;
}

/* Called with the mutex held. A batch that failed stays the next one. */
static surge_status take_batch(surge_loader *loader, surge_batch *batch) {
  wait_for_batch(loader);
  loader_slot *slot = slot_of(loader, loader->next_give);
  if (slot->status != SURGE_OK)
    return SURGE_FAIL(slot->status, "%s", slot->error);
  loader->given++;
  loader->next_give++;
  pthread_cond_broadcast(&loader->changed);
  close_gaps(loader, slot);
  *batch = (surge_batch){.set = loader->set,
                         .images = slot->images,
                         .labels = slot->labels,
                         .sample = slot->sample,
                         .n = slot->n,
                         .index = slot->index};
  return SURGE_OK;
}

surge_status surge_loader_next(surge_loader *loader, surge_batch *batch) {
  surge_status status = SURGE_OK;
  *batch = (surge_batch){0};
  pthread_mutex_lock(&loader->mutex);
  while (status == SURGE_OK && batch->n == 0 &&
         loader->next_give < loader->batches)
    status = take_batch(loader, batch);
  if (batch->n == 0) *batch = (surge_batch){.index = loader->batches};
  pthread_mutex_unlock(&loader->mutex);
  return status;
}

int32_t surge_loader_batches(const surge_loader *loader) {
  return loader->batches;
}

double surge_loader_waited(const surge_loader *loader) {
  return loader->waited;
}
