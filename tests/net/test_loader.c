/* test_loader.c - does the loader give every sample once, in an order that
 * (seed, epoch) alone fix, wherever and whenever an epoch is begun? */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <surge/data.h>
#include <time.h>

#include "src/data/order.h"
#include "src/data/policy.h"

/* --- counted allocations -------------------------------------------------- */

/* The sanitizers have an allocator of their own in this place. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS false
static atomic_long allocations;
#else
#define COUNTS_ALLOCATIONS true
static atomic_long allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size) {
  atomic_fetch_add(&allocations, 1);
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  atomic_fetch_add(&allocations, 1);
  return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
  atomic_fetch_add(&allocations, 1);
  return __libc_realloc(old, size);
}
#endif

/* --- a set whose pixels and labels tell the sample ------------------------ */

enum { COUNT = 211, H = 3, W = 2, C = 3, BYTES = H * W * C };

static const surge_dataset_info info = {
    .name = "numbered", .h = H, .w = W, .c = C, .classes = 1000};

static uint8_t byte_of(uint32_t sample, int i) {
  return (uint8_t)(sample * 7 + (uint32_t)i * 13);
}

static surge_dataset numbered_set(void) {
  surge_dataset set = {.info = &info, .count = COUNT};
  set.images = malloc(COUNT * BYTES);
  set.labels = malloc(COUNT * sizeof *set.labels);
  for (uint32_t s = 0; s < COUNT; s++) {
    set.labels[s] = (int32_t)s + 500;
    for (int i = 0; i < BYTES; i++)
      set.images[s * BYTES + (uint32_t)i] = byte_of(s, i);
  }
  return set;
}

/* Every third sample backwards: no sample's place is its number. */
static int32_t some_samples(uint32_t samples[COUNT]) {
  int32_t count = 0;
  for (int32_t s = COUNT - 1; s >= 0; s -= 3) samples[count++] = (uint32_t)s;
  return count;
}

static void expect_contents(const surge_batch *batch, const char *name) {
  int wrong = 0;
  for (int32_t k = 0; k < batch->n; k++) {
    uint32_t sample = batch->sample[k];
    wrong += batch->labels[k] != (int32_t)sample + 500;
    for (int i = 0; i < BYTES; i++)
      wrong += batch->images[k * BYTES + i] != byte_of(sample, i);
  }
  cr_expect_eq(wrong, 0, "%s: batch %d holds %d wrong values", name,
               batch->index, wrong);
}

/* Takes what is left of an epoch; returns the samples' number. */
static int32_t drain(surge_loader *loader, int32_t first, uint32_t *order,
                     const char *name) {
  int32_t taken = 0, index = first;
  for (surge_batch batch;; index++) {
    cr_assert_eq(surge_loader_next(loader, &batch), SURGE_OK);
    if (batch.n == 0) break;
    cr_expect_eq(batch.index, index, "%s: index", name);
    expect_contents(&batch, name);
    memcpy(order + taken, batch.sample, (size_t)batch.n * sizeof *order);
    taken += batch.n;
  }
  cr_expect_eq(index, surge_loader_batches(loader), "%s: batches", name);
  return taken;
}

static surge_loader *make_loader(const surge_dataset *set, int32_t batch,
                                 int32_t workers, int32_t *count) {
  uint32_t samples[COUNT]; /* the loader keeps a copy */
  surge_loader *loader;
  *count = some_samples(samples);
  cr_assert_eq(
      surge_loader_create(&loader, set, samples, *count, batch, workers),
      SURGE_OK, "%s", surge_last_error());
  return loader;
}

static void start(surge_loader *loader, uint64_t seed, uint32_t epoch,
                  int32_t first, bool train) {
  surge_data_pass pass = {.train = train, .seed = seed, .epoch = epoch};
  cr_assert_eq(surge_loader_start(loader, &pass, first), SURGE_OK, "%s",
               surge_last_error());
}

/* --- questions ------------------------------------------------------------ */

Test(loader, gives_every_sample_once) {
  surge_dataset set = numbered_set();
  const int32_t sizes[] = {1, 2, 7, 10, 71, 70, 1000};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    int32_t count;
    uint32_t samples[COUNT], order[COUNT];
    surge_loader *loader = make_loader(&set, sizes[k], 1 + (int)k % 3, &count);
    some_samples(samples);
    cr_expect_eq(surge_loader_batches(loader),
                 (count + sizes[k] - 1) / sizes[k]);
    start(loader, 1, 0, 0, false);
    cr_expect_eq(drain(loader, 0, order, "in order"), count);
    cr_expect_arr_eq(order, samples, (size_t)count * sizeof *order,
                     "batch %d: not the order given", sizes[k]);
    start(loader, 1, 0, 0, true);
    cr_expect_eq(drain(loader, 0, order, "shuffled"), count);
    int times[COUNT] = {0};
    for (int32_t i = 0; i < count; i++) times[order[i]]++;
    for (int32_t i = 0; i < count; i++)
      cr_expect_eq(times[samples[i]], 1, "batch %d: sample %u", sizes[k],
                   samples[i]);
    surge_loader_destroy(loader);
  }
  surge_dataset_close(&set);
}

