#!/usr/bin/env python3
"""Writes tests/fuzz/seeds/{aedat4,npz,hdf5}: small recordings made by other people's writers.

Tests read them as golden files, fuzzers start from them. Every one has the same five events, but those of SHD, which have
two recordings. Wants numpy, h5py and dv-processing (PyPI); made with numpy 2.4.6, h5py 3.16.0 and dv-processing 2.0.4.
"""
import os
import sys
import tempfile

import dv_processing as dv
import h5py
import numpy as np

T = np.array([100, 200, 200, 350, 1000000], np.int64)
X = np.array([1, 639, 0, 320, 5], np.uint16)
Y = np.array([2, 479, 0, 240, 7], np.uint16)
P = np.array([1, 0, 1, 1, 0], np.uint8)
FOLDER = os.path.join(os.path.dirname(__file__), "..", "tests", "fuzz", "seeds")


def path(name):
    os.makedirs(os.path.dirname(os.path.join(FOLDER, name)), exist_ok=True)
    return os.path.join(FOLDER, name)


def aedat4():
    packets = dv.EventStore(), dv.EventStore()
    for i, (t, x, y, p) in enumerate(zip(T, X, Y, P)):
        packets[i // 3].push_back(int(t), int(x), int(y), bool(p))
    for name in ("LZ4", "ZSTD", "NONE"):
        config = dv.io.MonoCameraWriter.Config("seed", getattr(dv.CompressionType, name))
        config.addEventStream((640, 480))
        config.addTriggerStream()
        writer = dv.io.MonoCameraWriter(path(f"aedat4/{name.lower()}.aedat4"), config)
        writer.writeTrigger(dv.Trigger(150, dv.TriggerType.EXTERNAL_SIGNAL_RISING_EDGE))
        for packet in packets:
            writer.writeEvents(packet)
        del writer


def npz():
    with open(path("npz/stored.npz"), "wb") as f:
        np.savez(f, t=T, x=X, y=Y, p=P)
    np.savez_compressed(path("npz/deflated.npz"), t=T.astype(">f8"), x=X.astype(">i4"), y=Y.astype("<f2"), p=P.astype(bool))


def hdf5():
    fields = [("x", "<u2"), ("y", ">u2"), ("p", "?"), ("t", "<i8")]
    table = np.zeros(len(T), fields)
    table["x"], table["y"], table["p"], table["t"] = X, Y, P, T
    with h5py.File(path("hdf5/table.h5"), "w") as f:
        f.create_dataset("CD/events", data=table, compression="gzip", chunks=(2,))
    with h5py.File(path("hdf5/arrays.h5"), "w", userblock_size=512) as f:
        f["events/xs"], f["events/ys"], f["events/ps"] = X, Y, P.astype(bool)
        f["events/ts"] = T / 1e6
    with h5py.File(path("hdf5/dsec.h5"), "w") as f:
        f["events/x"], f["events/y"], f["events/p"] = X, Y, P
        f["events/t"], f["t_offset"] = (T - 50).astype(np.uint32), 50
    with h5py.File(path("hdf5/shd.h5"), "w") as f:
        times = f.create_dataset("spikes/times", (2,), h5py.vlen_dtype(np.float16))
        units = f.create_dataset("spikes/units", (2,), h5py.vlen_dtype(np.uint16))
        times[0], units[0] = np.float16([0.25, 0.5]), np.uint16([5, 699])
        times[1], units[1] = np.float16([1.0]), np.uint16([0])
        f["labels"] = np.uint8([4, 19])


aedat4()
npz()
hdf5()
