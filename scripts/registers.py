#!/usr/bin/env python3
"""What ptxas says of each kernel: registers, spills, and the occupancy they allow.

    cmake --preset cuda && cmake --build build-cuda --clean-first 2>&1 |
      scripts/registers.py > benchmarks/results/registers_sm_90.csv

Reads the output of nvcc -Xptxas -v and writes CSV: kernel, architecture,
registers, stack and spilled bytes, static shared memory, threads a block, blocks
and share of the 2048 threads of a multiprocessor that registers allow (65,536 of
them, taken in eights a thread). A summary goes to standard
error. Exit code 1 where a kernel spills.
"""
import csv
import re
import subprocess
import sys

ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(\w+)'")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, "
                   r"(\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


def kernels(lines):
    """(mangled name, architecture, stack, spilled, registers, shared)."""
    name = arch = None
    stack = spilled = 0
    for line in lines:
        if entry := ENTRY.search(line):
            name, arch = entry.groups()
        elif frame := FRAME.search(line):
            stack, spilled = int(frame[1]), int(frame[2]) + int(frame[3])
        elif (used := USED.search(line)) and name:
            yield name, arch, stack, spilled, int(used[1]), int(used[2] or 0)
            name = None


def readable(names):
    """Demangled, without return type and parameters."""
    text = subprocess.run(["c++filt"], input="\n".join(names), text=True,
                          capture_output=True, check=True).stdout
    return [re.sub(r"^void ", "", re.sub(r"\(anonymous namespace\)::|\((?!int\)).*", "",
                                         line.replace("(int)", "")))
            for line in text.splitlines()]


def threads_of(name):
    """As the launches have it: inputs.cuh, launch.h."""
    if "finish_columns" in name:
        return 512
    rows = name.startswith(("neuron_", "add_forward", "add_backward"))
    return 128 if rows and "scalars" not in name else 256


def main():
    found = sorted(set(kernels(sys.stdin)))
    if not found:
        sys.exit("registers.py: wanted the output of -Xptxas -v, found no kernel")
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["kernel", "arch", "registers", "stack", "spilled", "shared",
                  "threads", "blocks", "occupancy"])
    spills = 0
    for row, name in zip(found, readable([row[0] for row in found])):
        _, arch, stack, spilled, registers, shared = row
        threads = threads_of(name)
        taken = (registers + 7) // 8 * 8 * threads
        blocks = min(65536 // taken, 2048 // threads)
        spills += spilled > 0
        out.writerow([name, arch, registers, stack, spilled, shared, threads,
                      blocks, f"{blocks * threads / 2048:.2f}"])
    print(f"{len(found)} kernels, at most {max(row[4] for row in found)} "
          f"registers, {spills} spill", file=sys.stderr)
    sys.exit(1 if spills else 0)


if __name__ == "__main__":
    main()
