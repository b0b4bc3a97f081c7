/* format.h - one reader a format, and the list of them. */
#ifndef SURGE_EVENTS_FORMAT_H
#define SURGE_EVENTS_FORMAT_H

#include <stdbool.h>
#include <surge/events.h>

#include "src/events/bytes.h"

#define SURGE_EVENTS_HEAD 4096 /* bytes from the start that recognisers see */

typedef struct surge_events_format {
  const char *name;

  /* Is the file of this format? Sees its first SURGE_EVENTS_HEAD bytes, or all;
   * bytes->total is there, too. Says no rather than fail. */
  bool (*recognise)(const surge_bytes *bytes);

  /* Takes the header and sets what info says otherwise than the defaults (no
   * size, 1 stream, 1 recording), and `state` where the reader needs one; NULL
   * where a format has no header. */
  surge_status (*open)(surge_events_file *file);

  /* Appends events to the chunk until it is full or the file ends. */
  surge_status (*next)(surge_events_file *file, surge_events *chunk);

  /* Of formats with many recordings a file, `index` being one of them; NULL
   * otherwise. */
  surge_status (*select)(surge_events_file *file, size_t index);
  surge_status (*label)(surge_events_file *file, size_t index, int32_t *label);

  /* Frees `state`; NULL: free() does it. Also called after a failed open. */
  void (*close)(surge_events_file *file);
} surge_events_format;

struct surge_events_file {
  const surge_events_format *format;
  surge_events_info info;
  surge_bytes bytes;
  void *state; /* the reader's own; NULL until it sets it */
  char path[];
};

/* Fails with "FILE: byte OFFSET: " and what was wanted and found there. */
#define SURGE_EVENTS_FAIL(bytes, format, ...)                                  \
  SURGE_FAIL(SURGE_ERROR_DATA, "%s: byte %llu: " format, (bytes)->path,        \
             (unsigned long long)(bytes)->offset, __VA_ARGS__)

/* A record of `wanted` bytes of which the file has fewer left. */
surge_status surge_events_cut_off(const surge_bytes *bytes, size_t wanted);

/* Passes over the `count` bytes that are left of a packet. */
surge_status surge_events_pass(surge_bytes *bytes, uint64_t count);

extern const surge_events_format surge_events_aedat2; /* aedat2.c */
extern const surge_events_format surge_events_aedat3; /* aedat3.c */
extern const surge_events_format surge_events_aedat4; /* aedat4.c */
extern const surge_events_format surge_events_dat;    /* dat.c    */
extern const surge_events_format surge_events_es;     /* es.c     */
extern const surge_events_format surge_events_evt2;   /* evt2.c   */
extern const surge_events_format surge_events_evt3;   /* evt3.c   */
extern const surge_events_format surge_events_hdf5;   /* hdf5.c   */
extern const surge_events_format surge_events_nmnist; /* nmnist.c */
extern const surge_events_format surge_events_npz;    /* npz.c    */
extern const surge_events_format surge_events_text;   /* text.c   */

#endif
