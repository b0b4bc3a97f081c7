#!/usr/bin/env python3
"""What other readers make of the raw recordings in FOLDER/formats: the numbers
of tests/events/test_raw_formats.c (suite `real`), and of .es with y turned, since
event_stream gives it from the bottom.

    python3 -m venv VENV
    VENV/bin/pip install numpy expelliarmus==1.1.12 event_stream==1.6.3
    VENV/bin/pip install --no-deps tonic==1.6.0
    VENV/bin/python scripts/check_events.py FOLDER
"""
import importlib.util
import sys
from pathlib import Path

import event_stream
import expelliarmus
import numpy as np


def tonic_io():
    """tonic.io alone: its package wants data sets' libraries that this does not."""
    place = importlib.util.find_spec("tonic").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("tonic_io", Path(place) / "io.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_es(path):
    decoder = event_stream.Decoder(str(path))
    events = np.concatenate(list(decoder))
    polarity = events[events.dtype.names[3]]
    return events["t"], events["x"], decoder.height - 1 - events["y"].astype(int), polarity


def read_bin(path):
    io = tonic_io()
    return fields(io.read_mnist_file(str(path), io.events_struct))


def read_wizard(encoding):
    return lambda path: fields(expelliarmus.Wizard(encoding=encoding).read(str(path)))


def fields(events):
    return [events[name] for name in "txyp"]


READERS = [
    ("sample_nmnist.bin", "tonic 1.6.0", read_bin),
    ("sample_ncars.dat", "expelliarmus 1.1.12", read_wizard("dat")),
    ("gen3_640x480_evt2.raw", "expelliarmus 1.1.12", read_wizard("evt2")),
    ("dvs320x240.es", "event_stream 1.6.3", read_es),
]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, reader, read in READERS:
        columns = [np.asarray(c).astype(np.int64) for c in read(Path(sys.argv[1]) / "formats" / name)]
        end = lambda i: "{" + ", ".join(str(c[i]) for c in columns) + "}"
        print(f"{name} ({reader}): {len(columns[0])}, {end(0)}, {end(-1)}, "
              + ", ".join(str(c.sum()) for c in columns))


main()
