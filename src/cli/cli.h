/* cli.h - the command line: one file a subcommand, one parser for all. */
#ifndef SURGE_CLI_H
#define SURGE_CLI_H

#include <surge/surge.h>

#define CLI_MAX 256      /* positional arguments, overrides */
#define CLI_MAX_TIMES 32 /* numbers of steps behind -T */
#define CLI_UNSET (-1)   /* a count that was not given */

/* What a command line says. Options that mean a recipe key (-T, --seed,
 * --epochs, --threads, --device) are overrides like any --set. */
typedef struct cli_options {
  const char *positional[CLI_MAX];
  int positionals;
  const char *overrides[CLI_MAX + 1]; /* NULL-terminated */
  const char *out, *resume, *from, *steps_list, *checkpoint, *against;
  const char *gpus, *partition, *account, *gres, *time, *setup;
  bool dry_run, force, soft, no_graph, anytime, keep_going, slurm;
  bool print_commands, no_eval, frames;
  int steps, warmup, count, recording, jobs, index;
  char storage[CLI_MAX][64]; /* texts of the overrides made from options */
} cli_options;

/* Parses argv[1..] of a subcommand that takes the long options named in
 * `allowed` (space-separated) and min..max positional arguments. */
surge_status cli_parse(cli_options *options, int argc, char **argv,
                       const char *allowed, int min, int max);

/* "1,2,4,8", the argument of a -T that is a list. */
surge_status cli_parse_times(const char *text, int32_t times[CLI_MAX_TIMES],
                             int *count);

surge_status cli_train(int argc, char **argv);
surge_status cli_eval(int argc, char **argv);
surge_status cli_info(int argc, char **argv);
surge_status cli_predict(int argc, char **argv);
surge_status cli_grad(int argc, char **argv);
surge_status cli_bench(int argc, char **argv);
surge_status cli_tradeoff(const surge_recipe *recipe,
                          const cli_options *options);
surge_status cli_data(int argc, char **argv);
surge_status cli_sweep(int argc, char **argv);
surge_status cli_report(int argc, char **argv);
surge_status cli_help(int argc, char **argv);

#endif
