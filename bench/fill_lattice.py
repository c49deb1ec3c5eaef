#!/usr/bin/env python3
"""Whether a generator's fills repeat themselves at a pitch: their mean autocorrelation, beside that of the photographs in the same holes.

Of each fake of DATA (a folder that `synth` made of PHOTOS) whose box, less a rim of 6 pixels, is at least 60 pixels wide and high: its grey levels less their mean over 9 x 9
pixels, under a Hann window; their autocorrelation, 1 at lag 0; the mean over the fakes. A lattice shows as a peak at its pitch and at twice it.

Usage: fill_lattice.py PHOTOS DATA … [--lags 4,6,8,10,12,14,16,18]
Needs numpy and Pillow.
"""
import argparse
import csv
import pathlib

import numpy as np
from PIL import Image

RIM, LEAST, WINDOW, SIZE = 6, 60, 9, 256


def grey(path):
    return np.asarray(Image.open(path).convert("L"), float)


def local_mean(a):
    c = np.pad(np.cumsum(np.cumsum(np.pad(a, WINDOW // 2, mode="reflect"), 0), 1), ((1, 0), (1, 0)))
    return (c[WINDOW:, WINDOW:] - c[:-WINDOW, WINDOW:] - c[WINDOW:, :-WINDOW] + c[:-WINDOW, :-WINDOW]) / WINDOW**2


def autocorrelation(image, box):
    part = image[box[1] + RIM:box[3] - RIM, box[0] + RIM:box[2] - RIM]
    detail = part - local_mean(part)
    detail = (detail - detail.mean()) * np.hanning(part.shape[0])[:, None] * np.hanning(part.shape[1])
    a = np.fft.ifft2(np.abs(np.fft.fft2(detail, (2 * SIZE, 2 * SIZE))) ** 2).real
    return a / a[0, 0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path, nargs="+")
    parser.add_argument("--lags", default="4,6,8,10,12,14,16,18")
    a = parser.parse_args()
    lags = [int(v) for v in a.lags.split(",")]
    print("| fills | " + " | ".join(f"{way} {lag}" for way in ("across", "down") for lag in lags) + " |")
    print("| --- |" + " --- |" * (2 * len(lags)))
    for data in a.data:
        fakes, photographs = [], []
        with open(data / "labels.csv") as f:
            for row in csv.DictReader(f):
                box = [int(row[k]) for k in ("x_min", "y_min", "x_max", "y_max")]
                if row["fake_label"] == "0" or min(box[2] - box[0], box[3] - box[1]) - 2 * RIM < LEAST:
                    continue
                fakes.append(autocorrelation(grey(data / "images" / f"{row['id']}.jpg"), box))
                photographs.append(autocorrelation(grey(a.photos / f"{row['id']}.jpg"), box))
        for name, of in ((f"{data}, {len(fakes)} fills", fakes), ("the photographs there", photographs)):
            mean = np.mean(of, 0)
            print(f"| {name} | " + " | ".join(f"{v:.2f}" for v in [*mean[0, lags], *mean[lags, 0]]) + " |")


if __name__ == "__main__":
    main()
