#!/usr/bin/env python3
"""The first experiments: does the learned width make the starting width
irrelevant, and what does PDA do?

    scripts/experiment.py width_lr|width_start|pda... [--seeds 1,2,3] [--jobs N]
                          [--summary]

Each point is a run of benchmarks/recipes/width_start.yaml with one thread, in
runs/first. The tables of a run that has ended are copied to
benchmarks/results/first, and such a point is not run again; one that was
interrupted goes on where it was: call it until all are there. Then, or with
--summary at once, what is there is summed up in benchmarks/results:
<name>_runs.csv (a row a run and layer), <name>.csv (mean, standard deviation
and n of every group) and the figures. Needs build/surge and gnuplot; nothing
else but Python itself.
"""
import argparse
import collections
import csv
import itertools
import math
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RECIPE = os.path.join(ROOT, "benchmarks", "recipes", "width_start.yaml")
RESULTS = os.path.join(ROOT, "benchmarks", "results")
RUNS = os.path.join(ROOT, "runs", "first")
DONE = os.path.join(RESULTS, "first")
SURGE = os.environ.get("SURGE", os.path.join(ROOT, "build", "surge"))
SEEDS = (1, 2, 3)
LAYERS = ("neuron1", "neuron2", "neuron3")

Point = collections.namedtuple("Point", "family start rule pda weight seed")


# --- the points, a seed after the other ----------------------------------------

def width_start():
    """decay and norm do not read surrogate.width: one run stands for all."""
    for seed in SEEDS:
        for start, rule in itertools.product((5, 0.2, 1, 10, 0.5, 2.5),
                                             ("learned", "fixed")):
            yield Point("rectangular", start, rule, "off", 0, seed)
        for rule in ("decay", "norm"):
            yield Point("rectangular", 1, rule, "off", 0, seed)
        for start, rule in itertools.product((0.2, 1, 5), ("learned", "fixed")):
            yield Point("arctan", start, rule, "off", 0, seed)


def pda():
    for seed, start in itertools.product(SEEDS, (1, 5)):
        yield Point("rectangular", start, "learned", "off", 0, seed)
        for weight, kind in itertools.product((0.1, 1, 0.01),
                                              ("moment", "quantization")):
            yield Point("rectangular", start, "learned", kind, weight, seed)


def keys_of(p):
    kind = "moment" if p.pda == "off" else p.pda
    return ["--seed", p.seed, "--set", f"surrogate.family={p.family}",
            "--set", f"surrogate.width={p.start}",
            "--set", f"surrogate.width_rule={p.rule}",
            "--set", f"pda.kind={kind}", "--set", f"pda.weight={p.weight}"]


def name_of(p):
    return f"{p.family}_w={p.start}_{p.rule}_pda={p.pda}_{p.weight}_seed={p.seed}"


# The one setting that was chosen, and how: seed 0, 20,000 images, 3 epochs,
# judged on 5000 others that were held out; the test set is not looked at.
Tuning = collections.namedtuple("Tuning", "lr start seed")


def width_lr():
    for lr, start in itertools.product((0.01, 0.03, 0.1), (0.2, 5)):
        yield Tuning(lr, start, 0)


def tuning_keys(p):
    return ["--seed", p.seed, "--epochs", 3, "--set", f"optim.width_lr={p.lr}",
            "--set", f"surrogate.width={p.start}", "--set", "data.limit=25000",
            "--set", "data.validation=5000"]


def tuning_name(p):
    return f"lr={p.lr}_w={p.start}"


EXPERIMENTS = {"width_start": (width_start, keys_of, name_of),
               "pda": (pda, keys_of, name_of),
               "width_lr": (width_lr, tuning_keys, tuning_name)}


# --- running -------------------------------------------------------------------

def is_done(name):
    return os.path.exists(os.path.join(DONE, name))


def keep(name):
    """Copies a run's tables, the folder in one step; of the histograms, which
    are long, those before the first update and those of the last epoch."""
    folder, new = os.path.join(DONE, name), os.path.join(DONE, name + ".new")
    os.makedirs(new, exist_ok=True)
    for file in ("metrics.csv", "layers.csv", "histograms.csv"):
        table = read_csv(os.path.join(RUNS, name, file))
        last = table[-1]["epoch"]
        if file == "histograms.csv":
            table = [r for r in table if r["epoch"] in ("0", last) and
                     float(r["count"]) > 0]
        write_csv(os.path.join(new, file), table[0].keys(),
                  [row.values() for row in table])
    os.rename(new, folder)


