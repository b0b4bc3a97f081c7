/* write.c - the effective recipe of a run, and the manual of recipes: both
 * follow the table's rows. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/config/rules.h"
#include "src/config/value.h"

/* ======================================================================== *
 *  The effective recipe
 * ======================================================================== */

/* type, decay, decay_start and tau are ways to say one number, of which a
 * recipe takes one; the others are echoed as comments, and a synapse's likewise.
 * So is base: all that came from it is here. */
static bool is_comment(const surge_key *key, const surge_draft *draft) {
  if (strcmp(key->path, "base") == 0) return true;
  bool fires = draft->neuron_type == SURGE_INTEGRATE_FIRE;
  if (strcmp(key->path, "neuron.decay") == 0) return fires;
  if (strcmp(key->path, "neuron.decay_start") == 0)
    return draft->decay != SURGE_LEARNED;
  if (strcmp(key->path, "neuron.synapse_decay_start") == 0)
    return draft->synapse_decay != SURGE_LEARNED;
  return strcmp(key->path, "neuron.tau") == 0 ||
         strcmp(key->path, "neuron.synapse_tau") == 0;
}

static void write_key(const surge_key *key, const void *base, int indent,
                      bool comment, FILE *file) {
  fprintf(file, "%*s%s%s: ", indent, "", comment ? "# " : "",
          surge_key_name(key));
  surge_value_write(key, base, file);
  fputc('\n', file);
}

static void write_layer(const surge_recipe *recipe,
                        const surge_layer_spec *spec, FILE *file) {
  const char *word = surge_word_of(surge_layer_words, (int32_t)spec->kind);
  surge_draft neuron;
  surge_draft_of(&neuron, recipe);
  neuron.recipe.neuron = spec->neuron;
  surge_draft_of(&neuron, &neuron.recipe);
  fprintf(file, "    - %s:\n", word);
  for (size_t i = 0; i < SURGE_LAYER_KEY_COUNT; i++) {
    const surge_key *key = &surge_layer_keys[i];
    if (surge_key_in(key, word) || surge_key_in(key, ""))
      write_key(key, spec, 8, false, file);
  }
  for (size_t i = 0; i < SURGE_KEY_COUNT; i++) {
    const surge_key *key = &surge_keys[i];
    if (spec->kind == SURGE_LAYER_NEURON &&
        (surge_key_in(key, "neuron") || surge_key_in(key, "surrogate")))
      write_key(key, &neuron, 8, is_comment(key, &neuron), file);
  }
}

static void write_layers(const surge_recipe *recipe, FILE *file) {
  fprintf(file, "  layers:%s\n", recipe->model.layer_count ? "" : " []");
  for (int32_t i = 0; i < recipe->model.layer_count; i++)
    write_layer(recipe, &recipe->model.layers[i], file);
}

surge_status surge_recipe_write(const surge_recipe *recipe, FILE *file) {
  surge_draft draft;
  surge_numbers numbers = surge_numbers_begin();
  surge_draft_of(&draft, recipe);
  fputs("# Effective recipe: every key, defaults filled in.\n", file);
  for (size_t i = 0; i < SURGE_KEY_COUNT; i++) {
    const surge_key *key = &surge_keys[i];
    int indent = surge_key_in(key, "") ? 0 : 2;
    if (key->type == SURGE_KEY_SECTION)
      fprintf(file, "\n%s:\n", key->path);
    else if (key->type == SURGE_KEY_LAYERS)
      write_layers(recipe, file);
    else
      write_key(key, &draft, indent, is_comment(key, &draft), file);
  }
  surge_numbers_end(&numbers);
  if (fflush(file) || ferror(file))
    return SURGE_FAIL(SURGE_ERROR_DATA, "effective recipe: not written: %s",
                      strerror(errno));
  return SURGE_OK;
}

surge_status surge_recipe_text(const surge_recipe *recipe, char **text) {
  size_t size;
  *text = NULL;
  FILE *file = open_memstream(text, &size);
  if (!file) return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for a recipe");
  surge_status status = surge_recipe_write(recipe, file);
  if (fclose(file) != 0 && status == SURGE_OK)
    status = SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for a recipe");
  if (status == SURGE_OK) return SURGE_OK;
  free(*text);
  *text = NULL;
  return status;
}

/* ======================================================================== *
 *  The manual
 * ======================================================================== */

/* Words, broken before column 79, each line after `indent` spaces. */
static void write_folded(const char *text, int indent, FILE *file) {
  int column = 0;
  while (*text) {
    int length = (int)strcspn(text, " ");
    bool fits = column && column + 1 + length < 79;
    if (fits)
      column += fprintf(file, " %.*s", length, text);
    else
      column = fprintf(file, "%s%*s%.*s", column ? "\n" : "", indent, "",
                       length, text);
    if (column && !fits) column = indent + length;
    text += length;
    text += strspn(text, " ");
  }
  fputc('\n', file);
}

static void help_key(const surge_key *key, FILE *file) {
  char wanted[SURGE_MAX_PHRASE], line[2 * SURGE_MAX_PHRASE];
  if (key->type == SURGE_KEY_SECTION) {
    fprintf(file, "\n%s\n", key->path);
    write_folded(key->text, 2, file);
    return;
  }
  surge_value_wanted(key, wanted);
  bool text = key->type == SURGE_KEY_TEXT;
  snprintf(line, sizeof line, "%s: %s%s%s; %s%s%s%s", key->path, wanted,
           key->unit ? "; in " : "", key->unit ? key->unit : "",
           key->standard || key->derived ? "default " : "required",
           text ? "\"" : "",
           key->standard  ? key->standard
           : key->derived ? key->derived
                          : "",
           text ? "\"" : "");
  write_folded(line, 2, file);
  write_folded(key->text, 6, file);
}

void surge_recipe_help(FILE *file) {
  surge_numbers numbers = surge_numbers_begin();
  write_folded(
      "A recipe is a YAML file with the keys below, those with a dot "
      "in the section before it; every key may be left out. On the "
      "command line --set optim.lr=0.05 replaces what the file says.",
      0, file);
  fputc('\n', file);
  for (size_t i = 0; i < SURGE_KEY_COUNT; i++) help_key(&surge_keys[i], file);
  fputs("\nfields of model.layers\n", file);
  write_folded(
      "Each item is a kind alone (`- norm`) or a kind with fields (`- "
      "conv: {out: 32}`); `avgpool: 2`, `maxpool: 2`, `dropout: 0.5` and "
      "`add: conv1` are short for the kernel, for p and for add. A neuron may "
      "have any key of the sections neuron and surrogate besides.",
      2, file);
  for (size_t i = 0; i < SURGE_LAYER_KEY_COUNT; i++)
    help_key(&surge_layer_keys[i], file);
  surge_numbers_end(&numbers);
}
