#!/usr/bin/python3
"""Writes tests/golden/events.safetensors with SpikingJelly's own functions.

    scripts/make_golden_events.py FOLDER NMNIST          writes the file
    scripts/make_golden_events.py FOLDER NMNIST --check  fails where it says
                                                         otherwise

NMNIST is N-MNIST's sample 1, a .bin; only sums of its frames are kept. FOLDER holds SpikingJelly's package, unpacked (`pip download --no-deps
spikingjelly`, unzip). Of its module datasets/utils.py the functions are taken as
their text stands, for to import the package needs PyTorch. Wants numpy."""
import ast
import os
import sys

import numpy as np

import tensorfile

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests",
                      "golden", "events.safetensors")
WANTED = ("integrate_events_segment_to_frame",
          "cal_fixed_frames_number_segment_index",
          "integrate_events_by_fixed_frames_number", "load_ATIS_bin")


def spikingjelly(folder):
    """The functions of WANTED."""
    path = os.path.join(folder, "spikingjelly", "datasets", "utils.py")
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    tree.body = [ast.parse("from typing import *").body[0]] + [
        node for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name in WANTED]
    names = {"np": np, "Path": os.PathLike}
    exec(compile(tree, path, "exec"), names)
    return names


def recording(random, count, width, height, span, sort=True):
    """`count` events in `span` us, many of one time, some pixels often hit."""
    t = random.integers(0, span, count)
    x = np.minimum(random.integers(0, width, count),
                   random.integers(0, width, count))
    return {"t": (np.sort(t) if sort else t).astype(np.int64) + 893,
            "x": x.astype(np.uint16),
            "y": random.integers(0, height, count).astype(np.uint16),
            "p": random.integers(0, 2, count).astype(np.uint8)}


def cases():
    """name -> (events, width, height, [T])"""
    random = np.random.default_rng(6)
    made = {
        "plain": (recording(random, 2000, 34, 34, 315000), 34, 34, [10]),
        "wide": (recording(random, 1500, 20, 7, 9001), 20, 7, [1, 3, 16]),
        # a remainder of time and of events, and events on every boundary
        "boundaries": (recording(random, 997, 5, 4, 103), 5, 4, [1, 3, 7, 10]),
        "jitter": (recording(random, 500, 6, 6, 4000), 6, 6, [1, 4]),
        "one pixel": (recording(random, 1000, 1, 1, 5000), 1, 1, [4]),
    }
    # neighbours change places, so that intervals overlap in the file
    t = made["jitter"][0]["t"]
    for i in range(1, len(t) - 12, 7):
        t[[i, i + 9]] = t[[i + 9, i]]
    return made


def tensors(jelly):
    frames_of = jelly["integrate_events_by_fixed_frames_number"]
    made = {}
    for name, (events, width, height, numbers) in cases().items():
        for key, values in events.items():
            kept = values.astype(np.int64 if key == "t" else np.int32)
            made[f"{name}.{key}"] = kept
        made[f"{name}.size"] = np.array([width, height], np.int32)
        for by in ("number", "time"):
            for T in numbers:
                frames = frames_of(events, by, T, height, width)
                made[f"{name}.{by}.{T}"] = (  # channels last, as SURGE's
                    frames.transpose(0, 2, 3, 1).astype(np.int32))
    return made


def moments(frames):
    """Of [T, H, W, 2]: a frame's counts, and these times place and place^2."""
    flat = frames.reshape(len(frames), -1).astype(np.int64)
    place = np.arange(flat.shape[1], dtype=np.int64)
    return np.stack([(flat * place ** k).sum(1) for k in range(3)], 1)


def nmnist_sums(jelly, path):
    events = jelly["load_ATIS_bin"](path)
    frames_of = jelly["integrate_events_by_fixed_frames_number"]
    return {f"nmnist.{by}": moments(
        frames_of(events, by, 10, 34, 34).transpose(0, 2, 3, 1))
        for by in ("number", "time")}


def main(folder, sample, check):
    jelly = spikingjelly(folder)
    made = {**tensors(jelly), **nmnist_sums(jelly, sample)}
    if not check:
        tensorfile.write(GOLDEN, made)
        return 0
    kept, _ = tensorfile.read(GOLDEN)
    wrong = [name for name in sorted(set(made) | set(kept))
             if name not in made or name not in kept
             or not np.array_equal(made[name], kept[name])]
    for name in wrong:
        print(f"events.safetensors: {name}: other values")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[3:] not in ([], ["--check"]):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], len(sys.argv) > 3))
