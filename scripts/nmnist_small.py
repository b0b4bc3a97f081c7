#!/usr/bin/python3
"""Makes N-MNIST's small subset, training samples 1 to 1,000 and test samples 1
to 100, a folder that data.set: event_folder reads.

    scripts/nmnist_small.py SOURCE OUT            OUT/train and OUT/test
    scripts/nmnist_small.py SOURCE OUT --folds 5  OUT/fold1 ... OUT/fold5

SOURCE is N-MNIST's folder, of Train/<class>/00001.bin and Test/<class>/..., or
the subset as SLAYER's examples carry it: N.bin, train1K.txt and test100.txt
(`sample class` a line; sample 60001 is the first of the test set). OUT is made
of links to its files. A fold's test set is every fifth recording of each class,
of all 1,100 in their order; its training set is the rest."""
import argparse
import os
import sys

TRAIN, TEST = 1000, 100


def from_lists(source):
    """[(path, class, is it a test sample)] of the subset's own lists."""
    found = []
    for name, test in (("train1K.txt", False), ("test100.txt", True)):
        with open(os.path.join(source, name), encoding="ascii") as file:
            rows = [line.split() for line in file
                    if line.strip() and not line.startswith("#")]
        found += [(os.path.join(source, f"{sample}.bin"), label, test)
                  for sample, label in rows]
    return found


def from_nmnist(source):
    """The same of N-MNIST's folders, whose file names are sample numbers."""
    found = []
    for folder, test, count in (("Train", False, TRAIN), ("Test", True, TEST)):
        split = os.path.join(source, folder)
        samples = sorted((int(name.split(".")[0]), label, name)
                         for label in os.listdir(split)
                         for name in os.listdir(os.path.join(split, label)))
        found += [(os.path.join(split, label, name), label, test)
                  for _, label, name in samples[:count]]
    return found


def link(path, out, split, label):
    folder = os.path.join(out, split, label)
    os.makedirs(folder, exist_ok=True)
    # numbers of one length, so that files are in the order of samples
    number = int(os.path.basename(path).split(".")[0])
    if os.path.basename(os.path.dirname(os.path.dirname(path))) == "Test":
        number += 60000
    os.symlink(os.path.abspath(path), os.path.join(folder, f"{number:05d}.bin"))


def make_folds(samples, out, folds):
    seen = {}
    for path, label, _ in samples:
        place = seen[label] = seen.get(label, -1) + 1
        for fold in range(folds):
            split = "test" if place % folds == fold else "train"
            link(path, os.path.join(out, f"fold{fold + 1}"), split, label)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("--folds", type=int, default=0)
    options = parser.parse_args()
    lists = os.path.exists(os.path.join(options.source, "train1K.txt"))
    samples = (from_lists if lists else from_nmnist)(options.source)
    if len(samples) != TRAIN + TEST:
        sys.exit(f"{options.source}: wanted {TRAIN + TEST} samples, "
                 f"found {len(samples)}")
    if options.folds:
        make_folds(samples, options.out, options.folds)
    else:
        for path, label, test in samples:
            link(path, options.out, "test" if test else "train", label)


if __name__ == "__main__":
    main()
