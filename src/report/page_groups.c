/* page_groups.c - what is said of several runs (see report.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/report.h"

/* A number, or what stands where there is none. */
static const char *or_none(char text[32], const char *format, double value)
    __attribute__((format(printf, 2, 0)));
static const char *or_none(char text[32], const char *format, double value) {
  if (!isfinite(value)) return "-";
  snprintf(text, 32, format, value);
  return text;
}

/* --- the table ------------------------------------------------------------ */

/* Cells of the keys that vary: a group's values, or their names (group < 0).
 * Whole however many there are, or rows would have fewer cells than headers.
 * The caller frees them; NULL: no memory. */
static char *key_cells(const surge_groups *g, int32_t group) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) return NULL;
  for (int32_t k = 0; k < g->keys; k++)
    fprintf(out, "\t%.100s",
            group < 0 ? g->key[k] : surge_group_value(g, group, g->key[k]));
  fclose(out);
  return text;
}

static void header(surge_page *page, const surge_groups *g) {
  char *keys = key_cells(g, -1), *text;
  int length = asprintf(
      &text,
      "#%s\t>mean, %%\t>deviation\t>n\t>best, %%\t>seconds\t>energy, uJ\t"
      ">million operations\t>latency, ms\tfront",
      keys ? keys : "");
  if (length >= 0) {
    surge_page_table(page, text);
    free(text);
  }
  free(keys);
}

static void group_row(surge_page *page, const surge_comparison *c, int32_t i) {
  const surge_groups *g = c->groups;
  const surge_report_run_group *group = &g->group[i];
  const surge_cost *cost = &c->cost[i];
  char number[6][32], *keys = key_cells(g, i);
  surge_page_row(
      page, "%d%s\t%s\t%s\t%d\t%s\t%.3g\t%s\t%s\t%s\t%s", (int)i + 1,
      keys ? keys : "", or_none(number[0], "%.2f", 100 * group->accuracy.mean),
      or_none(number[1], "%.2f", 100 * group->accuracy.deviation),
      (int)group->accuracy.n, or_none(number[2], "%.2f", 100 * group->best),
      group->seconds, or_none(number[3], "%.4g", 1e6 * cost->joules),
      or_none(number[4], "%.4g", 1e-6 * cost->operations),
      or_none(number[5], "%.4g", cost->latency),
      surge_on_front(g, c->cost, i) ? "yes" : "");
  free(keys);
}

static bool has_single(const surge_groups *g) {
  for (int32_t i = 0; i < g->count; i++)
    if (g->group[i].count == 1) return true;
  return false;
}

static void notes(surge_page *page, const surge_comparison *c) {
  surge_page_paragraph(
      page,
      "A group: runs whose recipes differ in seed and data.path alone (and "
      "name, threads), each a sample: seeds, or folds of the data. Mean and "
      "standard deviation (n - 1) of the test accuracy after the last epoch; "
      "best: of any epoch of any of its runs; seconds: of training, mean; "
      "energy and operations of an inference: of its first run, on at most "
      "1000 test images. Front: no other group is as accurate at "
      "a lower cost (energy, else latency, else T).");
  if (has_single(c->groups))
    surge_page_paragraph(page,
                         "Where n = 1 there is no standard deviation, and a "
                         "difference may be chance.");
  if (c->groups->twins > 0)
    surge_page_paragraph(
        page,
        "%d runs have recipe, seed and path of another and are left "
        "out: they are no further samples.",
        (int)c->groups->twins);
  if (*c->unfinished)
    surge_page_paragraph(page, "Left out, not ended: %s.", c->unfinished);
  if (*c->no_cost)
    surge_page_paragraph(page,
                         "Energy and operations are not known of all groups: "
                         "%s",
                         c->no_cost);
}

/* --- layers --------------------------------------------------------------- */

static void layer_row(surge_page *page, const surge_groups *g, int32_t group,
                      const char *layer) {
  double value[4];
  char number[4][32];
  for (int k = 0; k < 4; k++)
    value[k] = surge_group_layer(g, group, surge_layer_columns[k], layer);
  if (!isfinite(value[0])) return; /* another network's */
  surge_page_row(page, "%d\t%s\t%s\t%s\t%s\t%s", (int)group + 1, layer,
                 or_none(number[0], "%.3g", value[0]),
                 or_none(number[1], "%.1f", 100 * value[1]),
                 or_none(number[2], "%.1f", 100 * value[2]),
                 or_none(number[3], "%.4g", value[3]));
}

