#!/usr/bin/env python3
"""Writes tests/fuzz/seeds/<format>/: small recordings in the raw formats, each with
what is special to its format, from which fuzzers start.

    scripts/make_raw_seeds.py
"""
import struct
from pathlib import Path

SEEDS = Path(__file__).resolve().parent.parent / "tests" / "fuzz" / "seeds"


def words(form, *values):
    return b"".join(struct.pack(form, value) for value in values)


def nmnist(x, y, p, t):
    return bytes([x, y]) + (p << 23 | t).to_bytes(3, "big")


def packet(kind, size, overflows, events):
    count = len(events) // size
    return struct.pack("<hhiiiiii", kind, 1, size, 4, overflows, count, count, count) + events


def es(kind):
    return b"Event Stream" + bytes([2, 0, 0, kind]) + struct.pack("<HH", 320, 240)


DVS128 = b"".join(struct.pack(">II", *r) for r in
                  [(0x0102, 5), (0x7f03, 9), (0x8000, 9), (0x0304, 3)])
DAVIS = b"".join(struct.pack(">II", *r) for r in
                 [(0x23003800, 0xfffffff0), (0x80000000, 2), (0x04004400, 4), (0x01001000, 8)])
POLARITY = b"".join(struct.pack("<II", *r) for r in
                    [(5 << 17 | 6 << 2 | 3, 10), (7 << 17 | 8 << 2 | 1, 12), (1 << 17, 13)])
VECTORS = words("<H", 0x8001, 0x6064, 0x000a, 0x2805, 0x3814, 0x4fff, 0x5081, 0x7001, 0x8fff,
                0x6fff, 0x2006, 0x8000, 0x6001, 0x3000, 0x5055)

FILES = {
    "nmnist/marks.bin": nmnist(1, 2, 1, 8000) + nmnist(0, 240, 0, 0) + nmnist(3, 4, 0, 10),
    "nmnist/wrap.bin": nmnist(1, 2, 1, 0x7ffff0) + nmnist(3, 4, 0, 5),
    "aedat2/dvs128.aedat": b"#!AER-DAT2.0\r\n# Timestamps tick is 1 us\r\n" + DVS128,
    "aedat2/davis240.aedat": b"#!AER-DAT2.0\r\n# AEChip: Davis240C\r\n#End Of ASCII Header\r\n" + DAVIS,
    "aedat2/davis.aedat": b"#!AER-DAT2.0\r\n" + DAVIS,
    "aedat3/gesture.aedat": b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
        + packet(1, 8, 0, POLARITY) + packet(2, 5, 0, bytes(10)) + packet(1, 8, 1, POLARITY),
    "dat/version2.dat": b"% Version 2\n% Width 304\n% Height 240\n\x0c\x08"
        + words("<I", 5, 1 << 28 | 2 << 14 | 3, 0xffffffff, 4, 2, 5),
    "dat/version1.dat": b"% Version 1\n\x00\x08" + words("<I", 5, 1 << 17 | 2 << 9 | 3),
    "evt2/geometry.raw": b"% evt 2.0\n% geometry 640x480\n"
        + words("<I", 1 << 28 | 1, 0x80000003, 1 << 28 | 5 << 22 | 7 << 11 | 9, 0xa0000001,
                63 << 22 | 1 << 11 | 2, 0x8fffffff, 1, 0x80000000, 2),
    "evt3/vectors.raw": b"% format EVT3;height=720;width=1280\n% end\n" + VECTORS,
    "evt3/plain.raw": b"% evt 3.0\n" + VECTORS,
    "es/dvs.es": es(1) + b"\x07\x01\x00\x02\x00\xff\xfe\xff\xfc\x3f\x01\xef\x00\x01\x05\x00\x06\x00",
    "es/atis.es": es(2) + bytes(5),
    "text/seconds.txt": b"# made\nx y t p\n1 2 0.000003 1\n4,5,\t0.5,-1\n",
    "text/us.csv": b"1,2,3,1\r\n4,5,6,0\r\n7,8,-9,1",
}

for name, content in FILES.items():
    path = SEEDS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
