/* value.h - one value of a recipe: text <-> the field that a row describes.
 * `base` is the struct into which the row's offset points. */
#ifndef SURGE_CONFIG_VALUE_H
#define SURGE_CONFIG_VALUE_H

#include <locale.h>
#include <stdio.h>

#include "src/config/schema.h"

/* Between the two calls the thread's numbers have a point, whatever the
 * program's locale: the public functions wrap their work in them. */
typedef struct surge_numbers {
  locale_t plain, before;
} surge_numbers;
surge_numbers surge_numbers_begin(void);
void surge_numbers_end(const surge_numbers *numbers);

bool surge_value_is_list(const surge_key *key); /* INTS, BOOLS, NAMES */

/* Reads a scalar, or entry `index` of a list, whose entries come in order.
 * `plain`: not in quotes, so that it may be a number or a truth value. False:
 * it is not what surge_value_wanted says, and the field is as it was. */
bool surge_value_read(const surge_key *key, void *base, int32_t index,
                      const char *text, bool plain);

/* A list has been read: it has so many entries. */
void surge_value_end_list(const surge_key *key, void *base, int32_t count);

/* Puts the row's default into the field; rows without one are left alone. */
void surge_value_reset(const surge_key *key, void *base);

/* Prints the field as YAML that reads back to the same bits. */
void surge_value_write(const surge_key *key, const void *base, FILE *file);

/* "an integer in [1, 4096]", "one of hard, soft": for messages and manual. */
void surge_value_wanted(const surge_key *key, char phrase[SURGE_MAX_PHRASE]);

#endif
