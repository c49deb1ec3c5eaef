#!/usr/bin/env python3
"""Large inputs and little memory: are time and memory linear, and does it end in a line where it cannot go on?

Usage: tests/limits/run.py [--build DIR] [--work DIR] [--count N] [JOB...]

JOB      folder       N tiny photographs in a folder (default 100000; half of them are hard links), and a quarter of that,
                      as the input of synth, which takes four of them
         photographs  the same through infer with a small detector
         picture      178 megapixels, and a quarter of that, through infer with a small detector
         locator      the same by the locator that ships (long)
         weights      4 GiB of weights, and 1 GiB, through convert --list, convert to .pth, and that file's --list
         memory       infer and convert with 400 MB of address space
         (default: all but locator)
--work   where the files are made: some need 10 GB (default: a temporary folder)
Processor time is that of the program, not of the clock: other work does not count. Exits 1 when four times the input
needs more than six times the time or more than four times the memory (and 64 MiB), or when a program ended otherwise than
with exit code 0, or with 1 and a line. Needs Pillow (tools/setup --with-readers).
"""
import argparse
import json
import os
import pathlib
import resource
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "corpus"))
MOST_PIXELS = 178_956_970
COMMON = ["--device", "cpu", "--threads", "2"]


class Run:
    """A program's end: exit code, lines on stderr, processor seconds, MiB at the most."""

    def __init__(self, programs, *words, limit=None):
        def bound():
            if limit:
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen([str(programs / words[0]), *map(str, words[1:]), *COMMON], stdout=out, stderr=err, preexec_fn=bound)
            _, status, used = os.wait4(process.pid, 0)
            out.seek(0)
            err.seek(0)
            self.out = out.read()
            self.lines = [line for line in err.read().decode(errors="replace").splitlines() if line.strip()]
        self.code = os.waitstatus_to_exitcode(status)
        self.seconds, self.mib = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


