/* Do a sweep's points, names and folders say what its file says, is what is
 * wrong told before anything runs, and does it come to the same table however
 * often it is stopped, shared or out of disk? */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "src/config/schema.h"
#include "src/sweep/run.h"
#include "src/sweep/slurm.h"
#include "tests/support/program.h"
#include "tests/support/run.h"

static char folder[64];
static void make_folder(void) { run_make_folder(folder); }
static void remove_folder(void) { run_remove_folder(folder); }
TestSuite(sweep, .init = make_folder, .fini = remove_folder);

static void write_text(const char *name, const char *text) {
  write_file(folder, name, text, strlen(text));
}

/* Criterion runs no .fini of a test that is skipped. */
static void needs_data(void) {
  remove_folder();
  run_needs_data();
  make_folder();
}

static char text[65536];
static int run(const char *arguments) {
  return surge(folder, arguments, text, sizeof text);
}

static int count(const char *needle) {
  int found = 0;
  for (const char *p = text; (p = strstr(p, needle)); p++) found++;
  return found;
}

static const char *path_of(const char *name) {
  static char path[SURGE_PATH];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static surge_status swallow(void *user, const char *line) {
  (void)user;
  (void)line;
  return SURGE_OK;
}

/* --- plans ---------------------------------------------------------------- */

/* The names of a plan's points, with a space behind each. */
static void names_of(const surge_plan *plan, char *names) {
  *names = 0;
  for (size_t p = 0; p < plan->count; p++) {
    strcat(names, plan->points[p].name);
    strcat(names, " ");
  }
}

Test(sweep, points_are_what_the_file_says) {
  static const struct {
    const char *yaml, *names;
  } cases[] = {
      {"grid: {T: [1, 2], surrogate.width_rule: [fixed, learned]}\n",
       "T=1_width_rule=fixed T=1_width_rule=learned T=2_width_rule=fixed "
       "T=2_width_rule=learned "},
      {"grid: {T: [1, 2], seed: 5}\n", "T=1 T=2 "}, /* seed does not vary */
      {"grid: {T: 1}\n", "base "},
      {"list: [{T: 1}, {seed: 2, T: [4, 8]}]\ngrid: {optim.lr: [.1, .2]}\n",
       "T=1_lr=.1 T=1_lr=.2 T=4_lr=.1_seed=2 T=4_lr=.2_seed=2 T=8_lr=.1_seed=2 "
       "T=8_lr=.2_seed=2 "},
      {"grid: {pda.kind: [moment], optim.kind: [sgd, adam]}\n", /* one varies */
       "kind=sgd kind=adam "},
      {"grid: {pda.kind: [moment, quantization], optim.kind: [sgd, adam]}\n",
       "pda.kind=moment_optim.kind=sgd pda.kind=moment_optim.kind=adam "
       "pda.kind=quantization_optim.kind=sgd "
       "pda.kind=quantization_optim.kind=adam "},
      {"grid: {model.channels: [[4, 8], [8]], data.path: ['a/b', \"it's\"]}\n",
       "channels=4-8_path=a-b channels=4-8_path=its channels=8_path=a-b "
       "channels=8_path=its "},
      {"grid: {T: [1, 2, 4], seed: [1, 2]}\n"
       "exclude: [{T: 1.0, seed: 2}, {T: [2, 4], seed: 1}]\n",
       "T=1_seed=1 T=2_seed=2 T=4_seed=2 "}};
  char yaml[1024], names[4096], again[4096];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    surge_plan plan, copy;
    snprintf(yaml, sizeof yaml, "name: test\nbase: base.yaml\n%s",
             cases[i].yaml);
    write_text("sweep.yaml", yaml);
    cr_assert_eq(surge_plan_read(&plan, path_of("sweep.yaml")), SURGE_OK, "%s",
                 surge_last_error());
    names_of(&plan, names);
    cr_expect_str_eq(names, cases[i].names, "%s: %s", cases[i].yaml, names);
    FILE *file = fopen(path_of("copy.yaml"), "w");
    cr_assert_eq(surge_plan_write(&plan, file), SURGE_OK);
    fclose(file);
    cr_assert_eq(surge_plan_read(&copy, path_of("copy.yaml")), SURGE_OK, "%s",
                 surge_last_error());
    names_of(&copy, again);
    cr_expect_str_eq(again, names, "as written: %s", again);
    surge_plan_free(&plan);
    surge_plan_free(&copy);
  }
}

