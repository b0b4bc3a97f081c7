/* plan.c - a sweep's file -> points and their folders' names (see plan.h). */
#include "src/sweep/plan.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/config/read.h"

static yaml_node_t *node_at(const surge_plan *plan, int index) {
  return yaml_document_get_node((yaml_document_t *)&plan->source.document,
                                index);
}

static surge_status refuse_at(const surge_plan *plan, const yaml_node_t *node,
                              const char *key, const char *wanted,
                              const char *found) {
  surge_place place = surge_place_of(&plan->source, node);
  return surge_refuse(&place, key, wanted, found);
}

static surge_status refuse_node(const surge_plan *plan, const yaml_node_t *node,
                                const char *key, const char *wanted) {
  char found[SURGE_MAX_FOUND];
  surge_node_found(node, found);
  return refuse_at(plan, node, key, wanted, found);
}

/* --- values --------------------------------------------------------------- */

/* Items of a list; of anything else the node itself. */
static size_t choices(const yaml_node_t *node) {
  if (node->type != YAML_SEQUENCE_NODE) return 1;
  return (size_t)(node->data.sequence.items.top -
                  node->data.sequence.items.start);
}

static const yaml_node_t *choice(const surge_plan *plan,
                                 const yaml_node_t *node, size_t i) {
  if (node->type != YAML_SEQUENCE_NODE) return node;
  return node_at(plan, node->data.sequence.items.start[i]);
}

static bool append(char *text, size_t *used, char c) {
  if (*used + 1 >= SURGE_SWEEP_VALUE) return false;
  text[(*used)++] = c;
  text[*used] = 0;
  return true;
}

static bool write_scalar(const yaml_node_t *node, char *text, size_t *used) {
  const char *value = surge_node_text(node);
  bool quote = value && !surge_node_is_plain(node);
  bool good = value && (!quote || append(text, used, '\''));
  for (; good && *value; value++)
    good = append(text, used, *value) &&
           (!quote || *value != '\'' || append(text, used, '\''));
  return good && (!quote || append(text, used, '\''));
}

static bool write_value(const surge_plan *plan, const yaml_node_t *node,
                        char *text, size_t *used) {
  if (node->type == YAML_SCALAR_NODE) return write_scalar(node, text, used);
  bool good = node->type == YAML_SEQUENCE_NODE && append(text, used, '[');
  for (size_t i = 0; good && i < choices(node); i++)
    good = (i == 0 || (append(text, used, ',') && append(text, used, ' '))) &&
           write_value(plan, choice(plan, node, i), text, used);
  return good && append(text, used, ']');
}

bool surge_plan_value(const surge_plan *plan, const yaml_node_t *node,
                      char text[SURGE_SWEEP_VALUE]) {
  size_t used = 0;
  text[0] = 0;
  return write_value(plan, node, text, &used);
}

/* Equal texts, or equal numbers: 1 is 1.0. */
static bool same_value(const surge_plan *plan, const yaml_node_t *a,
                       const yaml_node_t *b) {
  char x[SURGE_SWEEP_VALUE], y[SURGE_SWEEP_VALUE], *x_end, *y_end;
  surge_plan_value(plan, a, x);
  surge_plan_value(plan, b, y);
  if (!strcmp(x, y)) return true;
  double p = strtod(x, &x_end), q = strtod(y, &y_end);
  return *x && *y && !*x_end && !*y_end && p == q;
}

/* --- points --------------------------------------------------------------- */

static size_t find_key(const surge_plan *plan, const char *name) {
  size_t k = 0;
  while (k < plan->key_count && strcmp(plan->keys[k], name) != 0) k++;
  return k;
}

/* Keys and the values that each may take: one point is a choice of each. */
typedef struct axes {
  size_t key[SURGE_SWEEP_KEYS];
  const yaml_node_t *node[SURGE_SWEEP_KEYS];
  size_t count;
} axes;

static surge_status check_choices(const surge_plan *plan,
                                  const yaml_node_t *node, const char *key) {
  char text[SURGE_SWEEP_VALUE];
  static const char wanted[] =
      "a value or a list of values (a section's keys as section.key)";
  if (choices(node) == 0)
    return refuse_at(plan, node, key, wanted, "an empty list");
  for (size_t i = 0; i < choices(node); i++)
    if (!surge_plan_value(plan, choice(plan, node, i), text))
      return refuse_node(plan, choice(plan, node, i), key, wanted);
  return SURGE_OK;
}

