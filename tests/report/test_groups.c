/* Which runs are one group, what is said of it, and which groups a contrast
 * pairs. The runs are written by the test. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/report/report.h"
#include "tests/support/folder.h"

TestSuite(groups, .init = test_folder_make, .fini = test_folder_remove);

static const char layers[] =
    "epoch,split,layer,t,mean,std,window,rate,quantization,width,width_min,"
    "width_max,decay\n"
    "0,train,neuron1,0,0,1,0.5,0.1,0.2,1,1,1,0.25\n"
    "0,train,neuron1,1,0,1,0.7,0.3,0.2,1,1,1,0.25\n"
    "0,train,neuron2,0,0,1,0.5,0.1,0.2,2,2,2,0.25\n"
    "1,train,neuron1,0,0,1,0.5,0.1,0.2,3,3,3,0.25\n"
    "1,test,neuron1,0,0,1,0.5,0.1,0.2,4,4,4,0.25\n";
static const char histograms[] =
    "epoch,split,layer,low,high,count\n0,train,neuron1,-8,-4,3\n";

static void write_in(const char *name, const char *file, const char *text) {
  char path[TEST_PATH];
  snprintf(path, sizeof path, "%s/%s", name, file);
  test_write_file(test_path(path), text, strlen(text));
}

/* A run of two epochs; the first is better than the last by 0.125. */
static surge_report_run run_of(const char *name, const char *recipe,
                               double accuracy) {
  char metrics[512];
  surge_report_run run;
  snprintf(metrics, sizeof metrics,
           "epoch,train_loss,train_acc,test_loss,test_acc,samples_per_s,"
           "seconds,val_loss,val_acc\n1,1,0.5,1,%.9g,10,3,,\n"
           "2,1,0.5,1,%.9g,10,4,,\n",
           accuracy + 0.125, accuracy);
  cr_assert_eq(mkdir(test_path(name), 0777), 0);
  write_in(name, "recipe.yaml", recipe);
  write_in(name, "metrics.csv", metrics);
  write_in(name, "layers.csv", layers);
  write_in(name, "histograms.csv", histograms);
  cr_assert_eq(surge_report_run_open(&run, test_path(name)), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_report_run_read(&run), SURGE_OK, "%s", surge_last_error());
  return run;
}

#define RUNS 8
static surge_report_run runs[RUNS];

/* Two T, two rules; of one group three seeds and a twin, which is no sample;
 * one seed of T = 4, learned. Names and threads make no group. */
static void make_runs(void) {
  runs[0] = run_of("a", "{seed: 2, T: 2, name: a, train: {epochs: 2}}", 0.5);
  runs[1] =
      run_of("b", "{seed: 1, T: 2, threads: 3, train: {epochs: 2}}", 0.25);
  runs[2] =
      run_of("c", "{seed: 3, T: 2, memory: packed, train: {epochs: 2}}", 0.75);
  runs[3] = run_of("d", "{seed: 3, T: 2, name: other, train: {epochs: 2}}", 0);
  const char *fixed =
      "{seed: %d, T: %d, surrogate: {width_rule: fixed}, train: "
      "{epochs: 2}}";
  char recipe[256];
  for (int i = 0; i < 3; i++) {
    static const double accuracy[] = {0.125, 0.5, 0.625};
    char name[8];
    snprintf(recipe, sizeof recipe, fixed, i + 1, 2);
    snprintf(name, sizeof name, "f%d", i);
    runs[4 + i] = run_of(name, recipe, accuracy[i]);
  }
  runs[7] = run_of("g", "{seed: 3, T: 4, train: {epochs: 2}}", 0.875);
}

static void free_runs(surge_groups *g) {
  surge_groups_free(g);
  for (int i = 0; i < RUNS; i++) surge_report_run_free(&runs[i]);
}