#define BASE                                                                   \
  "data: {limit: 64, test_limit: 40}\n"                                        \
  "model: {channels: [4, 4], pool: [true, true]}\n"
#define TINY_AUTO BASE "train: {epochs: 2, batch: 16}\n"
#define TINY TINY_AUTO "threads: 1\n"
/* Long enough to be stopped, in epochs of a part of a second. */
#define LONG                                                                   \
  "data: {limit: 2048, test_limit: 40}\n"                                      \
  "model: {channels: [4, 4], pool: [true, true]}\n"                            \
  "train: {epochs: 12, batch: 16}\nthreads: 1\n"
#define HEAD "name: test\nbase: base.yaml\n"

Test(sweep, what_is_wrong_is_told_before_anything_runs) {
  static const struct {
    const char *yaml, *needle;
  } cases[] = {
      {"", "s.yaml:1:1: sweep: wanted a mapping of keys, found nothing"},
      {"- 1\n", "s.yaml:1:1: sweep: wanted a mapping of keys, found a list"},
      {"base: base.yaml\ngrid: {T: 1}\n", "one of them missing"},
      {"name: a b\nbase: base.yaml\ngrid: {T: 1}\n",
       "s.yaml:1:7: name: wanted"},
      {"name: a\nbase: bsae.yaml\ngrid: {T: 1}\n",
       "s.yaml:2:7: base: wanted a recipe that can be read"},
      {HEAD "gird: {T: 1}\n",
       "s.yaml:3:1: sweep: wanted name, base, grid, list or "
       "exclude, found gird; did you mean grid?"},
      {HEAD "grid: {T: 1}\ngrid: {T: 2}\n",
       "s.yaml:4:1: grid: wanted each key once"},
      {HEAD "grid: {seed: 1,\n surrogate.widht_rule: [fixed]}\n",
       "s.yaml:4:2: surrogate.widht_rule: wanted a known key, found "
       "surrogate.widht_rule; did you mean surrogate.width_rule?"},
      {HEAD "grid: {surrogate.width_rule: [fixed, lerned]}\n",
       "s.yaml:3:38: surrogate.width_rule: wanted one of fixed, learned, decay, "
       "norm, schedule, found lerned; did you mean learned? (width_rule=lerned)"},
      {HEAD "grid: {T: [1, 0], seed: [1, 2, 3]}\n", "(T=0_seed=1 and 2 more)"},
      {HEAD "grid: {T: []}\n", "s.yaml:3:11: T: wanted a value or a list"},
      {HEAD "grid: {surrogate: {width: 1}}\n",
       "s.yaml:3:19: surrogate: wanted"},
      {HEAD "grid: {base: other.yaml}\n", "s.yaml:3:8: base: wanted"},
      {HEAD "list: [{T: 1, T: 2}]\n",
       "s.yaml:3:15: T: wanted each key of a point"},
      {HEAD "list: [{T: 1}]\ngrid: {T: 2}\n", "s.yaml:4:8: T: wanted each key"},
      {HEAD "list: []\n", "s.yaml:3:7: list: wanted a list of points"},
      {HEAD "grid: {T: [1, 2, 1]}\n",
       "s.yaml:3:18: T=1: wanted each point once, "
       "found the recipe of point 0 (T=1)"},
      {HEAD "grid: {T: 4}\nlist: [{seed: 1}, {optim.nesterov: false}]\n",
       "the recipe of point 0"}, /* the base's values, said and not said */
      {HEAD "grid: {data.path: [a/b, a-b]}\n", "found the folder's name"},
      {HEAD "grid: {T: 1}\nexclude: [{T: 2}]\n",
       "s.yaml:4:11: exclude: wanted points that match"},
      {HEAD "grid: {T: 1}\nexclude: [{seed: 2}]\n",
       "s.yaml:4:11: exclude: wanted keys of grid or list, found seed"},
      {HEAD "grid: {T: 1}\nexclude: [{T: 1}]\n", "wanted points that are left"},
      /* what the network, not a key, makes impossible */
      {HEAD "grid: {model.arch: [mlp, vggsnn], model.hidden: [[4]],\n"
            " model.channels: [[]], model.pool: [[]]}\n",
       "vggsnn"},
  };
  write_text("base.yaml", TINY);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_text("s.yaml", cases[i].yaml);
    cr_expect_eq(run("sweep s.yaml --out o"), 2, "%s: %s", cases[i].yaml, text);
    cr_expect_not_null(strstr(text, cases[i].needle), "%s: %s", cases[i].yaml,
                       text);
    cr_expect(!exists(folder, "o"), "%s", cases[i].yaml);
  }
}

