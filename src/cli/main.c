/* main.c - `surge <command>`: finds the command, prints its error once, leaves
 * with the exit code of the list in status.h. */
#include <string.h>

#include "src/cli/cli.h"

typedef struct command {
  const char *name;
  surge_status (*run)(int argc, char **argv);
  const char *usage, *sentence;
} command;

static const command commands[] = {
    {"train", cli_train,
     "train RECIPE [--set a.b=v]... [--out DIR] [--device auto|cpu|cuda]\n"
     "        [--resume DIR] [--force] [--dry-run] [-T n] [--seed n] [--epochs n] "
     "[--threads n]\n"
     "        [--no-graph]",
     "Trains the network of a recipe into a run folder (runs/<name> unless --out\n"
     "    says where). --dry-run checks the recipe, prints layers, shapes, parameters\n"
     "    and bytes by role, says whether the data is there, and trains nothing.\n"
     "    --resume DIR goes on where that run was stopped, bit for bit; the recipe may\n"
     "    then be left out. --no-graph queues a device's steps op by op: the same bits, for\n"
     "    debugging."},
    {"sweep", cli_sweep,
     "sweep SWEEP.yaml [--out DIR] [--jobs n] [--gpus 0,1] [--dry-run] [--keep-going]\n"
     "        [--print-commands]\n"
     "surge sweep SWEEP.yaml --slurm [--partition P] [--account A] [--gres G] [--time T]\n"
     "        [--setup FILE] [--jobs n] [--out DIR] [--dry-run] [--keep-going]\n"
     "surge sweep status DIR\n"
     "surge sweep retry DIR [--jobs n] [--gpus 0,1]\n"
     "surge sweep run DIR --index n [--gpus 0]",
     "Runs a recipe at many points (name, base, grid, list, exclude) into folders of\n"
     "    DIR (runs/<name>), n at once on cores or GPUs of their own; given again, it\n"
     "    finishes what is missing and repeats what failed, retry the latter alone.\n"
     "    --keep-going leaves out points that cannot be run. --slurm submits an array\n"
     "    job, one run a task, and --setup names a file of lines that it runs first\n"
     "    (modules, a container). --print-commands: a line a run, for parallel or ssh;\n"
     "    run does the one of an index, from 0."},
    {"eval", cli_eval,
     "eval RUN|CHECKPOINT [-T 1,2,4,8] [--anytime] [--checkpoint last|best]\n"
     "        [--set data.a=v]... [--device auto|cpu|cuda] [--threads n]",
     "Evaluates a trained network on the test images at one or several T: loss,\n"
     "    accuracy, and per layer rates, synaptic operations and joules. --anytime: also\n"
     "    the accuracy after each step 1..T of one pass, and with early exit as soon as\n"
     "    the softmax of the mean logits so far reaches a threshold, with its mean T."},
    {"predict", cli_predict,
     "predict RUN|CHECKPOINT FILE... [--out FILE.csv] [-T n] [--set a.b=v]...\n"
     "        [--device auto|cpu|cuda] [--threads n]",
     "Classifies the images of IDX (.gz or raw) or CIFAR-10 .bin files, image files\n"
     "    or recordings, as the network's data set has them; writes\n"
     "    file,index,class and the score of every class as CSV."},
    {"info", cli_info, "info RUN|CHECKPOINT|FILE.safetensors",
     "Lists what is in a checkpoint: metadata, tensors, shapes, bytes."},
    {"grad", cli_grad,
     "grad RECIPE --out one_step.safetensors [--from CHECKPOINT] [--soft] [--steps n]\n"
     "        [--set a.b=v]... [--device auto|cpu|cuda] [-T n] [--seed n] [--threads n]",
     "One forward and backward on the first batch, written with inputs, labels,\n"
     "    parameters, every gradient, currents, logits, loss and statistics;\n"
     "    scripts/compare_torch.py checks it against PyTorch. --soft: the smooth twin.\n"
     "    --steps n: the run's first n training steps too, for PyTorch to follow."},
    {"bench", cli_bench,
     "bench train|ops|tradeoff [RECIPE] [--steps n] [--warmup n] [--set a.b=v]... [-T n]\n"
     "        [--device auto|cpu|cuda] [--seed n] [--threads n] [--no-graph]",
     "train: times whole training steps, and their convolutions and products alone.\n"
     "    ops: time and memory traffic of each layer's forward and backward.\n"
     "    tradeoff -T 1,2,4,8: for each T the samples/s of training, the milliseconds of\n"
     "    an inference of 1 and of 64 images, and the memory of each, as CSV. Without a\n"
     "    recipe: the network of benchmarks/SPEED.md."},
    {"data", cli_data,
     "data preview RECIPE --out sheet.png [--count n] [--set a.b=v]... [--seed n]\n"
     "        [--threads n]\n"
     "surge data check PATH... [--out picture.png]\n"
     "surge data convert IN OUT.npz [--recording n] [--frames [-T n] [--set data.a=v]...]",
     "preview: a contact sheet of what the network is shown: a row for each of n training\n"
     "    images (8), first the image itself, then after all augmentation in the\n"
     "    first 7 epochs. Prints class and number of each row.\n"
     "    check: what is in recordings of events, or in folders of them: format, events,\n"
     "    times, sensor, share ON, events outside the sensor, times that step back, and\n"
     "    the rate over time; --out draws rate and events a pixel of the first 16 files.\n"
     "    Files that cannot be read are named, and the exit code is 3.\n"
     "    convert: a recording as SpikingJelly's .npz (t, x, y, p); of a file of many\n"
     "    (SHD, SSC) the one that --recording says, from 0 on. --frames: as T frames of\n"
     "    counts (`frames`, [T, 2, height, width]: OFF, ON) by the keys data.split_by,\n"
     "    duration_us, size, counts and, where the file does not say it, sensor."},
    {"report", cli_report,
     "report RUN|FOLDER-OF-RUNS... [--out FOLDER] [--against KEY=A,B] [--no-eval]\n"
     "        [--set data.a=v]... [--device auto|cpu|cuda] [--threads n]",
     "One HTML file, index.html, and its figures as SVG and PNG, in FOLDER (report/ of\n"
     "    the first path). Of a run: curves, widths, membrane potentials, rates, and, from\n"
     "    its last checkpoint, confusion, early exit, spikes, energy (not with --no-eval).\n"
     "    Of several: mean, standard deviation and n of the runs that differ in seed and\n"
     "    data.path alone, accuracy against each key that varies; a tradeoff.csv (surge\n"
     "    bench tradeoff) in the folder gives latencies. --against tests two values of a key\n"
     "    by seed, as surrogate.width_rule=fixed,learned. Needs gnuplot-nox."},
    {"help", cli_help, "help [COMMAND|recipe]",
     "This page, one command's, or every key of a recipe."},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static const command *find(const char *name) {
  for (size_t i = 0; i < COMMANDS; i++)
    if (!strcmp(commands[i].name, name)) return &commands[i];
  return NULL;
}

static void print_command(FILE *file, const command *c) {
  fprintf(file, "surge %s\n    %s\n", c->usage, c->sentence);
}

static void print_help(FILE *file) {
  fprintf(file,
          "SURGE %s, the surrogate gradient engine: trains spiking neural "
          "networks.\n\n",
          SURGE_VERSION);
  for (size_t i = 0; i < COMMANDS; i++) print_command(file, &commands[i]);
  fprintf(file, "\nExit codes:\n");
#define ROW(name, code, text) fprintf(file, "  %3d  %s\n", code, text);
  SURGE_STATUS_LIST(ROW)
#undef ROW
}

surge_status cli_help(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "recipe")) {
    surge_recipe_help(stdout);
    return SURGE_OK;
  }
  const command *c = argc > 1 ? find(argv[1]) : NULL;
  if (argc > 1 && !c)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "help: wanted a command or `recipe`, "
                      "found %s",
                      argv[1]);
  if (c)
    print_command(stdout, c);
  else
    print_help(stdout);
  return SURGE_OK;
}