static surge_status add_axis(surge_plan *plan, axes *a, const yaml_node_t *name,
                             const yaml_node_t *node) {
  const char *key = surge_node_text(name);
  surge_place place = surge_place_of(&plan->source, name);
  size_t row;
  if (!key || strlen(key) >= SURGE_WORD)
    return refuse_node(plan, name, "key", "a key of a recipe");
  SURGE_TRY(surge_find_key(&place, key, &row));
  size_t k = find_key(plan, key);
  for (size_t i = 0; i < a->count; i++)
    if (a->key[i] == k)
      return refuse_at(plan, name, key, "each key of a point once", "it again");
  if (k == plan->key_count) {
    if (k == SURGE_SWEEP_KEYS)
      return refuse_at(plan, name, key, "at most 32 keys", "another one");
    strcpy(plan->keys[plan->key_count++], key);
  }
  SURGE_TRY(check_choices(plan, node, key));
  a->key[a->count] = k;
  a->node[a->count++] = node;
  return SURGE_OK;
}

static surge_status add_axes(surge_plan *plan, axes *a,
                             const yaml_node_t *mapping, const char *where) {
  if (mapping->type != YAML_MAPPING_NODE)
    return refuse_node(plan, mapping, where, "a mapping of keys to values");
  for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
       pair < mapping->data.mapping.pairs.top; pair++)
    SURGE_TRY(add_axis(plan, a, node_at(plan, pair->key),
                       node_at(plan, pair->value)));
  return SURGE_OK;
}

/* Every choice of the axes, the last one fastest. */
static surge_status add_points(surge_plan *plan, const axes *a,
                               const yaml_node_t *where) {
  size_t at[SURGE_SWEEP_KEYS] = {0};
  for (;;) {
    if (plan->count == SURGE_SWEEP_POINTS)
      return refuse_at(plan, where, "points", "at most 4096 points", "more");
    surge_point *point = &plan->points[plan->count++];
    *point = (surge_point){0};
    for (size_t i = 0; i < a->count; i++)
      point->value[a->key[i]] = choice(plan, a->node[i], at[i]);
    size_t i = a->count;
    while (i > 0 && ++at[i - 1] == choices(a->node[i - 1])) at[--i] = 0;
    if (i == 0) return SURGE_OK;
  }
}

static surge_status make_points(surge_plan *plan, const yaml_node_t *grid,
                                const yaml_node_t *list) {
  axes a = {.count = 0};
  if (!list) {
    SURGE_TRY(add_axes(plan, &a, grid, "grid"));
    return add_points(plan, &a, grid);
  }
  if (list->type != YAML_SEQUENCE_NODE || choices(list) == 0)
    return refuse_node(plan, list, "list", "a list of points");
  for (size_t i = 0; i < choices(list); i++) {
    a.count = 0;
    SURGE_TRY(add_axes(plan, &a, choice(plan, list, i), "list"));
    if (grid) SURGE_TRY(add_axes(plan, &a, grid, "grid"));
    SURGE_TRY(add_points(plan, &a, choice(plan, list, i)));
  }
  return SURGE_OK;
}

/* --- exclusions ----------------------------------------------------------- */

static bool matches(const surge_plan *plan, const surge_point *point,
                    const axes *a) {
  for (size_t i = 0; i < a->count; i++) {
    const yaml_node_t *value = point->value[a->key[i]];
    bool any = false;
    for (size_t c = 0; value && c < choices(a->node[i]); c++)
      any = any || same_value(plan, value, choice(plan, a->node[i], c));
    if (!any) return false;
  }
  return true;
}

static surge_status exclude_entry(surge_plan *plan, const yaml_node_t *entry,
                                  bool *left_out) {
  axes a = {.count = 0};
  size_t known = plan->key_count, matched = 0;
  SURGE_TRY(add_axes(plan, &a, entry, "exclude"));
  if (plan->key_count > known)
    return refuse_at(plan, entry, "exclude", "keys of grid or list",
                     plan->keys[known]);
  for (size_t p = 0; p < plan->count; p++) {
    bool match = matches(plan, &plan->points[p], &a);
    left_out[p] = left_out[p] || match;
    matched += match;
  }
  if (matched) return SURGE_OK;
  return refuse_at(plan, entry, "exclude", "points that match",
                   "none that does");
}