Test(groups, spreads) {
  surge_groups g;
  make_runs();
  cr_assert_eq(surge_groups_of(&g, runs, RUNS), SURGE_OK);
  cr_assert_eq(g.count, 3);
  cr_assert_eq(g.keys, 2);
  cr_expect_str_eq(g.key[0], "T");
  cr_expect_str_eq(g.key[1], "surrogate.width_rule");
  cr_expect_eq(g.twins, 1);
  const surge_report_run_group *learned = &g.group[1];
  cr_assert_eq(learned->count, 3);
  for (int i = 0; i < 3; i++)
    cr_expect_eq(g.run[learned->run[i]].recipe.seed, i + 1, "by seed");
  cr_expect(learned->accuracy.mean == 0.5 &&
            learned->accuracy.deviation == 0.25);
  cr_expect(learned->best == 0.875 && learned->seconds == 7);
  cr_expect(isnan(g.group[2].accuracy.deviation), "n = 1 has no deviation");
  char label[SURGE_GROUP_LABEL];
  surge_group_label(&g, 0, NULL, label);
  cr_expect_str_eq(label, "T = 2, width_rule = fixed");
  surge_group_label(&g, 0, "T", label);
  cr_expect_str_eq(label, "width_rule = fixed");
  cr_expect(surge_groups_numeric(&g, "T"));
  cr_expect(!surge_groups_numeric(&g, "surrogate.width_rule"));
  free_runs(&g);
}

Test(groups, contrasts) {
  surge_groups g;
  surge_contrast *c;
  char key[SURGE_WORD];
  int32_t count;
  make_runs();
  cr_assert_eq(surge_groups_of(&g, runs, RUNS), SURGE_OK);
  cr_assert_eq(surge_groups_contrast(&g, "surrogate.width_rule=fixed,learned",
                                     key, &c, &count),
               SURGE_OK, "%s", surge_last_error());
  cr_expect_str_eq(key, "surrogate.width_rule");
  cr_assert_eq(count, 1, "T = 4 has no fixed group");
  /* by seed: 0.25 - 0.125, 0.5 - 0.5, 0.75 - 0.625 */
  cr_expect_eq(c[0].test.difference.n, 3);
  cr_expect_eq(c[0].test.difference.mean, 0.25 / 3);
  cr_expect(fabs(c[0].test.t - 2) < 1e-12, "t = %g", c[0].test.t);
  free(c);
  cr_assert_eq(surge_groups_contrast(&g, "T=2.0,4", key, &c, &count), SURGE_OK,
               "numbers are compared as numbers: %s", surge_last_error());
  cr_expect(count == 1 && c[0].test.difference.n == 1 && isnan(c[0].test.p));
  free(c);
  cr_assert_eq(surge_groups_contrast(&g, "T=4,2", key, &c, &count), SURGE_OK);
  cr_expect(count == 1 && c[0].test.difference.n == 1 &&
                c[0].test.difference.mean == 0.75 - 0.875,
            "seed 3 of both");
  free(c);
  static const char *const refused[][2] = {
      {"T", "KEY=A,B"},
      {"T=2", "KEY=A,B"},
      {"T=2,", "KEY=A,B"},
      {"=1,2", "KEY=A,B"},
      {"optim.lr=1,2", "T, surrogate.width_rule"},
      {"T=2,8", "found 2, 4"}};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    cr_expect_eq(surge_groups_contrast(&g, refused[i][0], key, &c, &count),
                 SURGE_ERROR_RECIPE, "%s", refused[i][0]);
    cr_expect_not_null(strstr(surge_last_error(), refused[i][1]), "%s",
                       surge_last_error());
    free(c);
  }
  free_runs(&g);
}

/* Numbers rise as numbers, other values as texts, behind them. */
Test(groups, order) {
  static const char *const T[] = {"10", "norm", "2.5", "0.2", "decay"};
  static const int order[] = {3, 2, 0, 4, 1};
  surge_report_run run[5];
  surge_groups g;
  for (int i = 0; i < 5; i++) {
    char name[2] = {(char)('a' + i), 0};
    run[i] = run_of(name, "{train: {epochs: 2}}", 0.5);
    for (int32_t k = 0; k < run[i].keys.count; k++)
      if (!strcmp(run[i].keys.pair[k].key, "T"))
        run[i].keys.pair[k].value = T[i];
  }
  cr_assert_eq(surge_groups_of(&g, run, 5), SURGE_OK);
  for (int i = 0; i < 5; i++) cr_expect_eq(g.group[i].run[0], order[i]);
  surge_groups_free(&g);
  for (int i = 0; i < 5; i++) surge_report_run_free(&run[i]);
}