Test(sweep, wrong_usage) {
  static const struct {
    const char *arguments, *needle;
  } cases[] = {
      {"sweep", "wanted 1 to 1 arguments"},
      {"sweep none.yaml", "none.yaml: wanted a sweep"},
      {"sweep status", "wanted 2 to 2 arguments"},
      {"sweep status nowhere", "nowhere/sweep.yaml: wanted a sweep"},
      {"sweep retry nowhere --index 1", "--index"},
      {"sweep s.yaml --jobs 0", "--jobs: wanted 1 to 1024"},
      {"sweep s.yaml --gpus 0,,1", "--gpus: wanted"},
      {"sweep s.yaml --out full",
       "full: wanted a new folder or that of a sweep"},
      {"sweep run o", "wanted --index 0 to 1, found none"},
      {"sweep run o --index 2", "wanted --index 0 to 1, found a larger one"}};
  write_text("base.yaml", TINY);
  write_text("s.yaml", HEAD "grid: {T: [1, 2]}\n");
  cr_assert_eq(mkdir(path_of("full"), 0777), 0);
  write_text("full/file", "");
  cr_expect_eq(run("sweep s.yaml --out o --print-commands"), 0, "%s", text);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cr_expect_eq(run(cases[i].arguments), 2, "%s: %s", cases[i].arguments,
                 text);
    cr_expect_not_null(strstr(text, cases[i].needle), "%s: %s",
                       cases[i].arguments, text);
  }
}

