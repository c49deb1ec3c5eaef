#!/usr/bin/env python3
"""Reads odd files as the programs do and as others do, and sets the verdicts side by side.

Usage: tests/corpus/run.py [--build DIR] [--seed N] [--keep DIR] [--quiet] [KIND...]
       tests/corpus/run.py --make DIR [--reader PROGRAM] [--seed N] [KIND...]

KIND       of jpeg png webp bmp gif csv pth safetensors (default: all)
--build    where the programs are built (default: build)
--keep     a folder for the files, which are made anew from the seed each time
--make     only make the files, in DIR; some come from PROGRAM (default: build/tests/corpus_reader)
--quiet    print disagreements and sums only
Beside infer, synth and convert stand Pillow for pictures, Python's csv for tables, torch and safetensors for weights; what
is not installed is passed over (tools/setup --with-readers brings Pillow and safetensors, --with-torch torch). Where the
verdicts differ, or the pixels, or the values, disagreements.tsv must say why; exits 1 when it does not, or when a program
ended in another way than with exit code 0, or with 1 and a line. Exits 77 where nothing could be compared, and where the
only differences are from other versions of Pillow, torch or safetensors than the table was made with.
"""
import argparse
import collections
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

HERE = pathlib.Path(__file__).resolve().parent
READERS = pathlib.Path.home() / ".cache/telltale/readers/lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
if READERS.is_dir():
    sys.path.append(str(READERS))
try:
    import PIL
except ImportError as e:
    print(f"corpus: {e}; tools/setup --with-readers installs it")
    sys.exit(77)

import jpegs
import others
import pngs
import states
import tables
import theirs

KINDS = ("jpeg", "png", "webp", "bmp", "gif", "csv", "pth", "safetensors")
ENDINGS = {"jpg": "jpeg", "json": "safetensors"}
Verdict = collections.namedtuple("Verdict", "read said")  # what was read, or why not


def run(*words, given=None):
    done = subprocess.run([str(w) for w in words], input=given, capture_output=True, text=True, errors="surrogateescape")
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return done.returncode, done.stdout, lines


def printable(text):
    """Without what is shown in several ways: line ends within it, bytes that are no UTF-8."""
    return "".join(c for c in text if " " < c <= "~")


class Corpus:
    def __init__(self, programs, reader, folder, seed, kinds):
        self.programs, self.reader, self.folder = programs, reader, folder
        self.broken = []  # programs that ended as none may
        made = []
        for module in (jpegs, pngs, others, tables):
            made += module.make(random.Random(f"{seed} {module.__name__}"))
        if "pth" in kinds and theirs.torch:
            made += states.pths(random.Random(f"{seed} pth"))
        if theirs.safetensors:
            made += states.safetensors_cases(random.Random(f"{seed} safetensors"))
        code, _, said = run(self.reader, "arithmetic", folder)
        assert code == 0, said
        made += [jpegs.Case(p.name, p.read_bytes()) for p in sorted(folder.glob("*.jpg"))]
        self.cases = {}
        for case in made:
            kind = case.name.rsplit(".", 1)[1]
            kind = ENDINGS.get(kind, kind)
            if kind not in kinds:
                continue
            assert case.name not in self.cases, f"two files called {case.name}"
            self.cases[case.name] = (kind, case)
            for name, content in {case.name: case.content, **case.beside}.items():
                (folder / kind).mkdir(exist_ok=True)
                (folder / kind / name).write_bytes(content)

    def path(self, name):
        return self.folder / self.cases[name][0] / name

    def named(self, *kinds):
        return [n for n, (kind, _) in self.cases.items() if kind in kinds]

    def by_reader(self, what, names, *words):
        _, out, lines = run(self.reader, what, *words, given="".join(f"{self.path(n)}\n" for n in names))
        said = [json.loads(line) for line in out.splitlines()]
        if len(said) != len(names):
            raise SystemExit(f"corpus: the reader broke at {names[len(said)]}: {lines}")
        return said

    def check_end(self, name, program, code, lines):
        if code not in (0, 1) or (code == 1 and not lines):
            self.broken.append(f"{name}: {program} ended with {code}: {lines[-1:]}")

    def pictures(self):
        names = self.named(*KINDS[:5])
        pixels = self.folder / "pixels"
        pixels.mkdir()
        verdicts = {}
        for i, (name, said) in enumerate(zip(names, self.by_reader("pictures", names, pixels))):
            read = None if "refused" in said else (said["width"], said["height"], (pixels / f"{i}.rgb").read_bytes())
            verdicts[name] = Verdict(read, said.get("refused") or "; ".join(said["remarks"]))
        # infer must come to the same verdicts, and name each picture that it does not read.
        detector = self.detector() if names else None
        for kind in KINDS[:5]:
            if not self.named(kind):
                continue
            code, out, lines = run(self.programs / "infer", self.folder / kind, "--weights", detector, "--device", "cpu", "--json", "-")
            self.check_end(kind, "infer", code, lines)
            answers = [json.loads(line) for line in out.splitlines()]
            seen = {pathlib.Path(a["path"]).name for a in answers if "error" not in a}
            for name in self.named(kind):
                told = any(f"/{name}: " in line for line in lines)
                if (name in seen) != (verdicts[name].read is not None) or not (told or name in seen):
                    self.broken.append(f"{name}: infer says {'read' if name in seen else 'not read'}, the reader {verdicts[name].said or 'read'}")
        return verdicts

    def detector(self):
        """A small one: what it finds is of no interest here."""
        data, out = self.folder / "data", self.folder / "run"
        common = ["--size", 32, "--device", "cpu", "--threads", 1, "--quiet"]
        for words in (["synth", "--scenes", 12, "--painter", "telea", "--out", data],
                      ["train", "--data", data, "--net", "resnet18", "--width", .05, "--batch", 4, "--epochs", 1, "--out", out]):
            code, _, lines = run(self.programs / words[0], *words[1:], *common)
            assert code == 0, lines
        return out / "best.safetensors"

    def tables(self):
        names = self.named("csv")
        verdicts = {n: Verdict(s.get("rows"), s.get("refused", "")) for n, s in zip(names, self.by_reader("tables", names))}
        photos = self.folder / "photos"
        photos.mkdir()
        jpegs.picture(64, 64).save(photos / "a.png")

        def synth(name):
            return run(self.programs / "synth", "--photos", photos, "--boxes", self.path(name), "--out", self.folder / f"synth_{name}",
                       "--painter", "telea", "--size", 256, "--count", 1, "--device", "cpu", "--threads", 1)

        for name, (code, _, lines) in self.each(synth, names):
            self.check_end(name, "synth", code, lines)
            refused = verdicts[name].read is None
            if refused and not any(printable(verdicts[name].said) in printable(line) for line in lines):
                self.broken.append(f"{name}: synth says {lines}, the reader {verdicts[name].said}")
        return verdicts

    def weights(self):
        def convert(name):
            out = self.folder / f"{name}.out.safetensors"
            said = [run(self.programs / "convert", self.path(name), *words, "--device", "cpu", "--threads", 1) for words in (["--list"], [out, "--any"])]
            return said, theirs.safetensors_values(out.read_bytes()) if out.exists() else None

        verdicts = {}
        for name, (said, values) in self.each(convert, self.named("pth", "safetensors")):
            for code, _, lines in said:
                self.check_end(name, "convert", code, lines)
            if said[0][0] != said[1][0] or (said[1][0] == 0) != (values is not None):
                self.broken.append(f"{name}: convert --list ends with {said[0][0]}, convert with {said[1][0]}: {said[0][2]} {said[1][2]}")
            verdicts[name] = Verdict(values, (said[1][2] or [""])[-1] if values is None else "")
        return verdicts

    def each(self, function, names):
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(zip(names, pool.map(function, names)))


