#!/usr/bin/env python3
"""How well a small fresh detector tells fills from what is around them after a fixed training: the lower, the better the fill.

Usage: fresh_detector.py --photos PHOTOS [--weights A,B,…] [--painters telea,navier_stokes,exemplar,patchmatch] [--steps 400] [--size 128] [--draws 2] [--seed 1]
       [--holes mixed] [--bin build/bin] [--threads 1] [--json FILE]

PHOTOS took no part in training the generators, as with compare_fills.py. Every third of them by name is for judging, the others are for training. For each fill (each
generator of --weights, each of --painters), `synth` cuts a square of SIZE out of each photograph and paints every other one, DRAWS times with other squares and holes;
`train --task locate` trains a locator begun anew by recipes/fresh_detector.json for at least STEPS steps; then over the judged squares, which that painter painted too:
  hole against ring   area under ROC of the map (`infer --masks`) between the painted holes less a rim of 4 pixels and what lies 4 to 24 rows or columns outside, all
                      images' pixels together, with the 95 % interval of 200 resamplings of the images
  all pixels          eval's pixel AUC: holes against all else, painted and unpainted images
Squares, holes, seed and recipe are the same for each; that the holes are is checked. The row `photograph` is a detector trained and judged on unpainted squares with
the same holes: what knowing where holes lie is worth, .5 if nothing. --weights none and --painters none leave these out. Seconds are the programs' processor time.
"""
import argparse
import csv
import hashlib
import json
import math
import pathlib
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes/fresh_detector.json"
RIM = 4     # pixels on either side of a hole's border that belong to neither, as in fill_texture.py
RING = 24   # how far its surroundings reach
LEAST = 64  # pixels that hole and ring must have


def fail(text):
    sys.exit(f"fresh_detector: {text}")


def run(a, program, *arguments):
    command = [str(c) for c in (a.bin / program, *arguments, "--threads", a.threads, "--quiet")]
    if code := subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        sys.exit(max(code, 1))  # it said why


def divide(photos, folder):
    """Links to the photographs: every third to judge by, the others to train on."""
    files = sorted(p for p in photos.rglob("*") if p.is_file())
    if len(files) < 12:
        fail(f"{photos}: {len(files)} photographs; at least 12 are needed")
    for part in ("train", "judge"):
        (folder / part).mkdir()
    for k, path in enumerate(files):
        (folder / ("judge" if k % 3 == 2 else "train") / f"{k:06}{path.suffix}").symlink_to(path.resolve())


def paint(a, photos, out, painter, seed):
    """A dataset. None for a painter: what synth would have painted stays the photograph."""
    common = ["--photos", photos, "--size", f"native:{a.size}", "--seed", seed, "--split", ".85,.15,0" if photos.name == "train" else "0,0,1"]
    run(a, "synth", *common, "--out", out, "--mask-distribution", a.holes, *(painter or ["--painter", "telea"]))
    if painter:
        return
    with open(out / "labels.csv") as f:
        fakes = [row["id"] for row in csv.DictReader(f) if row["fake_label"] == "1"]
    table, plain = out / "plain.csv", out / "plain"
    table.write_text("id,fake_label,x_min,y_min,x_max,y_max\n" + "".join(f"{i},0,0,0,0,0\n" for i in fakes))
    run(a, "synth", *common[:-2], "--split", "1,0,0", "--boxes", table, "--out", plain, "--painter", "telea")
    for i in fakes:
        shutil.copyfile(plain / f"images/{i}.jpg", out / f"images/{i}.jpg")


def holes_digest(folders):
    digest = hashlib.sha256()
    for mask in sorted(p for f in folders for p in f.glob("masks/*")):
        digest.update(mask.relative_to(mask.parents[2]).as_posix().encode() + mask.read_bytes())
    return digest.hexdigest()


