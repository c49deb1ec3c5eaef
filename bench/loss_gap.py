#!/usr/bin/env python3
"""How far apart two runs' training losses are: the gap of their means, over all steps and over the last quarter.

Usage: loss_gap.py REFERENCE/metrics.jsonl OTHER/metrics.jsonl [--limit 0.02] [--spread SECOND/metrics.jsonl] [--json FILE]
  --spread  the reference by another seed: twice its own gap is allowed where that is more than --limit, since two runs whose steps
            round differently drift apart as two seeds do
Exit code 1 above what is allowed.
"""
import argparse
import json
import math
import sys


def losses(path):
    with open(path) as f:
        return [json.loads(line)["loss"] for line in f]


def mean(values):
    return sum(values) / len(values)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("reference")
    parser.add_argument("other")
    parser.add_argument("--limit", type=float, default=0.02)
    parser.add_argument("--spread", default="")
    parser.add_argument("--json", default="")
    a = parser.parse_args()
    x, y = losses(a.reference), losses(a.other)
    spread = abs(mean(losses(a.spread)) / mean(x) - 1) if a.spread and x else 0
    allowed = max(a.limit, 2 * spread)
    if len(x) != len(y) or not x:
        sys.exit(f"{len(x)} steps against {len(y)}: not the same run")
    last = max(1, len(x) // 4)
    whole, end = mean(y) / mean(x) - 1, mean(y[-last:]) / mean(x[-last:]) - 1
    passed = math.isfinite(whole) and abs(whole) <= allowed
    print(f"{len(x)} steps: mean loss {mean(x):.5g} and {mean(y):.5g} ({100 * whole:+.2f} %), last {last} steps {mean(x[-last:]):.5g} and "
          f"{mean(y[-last:]):.5g} ({100 * end:+.2f} %); another seed {100 * spread:.2f} %, allowed {100 * allowed:.3g} % of the whole: "
          f"{'ok' if passed else 'EXCEEDED'}")
    if a.json:
        with open(a.json, "w") as f:
            json.dump({"reference": x, "other": y, "gap": whole, "gap_last_quarter": end, "spread": spread, "allowed": allowed}, f)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
