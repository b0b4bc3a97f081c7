/* run.c - a run's folder, read back (see run.h). */
#include "src/report/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void join(char path[SURGE_PATH], const char *folder, const char *name) {
  snprintf(path, SURGE_PATH, "%.*s/%s", SURGE_PATH - 64, folder, name);
}

static int32_t epoch_of(const surge_csv *csv, int32_t row) {
  return (int32_t)surge_csv_number(csv, row, surge_csv_column(csv, "epoch"));
}

/* A table of a run, whose epochs rise from row to row. */
static surge_status read_table(surge_csv *csv, const surge_report_run *run,
                               const char *name, const char *wanted) {
  char path[SURGE_PATH];
  join(path, run->path, name);
  SURGE_TRY(surge_csv_read(csv, path, wanted));
  for (int32_t row = 0; row < csv->rows; row++) {
    int32_t epoch = epoch_of(csv, row),
            before = row ? epoch_of(csv, row - 1) : 0;
    if (epoch < before)
      return SURGE_FAIL(SURGE_ERROR_DATA,
                        "%s:%d: wanted epoch %d or a later one, found %d", path,
                        row + 2, before, epoch);
  }
  return SURGE_OK;
}

/* Of old runs some folders have no log; it only says where they ran. */
static surge_status read_log(surge_report_run *run) {
  char path[SURGE_PATH];
  join(path, run->path, "log.txt");
  if (access(path, F_OK) == 0) return surge_read_whole(path, &run->log, NULL);
  run->log = strdup("");
  return run->log ? SURGE_OK
                  : SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory", run->path);
}

surge_status surge_report_run_open(surge_report_run *run, const char *path) {
  char recipe[SURGE_PATH];
  *run = (surge_report_run){0};
  snprintf(run->path, sizeof run->path, "%s", path);
  for (size_t n = strlen(run->path); n > 1 && run->path[n - 1] == '/';)
    run->path[--n] = 0;
  const char *slash = strrchr(run->path, '/');
  run->name = slash && slash[1] ? slash + 1 : run->path;
  join(recipe, run->path, "recipe.yaml");
  SURGE_TRY(surge_recipe_read(&run->recipe, recipe, NULL));
  SURGE_TRY(surge_keys_of(&run->keys, &run->recipe));
  return read_table(&run->metrics, run, "metrics.csv",
                    "epoch train_loss train_acc val_loss val_acc test_loss "
                    "test_acc seconds");
}

static surge_status needs_row(const surge_csv *csv) {
  if (csv->rows > 0) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s:2: wanted a row, found none",
                    csv->path);
}

/* A layer's name becomes that of a figure: what a recipe would not take for one
 * is refused. */
