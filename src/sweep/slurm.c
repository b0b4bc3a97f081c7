/* slurm.c - see slurm.h. Everything that Slurm is told stands in the template,
 * scripts/slurm/array.sh: here its @WORDS@ are filled in. */
#include "src/sweep/slurm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/config/schema.h"
#include "src/train/replace.h"

static const unsigned char template_bytes[] = {
#include "slurm_template.inc"
    0};

typedef struct script {
  const surge_plan *plan;
  const surge_slurm_options *options;
  char folder[SURGE_PATH], directory[SURGE_PATH];
  char *array; /* which tasks */
  const char *program;
  char *setup; /* lines */
} script;

void surge_print_quoted(const char *text, FILE *file) {
  fputc('\'', file);
  for (; *text; text++) fprintf(file, *text == '\'' ? "'\\''" : "%c", *text);
  fputc('\'', file);
}

/* "0-3,7%2": the runs that are not done and that nobody works on; "": none. */
static void print_array(const script *s, FILE *file) {
  const surge_plan *plan = s->plan;
  const char *comma = "";
  for (size_t p = 0, end; p < plan->count; p = end + 1) {
    surge_run run;
    for (end = p; end < plan->count; end++) {
      surge_run_look(s->folder, plan->points[end].name, &run);
      if (run.state == SURGE_RUN_DONE || run.state == SURGE_RUN_RUNNING) break;
    }
    if (end == p) continue;
    fprintf(file, end - p > 1 ? "%s%zu-%zu" : "%s%zu", comma, p, end - 1);
    comma = ",";
  }
  if (*comma && s->options->at_once > 0)
    fprintf(file, "%%%d", s->options->at_once);
}

static void print_option(const char *name, const char *value, FILE *file) {
  if (!value) return;
  fprintf(file, "#SBATCH --%s=", name);
  surge_print_quoted(value, file);
  fputc('\n', file);
}

static void print_word(const script *s, const char *word, FILE *file) {
  const surge_slurm_options *o = s->options;
  char value[SURGE_SWEEP_VALUE];
  if (!strcmp(word, "NAME")) {
    surge_plan_value(s->plan, s->plan->name, value);
    surge_print_quoted(value, file);
  } else if (!strcmp(word, "ARRAY")) {
    fputs(s->array, file);
  } else if (!strcmp(word, "OPTIONS")) {
    print_option("partition", o->partition, file);
    print_option("account", o->account, file);
    print_option("gres", o->gres, file);
    print_option("time", o->time, file);
  } else if (!strcmp(word, "SETUP")) {
    fputs(s->setup, file);
  } else {
    surge_print_quoted(!strcmp(word, "SURGE")    ? s->program
                       : !strcmp(word, "FOLDER") ? s->folder
                                                 : s->directory,
                       file);
  }
}

/* A line that holds nothing but a word, or nothing, may stand for several. */
static surge_status print_script(const void *what, FILE *file) {
  const char *text = (const char *)template_bytes;
  for (;;) {
    const char *at = strchr(text, '@');
    size_t length = at ? strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") : 0;
    if (!at) break;
    fwrite(text, 1, (size_t)(at - text), file);
    if (length && at[1 + length] == '@') {
      char word[16] = "";
      memcpy(word, at + 1, length < sizeof word ? length : sizeof word - 1);
      print_word(what, word, file);
      text = at + length + 2;
    } else {
      fputc('@', file);
      text = at + 1;
    }
  }
  fputs(text, file);
  return SURGE_OK; /* an error shows as the file is flushed */
}

/* The text's end is at SURGE_MAX_RECIPE at most. */
static surge_status read_setup(const char *path, char **setup) {
  size_t size = 0;
  if (path)
    SURGE_TRY(surge_read_text(path, "lines for the job", setup, &size));
  else
    *setup = calloc(1, 1);
  if (!*setup)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for an array job");
  if (size > SURGE_MAX_RECIPE)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "%s: wanted at most %d bytes of lines for the job, found "
                      "more",
                      path, SURGE_MAX_RECIPE);
  (*setup)[size] = 0;
  return SURGE_OK;
}

static surge_status find_tasks(script *s) {
  size_t size;
  FILE *file = open_memstream(&s->array, &size);
  if (file) print_array(s, file);
  if (file && fclose(file) == 0) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for an array job");
}

surge_status surge_slurm_write(const surge_plan *plan, const char *folder,
                               const char *program,
                               const surge_slurm_options *options, bool *any) {
  script s = {.plan = plan, .options = options, .program = program};
  char path[SURGE_SWEEP_PATH];
  if (!realpath(folder, s.folder) || !getcwd(s.directory, sizeof s.directory))
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted its whole path, found: %s",
                      folder, strerror(errno));
  surge_sweep_path(path, folder, "", "slurm.sh", "");
  surge_status status = read_setup(options->setup, &s.setup);
  if (status == SURGE_OK) status = find_tasks(&s);
  *any = status == SURGE_OK && *s.array;
  if (*any) status = surge_replace_file(path, print_script, &s);
  free(s.setup);
  free(s.array);
  return status;
}

/* --- submitting and asking ------------------------------------------------ */

static surge_status write_job(const void *what, FILE *file) {
  fprintf(file, "%s\n", (const char *)what);
  return SURGE_OK;
}

surge_status surge_slurm_submit(const char *folder, char job[32]) {
  char path[SURGE_SWEEP_PATH], *command = NULL;
  size_t size;
  FILE *text = open_memstream(&command, &size);
  if (!text) return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for a command");
  surge_sweep_path(path, folder, "", "slurm.sh", "");
  fputs("sbatch --parsable ", text);
  surge_print_quoted(path, text);
  fclose(text);
  FILE *pipe = popen(command, "r");
  free(command);
  bool any = pipe && fgets(job, 32, pipe);
  int status = pipe ? pclose(pipe) : -1;
  if (!any || status != 0)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted sbatch to take it, found exit code %d", path,
                      WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  job[strcspn(job, ";\n")] = 0; /* "number;cluster" */
  surge_sweep_path(path, folder, "", "slurm.txt", "");
  if (surge_replace_file(path, write_job, job) == SURGE_OK) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA, "job %s has been submitted, but %s", job,
                    surge_last_error());
}

static surge_status tell_lines(const char *command, surge_tell *tell,
                               void *user) {
  char line[256];
  surge_status status = SURGE_OK;
  FILE *pipe = popen(command, "r");
  while (pipe && status == SURGE_OK && fgets(line, sizeof line, pipe)) {
    line[strcspn(line, "\n")] = 0;
    status = tell(user, line);
  }
  if (pipe) pclose(pipe);
  return status;
}

surge_status surge_slurm_tell(const char *folder, surge_tell *tell,
                              void *user) {
  char path[SURGE_SWEEP_PATH], command[256];
  long long job;
  surge_sweep_path(path, folder, "", "slurm.txt", "");
  FILE *file = fopen(path, "r");
  if (!file) return SURGE_OK;
  bool found = fscanf(file, "%lld", &job) == 1;
  fclose(file);
  if (!found) return SURGE_OK;
  snprintf(
      command, sizeof command,
      "squeue --noheader --array --jobs=%lld --format='slurm: %%i index %%K"
      " %%T %%r %%N' 2> /dev/null",
      job);
  SURGE_TRY(tell_lines(command, tell, user));
  snprintf(command, sizeof command,
           "sacct --noheader --allocations --parsable2 --delimiter=' ' "
           "--jobs=%lld --format=JobID,State,ExitCode,Elapsed 2> /dev/null | "
           "sed 's/^/sacct: /'",
           job);
  return tell_lines(command, tell, user);
}
