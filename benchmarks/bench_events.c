/* bench_events.c - how fast a recording is read.
 *
 *     bench_events chunks|whole FILE
 *
 * In chunks, as the loader reads it: 8192 events, whose arrays stay in a core's
 * second cache; or the whole file into one set of arrays, as other readers do,
 * with the memory that it takes from the system. One line of CSV: events, seconds
 * by the clock, seconds of this process's CPU (user and system; a busy neighbour
 * shows less), and for `whole` the sums of t, x, y and p, formed afterwards. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <surge/events.h>
#include <time.h>

enum { CHUNK = 8192 };

static void check(surge_status status) {
  if (status == SURGE_OK) return;
  fprintf(stderr, "bench_events: %s\n", surge_last_error());
  exit(surge_exit_code(status));
}

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static size_t read_chunks(const char *path) {
  surge_events_file *file;
  surge_events chunk = {0};
  size_t count = 0;
  check(surge_events_open(&file, path));
  check(surge_events_reserve(&chunk, CHUNK));
  do {
    check(surge_events_next(file, &chunk));
    count += chunk.count;
  } while (chunk.count > 0);
  surge_events_free(&chunk);
  surge_events_close(file);
  return count;
}

static void print_sums(const surge_events *events) {
  int64_t t = 0, x = 0, y = 0, p = 0;
  for (size_t i = 0; i < events->count; i++) {
    t += events->t[i];
    x += events->x[i];
    y += events->y[i];
    p += events->p[i];
  }
  printf(",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, t, x, y, p);
}

int main(int count, char **arguments) {
  if (count != 3 ||
      (strcmp(arguments[1], "chunks") && strcmp(arguments[1], "whole"))) {
    fprintf(stderr, "usage: bench_events chunks|whole FILE\n");
    return surge_exit_code(SURGE_ERROR_RECIPE);
  }
  bool whole = !strcmp(arguments[1], "whole");
  surge_events all = {0};
  double wall = seconds(CLOCK_MONOTONIC),
         cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
  if (whole)
    check(surge_events_read(&all, NULL, arguments[2]));
  else
    all.count = read_chunks(arguments[2]);
  wall = seconds(CLOCK_MONOTONIC) - wall;
  cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  printf("%zu,%.6f,%.6f", all.count, wall, cpu);
  if (whole) print_sums(&all);
  printf("\n");
  surge_events_free(&all);
  return 0;
}
