/* keys.h - an effective recipe as a list of keys and values, both as text. */
#ifndef SURGE_CONFIG_KEYS_H
#define SURGE_CONFIG_KEYS_H

#include <surge/recipe.h>

typedef struct surge_pair {
  const char *key, *value; /* "optim.lr", "0.1"; texts as the recipe has them */
} surge_pair;

typedef struct surge_keys {
  surge_pair *pair; /* [count], in the recipe's order; owned */
  int32_t count;
  char *text; /* owned */
} surge_keys;

/* All keys of a recipe. Must be freed in either case. */
surge_status surge_keys_of(surge_keys *keys, const surge_recipe *recipe);
void surge_keys_free(surge_keys *keys);

/* A key's value; NULL where the recipe has none of that name. */
const char *surge_keys_find(const surge_keys *keys, const char *key);

#endif