Test(sweep, another_sweep_in_the_folder_is_refused) {
  static const struct {
    const char *base, *grid, *needle;
  } cases[] = {{TINY, "grid: {T: [1, 2]}\n", NULL},
               {TINY, "grid: {T: [1, 2, 4]}\n", "found one with the point T=4"},
               {TINY, "grid: {T: [1, 4]}\n", "found one without the point T=2"},
               {TINY "seed: 3\n", "grid: {T: [1, 2]}\n",
                "with \"seed: 1\" in T=1, found \"seed: 3\""},
               {TINY, "grid: {T: [1, 2]}\n", NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char yaml[512];
    snprintf(yaml, sizeof yaml, HEAD "%s", cases[i].grid);
    write_text("base.yaml", cases[i].base);
    write_text("s.yaml", yaml);
    int code = run("sweep s.yaml --out o --print-commands");
    cr_expect_eq(code, cases[i].needle ? 2 : 0, "%s: %s", cases[i].grid, text);
    if (cases[i].needle)
      cr_expect_not_null(strstr(text, cases[i].needle), "%s", text);
    else
      cr_expect_eq(count("/o' --index "), 2, "%s", text);
  }
}

Test(sweep, points_that_cannot_be_run_are_left_out_if_asked) {
  write_text("base.yaml", TINY);
  write_text("s.yaml", HEAD "grid: {T: [1, 0, 2], seed: [1, 2]}\n");
  cr_expect_eq(run("sweep s.yaml --out o --dry-run --keep-going"), 0, "%s",
               text);
  cr_expect_not_null(strstr(text, "left out: s.yaml:3:15: T: wanted"), "%s",
                     text);
  cr_expect_not_null(strstr(text, "(T=0_seed=1 and 1 more)"), "%s", text);
  cr_expect_not_null(strstr(text, "4 runs in o, 0 done"), "%s", text);
  cr_expect(!exists(folder, "o"), "a dry run leaves a folder");
  cr_expect_eq(run("sweep s.yaml --out \"it's\" --dry-run --keep-going "
                   "--print-commands"),
               0, "%s", text);
  cr_expect_eq(count(path_of("it'\\''s' --index ")), 4, "%s", text);
}

Test(sweep, the_sweeps_of_benchmarks_can_be_planned, .timeout = 120) {
  static const struct {
    const char *name;
    size_t points, networks;
  } sweeps[] = {{"tradeoff_fashion", 24, 8},
                {"width_start", 60, 20},
                {"pda", 42, 14},
                {"width_lr", 6, 6}};
  for (size_t i = 0; i < sizeof sweeps / sizeof *sweeps; i++) {
    surge_plan plan;
    char path[512];
    size_t networks = 0;
    snprintf(path, sizeof path, SURGE_SOURCE_DIR "/benchmarks/sweeps/%s.yaml",
             sweeps[i].name);
    cr_assert_eq(surge_plan_read(&plan, path), SURGE_OK, "%s",
                 surge_last_error());
    cr_assert_eq(surge_plan_recipes(&plan, false, swallow, NULL), SURGE_OK,
                 "%s", surge_last_error());
    for (size_t p = 0; p < plan.count; p++)
      networks += plan.points[p].network == p;
    cr_expect_eq(plan.count, sweeps[i].points, "%s: %zu", path, plan.count);
    cr_expect_eq(networks, sweeps[i].networks, "%s: %zu", path, networks);
    surge_plan_free(&plan);
  }
}

/* --- places --------------------------------------------------------------- */

Test(sweep, jobs_share_the_cores) {
  cpu_set_t all;
  cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
  for (int jobs = 1; jobs <= 2 * CPU_COUNT(&all); jobs++) {
    surge_places places = {.jobs = jobs};
    cpu_set_t seen, both;
    CPU_ZERO(&seen);
    for (int job = 0; job < jobs; job++) {
      cpu_set_t cpus;
      cr_expect_geq(surge_place_cpus(&places, job, &cpus), 1);
      CPU_AND(&both, &seen, &cpus);
      if (jobs <= CPU_COUNT(&all))
        cr_expect_eq(CPU_COUNT(&both), 0, "%d jobs: job %d shares", jobs, job);
      CPU_OR(&seen, &seen, &cpus);
    }
    cr_expect(CPU_EQUAL(&seen, &all), "%d jobs leave cores idle", jobs);
  }
}

/* Plans T = 1, 2 into folder/o, to be run by a shell's script in our place. */
static void plan_for(const char *script, surge_plan *plan,
                     surge_sweep_options *options) {
  static char program[128], out[128];
  snprintf(program, sizeof program, "%s/program", folder);
  snprintf(out, sizeof out, "%s/o", folder);
  write_text("program", script);
  cr_assert_eq(chmod(program, 0755), 0);
  write_text("base.yaml", TINY_AUTO);
  write_text("s.yaml", HEAD "grid: {T: [1, 2]}\n");
  cr_assert_eq(surge_plan_read(plan, path_of("s.yaml")), SURGE_OK);
  cr_assert_eq(surge_plan_recipes(plan, false, swallow, NULL), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_sweep_begin(plan, out), SURGE_OK, "%s",
               surge_last_error());
  *options = (surge_sweep_options){.folder = out,
                                   .program = program,
                                   .only = -1,
                                   .observer = {.message = swallow}};
}

/* It says where it was put, and what it was asked. */
Test(sweep, a_job_is_put_where_it_was_meant_to_be) {
  static const volatile sig_atomic_t stop = 0;
  surge_plan plan;
  surge_sweep_options options;
  char wanted[1024];
  int code = 0;
  plan_for("#!/bin/sh\necho gpu $CUDA_VISIBLE_DEVICES cores $(nproc) $@\n",
           &plan, &options);
  options.stop = &stop;
  options.places =
      (surge_places){.jobs = 2, .gpus = {"3", "GPU-7"}, .gpu_count = 2};
  cr_assert_eq(surge_sweep_run(&plan, &options), SURGE_OK, "%s",
               surge_last_error());
  for (int i = 0; i < 2; i++) {
    cpu_set_t cpus;
    int cores = surge_place_cpus(&options.places, i, &cpus), T = i + 1;
    const char *out = options.folder;
    snprintf(wanted, sizeof wanted,
             "grep -qx 'gpu %s cores %d train %s/recipes/T=%d.yaml --out "
             "%s/T=%d.part --force --threads %d' %s/T=%d/output.txt",
             options.places.gpus[i], cores, out, T, out, T, cores, out, T);
    code |= system(wanted);
  }
  cr_expect_eq(code, 0);
  surge_plan_free(&plan);
}

/* The first interrupt comes once the run does not listen, which a file says. */
static volatile sig_atomic_t alarms;
static char sign[128]; /* the file's path, for handlers */
static void on_alarm(int signal_number) {
  (void)signal_number;
  if (alarms > 0 || access(sign, F_OK) == 0) alarms = alarms + 1;
}

/* Runs that do not end when they are told are ended by the second interrupt, and
 * have not failed. */
Test(sweep, a_second_interrupt_does_not_wait, .timeout = 60) {
  const struct itimerval often = {.it_interval = {.tv_usec = 500000},
                                  .it_value = {.tv_usec = 500000}};
  surge_plan plan;
  surge_sweep_options options;
  surge_run run;
  plan_for("#!/bin/sh\ntrap '' TERM\ntouch \"${0%/*}/deaf\"\nexec sleep 30\n",
           &plan, &options);
  options.stop = &alarms;
  options.places.jobs = 1;
  snprintf(sign, sizeof sign, "%s/deaf", folder);
  signal(SIGALRM, on_alarm);
  cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
  cr_expect_eq(surge_sweep_run(&plan, &options), SURGE_INTERRUPTED);
  cr_expect_geq(alarms, 2);
  surge_run_look(options.folder, "T=1", &run);
  cr_expect_eq(run.state, SURGE_RUN_INTERRUPTED);
  surge_run_look(options.folder, "T=2", &run);
  cr_expect_eq(run.state, SURGE_RUN_PENDING);
  surge_plan_free(&plan);
}

/* As while another sweep has a run: what is missing is told. As while another one
 * writes the table: it is waited for. An interrupt behind the last run is none. */
static int table_lock;
static volatile sig_atomic_t unlocked;
static void unlock_table(int signal_number) {
  (void)signal_number;
  unlocked = 1;
  close(table_lock);
}

Test(sweep, what_another_sweep_has_is_told, .timeout = 60) {
  static volatile sig_atomic_t stop = 0;
  surge_plan plan;
  surge_sweep_options options;
  int lock;
  plan_for("#!/bin/sh\n", &plan, &options);
  options.stop = &stop;
  options.places.jobs = 1;
  cr_assert_eq(surge_run_lock(options.folder, "T=2", &lock), SURGE_OK);
  cr_expect_eq(surge_sweep_run(&plan, &options), SURGE_INTERRUPTED);
  cr_expect_not_null(strstr(surge_last_error(),
                            "1 of 2 runs done, the others are "
                            "another sweep's"),
                     "%s", surge_last_error());
  close(lock);
  cr_assert_eq(surge_run_lock(options.folder, ".table", &table_lock), SURGE_OK);
  signal(SIGALRM, unlock_table);
  alarm(2);
  cr_expect_eq(surge_sweep_run(&plan, &options), SURGE_OK, "%s",
               surge_last_error());
  cr_expect(unlocked, "the table was written while another sweep had its lock");
  stop = 1;
  cr_expect_eq(surge_sweep_run(&plan, &options), SURGE_OK, "%s",
               surge_last_error());
  surge_plan_free(&plan);
}

/* --- runs ----------------------------------------------------------------- */

/* sweep.csv without its last columns, seconds and peak_mb. */
static void table_of(const char *out, char *table, size_t size) {
  char command[256];
  snprintf(command, sizeof command, "rev %s/%s/sweep.csv | cut -d, -f3- | rev",
           folder, out);
  FILE *pipe = popen(command, "r");
  cr_assert_not_null(pipe);
  table[fread(table, 1, size - 1, pipe)] = 0;
  pclose(pipe);
}

static void expect_same_table(const char *a, const char *b) {
  char x[8192], y[8192];
  table_of(a, x, sizeof x);
  table_of(b, y, sizeof y);
  cr_expect_str_eq(x, y, "%s: %s%s: %s", a, x, b, y);
  cr_expect(strstr(x, ",done,"), "%s", x);
}

/* Starts `surge <arguments>` and does not wait; its output goes to a file. It ends
 * with the test. */
static pid_t begin(const char *output, const char *arguments) {
  pid_t pid = fork();
  if (pid == 0) {
    char command[512];
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    snprintf(command, sizeof command, "cd %s && exec %s %s > %s 2>&1", folder,
             SURGE_BINARY, arguments, output);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
  }
  return pid;
}

static int end(pid_t pid) {
  int status;
  cr_assert_eq(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Waits until a shell's command succeeds, at most a minute. */
static void wait_until(const char *format, const char *argument) {
  char command[512], whole[768];
  snprintf(command, sizeof command, format, argument);
  snprintf(whole, sizeof whole, "cd %s && %s", folder, command);
  for (int i = 0; i < 600; i++) {
    if (system(whole) == 0) return;
    usleep(100000);
  }
  cr_assert_fail("not within a minute: %s", whole);
}

#define STATUS SURGE_BINARY " sweep status o 2> /dev/null | grep -q '%s'"

/* Once by Ctrl-C, once with all its processes at once gone but the runs', which
 * save and end by themselves. */
Test(sweep, stopped_twice_it_comes_to_the_same_table, .timeout = 300) {
  needs_data();
  write_text("base.yaml", LONG);
  write_text("s.yaml", HEAD
             "grid: {T: [1, 2], surrogate.width_rule: [fixed, "
             "learned]}\n");
  cr_expect_eq(run("sweep s.yaml --out whole --jobs 2"), 0, "%s", text);
  pid_t pid = begin("1.txt", "sweep s.yaml --out o");
  wait_until(STATUS, "running *[1-9]/12");
  kill(pid, SIGINT);
  cr_expect_eq(end(pid), 130);
  cr_expect(exists(folder,
                   "o/T=1_width_rule=fixed.part/checkpoint_last.safetensors"));
  run("sweep status o");
  cr_expect_not_null(strstr(text, "0 running, 1 interrupted, 3 pending"), "%s",
                     text);
  pid = begin("2.txt", "sweep s.yaml --out o --jobs 2");
  wait_until(STATUS, "[1-9] done");
  wait_until(STATUS, "running *[1-9]/12");
  kill(pid, SIGKILL);
  cr_expect_eq(end(pid), 128 + SIGKILL);
  wait_until(STATUS, "0 running");
  cr_expect_eq(run("sweep s.yaml --out o"), 0, "%s", text);
  expect_same_table("o", "whole");
  cr_expect_eq(
      surge(folder, "help > /dev/null; grep -l '^resumed after' o/*/log.txt #",
            text, sizeof text),
      0);
  /* The one that Ctrl-C stopped; what the other signal met may have been at its
   * last batch. */
  cr_expect_not_null(strstr(text, "o/T=1_width_rule=fixed/"), "%s", text);
  run("sweep s.yaml --out o");
  cr_expect_eq(count("started"), 0, "what is done is done again: %s", text);
  cr_expect_not_null(strstr(text, "4 runs in o, 4 done"), "%s", text);
}

/* Each run is done once, by one of them; the one that ends last, or both, have the
 * whole table, and one that ends before the other says that it has not. */
Test(sweep, two_at_once_share_the_runs, .timeout = 300) {
  needs_data();
  write_text("base.yaml", LONG);
  write_text("s.yaml", HEAD "grid: {T: [1, 2], seed: [1, 2, 3]}\n");
  cr_expect_eq(run("sweep s.yaml --out whole --jobs 2"), 0, "%s", text);
  pid_t pid[2] = {begin("1.txt", "sweep s.yaml --out o"),
                  begin("2.txt", "sweep s.yaml --out o")};
  int code[2] = {end(pid[0]), end(pid[1])};
  surge(folder, "help > /dev/null; cat 1.txt 2.txt #", text, sizeof text);
  cr_expect(code[0] == 0 || code[1] == 0, "%d %d: %s", code[0], code[1], text);
  cr_expect_eq((code[0] == 130) + (code[1] == 130),
               count("of 6 runs done, the others are another sweep's"), "%s",
               text);
  cr_expect_eq(count("results: o/sweep.csv"), (code[0] == 0) + (code[1] == 0),
               "%s", text);
  cr_expect_eq(count(": started"), 6, "%s", text);
  cr_expect_eq(count(": done: "), 6, "%s", text);
  expect_same_table("o", "whole");
}

/* The failed run is repeated, and no other; done by a second one, once what it
 * lacked is there. */
Test(sweep, retry_repeats_what_failed, .timeout = 120) {
  struct surge_data_recipe data = {.set = "fashion_mnist"};
  char command[128];
  needs_data();
  snprintf(command, sizeof command, "rm -r %s/o/seed=2", folder);
  run_find_data(&data);
  write_text("base.yaml", TINY);
  write_text("s.yaml", HEAD "list: [{data.path: nowhere}, {seed: 2}]\n");
  cr_expect_eq(run("sweep s.yaml --out o"), 3, "%s", text);
  cr_expect_not_null(strstr(text,
                            "path=nowhere: failed: exit code 3: surge: "
                            "fashion_mnist: nowhere"),
                     "%s", text);
  cr_expect_not_null(strstr(text, "seed=2: done"), "%s", text);
  cr_expect(exists(folder, "o/path=nowhere.part/failed.txt"));
  cr_expect_eq(run("sweep status o"), 0);
  cr_expect_not_null(strstr(text, "failed          0/2"), "%s", text);
  cr_expect_not_null(strstr(text, "exit code 3"), "%s", text);
  cr_assert_eq(system(command), 0);
  cr_expect_eq(run("sweep retry o"), 3, "%s", text);
  cr_expect_eq(count(": started"), 1, "not what is pending: %s", text);
  const char *source =
      *data.path ? data.path : surge_dataset_find(data.set)->default_path;
  cr_assert_eq(symlink(source, path_of("nowhere")), 0);
  cr_expect_eq(run("sweep retry o"), 0, "%s", text);
  cr_expect_not_null(strstr(text, "path=nowhere: done"), "%s", text);
  cr_expect(!exists(folder, "o/path=nowhere/failed.txt"));
  cr_expect_eq(run("sweep retry o"), 0, "%s", text);
  cr_expect_eq(count(": started"), 0, "%s", text);
}

/* The limit on a file's size stands in for the disk's: checkpoints do not fit. */
Test(sweep, a_full_disk_is_told_and_nothing_is_lost, .timeout = 120) {
  needs_data();
  write_text("base.yaml", TINY);
  write_text("s.yaml", HEAD "grid: {T: [1, 2]}\n");
  cr_expect_eq(run("sweep s.yaml --out whole"), 0, "%s", text);
  cr_expect_eq(
      surge(folder,
            "help > /dev/null; trap '' XFSZ; (ulimit -f 8; " SURGE_BINARY
            " sweep s.yaml --out o)",
            text, sizeof text),
      3, "%s", text);
  cr_expect_eq(count(": failed: exit code 3: surge: "), 2, "%s", text);
  cr_expect_eq(count("File too large"), 2, "%s", text);
  cr_expect_eq(run("sweep s.yaml --out o"), 0, "%s", text);
  expect_same_table("o", "whole");
  cr_expect_eq(
      surge(folder,
            "help > /dev/null; trap '' XFSZ; (ulimit -f 1; " SURGE_BINARY
            " sweep s.yaml --out p --print-commands)",
            text, sizeof text),
      3, "%s", text);
  cr_expect_not_null(strstr(text,
                            "p/recipes/T=1.yaml: wanted to write it, found: "
                            "File too large"),
                     "%s", text);
  cr_expect(!exists(folder, "p/sweep.yaml"));
  cr_expect_eq(run("sweep s.yaml --out p"), 0, "%s", text);
  expect_same_table("p", "whole");
}

Test(sweep, one_run_by_its_index, .timeout = 120) {
  needs_data();
  write_text("base.yaml", TINY);
  write_text("s.yaml", HEAD "grid: {T: [1, 2], seed: [1, 2]}\n");
  cr_expect_eq(run("sweep s.yaml --out whole"), 0, "%s", text);
  cr_expect_eq(run("sweep s.yaml --out o --print-commands | sh -e"), 0, "%s",
               text);
  cr_expect_eq(count(": done: "), 4, "%s", text);
  cr_expect(!exists(folder, "o/sweep.csv"), "runs on their own write no table");
  cr_expect_eq(run("sweep run o --index 3"), 0, "%s", text);
  cr_expect_eq(count("started"), 0, "%s", text);
  cr_expect_eq(run("sweep s.yaml --out o"), 0, "%s", text);
  expect_same_table("o", "whole");
}

/* --- Slurm: what stands in the script; tests/slurm runs it ----------------- */

Test(sweep, the_array_job_says_what_was_asked) {
  static const char *const wanted[] = {
      "#SBATCH --job-name='test'\n", "#SBATCH --array=0,2%2\n",
      "#SBATCH --partition='a b'\n", "#SBATCH --account='me'\n",
      "#SBATCH --gres='gpu:1'\n",    "#SBATCH --time='1:00:00'\n",
      "\nmodule load it's @ABC@\n",  "' --index \"$SLURM_ARRAY_TASK_ID\" &\n"};
  write_text("base.yaml", TINY);
  write_text("s.yaml", HEAD "grid: {T: [1, 2], seed: [1, 2]}\n");
  int lock;
  write_text("lines", "module load it's @ABC@\n");
  write_text("sbatch",
             "#!/bin/sh\n[ $1 = --parsable ] && cp \"$2\" got && echo "
             "'42;cluster'\n");
  cr_assert_eq(chmod(path_of("sbatch"), 0755), 0);
  setenv("PATH", path_of(":/usr/bin:/bin"), 1);
  cr_assert_eq(system("true"), 0);
  cr_expect_eq(run("sweep s.yaml --out o --print-commands"), 0, "%s", text);
  cr_assert_eq(mkdir(path_of("o/T=1_seed=2"), 0777), 0); /* done */
  cr_assert_eq(surge_run_lock(path_of("o"), "T=2_seed=2", &lock), SURGE_OK);
  cr_expect_eq(
      run("sweep s.yaml --out o --slurm --partition 'a b' --account me "
          "--gres gpu:1 --time 1:00:00 --setup lines --jobs 2"),
      0, "%s", text);
  cr_expect_not_null(strstr(text, "job 42:"), "%s", text);
  cr_expect_eq(surge(folder, "help > /dev/null; cat got #", text, sizeof text),
               0);
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    cr_expect_eq(count(wanted[i]), 1, "%s: %s", wanted[i], text);
  cr_assert_eq(mkdir(path_of("o/T=1_seed=1"), 0777), 0);
  cr_assert_eq(mkdir(path_of("o/T=2_seed=1"), 0777), 0);
  cr_expect_eq(run("sweep s.yaml --out o --slurm"), 0, "%s", text);
  cr_expect_not_null(strstr(text, "nothing to submit"), "%s", text);
  close(lock);
  write_text("sbatch", "#!/bin/sh\nexit 1\n");
  cr_expect_eq(run("sweep s.yaml --out o --slurm"), 3, "%s", text);
  cr_expect_not_null(strstr(text, "o/slurm.sh: wanted sbatch to take it"), "%s",
                     text);
}

/* An option that would do nothing, and lines that would be cut off. */
Test(sweep, what_slurm_cannot_be_asked_is_told) {
  static const struct {
    const char *options, *needle;
  } cases[] = {{"--partition a", "--partition: wanted with it --slurm"},
               {"--setup lines", "--setup: wanted with it --slurm"},
               {"--slurm --gpus 0", "--gpus: wanted with it no --slurm"},
               {"--slurm --print-commands",
                "--slurm: wanted with it no --print-commands"},
               {"--jobs 2 --print-commands",
                "--jobs: wanted with it no --print-commands"},
               {"--gpus 0 --print-commands",
                "--gpus: wanted with it no --print-commands"},
               {"--slurm --setup lines", "lines: wanted at most"}};
  char command[512];
  write_text("base.yaml", TINY);
  write_text("s.yaml", HEAD "grid: {T: [1, 2]}\n");
  FILE *file = fopen(path_of("lines"), "w");
  cr_assert_not_null(file);
  for (int i = 0; i <= SURGE_MAX_RECIPE; i++) fputc('#', file);
  cr_assert_eq(fclose(file), 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snprintf(command, sizeof command, "sweep s.yaml --out o %s",
             cases[i].options);
    cr_expect_eq(run(command), 2, "%s: %s", cases[i].options, text);
    cr_expect_not_null(strstr(text, cases[i].needle), "%s", text);
  }
  cr_expect(!exists(folder, "o/slurm.sh"));
}