def run(name, keys):
    folder = os.path.join(RUNS, name)
    if is_done(name):
        return
    if os.path.exists(os.path.join(folder, "checkpoint_last.safetensors")):
        command = [SURGE, "train", "--resume", folder]
    else:
        command = [SURGE, "train", RECIPE, *map(str, keys), "--out", folder,
                   "--force", "--set", "train.checkpoint_every=100"]
    ended = subprocess.run(command + ["--threads", "1"], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if ended.returncode != 0:
        print(f"{name}: exit {ended.returncode}: {ended.stdout[-500:]}",
              file=sys.stderr)
        return
    keep(name)
    print(f"{name}: {100 * accuracy(name):.2f} %", flush=True)


# --- tables ------------------------------------------------------------------------

def read_csv(path):
    with open(path, newline="") as lines:
        return list(csv.DictReader(lines))


def write_csv(path, header, table):
    with open(path, "w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *table])


def rows(name, file):
    return read_csv(os.path.join(DONE, name, file))


def accuracy(name):
    """Of the last epoch, on the images held out, else on the test images."""
    last = rows(name, "metrics.csv")[-1]
    return float(last["val_acc"] or last["test_acc"])


def layer_means(name, split="test"):
    """{(epoch, layer): {column: mean over T}} of a split's evaluations."""
    groups = collections.defaultdict(list)
    for row in rows(name, "layers.csv"):
        if row["split"] == split:
            groups[int(row["epoch"]), row["layer"]].append(row)
    columns = ("width", "window", "rate", "quantization")
    return {key: {c: statistics.fmean(float(r[c]) for r in group)
                  for c in columns} for key, group in groups.items()}


def write(file, header, table):
    path = os.path.join(RESULTS, file)
    write_csv(path, header, table)
    print(path)


def digits(x):
    return f"{x:.6g}"


def runs_table(points, name_of_point):
    """A row a finished run and layer, of its last epoch."""
    for p in points:
        name = name_of_point(p)
        if not is_done(name):
            continue
        means = layer_means(name, "validation" if isinstance(p, Tuning) else
                            "test")
        last = max(epoch for epoch, _ in means)
        for layer in LAYERS:
            m = means[last, layer]
            yield [*p, digits(accuracy(name)), layer, *map(digits, m.values())]


def groups_table(points, name_of_point):
    """A row a group of runs that differ in their seed alone."""
    groups = collections.defaultdict(list)
    for p in points:
        if is_done(name_of_point(p)):
            groups[p[:-1]].append(accuracy(name_of_point(p)))
    for key, values in groups.items():
        spread = statistics.stdev(values) if len(values) > 1 else math.nan
        yield [*key, digits(statistics.fmean(values)), digits(spread),
               len(values)]


def widths_table(points):
    """ln w a layer at the end of each epoch, seed 1, from every start."""
    for p in points:
        if p.rule != "learned" or p.seed != 1 or not is_done(name_of(p)):
            continue
        for layer in LAYERS:
            yield [p.family, p.start, layer, 0, digits(math.log(p.start))]
        for (epoch, layer), m in sorted(layer_means(name_of(p)).items()):
            yield [p.family, p.start, layer, epoch, digits(math.log(m["width"]))]


def histograms_table(points):
    """Share of each bin of u: first batch (epoch 0, train) and end (test)."""
    for p in points:
        if p.seed != 1 or not is_done(name_of(p)):
            continue
        table = rows(name_of(p), "histograms.csv")
        last = max(int(r["epoch"]) for r in table)
        for epoch, split in ((0, "train"), (last, "test")):
            for layer in LAYERS:
                bins = [r for r in table if r["layer"] == layer and
                        r["split"] == split and int(r["epoch"]) == epoch]
                total = sum(float(r["count"]) for r in bins)
                for r in bins:
                    width = float(r["high"]) - float(r["low"])
                    yield [p.start, p.pda, p.weight, layer, epoch, r["low"],
                           r["high"], digits(float(r["count"]) / total / width)]


def summarize(name):
    make, _, name_of_point = EXPERIMENTS[name]
    points = list(make())
    fields = points[0]._fields
    write(f"{name}_runs.csv", [*fields, "accuracy", "layer", "width", "window",
                               "rate", "quantization"],
          runs_table(points, name_of_point))
    if name == "width_lr":
        return
    write(f"{name}.csv", [*fields[:-1], "accuracy", "deviation", "n"],
          groups_table(points, name_of_point))
    if name == "width_start":
        write("width_start_widths.csv", ["family", "start", "layer", "epoch",
                                         "ln_w"], widths_table(points))
    else:
        write("pda_histograms.csv", ["start", "pda", "weight", "layer", "epoch",
                                     "low", "high", "density"],
              histograms_table(points))
    script = os.path.join(ROOT, "scripts", f"figure_{name}.gnuplot")
    subprocess.run(["gnuplot", script], cwd=RESULTS, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=EXPERIMENTS)
    parser.add_argument("--seeds", default="0,1,2,3", help="of these seeds only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    todo = {}
    for name in options.names:
        make, keys, name_of_point = EXPERIMENTS[name]
        todo.update((name_of_point(p), keys(p)) for p in make()
                    if p.seed in seeds)
    if not options.summary:
        os.makedirs(RUNS, exist_ok=True)
        with ThreadPoolExecutor(options.jobs) as pool:
            for name, keys in todo.items():
                pool.submit(run, name, keys)
    for name in options.names:
        summarize(name)
    missing = sum(not is_done(name) for name in todo)
    print(f"{len(todo) - missing} of {len(todo)} points are done")
    return 0 if missing == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