/* Is -h or --help among the arguments? */
static bool asks_for_help(int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
  return false;
}

int main(int argc, char **argv) {
#ifdef SURGE_HAVE_CUDA
  surge_backend_register(&surge_cuda);
#endif
  if (argc < 2) {
    print_help(stderr);
    return surge_exit_code(SURGE_ERROR_RECIPE);
  }
  const command *c = find(argv[1]);
  if (!c && asks_for_help(argc, argv)) {
    print_help(stdout);
    return 0;
  }
  if (!strcmp(argv[1], "--version")) {
    printf("surge %s\n", SURGE_VERSION);
    return 0;
  }
  if (!c) {
    fprintf(stderr, "surge: wanted a command, found %s (see surge help)\n",
            argv[1]);
    return surge_exit_code(SURGE_ERROR_RECIPE);
  }
  if (asks_for_help(argc - 1, argv + 1)) {
    print_command(stdout, c);
    return 0;
  }
  surge_status status = c->run(argc - 1, argv + 1);
  if (status == SURGE_OK && (fflush(stdout) != 0 || ferror(stdout)))
    status =
        SURGE_FAIL(SURGE_ERROR_DATA, "standard output: could not be written");
  if (status != SURGE_OK) fprintf(stderr, "surge: %s\n", surge_last_error());
  return surge_exit_code(status);
}
