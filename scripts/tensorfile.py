"""Reads and writes safetensors files with numpy and the standard library.

A u64 (little endian) header size, a JSON header, the data in C order: the
format of SURGE's checkpoints, golden files and one-step dumps."""
import json
import struct

import numpy as np

DTYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "u1",
          "U32": "<u4", "U64": "<u8"}
WORDS = {np.dtype(code): word for word, code in DTYPES.items()}


def write(path, tensors, metadata=None):
    """Writes {name: array} and {key: text}. The widest types come first, so
    that every tensor is aligned to its own size."""
    header, chunks, end = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    arrays = {name: np.array(value, order="C") for name, value in tensors.items()}
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].itemsize):
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": WORDS[array.dtype], "shape": list(array.shape),
                        "data_offsets": [begin, end]}
        chunks.append(array.tobytes())
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def read(path):
    """Returns ({name: array}, {key: text})."""
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[begin:end], dtype=DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors, metadata
