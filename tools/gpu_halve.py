#!/usr/bin/env python3
"""Copies a safetensors file with its filters and matrices as f16, half the size; vectors stay as they are.

Usage: gpu_halve.py IN OUT
"""
import json
import struct
import sys

import numpy


def main():
    with open(sys.argv[1], "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    at, parts = 0, []
    for name, info in header.items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        part = data[begin:end]
        if info["dtype"] == "F32" and len(info["shape"]) > 1:
            half = numpy.frombuffer(part, "<f4").astype("<f2")
            if not numpy.isfinite(half).all():
                sys.exit(f"gpu_halve.py: {name} does not fit f16")
            info["dtype"], part = "F16", half.tobytes()
        info["data_offsets"] = [at, at + len(part)]
        at += len(part)
        parts.append(part)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(sys.argv[2], "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


if __name__ == "__main__":
    main()
