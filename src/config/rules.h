/* rules.h - what the keys of a recipe demand of one another. */
#ifndef SURGE_CONFIG_RULES_H
#define SURGE_CONFIG_RULES_H

#include "src/config/document.h"
#include "src/config/schema.h"

/* Keys that were read together: a recipe, or one neuron layer's. */
typedef struct surge_scope {
  const char *where; /* NULL: keys are named by their paths; of a layer */
  /* "model.layers[2].neuron"                               */
  surge_draft *draft;
  const surge_place *given; /* [SURGE_KEY_COUNT] */
} surge_scope;

/* Turns type, decay, decay_start and tau into the spec's fields and checks
 * what the keys of `neuron` and `surrogate` demand. */
surge_status surge_settle_neuron(const surge_scope *scope);

/* The rest of a recipe but for its layers; after surge_settle_neuron. */
surge_status surge_settle_recipe(const surge_scope *scope);

/* The way back: the draft's own fields from those of the recipe. */
void surge_draft_of(surge_draft *draft, const surge_recipe *recipe);

/* Fills in what the recipe's network has by default, of the keys that are
 * asked for: model.channels, hidden and pooling (networks.c). */
void surge_network_defaults(surge_recipe *recipe, bool channels, bool hidden,
                            bool pooling);

/* Has the network as many channels and hidden layers as it needs? */
surge_status surge_check_network(const surge_scope *scope);

/* Where `broken`: SURGE_ERROR_RECIPE at key `path`, or at `other` where only
 * that was given. */
surge_status surge_rule(const surge_scope *scope, bool broken, const char *path,
                        const char *other, const char *wanted,
                        const char *found);

#endif
