/* test_context.c - does a backend move memory as it promises, and does it
 * record what it is told to? */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/refused.h"
#include "tests/support/support.h"

#define WORKS(call) cr_assert_eq((call), SURGE_OK, "%s", surge_last_error())

/* More than the ring of uploads holds, and not a multiple of its slots. */
#define BYTES (((size_t)19 << 20) + 12)

/* No two slots of a ring hold the same: the period is 2^32. */
static uint8_t pattern(size_t i) { return (uint8_t)(i * 2654435761u >> 24); }

static uint8_t *patterned(size_t bytes) {
  uint8_t *host = malloc(bytes);
  for (size_t i = 0; i < bytes; i++) host[i] = pattern(i);
  return host;
}

static void expect_pattern(const uint8_t *host, size_t bytes) {
  size_t wrong = 0;
  for (size_t i = 0; i < bytes; i++) wrong += host[i] != pattern(i);
  cr_expect_eq(wrong, 0, "%zu of %zu bytes differ", wrong, bytes);
}

/* The host's bytes are read before upload returns. */
Test(context, uploads_what_was_there) {
  const surge_backend *b = test_backend();
  surge_context *context = test_context(2);
  const size_t sizes[] = {1, 4096, BYTES};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    void *memory;
    uint8_t *host = patterned(sizes[i]);
    WORKS(b->allocate(context, &memory, sizes[i]));
    cr_expect_eq((uintptr_t)memory % 64, 0);
    WORKS(b->upload(context, memory, host, sizes[i]));
    memset(host, 0, sizes[i]);
    WORKS(b->download(context, host, memory, sizes[i]));
    expect_pattern(host, sizes[i]);
    b->release(context, memory);
    free(host);
  }
  b->close(context);
}

/* In the order of the calls, though each is only queued. */
Test(context, keeps_the_order) {
  const surge_backend *b = test_backend();
  surge_context *context = test_context(2);
  enum { FIRST = 100, ALL = 300 };
  void *memory;
  uint8_t *host = patterned(ALL), found[ALL];
  WORKS(b->allocate(context, &memory, ALL));
  WORKS(b->upload(context, memory, host, ALL));
  WORKS(b->zero(context, memory, FIRST));
  WORKS(b->sync(context));
  WORKS(b->download(context, found, memory, ALL));
  memset(host, 0, FIRST);
  cr_expect_arr_eq(found, host, ALL);
  b->release(context, memory);
  b->close(context);
  free(host);
}

Test(context, mirrors_the_host) {
  const surge_backend *b = test_backend();
  surge_context *context = test_context(2);
  uint8_t *host = patterned(BYTES), *found = malloc(BYTES);
  const void *mirror;
  WORKS(b->mirror(context, &mirror, host, BYTES));
  cr_assert_not_null(mirror);
  WORKS(b->download(context, found, mirror, BYTES));
  expect_pattern(found, BYTES);
  b->mirror_release(context, mirror);
  b->close(context);
  free(host);
  free(found);
}

/* What is recorded is done at each replay; a backend without graphs does it at
 * once. */
Test(context, records_and_replays) {
  const surge_backend *b = test_backend();
  surge_context *context = test_context(2);
  enum { ALL = 64 };
  const uint8_t zeros[ALL] = {0};
  uint8_t *host = patterned(ALL), found[ALL];
  void *memory;
  surge_graph *graph;
  WORKS(b->allocate(context, &memory, ALL));
  WORKS(b->capture(context));
  WORKS(b->zero(context, memory, ALL));
  WORKS(b->captured(context, &graph));
  cr_expect_eq(graph != NULL, b->queues);
  for (int i = 0; graph && i < 2; i++) {
    WORKS(b->upload(context, memory, host, ALL));
    WORKS(b->download(context, found, memory, ALL));
    cr_expect_arr_eq(found, host, ALL);
    WORKS(b->replay(context, graph));
    WORKS(b->download(context, found, memory, ALL));
    cr_expect_arr_eq(found, zeros, ALL);
  }
  b->graph_release(graph);
  b->graph_release(NULL);
  b->release(context, memory);
  b->close(context);
  free(host);
}

/* Not while it records, and the recording is as good afterwards. */
Test(context, refuses_what_waits_while_it_records) {
  const surge_backend *b = test_backend();
  if (!b->queues) return;
  surge_context *context = test_context(2);
  uint8_t host[4] = {0};
  void *memory;
  surge_graph *graph;
  WORKS(b->allocate(context, &memory, sizeof host));
  WORKS(b->capture(context));
  test_expect_refused(b->upload(context, memory, host, sizeof host), "cuda",
                      "found upload");
  test_expect_refused(b->download(context, host, memory, sizeof host), "cuda",
                      "found download");
  test_expect_refused(b->sync(context), "cuda", "found sync");
  test_expect_refused(b->capture(context), "cuda", "found capture");
  WORKS(b->zero(context, memory, sizeof host));
  WORKS(b->captured(context, &graph));
  WORKS(b->replay(context, graph));
  WORKS(b->sync(context));
  b->graph_release(graph);
  b->release(context, memory);
  b->close(context);
}

Test(context, describes_itself_in_a_line) {
  const surge_backend *b = test_backend();
  surge_context *context = test_context(2);
  char text[256] = "";
  b->describe(context, text, sizeof text);
  cr_expect_eq(strncmp(text, b->name, strlen(b->name)), 0, "%s", text);
  cr_expect_null(strchr(text, '\n'));
  b->close(context);
  b->close(NULL);
}

Test(context, plans_alone_open_no_device) {
  const surge_backend *b = test_backend();
  if (b == &surge_cpu) return;
  surge_context *context;
  void *memory;
  char text[256];
  WORKS(b->open(&context, &(surge_context_options){.plan_only = true}));
  b->describe(context, text, sizeof text);
  cr_expect_not_null(strstr(text, "plans alone"));
  test_expect_refused(b->allocate(context, &memory, 1), "cuda", "plans alone");
  cr_expect_null(memory);
  b->close(context);
}
