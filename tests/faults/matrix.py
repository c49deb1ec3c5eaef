#!/usr/bin/env python3
"""Breaks the programs at every place and asks whether anything was lost.

Usage: tests/faults/matrix.py kills  [--bin DIR] [--count N] [--seed S] [--named] [JOB...]
       tests/faults/matrix.py faults [--bin DIR] [--most N] [--named] [JOB...]

kills   kills each job N times (default 200) at a random moment, continues it, and compares what is there in the end with
        an unbroken run, byte by byte: whatever depends on the clock apart. Runs that end before their moment are compared
        and not counted.
faults  counts each job's calls of write, rename, link, fsync, mmap and open under its output folder (inject.c), makes each
        of them fail once in turn (of more than N, N spread evenly; default 40), and asks: exit code 1 and one line, or 0
        where the failure can be got over; no temporary file behind it; continued, the bytes of an unbroken run.
--named as on file systems that know no files without a name
JOB     of synth detect inpaint compare infer convert (default: all)
Exits 1 when something was lost. All inputs are made here, from seeds.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
COMMON = ["--device", "cpu", "--threads", "1", "--quiet", "--seed", "3"]
CLOCK = ("seconds", "waited", "images_per_second", "ms", "mean_seconds")
CALLS = {"write": ["ENOSPC", "EIO", "EINTR", "short"], "rename": ["EIO"], "link": ["EIO"], "fsync": ["EIO"], "mmap": ["EIO"],
         "open": ["EIO", "ENOSPC"]}


class Job:
    def __init__(self, name, words, again=()):
        self.name, self.words, self.again = name, words, list(again)


def make_jobs(binaries, work):
    """Inputs of all jobs, and the jobs: OUT in their words is where they write."""
    def run(*words):
        subprocess.run([str(binaries / words[0]), *map(str, words[1:]), *COMMON], check=True, stdout=subprocess.DEVNULL)

    painter = ["--size", 32, "--weights", "random:1", "--width", 8]
    run("synth", "--scenes", 40, *painter, "--out", work / "data")
    train = ["train", "--data", work / "data", "--net", "resnet18", "--width", 0.05, "--size", 32, "--batch", 8]
    run(*train, "--epochs", 1, "--out", work / "run")
    photos, weights = work / "data" / "photos", work / "run" / "best.safetensors"
    few = work / "few"
    few.mkdir()
    for path in sorted(photos.iterdir())[:8]:
        shutil.copy(path, few)
    resume = ["--resume"]
    return [
        Job("synth", ["synth", "--photos", few, *painter, "--out", "OUT/o"]),
        Job("detect", [*train, "--epochs", 2, "--checkpoint-minutes", 0, "--out", "OUT/o"], resume),
        Job("inpaint", ["train", "--task", "inpaint", "--photos", photos, "--width", 8, "--size", 32, "--batch", 2,
                        "--adversary-width", 8, "--steps", 4, "--checkpoint-minutes", 0, "--out", "OUT/o"], resume),
        Job("compare", [*train, "--epochs", 1, "--compare", "giou", "ciou", "--out", "OUT/o"], resume),
        Job("infer", ["infer", few, "--weights", weights, "--json", "OUT/o.jsonl", "--annotate", "OUT/drawn"]),
        Job("convert", ["convert", weights, "OUT/o.pth"]),
    ]


def without_clock(value):
    if isinstance(value, dict):
        return {k: without_clock(v) for k, v in value.items() if k not in CLOCK}
    return [without_clock(v) for v in value] if isinstance(value, list) else value


def tree(folder):
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content, name = path.read_bytes(), str(path.relative_to(folder))
        if path.name == "timing.csv" or path.suffix == ".md" or "config.json" == path.name or path.name == "report.json":
            content = b"there"  # speeds, and the command line as it was given
        elif path.name == ".annotated":
            content = b"".join(sorted(content.splitlines(True)))  # names, of which the order says nothing
        elif path.suffix == ".jsonl":
            content = b"\n".join(json.dumps(without_clock(json.loads(line))).encode() for line in content.splitlines())
        files[name] = content
    return files


def command(binaries, job, out, again=False):
    words = [str(w).replace("OUT", str(out)) for w in job.words]
    return [str(binaries / words[0]), *words[1:], *COMMON, *(job.again if again else [])]


def difference(wanted, found):
    names = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
    return ", ".join(names[:5])


def settle(binaries, job, out, wanted):
    """Continues a broken job to its end; what is wrong then, or nothing."""
    started = (out / "o").is_dir() and any((out / "o").iterdir())
    done = subprocess.run(command(binaries, job, out, again=started), capture_output=True, text=True)
    if done.returncode != 0:
        return f"cannot be continued: {done.stderr.strip()[-200:]}"
    names = difference(wanted, tree(out))
    return f"differs in {names}" if names else ""


def unbroken(binaries, job, work):
    out = work / f"{job.name}-unbroken"
    out.mkdir()
    start = time.monotonic()
    subprocess.run(command(binaries, job, out), check=True, stdout=subprocess.DEVNULL)
    return tree(out), time.monotonic() - start


def injected(work, **settings):
    """The environment of a program into whose calls inject.c reaches."""
    library = work / "inject.so"
    if not library.exists():
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", str(HERE / "inject.c"), "-o", str(library), "-ldl"], check=True)
    return dict(os.environ, LD_PRELOAD=str(library), **settings)


def kills(binaries, jobs, work, count, seed, named):
    lost = 0
    environment = injected(work, FAULT_NAMED="1") if named else None
    for job in jobs:
        wanted, seconds = unbroken(binaries, job, work)
        alone = seconds
        moments, killed, runs, faults = random.Random(f"{seed} {job.name}"), 0, 0, []
        while killed < count:
            out = work / f"{job.name}-{runs}"
            out.mkdir()
            runs += 1
            process = subprocess.Popen(command(binaries, job, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env=environment)
            try:  # however busy the machine is, about a quarter of the runs shall end before their moment
                process.wait(timeout=moments.uniform(0, seconds))
                seconds *= 0.86
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
                seconds *= 1.05
            fault = settle(binaries, job, out, wanted)
            if fault:
                faults.append(f"run {runs}: {fault}")
            shutil.rmtree(out)
        print(f"{job.name}: killed {killed} of {runs} runs of {alone:.1f} s, {len(faults)} lost something", *faults[:5],
              sep="\n  ", flush=True)
        lost += len(faults)
    return lost


def faults(binaries, jobs, work, most, named):
    lost = 0
    for job in jobs:
        wanted, _ = unbroken(binaries, job, work)
        tried, wrong = 0, []

        def attempt(call, at, kind):
            out = work / f"{job.name}-fault"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            told = work / "calls"
            environment = injected(work, FAULT_CALL=call, FAULT_AT=str(at), FAULT_KIND=kind, FAULT_UNDER=str(out),
                                   FAULT_COUNT=str(told), **({"FAULT_NAMED": "1"} if named else {}))
            done = subprocess.run(command(binaries, job, out), env=environment, capture_output=True, text=True)
            return out, done, int(told.read_text()) if told.exists() else 0

        for call, kinds in CALLS.items():
            total = attempt(call, 0, "EIO")[2]
            places = range(1, total + 1)
            if total > most:
                places = sorted({1 + i * (total - 1) // (most - 1) for i in range(most)})
            for at in places:
                for kind in kinds:
                    tried += 1
                    out, done, _ = attempt(call, at, kind)
                    where = f"{call} {at} of {total}, {kind}"
                    left = [p.name for p in out.rglob("*.part-*")]
                    if done.returncode not in (0, 1):
                        wrong.append(f"{where}: exit code {done.returncode}")
                    elif kind in ("EINTR", "short") and call == "write" and done.returncode != 0:
                        wrong.append(f"{where}: not got over: {done.stderr.strip()[:200]}")
                    elif done.returncode == 1 and not done.stderr.strip():
                        wrong.append(f"{where}: nothing was said")
                    elif left:
                        wrong.append(f"{where}: left {left[0]}")
                    else:
                        fault = settle(binaries, job, out, wanted)
                        if fault:
                            wrong.append(f"{where}: {fault}")
        print(f"{job.name}: {tried} faults, {len(wrong)} answered wrongly", *wrong[:10], sep="\n  ", flush=True)
        lost += len(wrong)
    return lost


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "faults"])
    parser.add_argument("jobs", nargs="*", metavar="JOB")
    parser.add_argument("--bin", type=pathlib.Path, default=HERE.parent.parent / "build" / "bin")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--most", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--named", action="store_true")
    o = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory(prefix="telltale-faults-") as folder:
        work = pathlib.Path(folder)
        jobs = make_jobs(o.bin.resolve(), work)
        unknown = set(o.jobs) - {j.name for j in jobs}
        if unknown:
            parser.error(f"no job {sorted(unknown)[0]}; known are {', '.join(j.name for j in jobs)}")
        jobs = [j for j in jobs if not o.jobs or j.name in o.jobs]
        binaries = o.bin.resolve()
        if o.what == "kills":
            lost = kills(binaries, jobs, work, o.count, o.seed, o.named)
        else:
            lost = faults(binaries, jobs, work, o.most, o.named)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
