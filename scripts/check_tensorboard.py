#!/usr/bin/env python3
"""Does TensorBoard itself read what SURGE wrote?

    scripts/check_tensorboard.py RUN...

Needs PyPI's tensorboard, with which it reads each run's event files back: every
scalar and histogram of every epoch that the run's tables have, the numbers of
metrics.csv among them, and the recipe as hyper-parameters. Exit code 1 and what
differs, where something does.
"""
import csv
import os
import sys

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import plugin_data_pb2

SCALARS = {"loss/train": "train_loss", "accuracy/train": "train_acc",
           "loss/test": "test_loss", "accuracy/test": "test_acc",
           "learning_rate": "learning_rate"}


def table(run, name):
    with open(os.path.join(run, name), newline="") as lines:
        return list(csv.DictReader(lines))


def single(x):
    """Scalars are stored as float32, tables with nine digits."""
    return f"{float(x):.6g}"


def check(run):
    events = event_accumulator.EventAccumulator(run, size_guidance={
        event_accumulator.SCALARS: 0, event_accumulator.HISTOGRAMS: 0})
    events.Reload()
    for tag, column in SCALARS.items():
        wanted = {int(row["epoch"]): single(row[column])
                  for row in table(run, "metrics.csv") if row[column]}
        found = {e.step: single(e.value) for e in events.Scalars(tag)
                 } if tag in events.Tags()["scalars"] else {}
        if found != wanted:
            yield f"{tag}: wanted {wanted}, found {found}"
    layers = table(run, "layers.csv")
    epochs = {int(row["epoch"]) for row in layers if row["split"] == "test"}
    for layer in {row["layer"] for row in layers}:
        for tag in (f"u/{layer}", f"w/{layer}"):
            if tag not in events.Tags()["histograms"]:
                yield f"{tag}: wanted a histogram, found none"
                continue
            found = {e.step for e in events.Histograms(tag)}
            if not epochs <= found:
                yield f"{tag}: wanted epochs {epochs}, found {found}"
    yield from check_recipe(run, events)


def check_recipe(run, events):
    content = events.summary_metadata[
        "_hparams_/session_start_info"].plugin_data.content
    data = plugin_data_pb2.HParamsPluginData.FromString(content)
    found = data.session_start_info.hparams
    with open(os.path.join(run, "recipe.yaml")) as lines:
        top = [line.split(":")[0] for line in lines if line[0].isalpha()]
    for key in top:
        if not any(k == key or k.startswith(key + ".") for k in found):
            yield f"{key}: wanted it as a hyper-parameter, found none"


def main():
    wrong = [f"{run}: {what}" for run in sys.argv[1:] for what in check(run)]
    print("\n".join(wrong) or f"{len(sys.argv) - 1} runs: all there")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
