#!/usr/bin/env python3
"""Reads figures of `bench kernels --json` and says which kernels stay below their roof, the slowest first.

Usage: below.py FILE… [--share 0.8]     share of the roof: the larger of bytes / copy bandwidth and FLOP / rate, over the median time
"""
import argparse
import json


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    parser.add_argument("--share", type=float, default=0.8)
    a = parser.parse_args()
    rows, below = 0, []
    for path in a.files:
        with open(path) as f:
            report = json.load(f)
        for k in report["kernels"]:
            rows += 1
            roof = max(k["bytes"] / report["copy_bytes_per_s"], k["flop"] / report["flop_per_s"])
            if roof / k["median_s"] < a.share:
                below.append((roof / k["median_s"], f"{k['op']} {report['precision']} {100 * roof / k['median_s']:.0f} %"))
    worst = ", ".join(text for _, text in sorted(below)[:6])
    print(f"{rows - len(below)} of {rows} timings reach {100 * a.share:.0f} % of their roof" + (f"; lowest: {worst}" if below else ""))


if __name__ == "__main__":
    main()
