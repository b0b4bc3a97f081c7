/* Does `surge report` draw every figure, say what it left out and why, and
 * refuse by name what is not a run? And does its page show in a browser:
 * figures, nothing cut off, nothing wider than the window? */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/report/report.h"
#include "tests/support/folder.h"
#include "tests/support/run.h"

TestSuite(report, .init = test_folder_make, .fini = test_folder_remove);

static char said[65536];

/* Runs a command line in the test's folder; its exit code. */
static int command(const char *line) {
  char text[4096];
  snprintf(text, sizeof text, "cd '%s' && %s 2>&1", test_folder(), line);
  FILE *pipe = popen(text, "r");
  cr_assert_not_null(pipe);
  said[fread(said, 1, sizeof said - 1, pipe)] = 0;
  int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect(int code, const char *needle, const char *line) {
  int found = command(line);
  cr_assert(found == code && strstr(said, needle), "%s: exit code %d: %s", line,
            found, said);
}

static void skip(const char *why) {
  test_folder_remove();
  cr_skip_test("skipped: %s", why);
}

static void needs_gnuplot(void) {
  if (command("gnuplot --version") != 0)
    skip("gnuplot (Debian's gnuplot-nox) is not installed");
}

static char data[SURGE_PATH]; /* " --set data.path=...", or "" */

/* The same as an override; NULL: none. */
static const char *data_set(void) {
  return *data ? data + strlen(" --set ") : NULL;
}

static void needs_data(void) {
  struct surge_data_recipe set = {.set = "fashion_mnist"};
  run_find_data(&set);
  if (surge_dataset_probe(&set) != SURGE_OK) skip(surge_last_error());
  if (*set.path)
    snprintf(data, sizeof data, " --set data.path=%.900s", set.path);
}

static void train(const char *name, const char *more) {
  char line[2 * SURGE_PATH];
  const char recipe[] =
      "name: tiny\n"
      "data: {set: fashion_mnist, limit: 64, test_limit: 40}\n"
      "model: {channels: [4, 4], pool: [true, true]}\n"
      "train: {epochs: 2, batch: 32}\n";
  test_write_file(test_path("tiny.yaml"), recipe, sizeof recipe - 1);
  snprintf(line, sizeof line, SURGE_BINARY " train tiny.yaml --out %s%s %s",
           name, data, more);
  expect(0, "results:", line);
}

static const char *page_of(const char *folder) {
  char path[TEST_PATH];
  size_t size;
  snprintf(path, sizeof path, "%s/index.html", folder);
  return (const char *)test_read_file(test_path(path), &size);
}

/* Both files, not empty, and in the page. */
static void expect_figure(const char *folder, const char *page,
                          const char *name) {
  char text[TEST_PATH];
  struct stat about;
  for (int i = 0; i < 2; i++) {
    snprintf(text, sizeof text, "%s/%s.%s", folder, name, i ? "png" : "svg");
    cr_expect(stat(test_path(text), &about) == 0 && about.st_size > 1000,
              "%s is missing", text);
  }
  snprintf(text, sizeof text, "<figure id=\"%s\">\n<svg", name);
  cr_expect_not_null(strstr(page, text), "%s is not in the page", name);
}

static int count(const char *text, const char *what) {
  int found = 0;
  for (; (text = strstr(text, what)); text++) found++;
  return found;
}

static const char *const of_tables[] = {
    "loss",         "accuracy",         "width",
    "decay",        "membrane_neuron1", "membrane_neuron2",
    "rate_steps",   "rate_epochs",      "window_steps",
    "window_epochs"};
static const char *const of_evaluation[] = {"confusion",      "classes",
                                            "anytime",        "raster_neuron1",
                                            "raster_neuron2", "energy"};
#define COUNT(array) (sizeof array / sizeof *array)

Test(report, every_figure_of_a_run) {
  needs_gnuplot();
  needs_data();
  train("run", "-T 2");
  expect(0, "run/report/index.html", SURGE_BINARY " report run");
  const char *page = page_of("run/report");
  for (size_t i = 0; i < COUNT(of_tables); i++)
    expect_figure("run/report", page, of_tables[i]);
  for (size_t i = 0; i < COUNT(of_evaluation); i++)
    expect_figure("run/report", page, of_evaluation[i]);
  cr_expect_eq(count(page, "<figure "),
               COUNT(of_tables) + COUNT(of_evaluation));
  cr_expect_eq(count(page, "<script"), 0, "wanted a page without a script");
  cr_expect_eq(count(page, "src="), 0, "wanted all in one file");
  cr_expect_eq(count(page, "<link"), 0, "wanted all in one file");
  cr_expect_not_null(strstr(page, "<td>model.channels</td><td>[4, 4]</td>"));
  cr_expect_null(strstr(page, "<td>optim.momentum</td>"), "a default");
  cr_expect_not_null(strstr(page, "Trained: surge "));
  cr_expect_not_null(
      strstr(page, "surge train run/recipe.yaml --out run-again"));
}

/* Neurons that are all shown, so that the raster's spikes can be counted: their
 * share at each step is the rate that the run's own evaluation found. */
static void check_raster(const surge_raster *r) {
  char path[TEST_PATH];
  surge_report_run run;
  snprintf(path, sizeof path, "%s", test_path("run"));
  cr_assert_eq(surge_report_run_open(&run, path), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_report_run_read(&run), SURGE_OK, "%s", surge_last_error());
  cr_assert(r->T == 3 && r->images == 4 && r->neurons == r->of, "%s", r->name);
  double all = 0;
  for (int t = 0; t < r->T; t++) {
    double fired = 0;
    for (int i = 0; i < r->images; i++)
      for (int k = 0; k < r->neurons; k++)
        fired += r->spike[(i * r->T + t) * r->neurons + k];
    double rate = surge_report_run_layer_value(&run, "rate", r->name, 2, t);
    cr_expect(fabs(fired / (r->images * r->neurons) - rate) < 1e-8,
              "%s at step %d: %g spikes, rate %g", r->name, t, fired, rate);
    all += fired;
  }
  cr_expect(all > 0, "%s is silent: the test sees nothing", r->name);
  surge_report_run_free(&run);
}

/* What is evaluated is what was trained: accuracy, confusion, steps, spikes. */
Test(report, evaluates_what_was_trained) {
  needs_data();
  train("run",
        "-T 3 --set data.test_limit=4 --set model.arch=mlp --set "
        "model.hidden=[20,30] --set model.channels=[] --set model.pool=[] "
        "--set neuron.synapse_decay=0.3 --set neuron.reset=soft "
        "--set neuron.decay=learned --set neuron.decay_start=0.5");
  surge_measured m;
  surge_measure(&m, test_path("run"), (const char *const[]){data_set(), NULL});
  cr_assert_str_empty(m.why_not, "%s", m.why_not);
  uint64_t all = 0, right = 0;
  for (int i = 0; i < m.classes; i++)
    for (int k = 0; k < m.classes; k++) {
      all += m.confusion[i * m.classes + k];
      right += i == k ? m.confusion[i * m.classes + k] : 0;
    }
  double accuracy = run_metric(test_folder(), "run", "test_acc");
  cr_expect(all == 4 && (double)right / 4 == accuracy, "%d right, accuracy %g",
            (int)right, accuracy);
  cr_expect(m.result.accuracy == accuracy && m.anytime.correct[2] == right);
  cr_assert_eq(m.rasters, 2);
  for (int i = 0; i < m.rasters; i++) check_raster(&m.raster[i]);
  surge_measured_free(&m);
}

Test(report, says_what_is_left_out) {
  needs_gnuplot();
  needs_data();
  train("run", "-T 2");
  static const char *const lines[][2] = {
      {SURGE_BINARY " report run --no-eval --out out", "--no-eval was given"},
      {SURGE_BINARY " report run --set data.path=nowhere --out out", "nowhere"},
      {"rm run/checkpoint_last.safetensors && " SURGE_BINARY
       " report run --out out",
       "run/checkpoint_last.safetensors"}};
  for (int i = 0; i < 3; i++) {
    expect(0, "out/index.html", lines[i][0]);
    const char *page = page_of("out"), *left = strstr(page, "Left out (");
    cr_assert_not_null(left);
    cr_expect_not_null(strstr(left, lines[i][1]), "%s", lines[i][1]);
    cr_expect_eq(count(page, "<figure "), COUNT(of_tables));
  }
}

/* A line of the shell that spoils a copy of a whole run, and what is then
 * said. */
Test(report, refuses_by_name) {
  static const struct {
    const char *spoil, *needle;
    int code;
  } cases[] = {
      {"rm bad/recipe.yaml", "bad/recipe.yaml", 2},
      {"echo 'optin: {}' > bad/recipe.yaml", "bad/recipe.yaml:1:1: optin", 2},
      {"rm bad/metrics.csv", "bad/metrics.csv: wanted", 3},
      {"rm bad/layers.csv", "bad/layers.csv: wanted", 3},
      {"rm bad/histograms.csv", "bad/histograms.csv: wanted", 3},
      {"truncate -s -5 bad/metrics.csv", "bad/metrics.csv:3: wanted the end",
       3},
      {"truncate -s 90 bad/layers.csv", "bad/layers.csv:", 3},
      {"head -n 1 run/metrics.csv > bad/metrics.csv",
       "bad/metrics.csv:2: wanted a row", 3},
      {"echo 'a,b' > bad/metrics.csv; echo 1,2 >> bad/metrics.csv",
       "bad/metrics.csv:1: wanted a column epoch", 3},
      {"sed -i \"s/neuron2/n';x/\" bad/layers.csv",
       "bad/layers.csv:3: wanted a layer's name", 3},
      {"cp run/metrics.csv bad/histograms.csv",
       "bad/histograms.csv:1: wanted a column split", 3},
      {"(head -n 1 run/metrics.csv; tac run/metrics.csv | sed '$d') > "
       "bad/metrics.csv",
       "bad/metrics.csv:3: wanted epoch 2 or a later one", 3},
      {"rm bad/*", "bad: wanted a run", 3},
      {"rm -r bad", "bad: wanted a run or a folder of runs", 3},
  };
  needs_data();
  train("run", "-T 1");
  for (size_t i = 0; i < COUNT(cases); i++) {
    char line[1024];
    snprintf(line, sizeof line, "rm -rf bad; cp -r run bad; %s",
             cases[i].spoil);
    cr_assert_eq(command(line), 0, "%s", said);
    int code = command(SURGE_BINARY " report bad --out out");
    cr_expect(code == cases[i].code && strstr(said, cases[i].needle),
              "%s: exit code %d: %s", cases[i].spoil, code, said);
    cr_expect_eq(count(said, "\n"), 1, "%s: %s", cases[i].spoil, said);
    cr_expect_neq(access(test_path("out"), F_OK), 0,
                  "%s: something was written", cases[i].spoil);
  }
  expect(3, "bad/layers.csv: wanted",
         "cp -r run bad && rm bad/layers.csv && " SURGE_BINARY
         " report run bad"); /* nor is it left out of several */
  expect(2, "--against", SURGE_BINARY " report run --against T=1,2");
}

Test(report, names_the_package_of_gnuplot) {
  needs_data();
  train("run", "-T 1");
  expect(3, "gnuplot-nox", "PATH=/nowhere " SURGE_BINARY " report run");
}

/* Two T, three seeds of one and two of the other, and two that have not ended:
 * in its third epoch, a row of layers.csv half written, and in its first. */
static void train_several(void) {
  static const char *const of[] = {"-T 1 --seed 1", "-T 1 --seed 2",
                                   "-T 1 --seed 3", "-T 2 --seed 1",
                                   "-T 2 --seed 3"};
  const char costs[] =
      "name,threads,T,batch,latency_ms_batch1\ntiny,1,1,32,3\ntiny,1,2,32,5\n";
  for (int i = 0; i < 5; i++) {
    char name[16];
    snprintf(name, sizeof name, "runs/%d", i);
    train(name, of[i]);
  }
  cr_assert_eq(
      command("cp -r runs/0 runs/part && sed -i 's/epochs: 2/epochs: 9/' "
              "runs/part/recipe.yaml && cp -r runs/part runs/begun && "
              "truncate -s -9 runs/part/layers.csv && sed -i 2,9d "
              "runs/begun/metrics.csv runs/begun/layers.csv"),
      0, "%s", said);
  test_write_file(test_path("runs/tradeoff.csv"), costs, sizeof costs - 1);
}

Test(report, compares_groups) {
  needs_gnuplot();
  needs_data();
  train_several();
  expect(0, "runs/report/index.html",
         SURGE_BINARY " report runs --against T=1,2");
  const char *page = page_of("runs/report");
  static const char *const figures[] = {
      "T_energy",      "T_operations",     "T_latency",     "groups",
      "width_neuron1", "membrane_neuron1", "width_neuron2", "membrane_neuron2"};
  for (size_t i = 0; i < COUNT(figures); i++)
    expect_figure("runs/report", page, figures[i]);
  cr_expect_eq(count(page, "<figure "), COUNT(figures));
  cr_expect(access(test_path("runs/report/groups.csv"), F_OK) == 0 &&
            access(test_path("runs/report/layers.csv"), F_OK) == 0);
  cr_expect_not_null(strstr(page, "5 runs in 2 groups"));
  cr_expect_not_null(
      strstr(page, "begun (0 of 9 epochs), part (2 of 9 epochs)"));
  cr_expect_not_null(strstr(page, "T: 2 against 1, paired by seed"));
  cr_expect_not_null(strstr(page,
                            "<td>2 against 1</td><td>-</td><td "
                            "class=\"number\">2</td>"),
                     "n = 2");
  /* Once more: the report beside them is no run. */
  expect(0, "runs/report/index.html", SURGE_BINARY " report runs --no-eval");
  expect(0, "index.html",
         SURGE_BINARY " report runs/0 runs/3 --no-eval --out out");
  page = page_of("out");
  cr_expect_not_null(
      strstr(page, "Where n = 1 there is no standard deviation"));
}

/* --- in a browser --------------------------------------------------------- */

/* A page that shows the report in a frame of so many pixels and says what it
 * found: the report itself has no script. Text in a figure must lie within
 * it. */
static const char harness[] =
    "<!DOCTYPE html>"
    "<iframe id=f style='width:%dpx;height:9000px;border:0' src='%s'></iframe>"
    "<pre id=r></pre><script>\n"
    "onload = () => {\n"
    "  const d = f.contentDocument, all = x => [...d.querySelectorAll(x)];\n"
    "  const w = d.documentElement.clientWidth, bad = [];\n"
    "  const box = e => e.getBoundingClientRect();\n"
    "  const out = (a, b) => a.left < b.left - 1 || a.right > b.right + 1 ||\n"
    "    a.top < b.top - 1 || a.bottom > b.bottom + 1;\n"
    "  for (const e of all('svg text'))\n"
    "    if (out(box(e), box(e.closest('svg'))))\n"
    "      bad.push('cut off: ' + e.textContent);\n"
    "  for (const e of all('body *'))\n"
    "    if (!e.closest('svg') && !e.closest('table') &&\n"
    "        (box(e).left < -1 || box(e).right > w + 1))\n"
    "      bad.push('wide: ' + e.outerHTML.slice(0, 60));\n"
    "  if (d.documentElement.scrollWidth > w) bad.push('the page scrolls');\n"
    "  const ids = all('[id]').map(e => e.id);\n"
    "  if (new Set(ids).size != ids.length) bad.push('an id twice');\n"
    "  const n = all('figure svg').filter(e => box(e).height > 80 &&\n"
    "    e.querySelectorAll('text').length > 3).length;\n"
    "  r.textContent = `found: ${n} figures at ${w}, ${bad.length} bad: ` +\n"
    "    bad.join('; ') + ' end';\n"
    "};\n</script>";

static void look(const char *page, int width, int figures) {
  static char text[4096];
  char line[1024], wanted[128];
  int size = snprintf(text, sizeof text, harness, width, page);
  cr_assert_lt(size, (int)sizeof text);
  test_write_file(test_path("harness.html"), text, (size_t)size);
  snprintf(line, sizeof line,
           "timeout -k 5 100 chromium --headless --no-sandbox --disable-gpu "
           "--disable-dev-shm-usage "
           "--allow-file-access-from-files --user-data-dir='%s/browser' "
           "--window-size=1400,900 --dump-dom 'file://%s/harness.html' "
           "2>/dev/null | grep -o 'found: .* end'",
           test_folder(), test_folder());
  snprintf(wanted, sizeof wanted, "found: %d figures at %d, 0 bad", figures,
           width);
  expect(0, wanted, line);
}

Test(report, shows_in_a_browser, .timeout = 500) {
  needs_gnuplot();
  if (command("chromium --version") != 0)
    skip("chromium (Debian's package chromium) is not installed");
  needs_data();
  train_several();
  expect(0, "index.html", SURGE_BINARY " report runs --against T=1,2");
  expect(0, "index.html", SURGE_BINARY " report runs/3");
  for (int i = 0; i < 2; i++) {
    look("runs/report/index.html", i ? 390 : 1280, 8);
    look("runs/3/report/index.html", i ? 390 : 1280,
         COUNT(of_tables) + COUNT(of_evaluation));
  }
}
