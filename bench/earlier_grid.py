#!/usr/bin/env python3
"""How much of an earlier JPEG outlives a later one: what kernels/earlier_jpeg.h could tell at best, counted on fills.

For each fill, a window of at most SIDE pixels around its hole: the grid and quality of its past are those of the most evidence off today's grid at
--reference; then, saved at each of --qualities, whether the most evidence is still at that grid, and, the grid being known, how well the steps kept
by the 7×7 blocks around tell paint from picture (area under ROC over blocks that are all paint or all picture). Fills without such a past are left
out: those whose evidence does not stand out by a factor of two from the next grid's.

Usage: earlier_grid.py FILLS [--generator CR-Fill] [--qualities 95,90,85,80,75,70] [--reference 95] [--side 256]
Needs numpy and Pillow.
"""
import argparse
import csv
import io
import os

import numpy as np
from PIL import Image

ANNEX_K = np.array([16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
                    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
                    72, 92, 95, 98, 112, 100, 103, 99]).reshape(8, 8)
BASIS = np.array([[(0.5 if u else 0.125**0.5) * np.cos((2 * r + 1) * u * np.pi / 16) for r in range(8)] for u in range(8)])
ORDER = np.add.outer(np.arange(8), np.arange(8))
QUALITIES = range(40, 96, 2)


def steps(quality):
    """{8,8}; 0 where a step does not count: too fine, or of no frequency that is looked at."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    table = np.clip((ANNEX_K * scale + 50) // 100, 1, 255)
    return np.where((table >= 5) & (ORDER >= 1) & (ORDER <= 6), table, 0)


def coefficients(luma, down, right):
    """{rows,columns,8,8} of the whole blocks on the grid from (down, right) on."""
    part = luma[down:down + (luma.shape[0] - down) // 8 * 8, right:right + (luma.shape[1] - right) // 8 * 8]
    blocks = part.reshape(part.shape[0] // 8, 8, part.shape[1] // 8, 8).transpose(0, 2, 1, 3)
    return BASIS @ blocks @ BASIS.T


def waves(c, quality):
    """cos 2πx of each coefficient of x ≥ .6 steps, and whether it is one, both summed over a block's frequencies."""
    t = steps(quality)
    x = np.abs(c[..., t > 0]) / t[t > 0]
    counts = (x >= 0.6) & (np.abs(c[..., t > 0]) < 80)
    return (np.cos(2 * np.pi * x) * counts).sum(-1), counts.sum(-1)


def evidence(luma):
    """{(down, right): (evidence, quality)} off today's grid."""
    best = {}
    for grid in range(1, 64):
        c = coefficients(luma, grid // 8, grid % 8)
        sums = [(w.sum() * np.sqrt(2 / max(n.sum(), 1)) if n.sum() >= 64 else 0.0, q) for q in QUALITIES for w, n in [waves(c, q)]]
        best[grid // 8, grid % 8] = max(sums)
    return best


def smooth(a, reach=3):
    """Sums over (2·reach + 1)² around each."""
    padded = np.pad(np.asarray(a, float), reach)
    down = sum(padded[i:i + a.shape[0], :] for i in range(2 * reach + 1))
    return sum(down[:, i:i + a.shape[1]] for i in range(2 * reach + 1))


def area_under_roc(high, low):
    return (high[:, None] > low[None]).mean() + 0.5 * (high[:, None] == low[None]).mean()


def saved(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(buffer).convert("RGB"), float) @ [0.299, 0.587, 0.114] - 128


def window(image, mask, side):
    """Around the hole, on today's grid."""
    ys, xs = np.nonzero(mask)
    height, width = mask.shape[0] // 8 * 8, mask.shape[1] // 8 * 8
    top = int(np.clip((ys.mean() - side / 2) // 8 * 8, 0, max(0, height - side)))
    left = int(np.clip((xs.mean() - side / 2) // 8 * 8, 0, max(0, width - side)))
    bottom, right = min(top + side, height), min(left + side, width)
    return image.crop((left, top, right, bottom)), mask[top:bottom, left:right]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("fills")
    parser.add_argument("--generator", default="CR-Fill")
    parser.add_argument("--qualities", default="95,90,85,80,75,70")
    parser.add_argument("--reference", type=int, default=95)
    parser.add_argument("--side", type=int, default=256)
    a = parser.parse_args()
    qualities = [int(q) for q in a.qualities.split(",")]
    found, areas, seen, left_out = {q: [] for q in qualities}, {q: [] for q in qualities}, 0, 0
    with open(os.path.join(a.fills, "fills.tsv")) as f:
        rows = [r for r in csv.DictReader(f, delimiter="\t") if r["generator"].startswith(a.generator)]
    for row in rows:
        image = Image.open(os.path.join(a.fills, "fake", row["id"] + ".jpg")).convert("RGB")
        mask = np.asarray(Image.open(os.path.join(a.fills, "mask", row["id"] + ".png")).convert("L")) >= 128
        image, mask = window(image, mask, a.side)
        of = evidence(saved(image, a.reference))
        past = max(of, key=of.get)
        if of[past][0] < 2 * max(of[g][0] for g in of if g != past):
            left_out += 1
            continue
        seen += 1
        for q in qualities:
            luma = saved(image, q)
            today = evidence(luma)
            found[q].append(max(today, key=today.get) == past)
            wave, count = waves(coefficients(luma, *past), of[past][1])
            kept = smooth(wave) / (smooth(count) + 0.3)
            share = mask[past[0]:past[0] + 8 * kept.shape[0], past[1]:past[1] + 8 * kept.shape[1]].reshape(kept.shape[0], 8, kept.shape[1], 8).mean((1, 3))
            if (share == 1).any() and (share == 0).any():
                areas[q].append(area_under_roc(kept[share == 0], kept[share == 1]))
    print(f"{a.generator}: {seen} fills with an earlier JPEG off today's grid, {left_out} without; windows of {a.side}\n")
    print("| saved at | grid found | blocks told, the grid known |")
    print("| --- | --- | --- |")
    for q in qualities:
        print(f"| {q} | {np.mean(found[q]):.2f} | {np.mean(areas[q]):.3f} |")


if __name__ == "__main__":
    main()
