/* Does the planner keep tensors apart that live at the same time, and do
 * others share? */
#include <criterion/criterion.h>

#include "src/net/table.h"
#include "tests/support/support.h"

static void add(surge_table *table, int64_t count, int32_t first,
                int32_t last) {
  surge_tensor t = {.role = SURGE_ROLE_ACTIVATION,
                    .rank = 1,
                    .shape = {count},
                    .first = first,
                    .last = last};
  surge_table_add(table, &t);
}

static bool meet(const surge_tensor *a, const surge_tensor *b) {
  return a->first <= b->last && b->first <= a->last &&
         a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

Test(table, lives_that_meet_never_share) {
  for (uint64_t seed = 0; seed < 50; seed++) {
    surge_table table = {0};
    cr_assert_eq(surge_table_reserve(&table, 60), SURGE_OK);
    for (size_t i = 0; i < 60; i++) {
      int32_t first = (int32_t)test_uniform(seed, 3 * i, 0, 40);
      add(&table, 1 + (int64_t)test_uniform(seed, 3 * i + 1, 0, 5000), first,
          first + (int32_t)test_uniform(seed, 3 * i + 2, 0, 12));
    }
    cr_assert_eq(surge_table_plan(&table), SURGE_OK);
    for (int32_t i = 0; i < table.count; i++) {
      const surge_tensor *a = &table.tensors[i];
      cr_expect_eq(a->offset % SURGE_TENSOR_ALIGN, 0);
      cr_expect_leq(a->offset + a->bytes, table.bytes[SURGE_ROLE_ACTIVATION]);
      for (int32_t j = 0; j < i; j++)
        cr_expect(!meet(a, &table.tensors[j]), "seed %d: %d and %d share",
                  (int)seed, i, j);
    }
    surge_table_free(&table);
  }
}

Test(table, lives_apart_share) {
  surge_table table = {0};
  cr_assert_eq(surge_table_reserve(&table, 10), SURGE_OK);
  for (int32_t i = 0; i < 10; i++) add(&table, 1000, i, i);
  cr_assert_eq(surge_table_plan(&table), SURGE_OK);
  cr_expect_eq(table.bytes[SURGE_ROLE_ACTIVATION], 4032); /* 4000, aligned */
  surge_table_free(&table);
}

Test(table, parameters_lie_group_by_group) {
  surge_table table = {0};
  cr_assert_eq(surge_table_reserve(&table, 8), SURGE_OK);
  for (int32_t i = 0; i < 8; i++) {
    surge_tensor t = {.role = SURGE_ROLE_PARAMETER,
                      .rank = 1,
                      .shape = {5},
                      .group = (surge_group)(i % SURGE_GROUP_COUNT)};
    surge_table_add(&table, &t);
  }
  cr_assert_eq(surge_table_plan(&table), SURGE_OK);
  for (int32_t i = 0; i < 8; i++) {
    const surge_tensor *t = &table.tensors[i];
    size_t first = table.group_first[t->group] * sizeof(float);
    size_t end = first + table.group_count[t->group] * sizeof(float);
    cr_expect(t->offset >= first && t->offset + t->bytes <= end, "tensor %d",
              i);
  }
  surge_table_free(&table);
}