static surge_status exclude(surge_plan *plan, const yaml_node_t *list) {
  bool left_out[SURGE_SWEEP_POINTS] = {false};
  if (list->type != YAML_SEQUENCE_NODE)
    return refuse_node(plan, list, "exclude", "a list of parts of points");
  for (size_t i = 0; i < choices(list); i++)
    SURGE_TRY(exclude_entry(plan, choice(plan, list, i), left_out));
  size_t kept = 0;
  for (size_t p = 0; p < plan->count; p++)
    if (!left_out[p]) plan->points[kept++] = plan->points[p];
  plan->count = kept;
  if (kept) return SURGE_OK;
  return refuse_at(plan, list, "exclude", "points that are left", "none");
}

/* --- names ---------------------------------------------------------------- */

static void find_varying(surge_plan *plan) {
  for (size_t k = 0; k < plan->key_count; k++) {
    plan->varies[k] = false;
    const yaml_node_t *first = plan->points[0].value[k];
    for (size_t p = 1; p < plan->count; p++) {
      const yaml_node_t *value = plan->points[p].value[k];
      plan->varies[k] = plan->varies[k] || !value != !first ||
                        (value && !same_value(plan, value, first));
    }
  }
}

static const char *last_part(const char *key) {
  const char *dot = strrchr(key, '.');
  return dot ? dot + 1 : key;
}

/* The last part of a key that varies, or all of it where another one ends so. */
static const char *label(const surge_plan *plan, size_t key) {
  const char *last = last_part(plan->keys[key]);
  for (size_t k = 0; k < plan->key_count; k++)
    if (k != key && plan->varies[k] && !strcmp(last_part(plan->keys[k]), last))
      return plan->keys[key];
  return last;
}

/* "[16, 32]" becomes "16-32", "data/a" "data-a". */
static void as_file_name(char *text) {
  char *out = text;
  for (; *text; text++)
    if (isalnum((unsigned char)*text) || strchr("._+-", *text))
      *out++ = *text;
    else if (!strchr(" []'", *text))
      *out++ = '-';
  *out = 0;
}

static surge_status name_point(const surge_plan *plan, surge_point *point) {
  char value[SURGE_SWEEP_VALUE];
  size_t used = 0;
  const yaml_node_t *last = plan->name;
  point->name[0] = 0;
  for (size_t k = 0; k < plan->key_count; k++) {
    if (!plan->varies[k] || !point->value[k]) continue;
    last = point->value[k];
    surge_plan_value(plan, last, value);
    as_file_name(value);
    used += (size_t)snprintf(point->name + used, SURGE_SWEEP_NAME - used,
                             "%s%s=%s", used ? "_" : "", label(plan, k), value);
    if (used >= SURGE_SWEEP_NAME)
      return refuse_at(plan, last, plan->keys[k],
                       "values that make a folder's name of at most 199 bytes",
                       "longer ones");
  }
  if (used == 0) strcpy(point->name, "base");
  return SURGE_OK;
}

surge_status surge_plan_name(surge_plan *plan) {
  find_varying(plan);
  for (size_t p = 0; p < plan->count; p++)
    SURGE_TRY(name_point(plan, &plan->points[p]));
  return SURGE_OK;
}

/* --- the file ------------------------------------------------------------- */

enum { NAME, BASE, GRID, LIST, EXCLUDE, PARTS };
static const char *const parts[PARTS] = {"name", "base", "grid", "list",
                                         "exclude"};

static surge_status read_part(const surge_plan *plan,
                              const yaml_node_pair_t *pair,
                              const yaml_node_t *part[PARTS]) {
  const yaml_node_t *name = node_at(plan, pair->key);
  const char *text = surge_node_text(name);
  char found[SURGE_MAX_FOUND], hint[SURGE_MAX_WHERE],
      both[SURGE_MAX_FOUND + SURGE_MAX_WHERE];
  surge_nearest nearest = surge_nearest_to(text ? text : "");
  for (int i = 0; i < PARTS; i++) {
    surge_nearest_try(&nearest, parts[i]);
    if (!text || strcmp(text, parts[i]) != 0) continue;
    if (part[i])
      return refuse_at(plan, name, text, "each key once", "it again");
    part[i] = node_at(plan, pair->value);
    return SURGE_OK;
  }
  surge_node_found(name, found);
  surge_nearest_hint(&nearest, hint);
  snprintf(both, sizeof both, "%s%s", found, hint);
  return refuse_at(plan, name, "sweep", "name, base, grid, list or exclude",
                   both);
}