/* The order is that of (seed, epoch): whatever ran before, whatever the batch
 * size, from whichever batch on. */
Test(loader, order_depends_on_seed_and_epoch_alone) {
  surge_dataset set = numbered_set();
  int32_t count;
  uint32_t reference[COUNT], order[COUNT];
  surge_loader *loader = make_loader(&set, 8, 1, &count);
  size_t bytes = (size_t)count * sizeof *order;
  start(loader, 42, 3, 0, true);
  drain(loader, 0, reference, "reference");
  const struct {
    const char *name;
    uint64_t seed;
    uint32_t epoch;
    bool same;
  } cases[] = {{"again", 42, 3, true},
               {"another epoch", 42, 4, false},
               {"another seed", 43, 3, false},
               {"upper half of the seed", 42 + (1ull << 32), 3, false},
               {"again, after others", 42, 3, true}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    start(loader, cases[k].seed, cases[k].epoch, 0, true);
    drain(loader, 0, order, cases[k].name);
    cr_expect_eq(memcmp(order, reference, bytes) == 0, cases[k].same, "%s",
                 cases[k].name);
  }
  for (int32_t first = 0; first <= surge_loader_batches(loader); first++) {
    start(loader, 42, 3, first, true);
    int32_t rest = drain(loader, first, order, "resumed");
    cr_assert_eq(rest, count > first * 8 ? count - first * 8 : 0);
    cr_expect_arr_eq(order, reference + count - rest,
                     (size_t)rest * sizeof *order, "from batch %d", first);
  }
  surge_loader_destroy(loader);
  loader = make_loader(&set, 5, 1, &count);
  start(loader, 42, 3, 0, true);
  drain(loader, 0, order, "another batch size");
  cr_expect_arr_eq(order, reference, bytes, "another batch size");
  surge_loader_destroy(loader);
  surge_dataset_close(&set);
}

/* An epoch is broken off after every possible number of batches, with the
 * producer idle or at work; the batch in hand stays what it was until the next
 * call of surge_loader_next. */
Test(loader, restarts_in_mid_epoch) {
  surge_dataset set = numbered_set();
  int32_t count;
  uint32_t order[COUNT], reference[COUNT];
  surge_loader *loader = make_loader(&set, 4, 3, &count);
  start(loader, 9, 1, 0, true);
  drain(loader, 0, reference, "reference");
  for (int32_t taken = 1; taken <= surge_loader_batches(loader); taken++) {
    surge_batch batch;
    start(loader, 9, (uint32_t)taken + 1, 0, true);
    for (int32_t i = 0; i < taken; i++)
      cr_assert_eq(surge_loader_next(loader, &batch), SURGE_OK);
    uint32_t held[4];
    memcpy(held, batch.sample, (size_t)batch.n * sizeof *held);
    start(loader, 9, 1, 0, true);
    start(loader, 9, 1, 0, true); /* at once: the producer is at work */
    struct timespec while_it_fills = {.tv_nsec = taken % 4 * 200000};
    nanosleep(&while_it_fills, NULL);
    cr_expect_arr_eq(batch.sample, held, (size_t)batch.n * sizeof *held,
                     "the held batch changed");
    expect_contents(&batch, "held over a restart");
    cr_expect_eq(drain(loader, 0, order, "restarted"), count);
    cr_expect_arr_eq(order, reference, (size_t)count * sizeof *order,
                     "restarted after %d batches", taken);
  }
  surge_loader_destroy(loader);
  surge_dataset_close(&set);
}

/* Each training image goes through what (seed, epoch, sample) draw for it, with
 * any number of workers; no other pass changes one. */