class Limits:
    def __init__(self, programs, work, count):
        self.programs, self.work, self.count, self.wrong = programs, work, count, []
        data = work / "data"
        for words in (["synth", "--scenes", 12, "--painter", "telea", "--size", 32, "--out", data],
                      ["train", "--data", data, "--net", "resnet18", "--width", .05, "--size", 32, "--batch", 4, "--epochs", 1, "--out", work / "run"]):
            self.done(Run(programs, *words, "--quiet"), words[0])
        self.detector, self.photo = work / "run" / "best.safetensors", next((data / "photos").iterdir())

    def done(self, run, what):
        if run.code != 0:
            self.wrong.append(f"{what}: exit code {run.code}: {run.lines[-1:]}")
        return run

    def grows(self, what, unit, sizes, runs):
        """Prints a row, and asks whether the larger run was linear."""
        for size, run in zip(sizes, runs):
            self.done(run, f"{what}, {size}")
        (small, large), growth = runs, sizes[1] / sizes[0]
        print(f"| {what} | {sizes[0]:,} and {sizes[1]:,} {unit} | {small.seconds:.1f} and {large.seconds:.1f} | {small.mib:.0f} and {large.mib:.0f} |", flush=True)
        if large.seconds > 1.5 * growth * max(small.seconds, .5):
            self.wrong.append(f"{what}: {large.seconds:.1f} s for {growth:.1f} times what took {small.seconds:.1f} s")
        if large.mib > growth * small.mib + 64:
            self.wrong.append(f"{what}: {large.mib:.0f} MiB for {growth:.1f} times what took {small.mib:.0f} MiB")

    def photos(self, count):
        folder, content = self.work / f"photos{count}", self.photo.read_bytes()
        for i in range(0 if folder.exists() else count):
            path = folder / f"{i // 1000:03}" / f"p{i:06}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(last, path) if i % 2 else path.write_bytes(content)
            last = path
        return folder

    def folder(self):
        sizes = (self.count // 4, self.count)
        self.grows("`synth --count 4` from a folder", "photographs", sizes,
                   [Run(self.programs, "synth", "--photos", self.photos(n), "--count", 4, "--painter", "telea", "--size", 32, "--out", self.work / f"synth{n}", "--quiet") for n in sizes])

    def photographs(self):
        sizes, runs = (self.count // 4, self.count), []
        for n in sizes:
            runs.append(Run(self.programs, "infer", self.photos(n), "--weights", self.detector, "--json", self.work / f"{n}.jsonl", "--batch", 64, "--quiet"))
            lines = (self.work / f"{n}.jsonl").read_text().count("\n") if runs[-1].code == 0 else 0
            if lines != n:
                self.wrong.append(f"infer: {lines} lines for {n} photographs")
        self.grows("`infer` on a folder", "photographs", sizes, runs)

    def picture_of(self, pixels):
        from parts import Image
        side = int(pixels ** .5)
        path = self.work / f"{side}.jpg"
        if not path.exists():
            Image.linear_gradient("L").resize((side, side)).convert("RGB").save(path, quality=85)
        return path

    def picture(self):
        sizes = (MOST_PIXELS // 4, MOST_PIXELS)
        self.grows("`infer` with a detector", "pixels", sizes,
                   [Run(self.programs, "infer", self.picture_of(n), "--weights", self.detector, "--json", "/dev/null", "--quiet") for n in sizes])

    def locator(self):
        sizes = (MOST_PIXELS // 4, MOST_PIXELS)
        self.grows("`infer` with the locator", "pixels", sizes, [Run(self.programs, "infer", self.picture_of(n), "--json", "/dev/null", "--quiet") for n in sizes])

    def weights_of(self, mib, tensors):
        """Safetensors of that many MiB in equal tensors; what is not written is zero and takes no place on the disk."""
        path, header = self.work / f"{mib}.safetensors", {}
        each = mib * (1 << 20) // tensors
        for i in range(tensors):
            header[f"layer{i}.weight"] = {"dtype": "F32", "shape": [each // 4096, 1024], "data_offsets": [i * each, (i + 1) * each]}
        text = json.dumps(header).encode()
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.truncate(8 + len(text) + tensors * each)
            file.seek(8 + len(text))
            file.write(struct.pack("<1024f", *range(1024)))
        return path

    def weights(self):
        sizes = (1024, 4096)
        files = [self.weights_of(mib, mib // 32) for mib in sizes]
        self.grows("`convert --list`", "MiB", sizes, [Run(self.programs, "convert", "--list", f) for f in files])
        pths = [f.with_suffix(".pth") for f in files]
        self.grows("`convert` to .pth", "MiB", sizes, [Run(self.programs, "convert", "--any", f, p) for f, p in zip(files, pths)])
        self.grows("`convert --list` of .pth", "MiB", sizes, [Run(self.programs, "convert", "--list", p) for p in pths])
        for path in files + pths:
            path.unlink(missing_ok=True)

    def memory(self):
        limit = 400_000_000
        jobs = {"`infer`, a detector, a photograph": ["infer", self.photo, "--weights", self.detector, "--json", "/dev/null"],
                "`infer`, the locator, a photograph": ["infer", self.photo, "--json", "/dev/null"],
                "`infer`, 178 megapixels": ["infer", self.picture_of(MOST_PIXELS), self.photo, "--weights", self.detector, "--json", "/dev/null"],
                "`convert --list`, 100 MiB": ["convert", "--list", self.weights_of(100, 50)],
                "`convert`, 100 MiB": ["convert", "--any", self.weights_of(100, 50), self.work / "small.pth"],
                "`convert --list`, 512 MiB": ["convert", "--list", self.weights_of(512, 16)]}
        for what, words in jobs.items():
            run = Run(self.programs, *words, "--quiet", limit=limit)
            print(f"| {what} | 400 MB of address space | exit code {run.code} | {run.lines[-1] if run.lines else ''} |", flush=True)
            if run.code not in (0, 1) or (run.code == 1 and not run.lines):
                self.wrong.append(f"{what}: exit code {run.code}: {run.lines[-1:]}")


def main():
    known = ("folder", "photographs", "picture", "locator", "weights", "memory")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="JOB")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=100_000)
    o = parser.parse_args()
    if set(o.jobs) - set(known):
        parser.error(f"JOB is one of {' '.join(known)}")
    if o.work:
        o.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="telltale-limits-", dir=o.work) as folder:
        limits = Limits(o.build.resolve() / "bin", pathlib.Path(folder), o.count)
        print("| what | how much | processor seconds | MiB |\n| --- | --- | --- | --- |")
        for job in o.jobs or [k for k in known if k != "locator"]:
            getattr(limits, job)()
    for line in limits.wrong:
        print(f"WRONG {line}")
    return 1 if limits.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