def explanations():
    rows = [line.rstrip("\n").split("\t") for line in (HERE / "disagreements.tsv").open() if line.strip() and not line.startswith("#")]
    return [(pattern, what, why) for pattern, what, why in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--make", type=pathlib.Path)
    parser.add_argument("--reader", type=pathlib.Path)
    parser.add_argument("--quiet", action="store_true")
    o = parser.parse_args()
    if set(o.kinds) - set(KINDS):
        parser.error(f"KIND is one of {' '.join(KINDS)}")
    warnings.simplefilter("ignore")  # of torch, about its own future
    kinds, known = o.kinds or KINDS, explanations()
    with tempfile.TemporaryDirectory(prefix="telltale-corpus-") as folder:
        folder = o.make or o.keep or pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        corpus = Corpus(o.build.resolve() / "bin", (o.reader or o.build / "tests" / "corpus_reader").resolve(), folder, o.seed, kinds)
        if o.make:
            print(f"{len(corpus.cases)} files in {folder}")
            return 0
        ours = {**corpus.pictures(), **corpus.tables(), **corpus.weights()}
        sums, unexplained, used = collections.Counter(), [], set()
        print("| file | ours | others | difference | why |\n| --- | --- | --- | --- | --- |")
        for name, verdict in ours.items():
            kind, case = corpus.cases[name]
            other = Verdict(*theirs.verdict(kind, case))
            what = theirs.difference(kind, verdict.read, other.read)
            why = next((e for e in known if fnmatch.fnmatchcase(name, e[0]) and e[1] == what.split(":")[0]), None) if what else None
            used.add(why)
            sums[kind, "files"] += 1
            sums[kind, "read by both" if verdict.read is not None and other.read is not None else "refused by both" if verdict.read is None and other.read is None else what] += 1
            sums[kind, "explained"] += why is not None
            if what and not why:
                unexplained.append(f"{name}: {what}; ours: {verdict.said or 'read'}; others: {other.said or 'read'}")
            if what or not o.quiet:
                cells = [name, "read" if verdict.read is not None else verdict.said.replace(f"{corpus.path(name)}: ", ""), "read" if other.read is not None else other.said, what, why[2] if why else ""]
                print("| " + " | ".join(str(c).replace("|", "/").replace("\n", " ")[:160] for c in cells) + " |")
    columns = ("files", "read by both", "refused by both", "we read", "we refuse", "explained")
    print("\n| kind | " + " | ".join(columns) + " |\n|" + " --- |" * (len(columns) + 1))
    for kind in sorted({k for k, _ in sums}, key=KINDS.index):
        print(f"| {kind} | " + " | ".join(str(sums[kind, c]) for c in columns) + " |")
    print(f"{len(ours)} files; beside {theirs.versions()}")
    for pattern, what, _ in known:
        if not o.kinds and not any(u and u[:2] == (pattern, what) for u in used):
            print(f"no longer needed: {pattern} {what}")
    for line in corpus.broken + unexplained:
        print(f"WRONG {line}")
    first = (HERE / "disagreements.tsv").open().readline()
    if unexplained and not corpus.broken and not all(v in first for v in theirs.versions().split(", ") if not v.startswith("no ")):
        print(f"corpus: the table was made beside others: {first.strip()}")
        return 77
    return 1 if corpus.broken or unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
