/* replace.h - small tables and texts that are whole or not there. */
#ifndef SURGE_TRAIN_REPLACE_H
#define SURGE_TRAIN_REPLACE_H

#include <stdio.h>
#include <surge/status.h>

/* Writes a file beside `path` and renames it into place: nobody sees a part of
 * it, whoever else writes the same. SURGE_ERROR_DATA names the file; what was
 * there before stays then. */
typedef surge_status surge_write_file(const void *what, FILE *file);
surge_status surge_replace_file(const char *path, surge_write_file *write,
                                const void *what);

/* A field of a CSV table, in quotes where it has to be (RFC 4180). */
void surge_print_field(const char *text, FILE *file);

#endif
