/* table.h - every tensor of a network in one list, and the planner.
 *
 * The list drives allocation (one arena a role), checkpoints, dumps and
 * gradient tests. Activations share memory where their lifetimes, counted in
 * ops of the schedule, do not meet. */
#ifndef SURGE_NET_TABLE_H
#define SURGE_NET_TABLE_H

#include <surge/backend.h>
#include <surge/checkpoint.h>

#define SURGE_ROLE_LIST(X)                                                     \
  X(PARAMETER, "parameters")                                                   \
  X(GRADIENT, "gradients")                                                     \
  X(CAST, "weights in bf16")                                                   \
  X(OPTIMIZER, "optimizer")                                                    \
  X(AVERAGE, "averaged weights")                                               \
  X(BUFFER, "running statistics")                                              \
  X(SCALAR, "scalars and statistics")                                          \
  X(ACTIVATION, "activations")                                                 \
  X(WORKSPACE, "workspace")                                                    \
  X(STAGING, "batch staging")

typedef enum surge_role {
#define SURGE_ROLE_ENUM(NAME, text) SURGE_ROLE_##NAME,
  SURGE_ROLE_LIST(SURGE_ROLE_ENUM)
#undef SURGE_ROLE_ENUM
      SURGE_ROLE_COUNT
} surge_role;

const char *surge_role_name(surge_role role);

#define SURGE_TENSOR_NAME 96
#define SURGE_TENSOR_ALIGN 64

typedef struct surge_tensor {
  char name[SURGE_TENSOR_NAME];
  surge_role role;
  surge_group group; /* of a parameter                                   */
  surge_dtype dtype;
  int32_t rank;
  int64_t shape[SURGE_MAX_RANK]; /* logical                                   */
  bool is_map; /* the last three of `shape` lie as `map` says      */
  surge_map map;
  bool resumed;         /* scalar: part of the state that training resumes */
  int32_t first, last;  /* activation: ops of the schedule it lives through */
  size_t bytes, offset; /* in its role's arena                              */
} surge_tensor;

typedef struct surge_table {
  surge_tensor *tensors;
  int32_t count, capacity;
  size_t bytes[SURGE_ROLE_COUNT];        /* of each arena, after planning   */
  size_t group_first[SURGE_GROUP_COUNT]; /* floats, in the parameter arena  */
  size_t group_count[SURGE_GROUP_COUNT];
} surge_table;

/* Takes the memory of the list once; adding cannot fail then. */
surge_status surge_table_reserve(surge_table *table, int32_t capacity);

/* Adds a tensor, computing `bytes` from shape and type; its id. */
int32_t surge_table_add(surge_table *table, const surge_tensor *tensor);

/* Gives every tensor its offset and every role its size. Parameters are laid
 * out group by group; gradients mirror them at the same offsets. */
surge_status surge_table_plan(surge_table *table);

void surge_table_free(surge_table *table);

#endif
