/* frame_cache.h - a folder of frames (data.cache), so that recordings are read and
 * framed once.
 *
 * A sample's frames are found by a hash of its file's bytes and of how they are
 * framed, taken at its first use in a process: a file that changed, or another
 * T, finds nothing, and nothing has to be deleted to be right. XXH3 with 128
 * bits: as fast as memory, so that hashing costs less than parsing, and long
 * enough that no two of 10^9 files meet by chance (a cyclic redundancy check's
 * 32 bits would let some of 10^5). It guards against change, not against an
 * attacker. An entry carries a hash of its frames, too: one that is damaged or
 * cut off is made again. */
#ifndef SURGE_DATA_FRAME_CACHE_H
#define SURGE_DATA_FRAME_CACHE_H

#include "src/data/recording.h"

typedef struct surge_frame_key {
  uint64_t low, high;
} surge_frame_key;

/* Gives a listed set the recipe's cache, if that has one. SURGE_ERROR_DATA: the
 * folder cannot be made. */
surge_status surge_frame_cache_open(surge_dataset *set,
                                    const struct surge_data_recipe *recipe);
void surge_frame_cache_free(struct surge_frame_cache *cache);

/* The key of a sample; from any thread. */
surge_status surge_frame_cache_key(const surge_dataset *set, uint32_t sample,
                                   const char *path, const surge_window *window,
                                   surge_frame_key *key);

/* False where the cache has no good entry. */
bool surge_frame_cache_read(const surge_dataset *set,
                            const surge_frame_key *key, uint8_t *frames);

/* SURGE_ERROR_DEVICE, which stops a run that skips bad recordings too: the entry
 * cannot be written. */
surge_status surge_frame_cache_write(const surge_dataset *set,
                                     const surge_frame_key *key,
                                     const uint8_t *frames);

#endif