Test(loader, puts_training_images_through_the_policy) {
  const surge_policy policies[] = {SURGE_POLICY_AUTOAUGMENT,
                                   SURGE_POLICY_TRIVIALAUGMENT};
  for (int k = 0; k < 12; k++) {
    surge_dataset set = numbered_set();
    set.policy = policies[k % 2];
    bool train = k < 10;
    surge_data_pass pass = {train, 5, (uint32_t)k};
    int32_t count, changed = 0;
    surge_batch batch;
    surge_loader *loader = make_loader(&set, 16, 1 + k % 4, &count);
    start(loader, pass.seed, pass.epoch, 0, train);
    do {
      cr_assert_eq(surge_loader_next(loader, &batch), SURGE_OK);
      for (int32_t n = 0; n < batch.n; n++) {
        uint8_t own[BYTES], scratch[BYTES];
        const uint8_t *raw = set.images + batch.sample[n] * BYTES;
        const surge_pixels pixels = {own, scratch, H, W, C};
        memcpy(own, raw, BYTES);
        if (train)
          surge_policy_apply(set.policy, &pixels, &pass, batch.sample[n]);
        cr_expect_arr_eq(batch.images + n * BYTES, own, BYTES, "sample %u",
                         batch.sample[n]);
        cr_expect_eq(batch.labels[n], (int32_t)batch.sample[n] + 500);
        changed += memcmp(own, raw, BYTES) != 0;
      }
    } while (batch.n > 0);
    cr_expect(train == (changed > count / 4), "%d changed", changed);
    surge_loader_destroy(loader);
    surge_dataset_close(&set);
  }
}

Test(loader, refuses_a_policy_on_a_mirrored_set) {
  surge_dataset set = numbered_set();
  surge_loader *loader;
  const uint32_t sample = 0;
  set.policy = SURGE_POLICY_AUTOAUGMENT;
  set.mirror_images = set.images;
  cr_expect_eq(surge_loader_create(&loader, &set, &sample, 1, 1, 1),
               SURGE_ERROR_INTERNAL);
  cr_expect(strstr(surge_last_error(), "set: wanted no policy"), "%s",
            surge_last_error());
  surge_dataset_close(&set);
}

/* Policies work on grey and on RGB. */
Test(loader, refuses_a_policy_on_other_channels) {
  surge_dataset set = numbered_set();
  surge_dataset_info other = info;
  surge_loader *loader;
  const uint32_t sample = 0;
  set.info = &other;
  for (other.c = 1; other.c <= SURGE_MAX_CHANNELS; other.c++) {
    bool fits = other.c == 1 || other.c == 3;
    set.policy = SURGE_POLICY_NONE;
    cr_expect_eq(surge_loader_create(&loader, &set, &sample, 1, 1, 1),
                 SURGE_OK);
    surge_loader_destroy(loader);
    set.policy = SURGE_POLICY_TRIVIALAUGMENT;
    cr_expect_eq(surge_loader_create(&loader, &set, &sample, 1, 1, 1),
                 fits ? SURGE_OK : SURGE_ERROR_RECIPE, "%d channels", other.c);
    surge_loader_destroy(loader);
    if (fits) continue;
    cr_expect_null(loader);
    cr_expect(strstr(surge_last_error(), "data.policy: wanted none") &&
                  strstr(surge_last_error(), "of numbered"),
              "%s", surge_last_error());
  }
  other.c = 1;
  other.steps = 1; /* frames of a recording */
  cr_expect_eq(surge_loader_create(&loader, &set, &sample, 1, 1, 1),
               SURGE_ERROR_RECIPE);
  cr_expect(
      strstr(surge_last_error(), "data.policy: wanted none on recordings"),
      "%s", surge_last_error());
  surge_dataset_close(&set);
}

/* Made and destroyed at every stage: idle, filling, in the middle, at the end.
 * Before an epoch is started there is nothing to give. */
Test(loader, ends_at_any_time) {
  surge_dataset set = numbered_set();
  for (int32_t stage = 0; stage < 20; stage++) {
    int32_t count;
    surge_batch batch = {.n = -1};
    surge_loader *loader = make_loader(&set, 10, 3, &count);
    cr_expect_eq(surge_loader_next(loader, &batch), SURGE_OK);
    cr_expect_eq(batch.n, 0, "no epoch was started");
    if (stage) start(loader, 1, 0, 0, true);
    for (int32_t i = 1; i < stage; i++)
      cr_expect_eq(surge_loader_next(loader, &batch), SURGE_OK);
    surge_loader_destroy(loader);
  }
  surge_loader_destroy(NULL);
  surge_dataset_close(&set);
}

Test(loader, refuses_wrong_arguments) {
  surge_dataset set = numbered_set();
  uint32_t samples[2] = {0, COUNT};
  surge_loader *loader;
  const struct {
    const char *name;
    int32_t count, batch, workers;
  } cases[] = {{"no samples", 0, 1, 1},
               {"empty batch", 1, 0, 1},
               {"no workers", 1, 1, 0},
               {"a sample that is not there", 2, 1, 1}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    cr_expect_eq(surge_loader_create(&loader, &set, samples, cases[k].count,
                                     cases[k].batch, cases[k].workers),
                 SURGE_ERROR_INTERNAL, "%s", cases[k].name);
    cr_expect(loader == NULL, "%s", cases[k].name);
  }
  int32_t count;
  loader = make_loader(&set, 10, 1, &count);
  surge_data_pass pass = {.train = true};
  cr_expect_eq(surge_loader_start(loader, &pass, -1), SURGE_ERROR_INTERNAL);
  cr_expect_eq(surge_loader_start(loader, &pass, 9), SURGE_ERROR_INTERNAL);
  surge_loader_destroy(loader);
  surge_dataset_close(&set);
}

