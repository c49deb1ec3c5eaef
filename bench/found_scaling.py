#!/usr/bin/env python3
"""How often a picture's scaling is found (data/unscale.h), and how well the locator stands on what was undone.

Every picture of --data (a dataset of synth: images saved as JPEG) is scaled by Pillow and given to infer as a PNG. `exact` is the share whose size before infer
names to the pixel, `wrong` that for which it names another; AUC is by infer's probability, over the dataset's labels.

Usage: found_scaling.py DATA [--scales .5,.6,.7,.75,.8,.9,1.1,1.25,1.5,2] [--filters bilinear,bicubic,lanczos,box] [--pictures 64] [--infer build/bin/infer]
Prints a table.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import tempfile

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pictures_of(data, count):
    """[(path, fake)], half of them fakes."""
    with open(data / "labels.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    chosen = []
    for fake in ("1", "0"):
        some = [r for r in rows if r["fake_label"] == fake]
        chosen += some[:: max(1, len(some) // (count // 2))][: count // 2]
    return [(next((data / "images").glob(r["id"] + ".*")), r["fake_label"] == "1") for r in chosen]


def auc(fakes, reals):
    pairs = sum((f > r) + 0.5 * (f == r) for f in fakes for r in reals)
    return pairs / (len(fakes) * len(reals))


def measure(pictures, scale, how, infer):
    """(share exact, share wrong, AUC)"""
    with tempfile.TemporaryDirectory() as folder:
        truth = {}
        for i, (path, fake) in enumerate(pictures):
            with Image.open(path) as image:
                image = image.convert("RGB")
            name = f"{folder}/{i}.png"
            image.resize((round(image.width * scale), round(image.height * scale)), how).save(name)
            truth[name] = (image.size, fake)
        said = subprocess.run([infer, folder, "--quiet"], check=True, capture_output=True, text=True).stdout
    exact = wrong = 0
    scores = {True: [], False: []}
    for line in said.splitlines():
        answer = json.loads(line)
        size, fake = truth[answer["path"]]
        found = answer.get("scaled_from")
        right = found is not None and (found["width"], found["height"]) == size
        exact += right
        wrong += found is not None and not right
        scores[fake].append(answer["fake_probability"])
    return exact / len(truth), wrong / len(truth), auc(scores[True], scores[False])


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("--scales", default=".5,.6,.7,.75,.8,.9,1.1,1.25,1.5,2")
    p.add_argument("--filters", default="bilinear,bicubic,lanczos,box")
    p.add_argument("--pictures", type=int, default=64)
    p.add_argument("--infer", default=str(ROOT / "build/bin/infer"))
    a = p.parse_args()
    pictures = pictures_of(a.data, a.pictures)
    print("| scaled to | by | exact | wrong | AUC |\n| --- | --- | --- | --- | --- |")
    for scale in map(float, a.scales.split(",")):
        for name in a.filters.split(","):
            exact, wrong, area = measure(pictures, scale, getattr(Image.Resampling, name.upper()), a.infer)
            print(f"| {scale:g} | {name} | {exact:.2f} | {wrong:.2f} | {area:.3f} |", flush=True)


if __name__ == "__main__":
    main()
