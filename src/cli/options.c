/* options.c - the one parser of all subcommands (see cli.h). */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli.h"

/* Each option: its name, the recipe key that it is short for, if any, and its
 * letter. -T is a recipe key for most commands, a list of T for eval. */
typedef struct option_entry {
  const char *name;
  int has_argument;
  const char *key;
  char letter;
} option_entry;

static const option_entry entries[] = {
    {"set", 1, NULL, 0},
    {"out", 1, NULL, 0},
    {"resume", 1, NULL, 0},
    {"from", 1, NULL, 0},
    {"checkpoint", 1, NULL, 0},
    {"dry-run", 0, NULL, 0},
    {"force", 0, NULL, 0},
    {"soft", 0, NULL, 0},
    {"no-graph", 0, NULL, 0},
    {"anytime", 0, NULL, 0},
    {"against", 1, NULL, 0},
    {"no-eval", 0, NULL, 0},
    {"steps", 1, NULL, 0},
    {"warmup", 1, NULL, 0},
    {"count", 1, NULL, 0},
    {"jobs", 1, NULL, 0},
    {"index", 1, NULL, 0},
    {"gpus", 1, NULL, 0},
    {"partition", 1, NULL, 0},
    {"account", 1, NULL, 0},
    {"gres", 1, NULL, 0},
    {"time", 1, NULL, 0},
    {"setup", 1, NULL, 0},
    {"keep-going", 0, NULL, 0},
    {"slurm", 0, NULL, 0},
    {"print-commands", 0, NULL, 0},
    {"recording", 1, NULL, 0},
    {"frames", 0, NULL, 0},
    {"device", 1, "device", 0},
    {"seed", 1, "seed", 0},
    {"epochs", 1, "train.epochs", 0},
    {"threads", 1, "threads", 0},
    {"T", 1, "T", 'T'},
    {"times", 1, NULL, 'T'},
};
#define ENTRIES (sizeof entries / sizeof *entries)

static bool allows(const char *allowed, const char *name) {
  size_t length = strlen(name);
  for (const char *p = allowed; (p = strstr(p, name)); p += length)
    if ((p == allowed || p[-1] == ' ') && (p[length] == ' ' || p[length] == 0))
      return true;
  return false;
}

static surge_status add_override(cli_options *o, const char *key,
                                 const char *value) {
  int count = 0;
  while (o->overrides[count]) count++;
  if (count == CLI_MAX)
    return SURGE_FAIL(SURGE_ERROR_RECIPE, "wanted at most %d overrides",
                      CLI_MAX);
  if (!key) {
    o->overrides[count] = value;
    return SURGE_OK;
  }
  int length = snprintf(o->storage[count], sizeof o->storage[count], "%s=%s",
                        key, value);
  if (length >= (int)sizeof o->storage[count])
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "--%s: wanted a short value, found %s", key, value);
  o->overrides[count] = o->storage[count];
  return SURGE_OK;
}

static surge_status parse_count(const char *name, const char *text,
                                int *value) {
  char *end;
  long number = strtol(text, &end, 10);
  if (*text == 0 || *end || number < 0 || number > 1000000)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "--%s: wanted a number from 0 to "
                      "1000000, found %s",
                      name, text);
  *value = (int)number;
  return SURGE_OK;
}

