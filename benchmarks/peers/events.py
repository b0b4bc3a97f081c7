#!/usr/bin/env python3
"""Times reading of the same recordings in SURGE, expelliarmus, tonic, event_stream.

    VENV/bin/python benchmarks/peers/events.py DATA [--bench build-cpu/bench_events]
                    [--megabytes 200] [--rounds 5] [--only FORMAT,...]

VENV: see scripts/check_events.py. The files of DATA/formats, their records one
sample after another up to so many megabytes behind one header, in a temporary
folder; EVT3, AEDAT 2.0 (DAVIS346) and AEDAT 3.1 (DVS128), of which there is no
file, are written from the EVT2 file's events. They run in turns, each a process of its
own, which times the reading alone (start and imports are not in it) by the clock
and by its CPU time, file in the page cache: the whole file into arrays, and in
chunks of 8192 events where the peer can. Medians and ratios of CPU time, as CSV on
standard output and into benchmarks/results/events_<processor>.csv.
"""
import argparse
import csv
import importlib.util
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
CHUNK = 8192


# --- the files -----------------------------------------------------------------

def header_size(content, mark):
    """Bytes of the header, whose lines begin with `mark`."""
    at = 0
    while content[at:at + 1] == mark:
        at = content.index(b"\n", at) + 1
    return at


