#!/usr/bin/python3
"""Sets the generator beside fills that need no learning: the mean colour around the hole, and OpenCV's Telea and Navier-Stokes (cv2.inpaint).

Usage: compare_fills.py --photos PHOTOS --data DIR …                  folders that `synth --photos PHOTOS --format png` made
       compare_fills.py --photos PHOTOS [--weights FILE] [--sizes 128,256] [--laws paper,boxes,brush,mixed] [--count 400] [--seed 1]
                                                                      makes them first; half of COUNT are painted
       [--synth build/bin/synth] [--threads N] [--json FILE] [--sheet FILE]

Same photographs, same holes, same pixels: the originals come from synth itself, which makes every painted photograph again as a placebo; that they equal
the painted ones outside the hole, bit for bit, is checked. Inside the hole, per image: PSNR (dB, peak 255), mean absolute error (levels), SSIM (11x11,
sigma 1.5). `generator wins` is the share of images where the generator's PSNR is higher, `by` the mean of the paired differences with its 95 % interval.
Two more measures are of texture, over images saved as JPEG 95 (fill_texture.py says how): `texture` is the median of the fill's mean squared Laplacian over
its surroundings' (the photograph itself has about 1, a blur near 0), `patches` the mean sliced Wasserstein distance of high-pass patches to the photograph's.
--sheet paints a sheet of the first images of the last folder: photograph, hole, Telea, the generator.
Needs OpenCV for Python: `tools/setup --with-peers` (Debian's python3-opencv).
"""
import argparse
import csv
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile

import cv2
import numpy

import fill_texture

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPENCV = {f"{name} {radius}": (flag, radius) for name, flag in (("Telea", cv2.INPAINT_TELEA), ("Navier-Stokes", cv2.INPAINT_NS)) for radius in (3, 5)}


def read(path, flag=cv2.IMREAD_COLOR):
    image = cv2.imread(path, flag)
    if image is None:
        sys.exit(f"{path}: cannot be read; make the folder with synth --format png")
    return image


def run_synth(a, *arguments):
    threads = ["--threads", a.threads] if a.threads else []
    if subprocess.run(list(map(str, [a.synth, "--quiet", "--photos", a.photos, "--format", "png", "--split", "1,0,0", *threads, *arguments]))).returncode:
        sys.exit("synth failed")


def make_placebos(a, ids, info, folder):
    """The very pixels that synth put under its paint: the photographs as it scales and crops them."""
    table = os.path.join(folder, "placebos.csv")
    with open(table, "w") as f:
        f.write("id,fake_label,x_min,y_min,x_max,y_max\n" + "".join(f"{i},0,0,0,0,0\n" for i in ids))
    out = os.path.join(folder, "placebos")
    run_synth(a, "--boxes", table, "--out", out, "--size", info["size"], "--weights", "random:1", "--width", 8)
    return os.path.join(out, "images")


def fills(photo, hole):
    known = photo[~hole]
    mean = photo.copy()
    mean[hole] = numpy.rint(known.mean(0)) if len(known) else 128
    yield "mean colour", mean
    holed = photo.copy()
    holed[hole] = 0  # what lies under the hole must not matter
    for name, (flag, radius) in OPENCV.items():
        yield name, cv2.inpaint(holed, hole.astype(numpy.uint8) * 255, radius, flag)


def ssim(a, b, hole):
    """Mean over the hole; windows are cut at the image's edges, as models/inpainter/image_quality.cpp cuts them."""
    window = cv2.getGaussianKernel(11, 1.5, cv2.CV_64F)

    def blur(x):
        return cv2.sepFilter2D(x, cv2.CV_64F, window, window, borderType=cv2.BORDER_CONSTANT) / weight

    weight = 1.0
    weight = blur(numpy.ones(a.shape))
    x, y = a.astype(float), b.astype(float)
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return ((2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2)))[hole].mean()


def quality(truth, painted, hole):
    d = truth[hole].astype(float) - painted[hole]
    square = max((d * d).mean(), 1e-3)  # at most 78 dB: one equal fill must not make the mean infinite
    saved = fill_texture.as_saved(painted)
    return {"psnr": 10 * math.log10(255 * 255 / square), "l1": numpy.abs(d).mean(), "ssim": ssim(truth, painted, hole),
            "texture": fill_texture.ratio(saved, hole), "patches": fill_texture.distance(saved, fill_texture.as_saved(truth), hole)}


