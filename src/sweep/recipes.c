/* recipes.c - points -> effective recipes and planned networks (see plan.h). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/config/read.h"
#include "src/sweep/plan.h"
#include "src/train/session.h"

/* --- one point ------------------------------------------------------------ */

/* Overrides as the recipe's reader wants them, each with its place. */
typedef struct override_list {
  char text[SURGE_SWEEP_KEYS + 1][SURGE_WORD + SURGE_SWEEP_VALUE];
  char place[SURGE_SWEEP_KEYS + 1][SURGE_MAX_PLACE];
  const char *texts[SURGE_SWEEP_KEYS + 2], *places[SURGE_SWEEP_KEYS + 2];
  size_t count;
} override_list;

static void add_override(override_list *list, const surge_plan *plan,
                         const char *key, const yaml_node_t *node) {
  char value[SURGE_SWEEP_VALUE];
  size_t i = list->count++;
  surge_place place = surge_place_of(&plan->source, node);
  surge_plan_value(plan, node, value);
  snprintf(list->text[i], sizeof list->text[i], "%s=%s", key, value);
  surge_place_print(&place, list->place[i]);
  list->texts[i] = list->text[i];
  list->places[i] = list->place[i];
}

/* The sweep's name is that of its recipes. */
static surge_status read_point(surge_recipe *recipe, const surge_plan *plan,
                               const surge_point *point) {
  override_list *list = calloc(1, sizeof *list);
  if (!list)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for a point's keys");
  add_override(list, plan, "name", plan->name);
  for (size_t k = 0; k < plan->key_count; k++)
    if (point->value[k])
      add_override(list, plan, plan->keys[k], point->value[k]);
  surge_status status = surge_recipe_read_from(recipe, plan->base_path,
                                               list->texts, list->places);
  free(list);
  return status;
}

/* Its bytes, and how much there is to compute. */
static surge_status plan_network(const surge_recipe *recipe,
                                 surge_point *point) {
  surge_session session;
  surge_net *net = NULL;
  surge_net_options options = {.training = true};
  surge_status status = surge_session_plan(&session, recipe);
  if (status == SURGE_OK)
    status = surge_net_create(&net, session.backend, session.context, recipe,
                              &session.info, &options);
  if (status == SURGE_OK) {
    const struct surge_data_recipe *data = &recipe->data;
    int32_t train = session.info.train_count, test = session.info.test_count;
    if (data->limit && data->limit < train) train = data->limit;
    if (data->test_limit && data->test_limit < test) test = data->test_limit;
    point->bytes = surge_net_bytes(net);
    point->samples =
        recipe->train.epochs *
        (train - data->validation +
         (double)(test + data->validation) / (3 * recipe->train.eval_every));
    if (train == 0) point->samples = 0;
  }
  surge_net_destroy(net);
  surge_session_close(&session);
  return status;
}

/* `kind`: its recipe but for the seed. */
static surge_status fill_point(surge_point *point, const surge_recipe *recipe,
                               char **kind) {
  surge_recipe other = *recipe;
  other.seed = 0;
  point->epochs = recipe->train.epochs;
  point->threads = recipe->threads;
  SURGE_TRY(surge_recipe_text(recipe, &point->recipe));
  return surge_recipe_text(&other, kind);
}

/* --- all of them ---------------------------------------------------------- */

/* What is wrong with some points: the same line for all of them. */
typedef struct complaint {
  char *text;
  size_t first, points;
} complaint;

typedef struct reading {
  surge_plan *plan;
  char **kind;           /* [points]                    */
  bool *bad;             /* [points]                    */
  complaint *complaints; /* [points], `count` of them   */
  size_t count;
  surge_status status; /* of the first */
} reading;

static void complain(reading *r, size_t point, surge_status status) {
  const char *text = surge_last_error();
  size_t i = 0;
  if (r->count == 0) r->status = status;
  while (i < r->count && strcmp(r->complaints[i].text, text) != 0) i++;
  if (i == r->count)
    r->complaints[r->count++] = (complaint){strdup(text), point, 0};
  r->complaints[i].points++;
  r->bad[point] = true;
}

/* Points that differ in their seed alone have one network, planned once. */
static void read_and_plan(reading *r, size_t p) {
  surge_plan *plan = r->plan;
  surge_point *point = &plan->points[p];
  surge_recipe recipe;
  surge_status status = read_point(&recipe, plan, point);
  if (status == SURGE_OK) status = fill_point(point, &recipe, &r->kind[p]);
  point->network = p;
  for (size_t q = 0; status == SURGE_OK && q < p; q++)
    if (!r->bad[q] && !strcmp(r->kind[q], r->kind[p])) {
      point->network = plan->points[q].network;
      point->bytes = plan->points[q].bytes;
      point->samples = plan->points[q].samples;
      break;
    }
  if (status == SURGE_OK && point->network == p)
    status = plan_network(&recipe, point);
  if (status != SURGE_OK) complain(r, p, status);
  surge_recipe_free(&recipe);
}