Test(loader, allocates_nothing_after_create) {
  surge_dataset set = numbered_set();
  set.policy = SURGE_POLICY_AUTOAUGMENT;
  int32_t count;
  surge_loader *loader = make_loader(&set, 10, 1, &count);
  long before = atomic_load(&allocations);
  if (COUNTS_ALLOCATIONS) cr_assert_gt(before, 0, "allocations are counted");
  for (uint32_t epoch = 0; epoch < 3; epoch++) {
    surge_data_pass pass = {.train = true, .seed = 1, .epoch = epoch};
    surge_status status = surge_loader_start(loader, &pass, 0);
    surge_batch batch = {.n = 1};
    while (status == SURGE_OK && batch.n > 0)
      status = surge_loader_next(loader, &batch);
  }
  long after = atomic_load(&allocations);
  cr_expect_eq(after, before, "%ld allocations", after - before);
  surge_loader_destroy(loader);
  surge_dataset_close(&set);
}

Test(loader, waiting_starts_at_zero_in_each_epoch) {
  surge_dataset set = numbered_set();
  int32_t count;
  uint32_t order[COUNT];
  surge_loader *loader = make_loader(&set, 3, 1, &count);
  for (uint32_t epoch = 0; epoch < 3; epoch++) {
    start(loader, 1, epoch, 0, true);
    cr_expect_eq(surge_loader_waited(loader), 0.0);
    drain(loader, 0, order, "waiting");
    cr_expect_geq(surge_loader_waited(loader), 0.0);
  }
  surge_loader_destroy(loader);
  surge_dataset_close(&set);
}

/* --- the shuffle ---------------------------------------------------------- */

/* Golden orders, from a Python transcription of Philox4x32-10 and Fisher-Yates:
 * a checkpoint resumes within an epoch only while they stay. */
Test(order, is_golden) {
  enum { N = 12 };
  static const struct {
    uint64_t seed;
    uint32_t epoch;
    surge_order_use use;
    uint32_t order[N];
  } cases[] = {
      {1, 0, SURGE_ORDER_EPOCH, {1, 0, 9, 10, 11, 5, 4, 7, 6, 8, 3, 2}},
      {1, 1, SURGE_ORDER_EPOCH, {8, 11, 2, 4, 3, 10, 5, 9, 6, 1, 7, 0}},
      {(7ull << 32) + 1,
       0,
       SURGE_ORDER_EPOCH,
       {0, 1, 6, 5, 7, 11, 2, 3, 4, 10, 8, 9}},
      {1, 0, SURGE_ORDER_SPLIT, {10, 2, 8, 9, 11, 4, 7, 3, 6, 1, 0, 5}},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    uint32_t order[N];
    for (uint32_t i = 0; i < N; i++) order[i] = i;
    surge_shuffle(order, N, cases[k].seed, cases[k].epoch, cases[k].use);
    cr_expect_arr_eq(order, cases[k].order, sizeof order, "case %zu", k);
  }
}

/* All 120 orders of 5 are equally likely: chi-square with 119 degrees of
 * freedom stays below its 99.9 % point, 172.4. The draws are fixed, so the test
 * always gives the same answer. */
Test(order, is_uniform) {
  enum { N = 5, ORDERS = 120, DRAWS = 120 * 200 };
  static int times[N * N * N * N * N];
  for (uint32_t epoch = 0; epoch < DRAWS; epoch++) {
    uint32_t order[N], code = 0;
    for (uint32_t i = 0; i < N; i++) order[i] = i;
    surge_shuffle(order, N, 11, epoch, SURGE_ORDER_EPOCH);
    for (int i = 0; i < N; i++) code = code * N + order[i];
    times[code]++;
  }
  double chi_square = 0;
  int seen = 0;
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    double excess = times[i] - (double)DRAWS / ORDERS;
    if (times[i]) chi_square += excess * excess / ((double)DRAWS / ORDERS);
    seen += times[i] != 0;
  }
  cr_expect_eq(seen, ORDERS, "%d of the 120 orders occur", seen);
  cr_expect_lt(chi_square, 172.4, "chi-square %g", chi_square);
}