def training(a, sets, out):
    """Trains on the datasets, and says how many steps were done."""
    with open(RECIPE) as f:
        batch = json.load(f)["batch"]
    images = sum(row["split"] == "train" for s in sets for row in csv.DictReader(open(s / "labels.csv")))
    epochs = math.ceil(a.steps / max(1, images // batch))
    run(a, "train", "--task", "locate", "--recipe", RECIPE, "--data", *sets, "--epochs", epochs, "--seed", a.seed, "--out", out)
    return sum(1 for _ in open(out / "metrics.jsonl"))


def read_grey(path):
    """The rows of a PNG of 8 bits a pixel, as synth writes masks and infer writes maps."""
    data = path.read_bytes()
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, height, *form = struct.unpack(">IIBBBBB", data[at + 8:at + 21])
            if form != [8, 0, 0, 0, 0]:
                fail(f"{path}: not grey with 8 bits a pixel")
        packed += data[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    raw, rows, above = zlib.decompress(packed), [], bytearray(width)
    for y in range(height):
        method, row = raw[y * (width + 1)], bytearray(raw[y * (width + 1) + 1:(y + 1) * (width + 1)])
        for x in range(width if method else 0):
            left, corner = (row[x - 1], above[x - 1]) if x else (0, 0)
            if method == 4:  # Paeth: whichever neighbour is nearest to left + above - corner
                guess = min((abs(above[x] - corner), 0, left), (abs(left - corner), 1, above[x]), (abs(left + above[x] - 2 * corner), 2, corner))[2]
            else:
                guess = (0, left, above[x], (left + above[x]) // 2)[method]
            row[x] = (row[x] + guess) & 255
        rows.append(row)
        above = row
    return rows


def widened(rows, by, width):
    """A mask, an integer of `width` bits a row, and what lies at most `by` rows and columns beside it."""
    for _ in range(by):
        rows = [(r | r << 1 | r >> 1) & (1 << width) - 1 for r in rows]
        rows = [a | b | c for a, b, c in zip([0, *rows[:-1]], rows, [*rows[1:], 0])]
    return rows


def hole_and_ring(mask):
    """Both as integers of bits, the first pixel the highest. The image's own border takes nothing from the hole."""
    width = len(mask[0])
    every = (1 << width) - 1
    hole = [int("".join("01"[v >= 128] for v in row), 2) for row in mask]
    inner = [every & ~r for r in widened([every & ~r for r in hole], RIM, width)]
    near = widened(hole, RIM, width)
    return inner, [far & ~r for far, r in zip(widened(near, RING - RIM, width), near)]


def counts(data, maps):
    """Per painted image how often each of 256 probabilities occurs in its hole and in its ring."""
    with open(data / "labels.csv") as f:
        fakes = [row["id"] for row in csv.DictReader(f) if row["fake_label"] == "1"]
    for i in fakes:
        areas, probability = hole_and_ring(read_grey(data / f"masks/{i}.png")), read_grey(maps / f"{i}.png")
        if min(sum(r.bit_count() for r in area) for area in areas) < LEAST:
            continue
        both = [[0] * 256, [0] * 256]
        for area, count in zip(areas, both):
            for bits, row in zip(area, probability):
                for x in range(len(row)) if bits else ():
                    if bits >> len(row) - 1 - x & 1:
                        count[row[x]] += 1
        yield both


def auc(images):
    """How often a pixel of a hole has the higher probability than one of a ring, over all images; a tie counts half."""
    inside, outside = ([sum(column) for column in zip(*(image[k] for image in images))] for k in (0, 1))
    below = right = 0
    for a, b in zip(inside, outside):
        right += a * (below + b / 2)
        below += b
    return right / (sum(inside) * below)


def interval(images, resamplings=200):
    draw = random.Random(0)
    many = sorted(auc(draw.choices(images, k=len(images))) for _ in range(resamplings))
    return [many[round(q * (resamplings - 1))] for q in (0.025, 0.975)]


def processor_seconds():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def measure(a, folder, painter):
    begun = processor_seconds()
    sets = {part: [folder / f"{part}-{k}" for k in range(a.draws)] for part in ("train", "judge")}
    for part, outs in sets.items():
        for k, out in enumerate(outs):
            paint(a, folder.parent / part, out, painter, a.seed + k)
    painted = processor_seconds()
    steps = training(a, sets["train"], folder / "run")
    images, scores = [], []
    weights = folder / "run/best.safetensors"
    for k, data in enumerate(sets["judge"]):
        run(a, "infer", data / "images", "--weights", weights, "--masks", folder / f"maps-{k}")
        images += counts(data, folder / f"maps-{k}")
        run(a, "eval", "--data", data, "--split", "test", "--weights", weights, "--out", folder / f"report-{k}")
        with open(folder / f"report-{k}/report.json") as f:
            scores.append(json.load(f)["pixels"]["auc"])
    if not images:
        fail("no hole is large enough to be judged by; give more photographs or a larger --size")
    return {"hole_against_ring": auc(images), "interval_95": interval(images), "all_pixels": sum(scores) / len(scores), "images": len(images), "steps": steps,
            "painting_s": round(painted - begun, 1), "all_s": round(processor_seconds() - begun, 1), "holes": holes_digest(sets["train"] + sets["judge"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True, type=pathlib.Path)
    parser.add_argument("--weights", default=str(ROOT / "weights/deepfill_v2.safetensors"))
    parser.add_argument("--painters", default="telea,navier_stokes,exemplar,patchmatch")
    parser.add_argument("--steps", default=400, type=int)
    parser.add_argument("--size", default=128, type=int)
    parser.add_argument("--draws", default=2, type=int)
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--holes", default="mixed")
    parser.add_argument("--bin", default=ROOT / "build/bin", type=pathlib.Path)
    parser.add_argument("--threads", default=1, type=int)
    parser.add_argument("--json", default="")
    a = parser.parse_args()
    fills = {"photograph": None}
    fills.update({p: ["--painter", p] for p in a.painters.split(",") if p != "none"})
    fills.update({pathlib.Path(w).stem: ["--weights", w] for w in a.weights.split(",") if w != "none"})
    rows = {}
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        divide(a.photos, work)
        for k, painter in enumerate(fills.values()):  # a name that is none is found out at once
            run(a, "synth", "--photos", work / "judge", "--count", 2, "--size", f"native:{a.size}", "--out", work / f"try-{k}", *(painter or ["--painter", "telea"]))
        print("| fill | hole against ring (95 %) | all pixels | images | steps | s painting | s in all |\n|" + " --- |" * 7, flush=True)
        for name, painter in fills.items():
            folder = work / "fill"
            folder.mkdir()
            r = rows[name] = measure(a, folder, painter)
            if r["holes"] != rows["photograph"]["holes"]:
                fail(f"{name}: other holes than the others had")
            low, high = r["interval_95"]
            print(f"| {name} | {r['hole_against_ring']:.3f} ({low:.3f}–{high:.3f}) | {r['all_pixels']:.3f} | {r['images']} | {r['steps']} | {r['painting_s']:.0f} | "
                  f"{r['all_s']:.0f} |", flush=True)
            shutil.rmtree(folder)
            if a.json:
                with open(a.json, "w") as f:
                    json.dump({"photos": len(list((work / "train").iterdir())) + len(list((work / "judge").iterdir())), "size": a.size, "draws": a.draws,
                               "seed": a.seed, "holes": a.holes, "fills": rows}, f, indent=1)


if __name__ == "__main__":
    main()