/* Two networks: neither's layers are left out. */
Test(groups, layers_of_all) {
  surge_report_run run[2];
  surge_groups g;
  for (int i = 0; i < 2; i++)
    run[i] = run_of(
        i ? "b" : "a",
        i ? "{T: 3, train: {epochs: 2}}" : "{T: 2, train: {epochs: 2}}", 0.5);
  surge_csv *csv = &run[1].layers;
  for (int32_t row = 0; row < csv->rows; row++) {
    const char **name = &csv->cell[(1 + row) * csv->columns + 2];
    if (!strcmp(*name, "neuron2")) *name = "neuron9";
  }
  cr_assert_eq(surge_groups_of(&g, run, 2), SURGE_OK);
  static const char *const names[] = {"neuron1", "neuron2", "neuron9"};
  cr_assert_eq(g.layers, 3);
  for (int i = 0; i < 3; i++) cr_expect_str_eq(g.layer[i], names[i]);
  cr_expect_eq(surge_group_layer(&g, 1, "width", "neuron1"), 4);
  cr_expect(isnan(surge_group_layer(&g, 1, "width", "neuron2")));
  surge_groups_free(&g);
  for (int i = 0; i < 2; i++) surge_report_run_free(&run[i]);
}

/* The same numbers as on the page, with the cost that is known of one group. */
Test(groups, tables) {
  surge_groups g;
  make_runs();
  cr_assert_eq(surge_groups_of(&g, runs, RUNS), SURGE_OK);
  surge_cost cost[3] = {{NAN, NAN, NAN}, {0.5, 8, NAN}, {NAN, NAN, NAN}};
  surge_comparison comparison = {.groups = &g, .cost = cost};
  cr_assert_eq(surge_tables_write(test_folder(), &comparison), SURGE_OK, "%s",
               surge_last_error());
  char *text;
  cr_assert_eq(surge_read_whole(test_path("groups.csv"), &text, NULL),
               SURGE_OK);
  cr_expect_str_eq(
      text,
      "group,T,surrogate.width_rule,accuracy,deviation,n,best,seconds,joules,"
      "operations,latency_ms,front\n"
      "1,2,fixed,0.416667,0.260208,3,0.75,7,,,,0\n"
      "2,2,learned,0.5,0.25,3,0.875,7,0.5,8,,1\n"
      "3,4,learned,0.875,,1,1,7,,,,1\n");
  free(text);
  cr_assert_eq(surge_read_whole(test_path("layers.csv"), &text, NULL),
               SURGE_OK);
  cr_expect_str_eq(text,
                   "group,T,surrogate.width_rule,layer,width,window,rate,"
                   "quantization,mean,std,decay\n"
                   "1,2,fixed,neuron1,4,0.5,0.1,0.2,0,1,0.25\n"
                   "2,2,learned,neuron1,4,0.5,0.1,0.2,0,1,0.25\n"
                   "3,4,learned,neuron1,4,0.5,0.1,0.2,0,1,0.25\n");
  free(text);
  free_runs(&g);
}

