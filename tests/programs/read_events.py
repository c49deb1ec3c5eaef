#!/usr/bin/env python3
"""Reads a folder of event files with TensorBoard's reader and lists what is there.

    tests/programs/read_events.py FOLDER

A line for each tag: "scalar" or "image", the tag, and its steps. Every checksum is verified, every value must be finite
and every picture a PNG of the size it says. Exits 77 without tensorboard.
"""

import math
import struct
import sys

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as missing:
    print(f"read_events.py: {missing}: nothing was checked")
    sys.exit(77)


def main():
    events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    for tag in events.Tags()["scalars"]:
        values = events.Scalars(tag)
        assert all(math.isfinite(v.value) for v in values), tag
        print("scalar", tag, *[v.step for v in values])
    for tag in events.Tags()["images"]:
        values = events.Images(tag)
        for v in values:
            assert v.encoded_image_string.startswith(b"\x89PNG"), tag
            assert struct.unpack(">II", v.encoded_image_string[16:24]) == (v.width, v.height), tag
        print("image", tag, *[v.step for v in values])


if __name__ == "__main__":
    main()
