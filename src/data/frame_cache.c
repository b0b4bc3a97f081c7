/* frame_cache.c - see frame_cache.h. A file is named <key>.frames and holds the
 * sample's bytes, then their 64-bit hash. */
#include "src/data/frame_cache.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PATH (SURGE_PATH + 64)
#define PIECE ((size_t)1 << 18)

struct surge_frame_cache {
  char folder[SURGE_PATH];
  pthread_mutex_t mutex; /* guards what follows */
  surge_frame_key *keys; /* [count]; 0, 0: not known yet */
};

/* --- opening -------------------------------------------------------------- */

surge_status surge_frame_cache_open(surge_dataset *set,
                                    const struct surge_data_recipe *recipe) {
  if (!recipe->cache[0]) return SURGE_OK;
  if (mkdir(recipe->cache, 0777) != 0 && errno != EEXIST)
    return SURGE_FAIL(SURGE_ERROR_DATA, "data.cache: %s: %s", recipe->cache,
                      strerror(errno));
  set->cache = calloc(1, sizeof *set->cache);
  if (!set->cache)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "data.cache: no memory");
  pthread_mutex_init(&set->cache->mutex, NULL);
  snprintf(set->cache->folder, sizeof set->cache->folder, "%s", recipe->cache);
  set->cache->keys = calloc((size_t)set->count, sizeof *set->cache->keys);
  if (set->cache->keys) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "data.cache: no memory for %d keys",
                    (int)set->count);
}

void surge_frame_cache_free(struct surge_frame_cache *cache) {
  if (!cache) return;
  pthread_mutex_destroy(&cache->mutex);
  free(cache->keys);
  free(cache);
}

/* --- keys ----------------------------------------------------------------- */

static surge_status hash_file(XXH3_state_t *state, const char *path) {
  uint8_t *piece = malloc(PIECE);
  FILE *file = piece ? fopen(path, "rb") : NULL;
  size_t size = 0;
  while (file && (size = fread(piece, 1, PIECE, file)) > 0)
    XXH3_128bits_update(state, piece, size);
  bool read = file && !ferror(file);
  int fault = errno;
  if (file) fclose(file);
  free(piece);
  if (read) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path, strerror(fault));
}

/* Raised when a reader or frames.c comes to give other counts than before. */
#define CACHE_VERSION 1

/* All that frames depend on but the file. */
static void hash_framing(XXH3_state_t *state, const surge_dataset_info *info,
                         const surge_window *window) {
  const surge_framing *f = &info->framing;
  const int64_t values[] = {CACHE_VERSION,
                            f->by,
                            f->T,
                            f->duration_us,
                            f->width,
                            f->height,
                            f->w,
                            f->h,
                            f->left,
                            f->top,
                            f->frame_w,
                            f->frame_h,
                            f->c,
                            info->most,
                            window->begin,
                            window->end,
                            (int64_t)window->recording,
                            info->on_side};
  XXH3_128bits_update(state, values, sizeof values);
}

static surge_status make_key(const surge_dataset *set, const char *path,
                             const surge_window *window, surge_frame_key *key) {
  XXH3_state_t *state = XXH3_createState();
  if (!state) return SURGE_FAIL(SURGE_ERROR_DEVICE, "data.cache: no memory");
  XXH3_128bits_reset(state);
  surge_status status = hash_file(state, path);
  hash_framing(state, set->info, window);
  XXH128_hash_t hash = XXH3_128bits_digest(state);
  XXH3_freeState(state);
  *key = (surge_frame_key){hash.low64, hash.high64};
  return status;
}

surge_status surge_frame_cache_key(const surge_dataset *set, uint32_t sample,
                                   const char *path, const surge_window *window,
                                   surge_frame_key *key) {
  struct surge_frame_cache *cache = set->cache;
  pthread_mutex_lock(&cache->mutex);
  *key = cache->keys[sample];
  pthread_mutex_unlock(&cache->mutex);
  if (key->low || key->high) return SURGE_OK;
  SURGE_TRY(make_key(set, path, window, key));
  pthread_mutex_lock(&cache->mutex);
  cache->keys[sample] = *key;
  pthread_mutex_unlock(&cache->mutex);
  return SURGE_OK;
}

/* --- entries -------------------------------------------------------------- */

static void entry_path(const surge_dataset *set, const surge_frame_key *key,
                       char path[PATH]) {
  snprintf(path, PATH, "%s/%016" PRIx64 "%016" PRIx64 ".frames",
           set->cache->folder, key->high, key->low);
}

bool surge_frame_cache_read(const surge_dataset *set,
                            const surge_frame_key *key, uint8_t *frames) {
  char path[PATH];
  size_t bytes = surge_sample_bytes(set->info);
  uint64_t hash;
  entry_path(set, key, path);
  FILE *file = fopen(path, "rb");
  if (!file) return false;
  bool good = fread(frames, 1, bytes, file) == bytes &&
              fread(&hash, sizeof hash, 1, file) == 1 && fgetc(file) == EOF &&
              hash == XXH3_64bits(frames, bytes);
  fclose(file);
  return good;
}

/* Under a name of its own first, so that no reader sees half of it. */
surge_status surge_frame_cache_write(const surge_dataset *set,
                                     const surge_frame_key *key,
                                     const uint8_t *frames) {
  char path[PATH], part[PATH + 8];
  size_t bytes = surge_sample_bytes(set->info);
  uint64_t hash = XXH3_64bits(frames, bytes);
  entry_path(set, key, path);
  snprintf(part, sizeof part, "%s.XXXXXX", path);
  int fd = mkstemp(part);
  if (fd >= 0) fchmod(fd, 0644); /* others may share the folder */
  FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
  bool good = file && fwrite(frames, 1, bytes, file) == bytes &&
              fwrite(&hash, sizeof hash, 1, file) == 1;
  if (file && fclose(file) != 0) good = false;
  good = good && rename(part, path) == 0;
  int fault = errno;
  if (good) return SURGE_OK;
  if (fd >= 0 && !file) close(fd);
  if (fd >= 0) unlink(part);
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "data.cache: %s: %s", path,
                    strerror(fault));
}
