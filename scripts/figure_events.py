#!/usr/bin/python3
"""Draws what a trained network makes of one recording: its events, the frames that
the network is shown, and the spikes of its first layer.

    scripts/figure_events.py RUN RECORDING [--out benchmarks/results/events.png]

RUN is a folder of benchmarks/recipes/nmnist_small.yaml's, RECORDING a file of any
format. The spikes are those of `surge grad`: currents of a training pass, run
through the neuron's steps here. Needs build/surge (or SURGE), python3-numpy,
gnuplot."""
import argparse
import json
import os
import subprocess
import tempfile

import numpy as np

import tensorfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SURGE = os.environ.get("SURGE", os.path.join(ROOT, "build", "surge"))
CLASSES = 10
SHOWN = 10  # steps, one panel each


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def events_of(recording, folder):
    """(t in ms, x, y, p), by `surge data convert`."""
    path = os.path.join(folder, "events.npz")
    run(SURGE, "data", "convert", recording, path)
    with np.load(path) as file:
        t = (file["t"] - file["t"][0]) / 1000
        return np.stack([t, file["x"], file["y"], file["p"]], axis=1)


def dump_of(trained, recording, folder):
    """Tensors and layers of a batch in which every sample is the recording."""
    for split in ("train", "test"):
        for label in range(CLASSES):
            place = os.path.join(folder, split, str(label))
            os.makedirs(place)
            os.symlink(os.path.abspath(recording), os.path.join(place, "it"))
    path = os.path.join(folder, "step.safetensors")
    run(SURGE, "grad", os.path.join(trained, "recipe.yaml"), "--from",
        os.path.join(trained, "checkpoint_last.safetensors"),
        "--out", path, "--set", f"data.path={folder}", "--set", "data.roll=0",
        "--set", "data.limit=0", "--set", f"train.batch={CLASSES}")
    return tensorfile.read(path)


def spikes_of(current, spec):
    """[T, H, W, C] of the neuron's steps (include/surge/neuron.h), hard reset."""
    v, spikes = np.zeros_like(current[0]), []
    for a in current:
        u = np.float32(spec["decay"]) * v + a
        s = u >= spec["v_threshold"]
        v = np.where(s, np.float32(spec["v_reset"]), u)
        spikes.append(s)
    return np.stack(spikes)


def write_maps(path, maps):
    """[T, H, W] as gnuplot's matrices, a block a step."""
    with open(path, "w", encoding="ascii") as file:
        for grid in maps:
            np.savetxt(file, grid, fmt="%g")
            file.write("\n\n")


SCRIPT = """
set terminal pngcairo size 1200,640 font "sans,10"
set output "{out}"
set multiplot
unset key
set tmargin at screen 0.93
set bmargin at screen 0.56
set lmargin at screen 0.06
set rmargin at screen 0.985
set title "{count} events: time against x (blue: OFF, red: ON)"
set xlabel "t, ms"
set ylabel "x" offset 1
set xrange [0:{last}]
set yrange [-0.5:{width}-0.5]
plot "events.txt" using 1:($4==0 ? $2 : 1/0) with points pt 7 ps 0.25 lc rgb "#3060c0", \\
     "" using 1:($4==1 ? $2 : 1/0) with points pt 7 ps 0.25 lc rgb "#c03030"
unset xlabel
unset xtics
unset ytics
unset colorbox
set xrange [-0.5:{width}-0.5]
set yrange [{height}-0.5:-0.5]
set size ratio -1
do for [k=0:{shown}-1] {{
  left = 0.06 + k * 0.0935
  set lmargin at screen left
  set rmargin at screen left + 0.085
  set tmargin at screen 0.45
  set bmargin at screen 0.29
  set title (k == 0 ? "frames, t = 0" : sprintf("%d", k)) offset 0,-0.7
  unset ylabel
  set palette defined (-1 "#3060c0", 0 "white", 1 "#c03030")
  set cbrange [-1:1]
  plot "frames.txt" index k matrix with image
  set tmargin at screen 0.2
  set bmargin at screen 0.04
  set title (k == 0 ? "layer 1 spikes" : sprintf("%d", k)) offset 0,-0.7
  set palette defined (0 "white", 1 "black")
  set cbrange [0:{most}]
  plot "spikes.txt" index k matrix with image
}}
unset multiplot
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("recording")
    parser.add_argument("--out", default=os.path.join(
        ROOT, "benchmarks", "results", "events.png"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        events = events_of(options.recording, folder)
        tensors, meta = dump_of(options.run, options.recording, folder)
        spec = next(layer["neuron"] for layer in json.loads(meta["layers"])
                    if layer["kind"] == "neuron")
        if spec["reset"] != "hard" or spec.get("synapse_decay"):
            raise SystemExit("wanted a neuron with hard reset and no synapse")
        frames = tensors["input"][:SHOWN, 0]
        spikes = spikes_of(tensors["neuron1.current"][:SHOWN, 0], spec).sum(-1)
        np.savetxt(os.path.join(folder, "events.txt"), events, fmt="%g")
        write_maps(os.path.join(folder, "frames.txt"),
                   frames[..., 1] - frames[..., 0])
        write_maps(os.path.join(folder, "spikes.txt"), spikes)
        script = SCRIPT.format(
            out=os.path.abspath(options.out), count=len(events),
            last=f"{events[-1, 0]:g}", width=frames.shape[2],
            height=frames.shape[1], shown=SHOWN,
            most=int(spikes.max()))
        subprocess.run(["gnuplot"], input=script, text=True, check=True, cwd=folder)
    print(os.path.relpath(options.out))


if __name__ == "__main__":
    main()
