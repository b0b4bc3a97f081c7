/* folder.c - a run's files (see folder.h). */
#include "src/train/folder.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char metrics_header[] =
    "epoch,train_loss,train_acc,test_loss,test_acc,samples_per_s,seconds,"
    "val_loss,val_acc,learning_rate,gradient_norm,pda,wait_share,eval_seconds\n";
static const char layers_header[] =
    "epoch,split,layer,t,mean,std,window,rate,quantization,width,width_min,"
    "width_max,decay,synapse\n";
static const char histograms_header[] = "epoch,split,layer,low,high,count\n";

/* --- paths and files ------------------------------------------------------ */

static void join(char *out, const surge_folder *folder, const char *name) {
  snprintf(out, SURGE_PATH, "%.*s/%s", SURGE_PATH - 64, folder->path, name);
}

static surge_status file_error(const surge_folder *folder, const char *name,
                               const char *wanted) {
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s/%s: wanted to %s it, found: %s",
                    folder->path, name, wanted, strerror(errno));
}

static surge_status open_file(const surge_folder *folder, FILE **file,
                              const char *name, const char *mode) {
  char path[SURGE_PATH];
  join(path, folder, name);
  *file = fopen(path, mode);
  return *file ? SURGE_OK : file_error(folder, name, "open");
}

/* Ends a row: the disk has it, or the error says why not. */
static surge_status flush_file(const surge_folder *folder, FILE *file,
                               const char *name) {
  if (fflush(file) == 0 && !ferror(file)) return SURGE_OK;
  return file_error(folder, name, "write");
}

surge_status surge_folder_make(const char *path) {
  char part[SURGE_PATH];
  snprintf(part, sizeof part, "%s", path);
  if (!*path)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "--out: wanted a folder, found nothing");
  for (char *p = part + 1;; p++) {
    char end = *p;
    if (end != '/' && end != 0) continue;
    *p = 0;
    if (mkdir(part, 0777) != 0 && errno != EEXIST)
      return SURGE_FAIL(SURGE_ERROR_DATA,
                        "%s: wanted to make the folder, "
                        "found: %s",
                        part, strerror(errno));
    *p = end;
    if (end == 0) return SURGE_OK;
  }
}

bool surge_folder_is_empty(const char *path) {
  DIR *dir = opendir(path);
  if (!dir) return true;
  int entries = 0;
  while (readdir(dir)) entries++;
  closedir(dir);
  return entries <= 2; /* "." and ".." */
}

/* --- life ----------------------------------------------------------------- */

static surge_status begin_file(const surge_folder *folder, FILE **file,
                               const char *name, const char *header) {
  SURGE_TRY(open_file(folder, file, name, "w"));
  fputs(header, *file);
  return flush_file(folder, *file, name);
}

static surge_status write_recipe(const surge_folder *folder,
                                 const surge_recipe *recipe) {
  FILE *file;
  SURGE_TRY(open_file(folder, &file, "recipe.yaml", "w"));
  surge_status status = surge_recipe_write(recipe, file);
  if (status == SURGE_OK) status = flush_file(folder, file, "recipe.yaml");
  fclose(file);
  return status;
}

/* Checkpoints and event files of the run that stood here before. */
static void remove_old(const surge_folder *folder) {
  DIR *dir = opendir(folder->path);
  for (struct dirent *entry; dir && (entry = readdir(dir));) {
    char name[SURGE_PATH];
    bool old = !strncmp(entry->d_name, "checkpoint_", 11) ||
               !strncmp(entry->d_name, "events.out.tfevents.", 20);
    snprintf(name, sizeof name, "%.*s/%.255s", SURGE_PATH - 260, folder->path,
             entry->d_name);
    if (old) unlink(name);
  }
  if (dir) closedir(dir);
}

surge_status surge_folder_create(surge_folder *folder, const char *path,
                                 const surge_recipe *recipe, bool force) {
  *folder = (surge_folder){0};
  snprintf(folder->path, sizeof folder->path, "%s", path);
  if (!force && !surge_folder_is_empty(path))
    return SURGE_FAIL(
        SURGE_ERROR_RECIPE,
        "%s: wanted a new folder, found files "
        "in it (--resume goes on with that run, --force overwrites "
        "it)",
        path);
  SURGE_TRY(surge_folder_make(path));
  remove_old(folder);
  SURGE_TRY(write_recipe(folder, recipe));
  SURGE_TRY(
      begin_file(folder, &folder->metrics, "metrics.csv", metrics_header));
  SURGE_TRY(begin_file(folder, &folder->layers, "layers.csv", layers_header));
  SURGE_TRY(begin_file(folder, &folder->histograms, "histograms.csv",
                       histograms_header));
  SURGE_TRY(begin_file(folder, &folder->log, "log.txt", ""));
  SURGE_TRY(surge_tensorboard_open(&folder->board, path));
  return surge_tensorboard_recipe(folder->board, recipe);
}

/* Keeps the header and the rows whose first column is at most `epochs`; what a
 * full disk left of a row has no end, and its first column may be cut. */
