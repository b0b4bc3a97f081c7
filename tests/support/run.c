/* run.c - whole runs for tests (see run.h). */
#include "tests/support/run.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

surge_recipe run_recipe(const char *yaml, const char *override) {
  surge_recipe recipe;
  const char *overrides[2] = {override, NULL};
  surge_status status =
      surge_recipe_parse(&recipe, "test.yaml", yaml, strlen(yaml), overrides);
  cr_assert_eq(status, SURGE_OK, "%s", surge_last_error());
  run_find_data(&recipe.data);
  return recipe;
}

void run_find_data(struct surge_data_recipe *data) {
  const char *folder = getenv("SURGE_TEST_DATA");
  char path[SURGE_PATH];
  if (!folder) return;
  snprintf(path, sizeof path, "%.900s/%s", folder, data->set);
  if (access(path, R_OK) == 0) strcpy(data->path, path);
}

void run_needs_data(void) {
  struct surge_data_recipe data = {.set = "fashion_mnist"};
  run_find_data(&data);
  if (surge_dataset_probe(&data) != SURGE_OK)
    cr_skip_test("skipped: %s", surge_last_error());
}

void run_make_folder(char folder[64]) {
  snprintf(folder, 64, "/tmp/surge_test_XXXXXX");
  cr_assert_not_null(mkdtemp(folder));
}

void run_remove_folder(const char *folder) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  cr_assert_eq(system(command), 0);
}

surge_status run_train(const surge_recipe *recipe, const char *folder,
                       const char *name, bool resume,
                       const volatile sig_atomic_t *stop) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  surge_train_options options = {
      .folder = path, .resume = resume, .interrupted = stop};
  return surge_train(recipe, &options);
}

static surge_safetensors read_checkpoint(const char *folder, const char *name) {
  char path[192];
  surge_safetensors file;
  snprintf(path, sizeof path, "%s/%s/checkpoint_last.safetensors", folder,
           name);
  cr_assert_eq(surge_safetensors_read(&file, path), SURGE_OK, "%s",
               surge_last_error());
  return file;
}

void run_same_checkpoints(const char *folder, const char *a, const char *b) {
  surge_safetensors x = read_checkpoint(folder, a),
                    y = read_checkpoint(folder, b);
  cr_assert_eq(x.tensor_count, y.tensor_count);
  cr_assert_gt(x.tensor_count, 0);
  for (size_t i = 0; i < x.tensor_count; i++) {
    const surge_named_tensor *t = &x.tensors[i];
    const surge_named_tensor *u = surge_safetensors_find(&y, t->name);
    cr_assert_not_null(u, "%s is missing in %s", t->name, b);
    cr_expect_eq(memcmp(t->data, u->data, surge_named_tensor_bytes(t)), 0,
                 "%s differs between %s and %s", t->name, a, b);
  }
  surge_safetensors_free(&x);
  surge_safetensors_free(&y);
}

static FILE *open_metrics(const char *folder, const char *name) {
  char path[192];
  snprintf(path, sizeof path, "%s/%s/metrics.csv", folder, name);
  FILE *file = fopen(path, "r");
  cr_assert_not_null(file, "%s", path);
  return file;
}

/* Columns whose values are times. */
static bool is_time(const char *column) {
  static const char *const times[] = {"samples_per_s", "seconds", "wait_share",
                                      "eval_seconds\n"};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++)
    if (!strcmp(column, times[i])) return true;
  return false;
}

void run_same_metrics(const char *folder, const char *a, const char *b) {
  FILE *x = open_metrics(folder, a), *y = open_metrics(folder, b);
  char header[1024], p[1024], q[1024];
  cr_assert_not_null(fgets(header, sizeof header, x));
  cr_assert_not_null(fgets(q, sizeof q, y));
  cr_assert_str_eq(header, q);
  while (fgets(p, sizeof p, x)) {
    cr_assert_not_null(fgets(q, sizeof q, y), "%s has fewer rows", b);
    char names[1024], *columns = names, *left = p, *right = q;
    snprintf(names, sizeof names, "%s", header);
    for (char *column; (column = strsep(&columns, ","));) {
      const char *l = strsep(&left, ","), *r = strsep(&right, ",");
      if (!is_time(column)) cr_expect_str_eq(l, r, "column %s", column);
    }
  }
  cr_assert_null(fgets(q, sizeof q, y), "%s has more rows", b);
  fclose(x);
  fclose(y);
}

double run_metric(const char *folder, const char *name, const char *column) {
  FILE *file = open_metrics(folder, name);
  char header[1024], row[1024] = "", *columns = header, *values = row;
  cr_assert_not_null(fgets(header, sizeof header, file));
  while (fgets(row, sizeof row, file)) continue;
  fclose(file);
  for (char *c; (c = strsep(&columns, ","));) {
    const char *value = strsep(&values, ",");
    if (!strcmp(c, column)) return atof(value);
  }
  cr_assert(false, "no column %s", column);
  return NAN;
}