static void layers(surge_page *page, const surge_groups *g) {
  surge_page_heading(page, "Layers after training");
  surge_page_paragraph(
      page,
      "Means over the steps and the runs of a group, on the test images (or, "
      "where those were not evaluated, the training images): width "
      "of the surrogate gradient, share of potentials inside its window, share "
      "of neurons that fire, quantisation error E[(u - s)^2]. These and more: "
      "layers.csv beside this page.");
  surge_page_table(page,
                   "group\tlayer\t>width\t>in window, %\t>rate, %\t>"
                   "quantisation error");
  for (int32_t i = 0; i < g->count; i++)
    for (int32_t l = 0; l < g->layers; l++) layer_row(page, g, i, g->layer[l]);
  surge_page_end_table(page);
}

/* --- tests ---------------------------------------------------------------- */

static void contrast_row(surge_page *page, const surge_comparison *c,
                         const surge_contrast *x) {
  const surge_paired *t = &x->test;
  char label[SURGE_GROUP_LABEL], number[5][32];
  surge_group_label(c->groups, x->a, c->key, label);
  surge_page_row(
      page, "%d against %d\t%s\t%d\t%s\t%s\t%s\t%s\t%s", (int)x->b + 1,
      (int)x->a + 1, *label ? label : "-", (int)t->difference.n,
      or_none(number[0], "%+.2f", 100 * t->difference.mean),
      or_none(number[1], "%.2f", 100 * t->difference.deviation),
      or_none(number[2], "%.3f", t->t), or_none(number[3], "%.3g", t->p),
      or_none(number[4], "%.3g", t->p_exact));
}

static void tests(surge_page *page, const surge_comparison *c) {
  if (!c->key) return;
  surge_page_heading(page, "Paired test");
  const surge_contrast *first = &c->contrast[0];
  surge_page_paragraph(
      page,
      "%s: %s against %s, paired by seed and data.path. Difference of test "
      "accuracy in points, its standard deviation, Student's paired t (n - 1 "
      "degrees of freedom), its two-sided p, and the exact p of all 2^n "
      "changes of sign (n of at most %d; it cannot be smaller than 2/2^n).%s",
      c->key, surge_group_value(c->groups, first->b, c->key),
      surge_group_value(c->groups, first->a, c->key), SURGE_MOST_EXACT,
      c->contrasts > 1
          ? " One row a pair of groups; not corrected for the number "
            "of rows."
          : "");
  surge_page_table(
      page,
      "groups\tother keys\t>n\t>difference\t>deviation\t>t\t>p\t>exact p");
  for (int32_t i = 0; i < c->contrasts; i++)
    contrast_row(page, c, &c->contrast[i]);
  surge_page_end_table(page);
  surge_page_paragraph(page,
                       "A dash: fewer than two pairs, or differences without "
                       "spread, so that there is no test.");
}

/* --- the page ------------------------------------------------------------- */

static void machines(surge_page *page, const surge_groups *g, int32_t runs) {
  char line[SURGE_CAPTION], before[SURGE_CAPTION] = "";
  surge_page_heading(page, "Machine and versions");
  for (int32_t i = 0; i < runs; i++) {
    surge_report_run_machine(&g->run[i], line);
    if (strcmp(line, before) != 0)
      surge_page_paragraph(page, "Trained, from %s on: %s.", g->run[i].name,
                           line);
    strcpy(before, line);
  }
  surge_page_paragraph(page, "Report: surge %s, %s.", SURGE_VERSION,
                       page->plot->version);
}

static int32_t run_count(const surge_groups *g) {
  int32_t count = g->twins;
  for (int32_t i = 0; i < g->count; i++) count += g->group[i].count;
  return count;
}

surge_status surge_page_of_groups(surge_page *page,
                                  const surge_comparison *comparison) {
  const surge_groups *g = comparison->groups;
  header(page, g);
  for (int32_t i = 0; i < g->count; i++) group_row(page, comparison, i);
  surge_page_end_table(page);
  notes(page, comparison);
  tests(page, comparison);
  SURGE_TRY(surge_page_section(page, SURGE_SECTION_TRADEOFF, false));
  SURGE_TRY(surge_page_section(page, SURGE_SECTION_GROUPS, true));
  SURGE_TRY(surge_page_section(page, SURGE_SECTION_NUMBERS, false));
  SURGE_TRY(surge_page_section(page, SURGE_SECTION_WIDTHS, true));
  SURGE_TRY(surge_page_section(page, SURGE_SECTION_MEMBRANE, true));
  layers(page, g);
  surge_page_heading(page, "Recipe");
  surge_page_paragraph(
      page,
      "The keys that differ from the defaults and are the "
      "same in all runs but for seed, data.path and name (here: %s):",
      g->run[0].name);
  SURGE_TRY(surge_page_recipe(page, &g->run[0], g));
  machines(page, g, run_count(g));
  surge_page_heading(page, "To repeat it");
  surge_page_command(page,
                     "surge train %s/recipe.yaml --out NEW   # and so each "
                     "run's",
                     g->run[0].path);
  return SURGE_OK;
}