def repeat(source, header, path, size):
    content = source.read_bytes()
    body = content[header(content):]
    with open(path, "wb") as out:
        out.write(content[:header(content)])
        for _ in range(-(-size // len(body))):
            out.write(body)


def repeat_bytes(head, body, path, size):
    with open(path, "wb") as out:
        out.write(head)
        for _ in range(-(-size // len(body))):
            out.write(body)


def evt2_events(data):
    import expelliarmus
    return expelliarmus.Wizard(encoding="evt2").read(str(data / "gen3_640x480_evt2.raw"))


def write_evt3(data, path, size):
    e = evt2_events(data)
    t = e["t"] & 0xFFFFFF
    columns = [0x8000 | t >> 12, 0x6000 | t & 0xFFF, e["y"].astype(np.int64),
               0x2000 | e["p"].astype(np.int64) << 11 | e["x"]]
    words = np.stack(columns, 1).astype("<u2")
    new = np.ones(words.shape, bool)
    new[1:, :3] = words[1:, :3] != words[:-1, :3]
    new[:, 1] |= new[:, 0]
    repeat_bytes(b"% evt 3.0\n", words[new].tobytes(), path, size)


def write_aedat2(data, path, size):
    e = evt2_events(data)
    e = e[(e["x"] < 346) & (e["y"] < 260)]
    records = np.empty((len(e), 2), ">u4")
    records[:, 0] = (e["y"].astype(np.int64) << 22 | e["x"].astype(np.int64) << 12
                     | e["p"].astype(np.int64) << 11)
    records[:, 1] = e["t"]
    repeat_bytes(b"#!AER-DAT2.0\r\n# AEChip: Davis346\r\n", records.tobytes(), path, size)


def write_aedat3(data, path, size):
    e = evt2_events(data)
    e = e[(e["x"] < 128) & (e["y"] < 128)]
    events = np.empty((len(e), 2), "<u4")
    events[:, 0] = (e["x"].astype(np.int64) << 17 | e["y"].astype(np.int64) << 2
                    | e["p"].astype(np.int64) << 1 | 1)
    events[:, 1] = e["t"]
    packets = b"".join(
        np.array([1 | 1 << 16, 8, 4, 0, len(part), len(part), len(part)], "<u4").tobytes()
        + part.tobytes() for part in np.array_split(events, max(1, len(events) // 4096)))
    repeat_bytes(b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n",
                 packets, path, size)


def of_sample(name, header):
    return lambda data, path, size: repeat(data / name, header, path, size)


# --- the peers ------------------------------------------------------------------

def tonic_io():
    place = importlib.util.find_spec("tonic").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("tonic_io", Path(place) / "io.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expelliarmus_whole(encoding, path):
    import expelliarmus
    wizard = expelliarmus.Wizard(encoding=encoding)
    return lambda: [wizard.read(path)]


def expelliarmus_chunks(encoding, path):
    import expelliarmus
    wizard = expelliarmus.Wizard(encoding=encoding, chunk_size=CHUNK)
    wizard.set_file(path)
    return lambda: wizard.read_chunk()


def tonic_nmnist(_, path):
    io = tonic_io()
    return lambda: [io.read_mnist_file(path, io.events_struct)]


def tonic_davis(_, path):
    io = tonic_io()
    return lambda: [io.read_davis_346(path)[2]]


def event_stream_whole(_, path):
    import event_stream
    return lambda: [np.concatenate(list(event_stream.Decoder(path)))]


def event_stream_chunks(_, path):
    import event_stream
    return lambda: event_stream.Decoder(path)


EXPELLIARMUS = [("expelliarmus", "whole", expelliarmus_whole),
                ("expelliarmus", "chunks", expelliarmus_chunks)]
FORMATS = {
    "nmnist": (of_sample("sample_nmnist.bin", lambda content: 0),
               [("tonic", "whole", tonic_nmnist)]),
    "dat": (of_sample("sample_ncars.dat", lambda content: header_size(content, b"%") + 2),
            EXPELLIARMUS),
    "evt2": (of_sample("gen3_640x480_evt2.raw", lambda content: header_size(content, b"%")),
             EXPELLIARMUS),
    "evt3": (write_evt3, EXPELLIARMUS),
    "es": (of_sample("dvs320x240.es", lambda content: 20),
           [("event_stream", "whole", event_stream_whole),
            ("event_stream", "chunks", event_stream_chunks)]),
    "aedat2": (write_aedat2, [("tonic", "whole", tonic_davis)]),
    "aedat3": (write_aedat3, []),
}


def run_peer(encoding, peer, mode, path):
    """In a process of its own: events, seconds, CPU seconds, sums."""
    make = next(m for p, how, m in FORMATS[encoding][1] if (p, how) == (peer, mode))
    read = make(encoding, path)
    wall, cpu, count = time.perf_counter(), time.process_time(), 0
    parts = []
    for part in read():
        count += len(part)
        parts = [part]
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    result = {"events": count, "wall": wall, "cpu": cpu}
    if mode == "whole":
        result["sums"] = [int(parts[0][n].astype(np.int64).sum()) for n in ("t", "x", "y")]
        result["sums"].append(int(parts[0][parts[0].dtype.names[3]].astype(np.int64).sum()))
    print(json.dumps(result))


# --- turns -------------------------------------------------------------------------

def output(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout


def run_side(side, mode, encoding, path, bench):
    if side != "surge":
        return json.loads(output([sys.executable, __file__, "--side", encoding, side, mode, path]))
    events, wall, cpu, *sums = output([bench, mode, path]).strip().split(",")
    return {"events": int(events), "wall": float(wall), "cpu": float(cpu),
            "sums": [int(s) for s in sums]}


def compare_sums(encoding, runs):
    """Of the first round; that of y of .es is turned, see scripts/check_events.py."""
    wanted = runs["surge", "whole"][0]
    for (side, mode), (found, *_) in runs.items():
        if side == "surge" or mode != "whole":
            continue
        if encoding == "es":
            found["sums"][2] = 239 * found["events"] - found["sums"][2]
        if (found["events"], found["sums"]) != (wanted["events"], wanted["sums"]):
            print(f"{encoding}: {side} differs: {found} instead of {wanted}", file=sys.stderr)


def time_format(encoding, path, bench, rounds):
    sides = [("surge", "whole"), ("surge", "chunks")] + [(p, m) for p, m, _ in FORMATS[encoding][1]]
    runs = {side: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            runs[side].append(run_side(*side, encoding, path, bench))
    compare_sums(encoding, runs)
    own = {m: statistics.median(r["cpu"] for r in runs["surge", m]) for m in ("whole", "chunks")}
    for (side, mode), results in runs.items():
        cpu = statistics.median(r["cpu"] for r in results)
        wall = statistics.median(r["wall"] for r in results)
        events = results[0]["events"]
        yield [encoding, side, mode, events, Path(path).stat().st_size, rounds, f"{wall:.4f}",
               f"{cpu:.4f}", f"{events / wall / 1e6:.1f}", f"{events / cpu / 1e6:.1f}",
               f"{cpu / own[mode]:.2f}"]


def processor():
    name = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return re.sub(r"\W+", "_", name.group(1).strip()) if name else "unknown"


def main():
    if sys.argv[1:2] == ["--side"]:
        return run_peer(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--bench", default=str(ROOT / "build-cpu" / "bench_events"))
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(FORMATS))
    options = parser.parse_args()
    results = ROOT / "benchmarks" / "results" / f"events_{processor()}.csv"
    with tempfile.TemporaryDirectory() as folder, open(results, "w", newline="") as kept:
        for out in (sheets := [csv.writer(kept), csv.writer(sys.stdout)]):
            out.writerow("format side mode events bytes rounds wall_s cpu_s events_per_us_wall "
                         "events_per_us_cpu cpu_over_surge".split())
        for encoding in options.only.split(","):
            suffix = ".dat" if encoding == "dat" else ".raw"  # expelliarmus asks for it
            path = str(Path(folder) / (encoding + suffix))
            FORMATS[encoding][0](options.data / "formats", path, options.megabytes * 10**6)
            for row in time_format(encoding, path, options.bench, options.rounds):
                for out in sheets:
                    out.writerow(row)
            kept.flush()
            sys.stdout.flush()
            Path(path).unlink()


main()