/* Folds of one seed are samples of one group, and pairs of two. */
Test(groups, folds) {
  static const double accuracy[2][3] = {{0.75, 0.5, 0.625}, {0.5, 0.25, 0.25}};
  surge_report_run run[7];
  surge_groups g;
  surge_contrast *c;
  char key[SURGE_WORD], name[16], recipe[256];
  int32_t count;
  for (int i = 0; i < 6; i++) {
    snprintf(name, sizeof name, "run%d", i);
    snprintf(recipe, sizeof recipe,
             "{T: %d, data: {path: /fold%d}, train: {epochs: 2}}", 2 + i / 3,
             3 - i % 3);
    run[i] = run_of(name, recipe, accuracy[i / 3][i % 3]);
  }
  run[6] = run_of("again", recipe, 0.25); /* fold 1 of T = 3 once more */
  cr_assert_eq(surge_groups_of(&g, run, 7), SURGE_OK);
  cr_expect(g.count == 2 && g.keys == 1 && g.twins == 1, "%d groups, %d twins",
            (int)g.count, (int)g.twins);
  cr_expect_eq(g.group[0].accuracy.n, 3);
  cr_expect_eq(g.group[0].accuracy.mean, 0.625);
  cr_expect_eq(g.group[0].accuracy.deviation, 0.125);
  cr_assert_eq(surge_groups_contrast(&g, "T=3,2", key, &c, &count), SURGE_OK);
  cr_assert_eq(count, 1);
  cr_expect_eq(c[0].test.difference.n, 3);
  cr_expect_eq(c[0].test.difference.mean, (0.25 + 0.25 + 0.375) / 3);
  cr_expect_eq(c[0].test.p_exact, 0.25);
  free(c);
  surge_groups_free(&g);
  for (int i = 0; i < 7; i++) surge_report_run_free(&run[i]);
}

/* Each recipe has a key that the other has not. */
Test(groups, keys_of_all) {
  static const char *const recipe[] = {
      "{neuron: {decay: learned, decay_start: 0.5, synapse_decay: 0.25}, "
      "train: {epochs: 2}}",
      "{neuron: {decay: 0.5, synapse_decay: learned, synapse_decay_start: "
      "0.25}, train: {epochs: 2}}",
      "{neuron: {decay: 0.5, synapse_decay: learned, synapse_decay_start: "
      "0.75}, train: {epochs: 2}}",
      "{neuron: {decay: learned, decay_start: 0.75, synapse_decay: 0.25}, "
      "train: {epochs: 2}}"};
  static const char *const keys[] = {"neuron.decay", "neuron.decay_start",
                                     "neuron.synapse_decay",
                                     "neuron.synapse_decay_start"};
  surge_report_run run[4];
  surge_groups g;
  for (int i = 0; i < 4; i++)
    run[i] = run_of((const char *[]){"a", "b", "c", "d"}[i], recipe[i], 0.5);
  for (int first = 0; first < 2; first++) { /* in whichever order they come */
    surge_report_run order[4];
    for (int i = 0; i < 4; i++) order[i] = run[first ? 3 - i : i];
    cr_assert_eq(surge_groups_of(&g, order, 4), SURGE_OK);
    cr_expect_eq(g.count, 4, "%d groups", (int)g.count);
    cr_assert_eq(g.keys, 4, "%d keys", (int)g.keys);
    for (int k = 0; k < 4; k++) cr_expect_str_eq(g.key[k], keys[k]);
    surge_groups_free(&g);
  }
  for (int i = 0; i < 4; i++) surge_report_run_free(&run[i]);
}

static int count_of(const char *text, const char *what) {
  int count = 0;
  for (; (text = strstr(text, what)); text++) count++;
  return count;
}