static surge_status tell_complaints(const reading *r, surge_tell *tell,
                                    void *user, bool keep_going) {
  char line[2048];
  for (size_t i = 0; i < r->count; i++) {
    const complaint *c = &r->complaints[i];
    char others[64] = "";
    if (c->points > 1)
      snprintf(others, sizeof others, " and %zu more", c->points - 1);
    snprintf(line, sizeof line, "%s%.1500s (%s%s)",
             keep_going ? "left out: " : "", c->text,
             r->plan->points[c->first].name, others);
    SURGE_TRY(tell(user, line));
  }
  return SURGE_OK;
}

/* Takes out the bad points; the numbers of networks follow. */
static void leave_out(reading *r) {
  surge_plan *plan = r->plan;
  size_t kept = 0, *now = calloc(plan->count, sizeof *now);
  for (size_t p = 0; now && p < plan->count; p++) {
    if (r->bad[p]) {
      free(plan->points[p].recipe);
      continue;
    }
    now[p] = kept;
    plan->points[kept] = plan->points[p];
    plan->points[kept].network = now[plan->points[p].network];
    kept++;
  }
  if (now) plan->count = kept;
  free(now);
}

static surge_status judge(reading *r, bool keep_going, surge_tell *tell,
                          void *user) {
  size_t bad = 0, all = r->plan->count;
  for (size_t p = 0; p < all; p++) bad += r->bad[p];
  if (bad == 0) return SURGE_OK;
  SURGE_TRY(tell_complaints(r, tell, user, keep_going && bad < all));
  if (!keep_going || bad == all)
    return SURGE_FAIL(
        r->status,
        "%s: wanted points that can be run, found %zu of %zu that "
        "cannot%s",
        r->plan->file, bad, all,
        bad < all ? " (--keep-going leaves them out)" : "");
  leave_out(r);
  return surge_plan_name(r->plan);
}

/* Where a point stands: at the first of its values. */
static surge_status refuse_twin(const surge_plan *plan, const surge_point *twin,
                                const surge_point *before, bool same) {
  char found[2 * SURGE_SWEEP_NAME];
  size_t k = 0;
  while (k + 1 < plan->key_count && !twin->value[k]) k++;
  const yaml_node_t *node = twin->value[k] ? twin->value[k] : plan->base;
  surge_place place = surge_place_of(&plan->source, node);
  snprintf(found, sizeof found, "%s of point %zu (%s) again in point %zu",
           same ? "the recipe" : "the folder's name",
           (size_t)(before - plan->points), before->name,
           (size_t)(twin - plan->points));
  return surge_refuse(&place, twin->name, "each point once", found);
}

static surge_status refuse_twins(const surge_plan *plan) {
  for (size_t p = 0; p < plan->count; p++)
    for (size_t q = 0; q < p; q++) {
      const surge_point *before = &plan->points[q], *point = &plan->points[p];
      bool same = !strcmp(before->recipe, point->recipe);
      if (same || !strcmp(before->name, point->name))
        return refuse_twin(plan, point, before, same);
    }
  return SURGE_OK;
}

surge_status surge_plan_recipes(surge_plan *plan, bool keep_going,
                                surge_tell *tell, void *user) {
  size_t count = plan->count;
  surge_place base = surge_place_of(&plan->source, plan->base);
  if (access(plan->base_path, R_OK) != 0)
    return surge_refuse(&base, "base", "a recipe that can be read",
                        plan->base_path);
  reading r = {.plan = plan,
               .kind = calloc(count, sizeof *r.kind),
               .bad = calloc(count, sizeof *r.bad),
               .complaints = calloc(count, sizeof *r.complaints)};
  surge_status status =
      r.kind && r.bad && r.complaints
          ? SURGE_OK
          : SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for %zu points", count);
  for (size_t p = 0; status == SURGE_OK && p < count; p++) read_and_plan(&r, p);
  if (status == SURGE_OK) status = judge(&r, keep_going, tell, user);
  if (status == SURGE_OK) status = refuse_twins(plan);
  for (size_t p = 0; r.kind && p < count; p++) free(r.kind[p]);
  for (size_t i = 0; i < r.count; i++) free(r.complaints[i].text);
  free(r.kind);
  free(r.bad);
  free(r.complaints);
  return status;
}
