/* page_run.c - what is said of one run (see report.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/report.h"

void surge_report_run_machine(const surge_report_run *run,
                              char line[SURGE_CAPTION]) {
  const char *p = run->log;
  snprintf(line, SURGE_CAPTION, "no line of a log says where it ran");
  for (; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
    if (!strncmp(p, "surge ", 6)) /* a resumed run has several: the last */
      snprintf(line, SURGE_CAPTION, "%.*s", (int)strcspn(p, "\n"), p);
}

static bool is_varied(const surge_groups *groups, const char *key) {
  for (int32_t k = 0; groups && k < groups->keys; k++)
    if (!strcmp(groups->key[k], key)) return true;
  return false;
}

surge_status surge_page_recipe(surge_page *page, const surge_report_run *run,
                               const surge_groups *but) {
  surge_recipe defaults;
  surge_keys keys;
  surge_recipe_defaults(&defaults);
  surge_status status = surge_keys_of(&keys, &defaults);
  surge_recipe_free(&defaults);
  if (status == SURGE_OK) {
    surge_page_table(page, "key\tvalue\tdefault");
    for (int32_t i = 0; i < run->keys.count; i++) {
      const surge_pair *p = &run->keys.pair[i];
      const char *standard = surge_keys_find(&keys, p->key);
      if ((standard && !strcmp(standard, p->value)) || is_varied(but, p->key))
        continue;
      surge_page_row(page, "%s\t%s\t%s", p->key, p->value,
                     standard ? standard : "none");
    }
    surge_page_end_table(page);
  }
  surge_keys_free(&keys);
  return status;
}

/* --- numbers -------------------------------------------------------------- */

static void headline(surge_page *page, const surge_report_run *run,
                     const surge_measured *m) {
  surge_page_tiles(page);
  surge_page_tile(page, "test accuracy, last epoch", "%.2f %%",
                  100 * surge_report_run_accuracy(run));
  surge_page_tile(page, "best epoch", "%.2f %%",
                  100 * surge_report_run_best(run));
  surge_page_tile(page, "epochs", "%d of %d", (int)surge_report_run_epochs(run),
                  (int)run->recipe.train.epochs);
  surge_page_tile(page, "steps", "T = %d", (int)run->recipe.T);
  surge_page_tile(page, "of training", "%.0f s", surge_report_run_seconds(run));
  if (!*m->why_not)
    surge_page_tile(page, "an inference, 45 nm", "%.4g uJ",
                    1e6 * surge_measured_energy(m).joules);
  surge_page_end_tiles(page);
}

static void work_table(surge_page *page, const surge_measured *m) {
  surge_energy total = surge_measured_energy(m);
  surge_page_table(page, "layer\tinputs\t>input rate\t>MAC\t>SOP\t>energy, uJ");
  for (int32_t i = 0; i < m->works; i++) {
    const surge_layer_work *w = &m->work[i];
    surge_page_row(page, "%s\t%s\t%.4f\t%.0f\t%.0f\t%.4g", w->name,
                   w->binary ? "spikes" : "real", w->rate, w->energy.macs,
                   w->energy.acs, 1e6 * w->energy.joules);
  }
  surge_page_row(page, "total\t\t\t%.0f\t%.0f\t%.4g", total.macs, total.acs,
                 1e6 * total.joules);
  surge_page_end_table(page);
}

static surge_status measured_sections(surge_page *page,
                                      const surge_measured *m) {
  if (*m->why_not) {
    surge_page_heading(page, "Evaluation of the last checkpoint");
    surge_page_paragraph(
        page,
        "Left out (confusion, accuracy after each step, spikes, operations and "
        "energy): %s",
        m->why_not);
    return SURGE_OK;
  }
  SURGE_TRY(surge_page_section(page, SURGE_SECTION_CLASSES, true));
  SURGE_TRY(surge_page_section(page, SURGE_SECTION_ANYTIME, true));
  SURGE_TRY(surge_page_section(page, SURGE_SECTION_RASTER, true));
  SURGE_TRY(surge_page_section(page, SURGE_SECTION_ENERGY, true));
  work_table(page, m);
  return SURGE_OK;
}

/* --- the page ------------------------------------------------------------- */

static surge_status repeat(surge_page *page, const surge_report_run *run,
                           const surge_measured *m) {
  char line[SURGE_CAPTION];
  surge_page_heading(page, "Recipe");
  surge_page_paragraph(page,
                       "The keys that differ from the defaults; all of them: "
                       "%s/recipe.yaml.",
                       run->path);
  SURGE_TRY(surge_page_recipe(page, run, NULL));
  surge_page_heading(page, "Machine and versions");
  surge_report_run_machine(run, line);
  surge_page_paragraph(page, "Trained: %s.", line);
  if (!*m->why_not)
    surge_page_paragraph(page,
                         "Evaluated: surge %s on %s: accuracy %.2f %%, loss "
                         "%.4f of %llu test images.",
                         SURGE_VERSION, m->device, 100 * m->result.accuracy,
                         m->result.loss, (unsigned long long)m->result.samples);
  surge_page_paragraph(page, "Report: surge %s, %s.", SURGE_VERSION,
                       page->plot->version);
  surge_page_heading(page, "To repeat it");
  surge_page_command(page, "surge train %s/recipe.yaml --out %s-again",
                     run->path, run->path);
  return SURGE_OK;
}

surge_status surge_page_of_run(surge_page *page, const surge_report_run *run,
                               const surge_measured *measured) {
  static const char *const sections[] = {
      SURGE_SECTION_CURVES, SURGE_SECTION_WIDTHS, SURGE_SECTION_MEMBRANE,
      SURGE_SECTION_RATES};
  headline(page, run, measured);
  if (!surge_report_run_finished(run))
    surge_page_paragraph(page, "This run has not ended: %d of %d epochs.",
                         (int)surge_report_run_epochs(run),
                         (int)run->recipe.train.epochs);
  for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
    SURGE_TRY(surge_page_section(page, sections[i], true));
  SURGE_TRY(measured_sections(page, measured));
  return repeat(page, run, measured);
}