static surge_status keep_rows(const surge_folder *folder, const char *name,
                              int32_t epochs) {
  char path[SURGE_PATH], copy[SURGE_PATH], *line = NULL;
  size_t capacity = 0;
  FILE *in, *out;
  join(path, folder, name);
  snprintf(copy, sizeof copy, "%.*s.tmp", SURGE_PATH - 8, path);
  SURGE_TRY(open_file(folder, &in, name, "r"));
  out = fopen(copy, "w");
  if (!out) {
    fclose(in);
    return file_error(folder, name, "copy");
  }
  for (bool header = true; getline(&line, &capacity, in) > 0; header = false)
    if (header || (strchr(line, '\n') && atoi(line) <= epochs))
      fputs(line, out);
  free(line);
  fclose(in);
  bool written = fflush(out) == 0 && !ferror(out);
  if (fclose(out) != 0 || !written || rename(copy, path) != 0)
    return file_error(folder, name, "rewrite");
  return SURGE_OK;
}

static surge_status go_on(const surge_folder *folder, FILE **file,
                          const char *name, int32_t epochs) {
  SURGE_TRY(keep_rows(folder, name, epochs));
  return open_file(folder, file, name, "a");
}

surge_status surge_folder_resume(surge_folder *folder, const char *path,
                                 const surge_recipe *recipe, int32_t epochs) {
  *folder = (surge_folder){0};
  snprintf(folder->path, sizeof folder->path, "%s", path);
  SURGE_TRY(write_recipe(folder, recipe));
  SURGE_TRY(go_on(folder, &folder->metrics, "metrics.csv", epochs));
  SURGE_TRY(go_on(folder, &folder->layers, "layers.csv", epochs));
  SURGE_TRY(go_on(folder, &folder->histograms, "histograms.csv", epochs));
  SURGE_TRY(open_file(folder, &folder->log, "log.txt", "a"));
  return surge_tensorboard_open(&folder->board, path);
}

void surge_folder_close(surge_folder *folder) {
  if (folder->metrics) fclose(folder->metrics);
  if (folder->layers) fclose(folder->layers);
  if (folder->histograms) fclose(folder->histograms);
  if (folder->log) fclose(folder->log);
  if (folder->board) surge_tensorboard_close(folder->board);
  *folder = (surge_folder){0};
}

surge_status surge_folder_log(surge_folder *folder, const char *line) {
  fprintf(folder->log, "%s\n", line);
  return flush_file(folder, folder->log, "log.txt");
}

/* --- rows ----------------------------------------------------------------- */

/* loss,accuracy, or two empty columns where there was no evaluation. */
static void print_pair(FILE *file, const surge_evaluation *e) {
  if (e->samples > 0)
    fprintf(file, "%.9g,%.9g,", e->loss, e->accuracy);
  else
    fputs(",,", file);
}

static surge_status board_pair(surge_folder *folder, const char *split,
                               int32_t epoch, const surge_evaluation *e) {
  char tag[64];
  if (e->samples == 0) return SURGE_OK;
  snprintf(tag, sizeof tag, "loss/%s", split);
  SURGE_TRY(surge_tensorboard_scalar(folder->board, tag, epoch, e->loss));
  snprintf(tag, sizeof tag, "accuracy/%s", split);
  return surge_tensorboard_scalar(folder->board, tag, epoch, e->accuracy);
}

surge_status surge_folder_epoch(surge_folder *folder,
                                const surge_epoch_result *r) {
  FILE *file = folder->metrics;
  fprintf(file, "%d,", r->epoch);
  print_pair(file, &r->train);
  print_pair(file, &r->test);
  fprintf(file, "%.1f,%.3f,", r->samples_per_s, r->train.seconds);
  print_pair(file, &r->validation);
  fprintf(file, "%.9g,%.9g,%.9g,%.4f,%.3f\n", r->learning_rate,
          r->gradient_norm, r->train.pda, r->wait_share,
          r->test.seconds + r->validation.seconds);
  SURGE_TRY(flush_file(folder, file, "metrics.csv"));
  surge_tensorboard *board = folder->board;
  SURGE_TRY(board_pair(folder, "train", r->epoch, &r->train));
  SURGE_TRY(board_pair(folder, "validation", r->epoch, &r->validation));
  SURGE_TRY(board_pair(folder, "test", r->epoch, &r->test));
  SURGE_TRY(surge_tensorboard_scalar(board, "learning_rate", r->epoch,
                                     r->learning_rate));
  SURGE_TRY(surge_tensorboard_scalar(board, "samples_per_s", r->epoch,
                                     r->samples_per_s));
  return surge_tensorboard_flush(board);
}

/* --- layers --------------------------------------------------------------- */

typedef struct width_range {
  double mean, min, max; /* mean: geometric, as ln w is what is learned */
} width_range;

