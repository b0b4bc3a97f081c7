/* table.c - the tensor list and its planner (see table.h). */
#include "src/net/table.h"

#include <assert.h>
#include <stdlib.h>

const char *surge_role_name(surge_role role) {
  static const char *const names[] = {
#define NAME(NAME, text) text,
      SURGE_ROLE_LIST(NAME)
#undef NAME
  };
  return names[role];
}

static size_t aligned(size_t bytes) {
  return (bytes + SURGE_TENSOR_ALIGN - 1) / SURGE_TENSOR_ALIGN *
         SURGE_TENSOR_ALIGN;
}

surge_status surge_table_reserve(surge_table *table, int32_t capacity) {
  table->tensors = calloc((size_t)capacity, sizeof *table->tensors);
  if (!table->tensors)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for a table of %d tensors",
                      capacity);
  table->capacity = capacity;
  return SURGE_OK;
}

int32_t surge_table_add(surge_table *table, const surge_tensor *tensor) {
  assert(table->count < table->capacity);
  surge_tensor *added = &table->tensors[table->count];
  *added = *tensor;
  surge_named_tensor sized = {.dtype = tensor->dtype, .rank = tensor->rank};
  for (int32_t i = 0; i < tensor->rank; i++) sized.shape[i] = tensor->shape[i];
  added->bytes = surge_named_tensor_bytes(&sized);
  return table->count++;
}

/* Lays the tensors of a role (and group) one behind the other. */
static size_t plan_in_order(surge_table *table, surge_role role,
                            surge_group group, size_t offset) {
  for (int32_t i = 0; i < table->count; i++) {
    surge_tensor *t = &table->tensors[i];
    if (t->role != role || t->group != group) continue;
    t->offset = offset;
    offset += aligned(t->bytes);
  }
  return offset;
}

static int by_size(const void *a, const void *b) {
  const surge_tensor *x = *(surge_tensor *const *)a;
  const surge_tensor *y = *(surge_tensor *const *)b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return x < y ? -1 : 1;
}

/* Lowest offset at which `t` meets none of the placed tensors in time. */
static size_t first_fit(surge_tensor *const *placed, int32_t count,
                        const surge_tensor *t) {
  size_t offset = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (int32_t i = 0; i < count; i++) {
      const surge_tensor *p = placed[i];
      bool together = p->first <= t->last && t->first <= p->last;
      bool overlap = p->offset < offset + aligned(t->bytes) &&
                     offset < p->offset + aligned(p->bytes);
      if (together && overlap) {
        offset = p->offset + aligned(p->bytes);
        moved = true;
      }
    }
  }
  return offset;
}

/* Greedy by size: the largest first, each at the lowest offset that is free
 * during its life (Pisarchyk & Lee 2020, "greedy by size for offset"). */
static surge_status plan_by_lifetime(surge_table *table) {
  surge_tensor **order = malloc(((size_t)table->count + 1) * sizeof *order);
  if (!order)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory to plan %d tensors",
                      table->count);
  int32_t count = 0;
  for (int32_t i = 0; i < table->count; i++)
    if (table->tensors[i].role == SURGE_ROLE_ACTIVATION)
      order[count++] = &table->tensors[i];
  qsort(order, (size_t)count, sizeof *order, by_size);
  size_t bytes = 0;
  for (int32_t i = 0; i < count; i++) {
    order[i]->offset = first_fit(order, i, order[i]);
    size_t end = order[i]->offset + aligned(order[i]->bytes);
    if (end > bytes) bytes = end;
  }
  table->bytes[SURGE_ROLE_ACTIVATION] = bytes;
  free(order);
  return SURGE_OK;
}

surge_status surge_table_plan(surge_table *table) {
  for (int role = 0; role < SURGE_ROLE_COUNT; role++) {
    if (role == SURGE_ROLE_ACTIVATION) continue;
    size_t offset = 0;
    for (int group = 0; group < SURGE_GROUP_COUNT; group++) {
      size_t end =
          plan_in_order(table, (surge_role)role, (surge_group)group, offset);
      if (role == SURGE_ROLE_PARAMETER) {
        table->group_first[group] = offset / sizeof(float);
        table->group_count[group] = (end - offset) / sizeof(float);
      }
      offset = end;
    }
    table->bytes[role] = offset;
  }
  return plan_by_lifetime(table);
}

void surge_table_free(surge_table *table) {
  free(table->tensors);
  *table = (surge_table){0};
}