/* More keys than a page's line, or a mask of 64 columns, would hold. */
Test(groups, table_of_many_keys) {
  enum { KEYS = 90 };
  static char name[KEYS][SURGE_WORD];
  surge_report_run run[2] = {run_of("a", "{train: {epochs: 2}}", 0.5),
                             run_of("b", "{train: {epochs: 2}}", 0.25)};
  for (int i = 0; i < 2; i++) {
    surge_keys *keys = &run[i].keys;
    surge_keys_free(keys);
    *keys = (surge_keys){calloc(KEYS, sizeof *keys->pair), KEYS, NULL};
    for (int k = 0; k < KEYS; k++) {
      snprintf(name[k], SURGE_WORD, "section.key_of_some_length_%02d", k);
      keys->pair[k] = (surge_pair){name[k], i ? "this value" : "that value"};
    }
  }
  surge_groups g;
  surge_plot plot = {0};
  surge_page page;
  surge_cost cost[2] = {{NAN, NAN, NAN}, {NAN, NAN, NAN}};
  snprintf(plot.folder, sizeof plot.folder, "%s", test_folder());
  cr_assert_eq(surge_groups_of(&g, run, 2), SURGE_OK);
  cr_assert_eq(g.keys, KEYS);
  surge_comparison comparison = {
      .groups = &g, .cost = cost, .unfinished = "", .no_cost = ""};
  cr_assert_eq(surge_page_begin(&page, &plot, "title", "of it"), SURGE_OK);
  cr_assert_eq(surge_page_of_groups(&page, &comparison), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_page_end(&page), SURGE_OK);
  char *text, *row;
  cr_assert_eq(surge_read_whole(test_path("index.html"), &text, NULL),
               SURGE_OK);
  row = strstr(text, "<tr>");
  for (int i = 0; i < 3; i++, row = strstr(row, "<tr>")) {
    char *end = strstr(row, "</tr>");
    *end = 0;
    cr_expect_eq(count_of(row, i ? "</td>" : "</th>"), 1 + KEYS + 9, "row %d",
                 i);
    cr_expect_eq(count_of(row, "class=\"number\""), 0, "row %d", i);
    row = end + 1;
  }
  free(text);
  surge_groups_free(&g);
  for (int i = 0; i < 2; i++) surge_report_run_free(&run[i]);
}

/* Accuracies 0.417 (T 2), 0.5 (T 2) and 0.875 (T 4). */
Test(groups, front) {
  surge_groups g;
  make_runs();
  cr_assert_eq(surge_groups_of(&g, runs, RUNS), SURGE_OK);
  surge_cost cost[3] = {{NAN, NAN, NAN}, {NAN, NAN, NAN}, {NAN, NAN, NAN}};
  cr_expect(!surge_on_front(&g, cost, 0) && surge_on_front(&g, cost, 1) &&
                surge_on_front(&g, cost, 2),
            "by T");
  cost[0].latency = 3, cost[1].latency = 2, cost[2].latency = 1;
  cr_expect(!surge_on_front(&g, cost, 0) && !surge_on_front(&g, cost, 1) &&
                surge_on_front(&g, cost, 2),
            "by latency");
  cost[0].joules = 1, cost[1].joules = 2, cost[2].joules = 3;
  for (int i = 0; i < 3; i++)
    cr_expect(surge_on_front(&g, cost, i), "by joules: %d", i);
  cost[1].joules = NAN; /* not known of all: the latency counts again */
  cr_expect(!surge_on_front(&g, cost, 0));
  free_runs(&g);
}

Test(groups, layers_of_a_run) {
  surge_groups g = {0};
  make_runs();
  const surge_report_run *run = &runs[0];
  cr_expect_str_eq(surge_report_run_layer(run, 0), "neuron1");
  cr_expect_str_eq(surge_report_run_layer(run, 1), "neuron2");
  cr_expect_null(surge_report_run_layer(run, 2));
  cr_expect_str_eq(surge_report_run_split(run, 0), "train");
  cr_expect_str_eq(surge_report_run_split(run, 1), "test");
  cr_expect_eq(surge_report_run_last(run), 1);
  cr_expect_eq(surge_report_run_layer_value(run, "rate", "neuron1", 0, 1), 0.3);
  cr_expect_eq(surge_report_run_layer_value(run, "window", "neuron1", 0, -1),
               0.6);
  cr_expect_eq(surge_report_run_layer_value(run, "width", "neuron1", 1, -1), 4);
  cr_expect(
      isnan(surge_report_run_layer_value(run, "width", "neuron2", 1, -1)));
  cr_expect_str_eq(surge_keys_find(&run->keys, "train.epochs"), "2");
  cr_expect_str_eq(surge_keys_find(&run->keys, "T"), "2");
  cr_expect_null(surge_keys_find(&run->keys, "epochs"));
  free_runs(&g);
}