static surge_status check_names(const surge_csv *csv) {
  int32_t column = surge_csv_column(csv, "layer");
  for (int32_t row = 0; row < csv->rows; row++) {
    const char *name = surge_csv_text(csv, row, column);
    size_t good = strspn(name,
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789_");
    if (name[good] || good >= SURGE_WORD)
      return SURGE_FAIL(SURGE_ERROR_DATA,
                        "%s:%d: wanted a layer's name of letters, digits and "
                        "_, found %.40s",
                        csv->path, row + 2, name);
  }
  return SURGE_OK;
}

surge_status surge_report_run_read(surge_report_run *run) {
  SURGE_TRY(needs_row(&run->metrics));
  SURGE_TRY(read_table(&run->layers, run, "layers.csv",
                       "epoch split$ layer$ t mean std window rate "
                       "quantization width width_min width_max decay"));
  SURGE_TRY(read_table(&run->histograms, run, "histograms.csv",
                       "epoch split$ layer$ low high count"));
  SURGE_TRY(needs_row(&run->layers));
  SURGE_TRY(needs_row(&run->histograms));
  SURGE_TRY(check_names(&run->layers));
  return read_log(run);
}

void surge_report_run_free(surge_report_run *run) {
  surge_recipe_free(&run->recipe);
  surge_keys_free(&run->keys);
  surge_csv_free(&run->metrics);
  surge_csv_free(&run->layers);
  surge_csv_free(&run->histograms);
  free(run->log);
  *run = (surge_report_run){0};
}

bool surge_is_run(const char *path) {
  static const char *const files[] = {"recipe.yaml", "metrics.csv"};
  char file[SURGE_PATH];
  for (int i = 0; i < 2; i++) {
    join(file, path, files[i]);
    if (access(file, F_OK) == 0) return true;
  }
  return false;
}

/* --- metrics -------------------------------------------------------------- */

static double metric(const surge_report_run *run, int32_t row,
                     const char *column) {
  return surge_csv_number(&run->metrics, row,
                          surge_csv_column(&run->metrics, column));
}

int32_t surge_report_run_epochs(const surge_report_run *run) {
  int32_t rows = run->metrics.rows;
  return rows ? epoch_of(&run->metrics, rows - 1) : 0;
}

bool surge_report_run_finished(const surge_report_run *run) {
  return surge_report_run_epochs(run) >= run->recipe.train.epochs;
}

double surge_report_run_accuracy(const surge_report_run *run) {
  double accuracy = NAN;
  for (int32_t i = run->metrics.rows; i-- > 0 && isnan(accuracy);)
    accuracy = metric(run, i, "test_acc");
  return accuracy;
}

double surge_report_run_best(const surge_report_run *run) {
  double best = NAN;
  for (int32_t i = 0; i < run->metrics.rows; i++)
    best = fmax(best, metric(run, i, "test_acc")); /* a number, where one is */
  return best;
}

double surge_report_run_seconds(const surge_report_run *run) {
  double sum = 0;
  for (int32_t i = 0; i < run->metrics.rows; i++)
    sum += metric(run, i, "seconds");
  return sum;
}

/* --- layers --------------------------------------------------------------- */

/* The layers stand in the order of the network in the first epoch's rows. */
const char *surge_report_run_layer(const surge_report_run *run,
                                   int32_t number) {
  int32_t column = surge_csv_column(&run->layers, "layer");
  const char *first = surge_csv_text(&run->layers, 0, column), *last = first;
  for (int32_t row = 0; row < run->layers.rows; row++) {
    const char *name = surge_csv_text(&run->layers, row, column);
    if (!strcmp(name, last)) {
      if (number == 0) return name;
      continue;
    }
    if (!strcmp(name, first)) return NULL; /* the next split or epoch */
    last = name;
    if (--number == 0) return name;
  }
  return NULL;
}

const surge_neuron_spec *surge_report_run_neuron(const surge_report_run *run,
                                                 const char *layer) {
  const struct surge_model_recipe *model = &run->recipe.model;
  for (int32_t i = 0; i < model->layer_count; i++)
    if (!strcmp(model->layers[i].name, layer)) return &model->layers[i].neuron;
  return &run->recipe.neuron;
}

int32_t surge_report_run_first_row(const surge_csv *csv, int32_t epoch) {
  int32_t low = 0, high = csv->rows;
  while (low < high) {
    int32_t middle = (low + high) / 2;
    if (epoch_of(csv, middle) < epoch)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const char *surge_report_run_split(const surge_report_run *run, int32_t epoch) {
  const surge_csv *csv = &run->layers;
  int32_t split = surge_csv_column(csv, "split");
  int32_t end = surge_report_run_first_row(csv, epoch + 1);
  for (int32_t row = surge_report_run_first_row(csv, epoch); row < end; row++)
    if (!strcmp(surge_csv_text(csv, row, split), "test")) return "test";
  return "train";
}

int32_t surge_report_run_last(const surge_report_run *run) {
  int32_t last = surge_report_run_epochs(run);
  for (int32_t epoch = last; epoch > 0; epoch--)
    if (!strcmp(surge_report_run_split(run, epoch), "test")) return epoch;
  return last;
}

double surge_report_run_layer_value(const surge_report_run *run,
                                    const char *column, const char *layer,
                                    int32_t epoch, int32_t t) {
  const surge_csv *csv = &run->layers;
  const char *wanted = surge_report_run_split(run, epoch);
  int32_t name = surge_csv_column(csv, "layer");
  int32_t split = surge_csv_column(csv, "split");
  int32_t step = surge_csv_column(csv, "t");
  int32_t value = surge_csv_column(csv, column), count = 0;
  int32_t end = surge_report_run_first_row(csv, epoch + 1);
  double sum = 0;
  for (int32_t row = surge_report_run_first_row(csv, epoch); row < end; row++) {
    if (strcmp(surge_csv_text(csv, row, name), layer) != 0 ||
        strcmp(surge_csv_text(csv, row, split), wanted) != 0 ||
        (t >= 0 && (int32_t)surge_csv_number(csv, row, step) != t))
      continue;
    sum += surge_csv_number(csv, row, value);
    count++;
  }
  return count ? sum / count : (double)NAN;
}
