#!/usr/bin/python3
"""How far a detector's verdicts in one precision agree with those in another.

Usage: agreement.py --images PATH… [--weights DETECTOR.safetensors] [--precisions f32,bf16] [--threshold .5]
       [--infer build/bin/infer] [--threads N] [--json FILE]

Without --weights: the locator that ships. A locator's verdict is the one it writes (fake, real, uncertain); a detector's is
its probability beside --threshold.

Runs `infer` over the same images once in each precision and prints, against the first: on how many images the verdict is the same, the largest and the
mean difference of the probability, and how many images differ by more than .01. Exit code 1 where fewer than 99.9 % of the verdicts agree.
"""
import argparse
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def verdicts(a, precision):
    """{path: (verdict, probability)} of every image that could be read."""
    threads = ["--threads", a.threads] if a.threads else []
    weights = ["--weights", a.weights] if a.weights else []
    command = [a.infer, "--quiet", *weights, "--precision", precision, "--json", "-", *threads, *a.images]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    found = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        if "fake_probability" in row:
            found[row["path"]] = (row.get("verdict", row["fake_probability"] >= a.threshold), row["fake_probability"])
    if not found:
        sys.exit(f"infer gave no verdict in {precision}: {' '.join(command[:8])} …")
    return found


def compare(first, other):
    if first.keys() != other.keys():
        sys.exit("the two runs read different images")
    apart = [abs(first[p][1] - other[p][1]) for p in first]
    same = sum(first[p][0] == other[p][0] for p in first)
    return {"images": len(first), "same_verdict": same, "share": same / len(first), "largest": max(apart), "mean": sum(apart) / len(apart),
            "beyond_0.01": sum(d > 0.01 for d in apart),
            "other_verdict": {p: [*first[p], *other[p]] for p in first if first[p][0] != other[p][0]}}


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--weights")
    p.add_argument("--images", nargs="+", required=True)
    p.add_argument("--precisions", default="f32,bf16")
    p.add_argument("--infer", default=os.path.join(ROOT, "build/bin/infer"))
    p.add_argument("--threshold", type=float, default=0.5)
    p.add_argument("--threads")
    p.add_argument("--json")
    a = p.parse_args()
    names = a.precisions.split(",")
    if len(names) < 2:
        sys.exit("--precisions wants two or more, as in f32,bf16")
    runs = {name: verdicts(a, name) for name in names}
    report = {name: compare(runs[names[0]], runs[name]) for name in names[1:]}
    for name, r in report.items():
        print(f"{name} against {names[0]}: {r['same_verdict']} of {r['images']} verdicts agree ({100 * r['share']:.2f} %); probabilities differ by "
              f"{r['largest']:.4f} at most, {r['mean']:.5f} on average, by more than .01 on {r['beyond_0.01']} images")
        for path, (verdict, probability, other_verdict, other_probability) in r["other_verdict"].items():
            print(f"  {path}: {verdict} ({probability:.4f}) in {names[0]}, {other_verdict} ({other_probability:.4f}) in {name}")
    if a.json:
        with open(a.json, "w") as f:
            json.dump(report, f, indent=2)
    return 0 if all(r["share"] >= 0.999 for r in report.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
