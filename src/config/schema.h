/* schema.h - the table of a recipe's keys, and what reads it.
 *
 *   schema.c    the table itself: one row a key, one list of words an enum
 *   value.c     text <-> field, as a row describes it
 *   document.c  YAML text -> libyaml document, places, "found ..."
 *   read.c      a mapping of a document -> fields
 *   layers.c    model.layers
 *   rules.c     what keys demand of one another
 *   networks.c  what the networks of the zoo want of model's keys
 *   recipe.c    the public calls: file, overrides, defaults
 *   write.c     the effective recipe and the manual */
#ifndef SURGE_CONFIG_SCHEMA_H
#define SURGE_CONFIG_SCHEMA_H

#include <stddef.h>
#include <surge/recipe.h>

#define SURGE_MAX_RECIPE (1 << 20) /* bytes of a recipe file */
#define SURGE_MAX_BASES 8          /* recipes that a recipe starts from       */
#define SURGE_MAX_LAYERS 512       /* entries of model.layers                 */
#define SURGE_MAX_PHRASE 512       /* bytes of "wanted ...", with the final 0 */

/* What a key's value looks like, and the C type of its field. */
typedef enum surge_key_type {
  SURGE_KEY_SECTION, /* a mapping of keys; no field                           */
  SURGE_KEY_BOOL,    /* bool                                                  */
  SURGE_KEY_INT,     /* int32_t                                               */
  SURGE_KEY_LONG,    /* int64_t                                               */
  SURGE_KEY_FLOAT,   /* float                                                 */
  SURGE_KEY_DOUBLE,  /* double                                                */
  SURGE_KEY_WORD,    /* an enum                                               */
  SURGE_KEY_NAME,    /* char[capacity]: [A-Za-z0-9_]+                         */
  SURGE_KEY_LABEL,   /* char[capacity]: [A-Za-z0-9_.-]+, a file name          */
  SURGE_KEY_TEXT,    /* char[capacity]: no control characters                 */
  SURGE_KEY_INTS,    /* int32_t[capacity] and an int32_t count                */
  SURGE_KEY_BOOLS,   /* bool[capacity] and an int32_t count                   */
  SURGE_KEY_NAMES,   /* char[capacity]: "all", or names with commas between   */
  SURGE_KEY_LAYERS   /* layers.c                                              */
} surge_key_type;

/* A word and the enum value or number that it stands for. */
typedef struct surge_word {
  const char *text; /* NULL ends a list */
  int32_t value;
} surge_word;

typedef struct surge_key {
  const char *path; /* "seed", "optim.lr"; of a layer's fields "conv.out" */
  surge_key_type type;
  size_t offset; /* of the field in surge_draft or surge_layer_spec         */
  size_t count_offset; /* of a list's count                                */
  int32_t capacity;    /* entries of a list, bytes of a text               */
  const surge_word *words; /* all of an enum; those beside a number */
  double low, high; /* range of a number                                */
  bool low_open, high_open; /* the end itself is outside */
  const char *unit; /* or NULL                                             */
  const char *standard; /* the default as YAML; NULL: derived, or none */
  const char *derived; /* the default in words, where other keys give it      */
  const char *text;    /* one sentence                                        */
} surge_key;

/* A recipe while it is read or written: beside the struct, the keys that have
 * no field of their own there (rules.c translates). */
typedef struct surge_draft {
  surge_recipe recipe;
  char base[SURGE_PATH]; /* of the file that was read last                 */
  int32_t norm; /* model.norm: a surge_norm_kind or SURGE_NO_NORM       */
  int32_t neuron_type; /* neuron.type: 1 is `if` */
  float decay;       /* neuron.decay: d, or SURGE_LEARNED                    */
  float decay_start; /* neuron.decay_start                                   */
  double tau;        /* neuron.tau                                           */
  float synapse_decay; /* neuron.synapse_decay: d_s, or SURGE_LEARNED        */
  float synapse_start; /* neuron.synapse_decay_start                         */
  double synapse_tau;  /* neuron.synapse_tau                                 */
} surge_draft;

#define SURGE_NO_NORM (-1)
#define SURGE_LEARNED (-1)
#define SURGE_INTEGRATE_FIRE 1

/* The recipe's keys in the order in which they are written; a section's row
 * stands before the rows of its keys. */
#define SURGE_KEY_COUNT 111
extern const surge_key surge_keys[];

/* The fields of layers; offsets are into surge_layer_spec. A neuron layer has
 * the keys of `neuron` and `surrogate` besides. */
#define SURGE_LAYER_KEY_COUNT 23
extern const surge_key surge_layer_keys[];

extern const surge_word surge_layer_words[]; /* surge_layer_kind */

/* The part of a key's path after the section: "lr" of "optim.lr". */
const char *surge_key_name(const surge_key *key);

/* Does the key stand directly in `section`? "" is the top level. */
bool surge_key_in(const surge_key *key, const char *section);

/* Position in surge_keys of a path that is known to be there. */
size_t surge_key_index(const char *path);

/* The word of a value; NULL where the list has none. */
const char *surge_word_of(const surge_word *words, double value);

#endif
