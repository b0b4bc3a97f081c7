#!/usr/bin/env python3
"""Does TensorBoard itself read what SURGE wrote?

    scripts/check_tensorboard.py RUN...

Needs PyPI's tensorboard, with which it reads each run's event files back: the
losses, accuracies and learning rates of metrics.csv, the histograms of u and w of
every layer and evaluated epoch, and each key of recipe.yaml as a hyper-parameter.
Exit code 1 and what differs, where something does.
"""
import csv
import os
import sys

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import plugin_data_pb2

SCALARS = {"loss/train": "train_loss", "accuracy/train": "train_acc",
           "loss/validation": "val_loss", "accuracy/validation": "val_acc",
           "loss/test": "test_loss", "accuracy/test": "test_acc",
           "learning_rate": "learning_rate"}


def table(run, name):
    with open(os.path.join(run, name), newline="") as lines:
        return list(csv.DictReader(lines))


def single(x):
    """Scalars are stored as float32, tables with nine digits."""
    return f"{float(x):.6g}"


def check_scalars(run, events):
    there = events.Tags()["scalars"]
    for tag, column in SCALARS.items():
        wanted = {int(row["epoch"]): single(row[column])
                  for row in table(run, "metrics.csv") if row[column]}
        found = ({e.step: single(e.value) for e in events.Scalars(tag)}
                 if tag in there else {})
        if found != wanted:
            yield f"{tag}: wanted {wanted}, found {found}"


def check_histograms(run, events):
    layers = table(run, "layers.csv")
    epochs = {int(row["epoch"]) for row in layers if row["split"] == "test"}
    there = events.Tags()["histograms"]
    for layer in {row["layer"] for row in layers}:
        for tag in (f"u/{layer}", f"w/{layer}"):
            found = ({e.step for e in events.Histograms(tag)}
                     if tag in there else set())
            if not epochs <= found:
                yield f"{tag}: wanted epochs {epochs}, found {found}"


def recipe(run):
    """{key: text} of the effective recipe, as its sections nest, lists of layers
    left out."""
    keys, section = {}, ""
    with open(os.path.join(run, "recipe.yaml")) as lines:
        for line in lines:
            name, colon, value = line.rstrip("\n").partition(":")
            indent = len(name) - len(name.lstrip())
            if not colon or name.lstrip().startswith(("#", "-")) or indent > 2:
                continue
            if indent == 0:
                section = ""
            if value.strip():
                keys[section + name.strip()] = value.strip()
            elif indent == 0:
                section = name + "."
    return keys


def value_of(value):
    kind = value.WhichOneof("kind")
    found = getattr(value, kind) if kind else None
    return str(found).lower() if kind == "bool_value" else found


def same(text, value):
    if isinstance(value, float):
        return float(text) == value
    return text == value


def check_recipe(run, events):
    metadata = events.summary_metadata.get("_hparams_/session_start_info")
    if metadata is None:
        yield "wanted hyper-parameters, found none"
        return
    data = plugin_data_pb2.HParamsPluginData.FromString(
        metadata.plugin_data.content)
    found = {key: value_of(value)
             for key, value in data.session_start_info.hparams.items()}
    for key, text in recipe(run).items():
        if key == "train.epochs":  # a run that goes on longer than it was begun for
            continue
        if key not in found or not same(text, found[key]):
            yield f"{key}: wanted {text}, found {found.get(key)}"


def check(run):
    events = event_accumulator.EventAccumulator(run, size_guidance={
        event_accumulator.SCALARS: 0, event_accumulator.HISTOGRAMS: 0})
    events.Reload()
    yield from check_scalars(run, events)
    yield from check_histograms(run, events)
    yield from check_recipe(run, events)


def main():
    runs = sys.argv[1:]
    if not runs:
        print("usage: scripts/check_tensorboard.py RUN...", file=sys.stderr)
        return 2
    wrong = [f"{run}: {what}" for run in runs for what in check(run)]
    print("\n".join(wrong) or f"{len(runs)} runs: all there")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