static width_range range_of_widths(const surge_layer_report *report) {
  width_range r = {0, INFINITY, 0};
  for (int32_t i = 0; i < report->widths; i++) {
    double w = (double)report->width[i];
    r.mean += log(w);
    r.min = fmin(r.min, w);
    r.max = fmax(r.max, w);
  }
  r.mean = exp(r.mean / report->widths);
  return r;
}

static void print_layer(surge_folder *folder, const surge_layer_report *report,
                        int32_t epoch, const char *split) {
  width_range w = range_of_widths(report);
  for (int32_t t = 0; t < report->T; t++) {
    const surge_neuron_statistics *s = &report->statistics[t];
    if (s->count == 0) continue;
    fprintf(folder->layers,
            "%d,%s,%s,%d,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g\n",
            epoch, split, report->name, t, s->mean, sqrt(s->m2 / s->count),
            s->window / s->count, s->spikes / s->count,
            s->quantization / s->count, w.mean, w.min, w.max,
            (double)report->decay, (double)report->synapse);
  }
}

/* Where bin i of u begins: those below and above the regular ones are drawn as
 * if they reached to -8 and 8 theta. */
static double bin_edge(const surge_layer_report *report, int i) {
  double inside = -4 + 8.0 * (i - 1) / SURGE_HISTOGRAM_BINS;
  double edge = i == 0 ? -8 : i == SURGE_HISTOGRAM_BINS + 2 ? 8 : inside;
  return edge * (double)report->threshold;
}

/* Its count: the histogram holds the regular bins, then those below and above. */
static double bin_count(const surge_layer_report *report, int i) {
  const uint64_t *regular = report->histogram;
  const uint64_t *outer = regular + SURGE_HISTOGRAM_BINS;
  if (i == 0) return (double)outer[0];
  return (double)(i <= SURGE_HISTOGRAM_BINS ? regular[i - 1] : outer[1]);
}

static void print_potentials(surge_folder *folder,
                             const surge_layer_report *report, int32_t epoch,
                             const char *split) {
  for (int i = 0; i < SURGE_HISTOGRAM_BINS + 2; i++)
    fprintf(folder->histograms, "%d,%s,%s,%.9g,%.9g,%.17g\n", epoch, split,
            report->name, bin_edge(report, i), bin_edge(report, i + 1),
            bin_count(report, i));
}

static surge_status board_potentials(surge_folder *folder,
                                     const surge_layer_report *report,
                                     int32_t epoch) {
  double end[SURGE_HISTOGRAM_BINS + 2], count[SURGE_HISTOGRAM_BINS + 2];
  double sum = 0, squares = 0;
  for (int i = 0; i < SURGE_HISTOGRAM_BINS + 2; i++) {
    end[i] = bin_edge(report, i + 1);
    count[i] = bin_count(report, i);
  }
  for (int32_t t = 0; t < report->T; t++) {
    const surge_neuron_statistics *s = &report->statistics[t];
    sum += s->count * s->mean;
    squares += s->m2 + s->count * s->mean * s->mean;
  }
  char tag[SURGE_WORD + 8];
  snprintf(tag, sizeof tag, "u/%s", report->name);
  return surge_tensorboard_histogram(
      folder->board, tag, epoch, SURGE_HISTOGRAM_BINS + 2, end, count,
      bin_edge(report, 0), end[SURGE_HISTOGRAM_BINS + 1], sum, squares);
}

#define WIDTH_BINS 30

static surge_status board_widths(surge_folder *folder,
                                 const surge_layer_report *report,
                                 int32_t epoch) {
  width_range w = range_of_widths(report);
  double edge[WIDTH_BINS], count[WIDTH_BINS] = {0}, sum = 0, squares = 0;
  double step = fmax((w.max - w.min) / WIDTH_BINS, 1e-6 * w.max);
  for (int i = 0; i < WIDTH_BINS; i++) edge[i] = w.min + (i + 1) * step;
  for (int32_t k = 0; k < report->widths; k++) {
    double x = (double)report->width[k];
    int bin = (int)((x - w.min) / step);
    count[bin < WIDTH_BINS ? bin : WIDTH_BINS - 1]++;
    sum += x;
    squares += x * x;
  }
  char tag[SURGE_WORD + 8];
  snprintf(tag, sizeof tag, "w/%s", report->name);
  return surge_tensorboard_histogram(folder->board, tag, epoch, WIDTH_BINS,
                                     edge, count, w.min, w.max, sum, squares);
}

surge_status surge_folder_layers(surge_folder *folder, surge_net *net,
                                 int32_t epoch, const char *split) {
  for (int32_t i = 0; surge_net_spiking_layer(net, i); i++) {
    surge_layer_report report;
    SURGE_TRY(surge_net_layer_report(net, i, &report));
    print_layer(folder, &report, epoch, split);
    print_potentials(folder, &report, epoch, split);
    if (!strcmp(split, "train")) continue;
    SURGE_TRY(board_potentials(folder, &report, epoch));
    SURGE_TRY(board_widths(folder, &report, epoch));
  }
  SURGE_TRY(flush_file(folder, folder->layers, "layers.csv"));
  return flush_file(folder, folder->histograms, "histograms.csv");
}