static surge_status read_base(surge_plan *plan) {
  const char *base = surge_node_text(plan->base);
  if (!base || !*base)
    return refuse_node(plan, plan->base, "base", "a recipe's file");
  if (!surge_source_beside(&plan->source, base, plan->base_path))
    return refuse_at(plan, plan->base, "base", "a shorter path", base);
  return SURGE_OK;
}

static surge_status read_root(surge_plan *plan) {
  const yaml_node_t *part[PARTS] = {NULL};
  const surge_place start = {.source = &plan->source, .line = 1, .column = 1};
  const yaml_node_t *root = yaml_document_get_root_node(&plan->source.document);
  if (!root)
    return surge_refuse(&start, "sweep", "a mapping of keys", "nothing");
  if (root->type != YAML_MAPPING_NODE)
    return refuse_node(plan, root, "sweep", "a mapping of keys");
  for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
       pair < root->data.mapping.pairs.top; pair++)
    SURGE_TRY(read_part(plan, pair, part));
  if (!part[NAME] || !part[BASE] || (!part[GRID] && !part[LIST]))
    return surge_refuse(&start, "sweep", "name, base, and a grid or a list",
                        "one of them missing");
  plan->name = part[NAME];
  plan->base = part[BASE];
  if (!surge_node_text(plan->name))
    return refuse_node(plan, plan->name, "name", "a name");
  SURGE_TRY(read_base(plan));
  SURGE_TRY(make_points(plan, part[GRID], part[LIST]));
  if (part[EXCLUDE]) SURGE_TRY(exclude(plan, part[EXCLUDE]));
  return surge_plan_name(plan);
}

surge_status surge_plan_read(surge_plan *plan, const char *path) {
  char *text;
  size_t size = 0;
  *plan = (surge_plan){.source = {.name = plan->file, .subject = "YAML"}};
  snprintf(plan->file, sizeof plan->file, "%s", path);
  plan->points = malloc(SURGE_SWEEP_POINTS * sizeof *plan->points);
  if (!plan->points)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for its points", path);
  surge_status status = surge_read_text(path, "a sweep", &text, &size);
  if (status == SURGE_OK && size > SURGE_MAX_RECIPE)
    status = SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "%s: wanted a sweep of at most %d bytes, found more",
                        path, SURGE_MAX_RECIPE);
  if (status == SURGE_OK) status = surge_source_load(&plan->source, text, size);
  free(text);
  return status == SURGE_OK ? read_root(plan) : status;
}

void surge_plan_free(surge_plan *plan) {
  for (size_t p = 0; p < plan->count; p++) free(plan->points[p].recipe);
  free(plan->points);
  surge_source_close(&plan->source);
  *plan = (surge_plan){0};
}

surge_status surge_plan_write(const surge_plan *plan, FILE *file) {
  char value[SURGE_SWEEP_VALUE], base[SURGE_PATH];
  if (!realpath(plan->base_path, base)) strcpy(base, plan->base_path);
  surge_plan_value(plan, plan->name, value);
  fprintf(file,
          "# The sweep as it was planned, a run a line.\nname: %s\nbase: '",
          value);
  for (const char *c = base; *c; c++)
    fprintf(file, *c == '\'' ? "''" : "%c", *c);
  fputs("'\nlist:\n", file);
  for (size_t p = 0; p < plan->count; p++) {
    const char *comma = "";
    fputs("  - {", file);
    for (size_t k = 0; k < plan->key_count; k++) {
      if (!plan->points[p].value[k]) continue;
      /* A value that is a list is a list of one value. */
      bool list = plan->points[p].value[k]->type == YAML_SEQUENCE_NODE;
      surge_plan_value(plan, plan->points[p].value[k], value);
      fprintf(file, "%s%s: %s%s%s", comma, plan->keys[k], list ? "[" : "",
              value, list ? "]" : "");
      comma = ", ";
    }
    fputs("}\n", file);
  }
  if (fflush(file) == 0 && !ferror(file)) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "sweep.yaml: wanted to write it, found: %s",
                    strerror(errno));
}