static surge_status take(cli_options *o, const option_entry *entry,
                         const char *value) {
  const char *name = entry->name;
  if (entry->key) return add_override(o, entry->key, value);
  if (!strcmp(name, "set")) return add_override(o, NULL, value);
  if (!strcmp(name, "steps")) return parse_count(name, value, &o->steps);
  if (!strcmp(name, "warmup")) return parse_count(name, value, &o->warmup);
  if (!strcmp(name, "count")) return parse_count(name, value, &o->count);
  if (!strcmp(name, "jobs")) return parse_count(name, value, &o->jobs);
  if (!strcmp(name, "index")) return parse_count(name, value, &o->index);
  if (!strcmp(name, "recording"))
    return parse_count(name, value, &o->recording);
  if (!strcmp(name, "out")) o->out = value;
  if (!strcmp(name, "resume")) o->resume = value;
  if (!strcmp(name, "from")) o->from = value;
  if (!strcmp(name, "checkpoint")) o->checkpoint = value;
  if (!strcmp(name, "times")) o->steps_list = value;
  if (!strcmp(name, "gpus")) o->gpus = value;
  if (!strcmp(name, "partition")) o->partition = value;
  if (!strcmp(name, "account")) o->account = value;
  if (!strcmp(name, "gres")) o->gres = value;
  if (!strcmp(name, "time")) o->time = value;
  if (!strcmp(name, "setup")) o->setup = value;
  if (!strcmp(name, "keep-going")) o->keep_going = true;
  if (!strcmp(name, "slurm")) o->slurm = true;
  if (!strcmp(name, "print-commands")) o->print_commands = true;
  if (!strcmp(name, "dry-run")) o->dry_run = true;
  if (!strcmp(name, "force")) o->force = true;
  if (!strcmp(name, "soft")) o->soft = true;
  if (!strcmp(name, "no-graph")) o->no_graph = true;
  if (!strcmp(name, "anytime")) o->anytime = true;
  if (!strcmp(name, "frames")) o->frames = true;
  if (!strcmp(name, "against")) o->against = value;
  if (!strcmp(name, "no-eval")) o->no_eval = true;
  return SURGE_OK;
}

/* The entry of a long option's index or a letter, if it is allowed. */
static const option_entry *find(const char *allowed, int index, int letter) {
  if (index >= 0)
    return allows(allowed, entries[index].name) ? &entries[index] : NULL;
  for (size_t i = 0; i < ENTRIES; i++)
    if (entries[i].letter == letter && allows(allowed, entries[i].name))
      return &entries[i];
  return NULL;
}

surge_status cli_parse(cli_options *o, int argc, char **argv,
                       const char *allowed, int min, int max) {
  struct option longs[ENTRIES + 1] = {0};
  *o = (cli_options){.steps = CLI_UNSET,
                     .warmup = 3,
                     .count = CLI_UNSET,
                     .recording = CLI_UNSET,
                     .jobs = CLI_UNSET,
                     .index = CLI_UNSET};
  for (size_t i = 0; i < ENTRIES; i++)
    longs[i] =
        (struct option){entries[i].name, entries[i].has_argument, NULL, 0};
  opterr = 0;
  for (;;) {
    int index = -1;
    int letter = getopt_long(argc, argv, "+:T:", longs, &index);
    if (letter == -1) {
      if (optind >= argc) break;
      if (o->positionals == CLI_MAX)
        return SURGE_FAIL(SURGE_ERROR_RECIPE, "too many arguments");
      o->positional[o->positionals++] = argv[optind++];
      continue;
    }
    if (letter == ':')
      return SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "%s: wanted a value behind it, found "
                        "none",
                        argv[optind - 1]);
    const option_entry *entry =
        letter == '?' ? NULL : find(allowed, index, letter);
    if (!entry && letter == 0) /* another command's */
      return SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "--%s: not an option of `surge %s` "
                        "(see surge help %s)",
                        entries[index].name, argv[0], argv[0]);
    if (!entry)
      return SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "%s: not an option of `surge %s` "
                        "(see surge help %s)",
                        argv[optind - 1], argv[0], argv[0]);
    SURGE_TRY(take(o, entry, optarg));
  }
  if (o->positionals >= min && o->positionals <= max) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_RECIPE,
                    "surge %s: wanted %d to %d arguments, "
                    "found %d (see surge help %s)",
                    argv[0], min, max, o->positionals, argv[0]);
}

surge_status cli_parse_times(const char *text, int32_t times[CLI_MAX_TIMES],
                             int *count) {
  *count = 0;
  for (const char *p = text;; p++) {
    char *end;
    long T = strtol(p, &end, 10);
    if (end == p || T < 1 || T > SURGE_MAX_T || *count == CLI_MAX_TIMES ||
        (*end != ',' && *end != 0))
      return SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "-T: wanted numbers of steps from 1 "
                        "to %d with commas between, found %s",
                        SURGE_MAX_T, text);
    times[(*count)++] = (int32_t)T;
    if (*end == 0) return SURGE_OK;
    p = end;
  }
}