def measure(a, data):
    """Per method a list of qualities, an entry an image, and the folder's own description."""
    with open(os.path.join(data, "dataset.json")) as f:
        info = json.load(f)
    info["weights"] = info["inpainter"]["weights_sha256"]
    with open(os.path.join(data, "labels.csv")) as f:
        ids = [row["id"] for row in csv.DictReader(f) if row["fake_label"] == "1"]
    results, area, sheet = {}, [], {}
    with tempfile.TemporaryDirectory() as folder:
        originals = make_placebos(a, ids, info, folder)
        for i in ids:
            photo, painted = read(f"{originals}/{i}.png"), read(f"{data}/images/{i}.png")
            hole = read(f"{data}/masks/{i}.png", cv2.IMREAD_GRAYSCALE) >= 128
            if not numpy.array_equal(photo[~hole], painted[~hole]):
                sys.exit(f"{data}: {i} differs from its photograph outside the hole: --photos {a.photos} is not what it was made of")
            area.append(hole.mean())
            for name, image in [*fills(photo, hole), ("generator", painted), ("photograph", photo)]:
                if a.sheet and name in ("Telea 5", "generator"):
                    sheet.setdefault(i, [photo, numpy.where(hole[..., None], 255, photo).astype(numpy.uint8)]).append(image)
                results.setdefault(name, []).append(quality(photo, image, hole))
    if a.sheet:
        write_sheet(a.sheet, list(sheet.values()))
    return results, info, statistics.mean(area)


def write_sheet(path, rows, most=24, across=2):
    """Two rows of pictures side by side, so that 24 fit on a page."""
    lines = [numpy.hstack([numpy.pad(p, ((0, 4), (0, 4), (0, 0)), constant_values=255) for p in row]) for row in rows[:most]]
    lines = lines[: len(lines) // across * across]
    if not lines or not cv2.imwrite(path, numpy.vstack([numpy.hstack(lines[k : k + across]) for k in range(0, len(lines), across)])):
        sys.exit(f"{path}: cannot be written, or there are fewer than {across} fakes to show")


def known(values):
    return [v for v in values if v is not None] or [math.nan]


def summary(results):
    ours = [q["psnr"] for q in results["generator"]]
    rows = {}
    for name, images in results.items():
        rows[name] = {f"{key}_mean": statistics.mean(q[key] for q in images) for key in ("psnr", "l1", "ssim")}
        rows[name]["texture_median"] = statistics.median(known(q["texture"] for q in images))
        rows[name]["texture_quartiles"] = list(numpy.quantile(known(q["texture"] for q in images), [0.25, 0.75]))
        rows[name]["patches_mean"] = statistics.mean(known(q["patches"] for q in images))
        rows[name]["psnr_median"] = statistics.median(q["psnr"] for q in images)
        if name not in ("generator", "photograph"):
            gain = [a - q["psnr"] for a, q in zip(ours, images)]
            rows[name]["generator_wins"] = sum(g > 0 for g in gain) / len(gain)
            rows[name]["generator_by"] = statistics.mean(gain)
            rows[name]["generator_by_95"] = 1.96 * statistics.stdev(gain) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
    return rows


def table(rows):
    lines = ["| fill | texture (quartiles) | patches | PSNR mean | median | L1 | SSIM | generator wins | by |", "|" + " --- |" * 9]
    for name, r in rows.items():
        against = " – | –" if name in ("generator", "photograph") else f" {100 * r['generator_wins']:.0f} % | {r['generator_by']:+.2f} ± {r['generator_by_95']:.2f} dB"
        low, high = r["texture_quartiles"]
        lines.append(f"| {name} | {r['texture_median']:.3f} ({low:.3f}, {high:.3f}) | {r['patches_mean']:.2f} | {r['psnr_mean']:.2f} | {r['psnr_median']:.2f} | {r['l1_mean']:.2f} | {r['ssim_mean']:.3f} |{against} |")
    return "\n".join(lines)


def make(a, folder):
    for size in a.sizes.split(","):
        for law in a.laws.split(","):
            out = os.path.join(folder, f"{size}-{law}")
            weights = ["--weights", a.weights] if a.weights else []
            run_synth(a, "--out", out, "--size", size, "--mask-law", law, "--count", a.count, "--seed", a.seed, *weights)
            yield out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--data", nargs="+")
    parser.add_argument("--weights", default="")
    parser.add_argument("--sizes", default="128,256")
    parser.add_argument("--laws", default="paper,boxes,brush,mixed")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--synth", default=os.path.join(ROOT, "build/bin/synth"))
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", default="")
    parser.add_argument("--sheet", default="")
    a = parser.parse_args()
    report = []
    with tempfile.TemporaryDirectory() as folder:
        for data in a.data or make(a, folder):
            results, info, area = measure(a, data)
            rows = summary(results)
            print(f"size {info['size']}, holes by law {info['mask_law']}, {100 * area:.1f} % of the image; {len(results['generator'])} images; "
                  f"generator {info['weights'][:8]}\n\n{table(rows)}\n", flush=True)
            report.append({"size": info["size"], "mask_law": info["mask_law"], "weights_sha256": info["weights"], "images": len(results["generator"]),
                           "hole_share": area, "fills": rows, "per_image": results})
    if a.json:
        with open(a.json, "w") as f:
            json.dump({"opencv": cv2.__version__, "report": report}, f, indent=1)


if __name__ == "__main__":
    main()
