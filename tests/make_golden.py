#!/usr/bin/python3
"""Writes the golden cases that tests replay. Needs torch and torchvision; the same versions write the same bytes.

    tests/make_golden.py               small cases into tests/golden (committed)
    tests/make_golden.py --full OUT    full-size nets, 256 x 256, batch 2, into OUT (some GB; for slow runs by hand)
"""

import argparse
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from torch_port import adversary_cases, inpaint_cases, layer_cases, loss_cases, net_cases, pixel_cases  # noqa: E402

GOLDEN = pathlib.Path(__file__).parent / "golden"
LIMIT = 2_000_000  # bytes of everything committed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", type=pathlib.Path, metavar="OUT", help="full-size cases into this folder")
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN, help="where the small cases go")
    args = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order
    folder = args.full or args.out
    folder.mkdir(parents=True, exist_ok=True)
    net_cases.write(folder, full=args.full is not None)
    inpaint_cases.write(folder, full=args.full is not None)
    if not args.full:
        layer_cases.write(folder)
        loss_cases.write(folder)
        adversary_cases.write(folder)
        pixel_cases.write(folder)
        total = sum(f.stat().st_size for f in folder.glob("*.safetensors"))
        print(f"{total} bytes in {folder}")
        if total > LIMIT:
            sys.exit(f"make_golden.py: more than the {LIMIT} bytes that are committed")


if __name__ == "__main__":
    main()
