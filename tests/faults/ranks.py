#!/usr/bin/env python3
"""Kills one of the processes that train together, at a random moment, again and again, and asks whether anything was lost.

Usage: tests/faults/ranks.py [--bin DIR] [--kills N] [--seed S]

A small training runs in 2 to 4 processes. A random one of them is killed (SIGKILL) after a random time: while they meet, read,
step, save or validate. What is left is continued with --resume, in another number of processes, and killed again, until it comes
to its end; then its weights, checkpoint and results must be those of one process that nobody disturbed, byte for byte. That is
repeated until N kills (default 50) were made. Exits 1 when something was lost, 77 where there is no MPI. By hand: a few minutes.
"""
import argparse
import collections
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

FILES = ("last.safetensors", "best.safetensors", "results.csv")
LONGEST = 60  # seconds until all have ended once one was killed, and more than any run takes by itself


def train(args, folder, out):
    return [str(args.bin / "train"), "--data", str(folder / "data"), "--out", str(folder / out), "--net", "alexnet", "--width", "0.125",
            "--size", "64", "--batch", "8", "--micro-batch", "2", "--rank-bucket", "0.5", "--lr", "0.001", "--alpha", "1", "--beta", "1", "--box-unit", "normalised",
            "--device", "cpu", "--threads", "1", "--workers", "1", "--seed", "3", "--epochs", "3", "--checkpoint-minutes", "0", "--resume",
            "--rank-timeout", "20", "--quiet"]


def phase(folder):
    """What a run was at, by what it had written."""
    if not (folder / "config.json").exists():
        return "start"
    return "before the first checkpoint" if not (folder / "last.safetensors").exists() else "steps, checkpoints, validation"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/bin"))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    if not (args.bin / "libtelltale_mpi.so").exists() or subprocess.run(["sh", "-c", "command -v mpirun"], capture_output=True).returncode:
        print("skipped: no mpirun, or a build without MPI (tools/setup --with-mpi)")
        return 77
    dice = random.Random(args.seed)
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMPI_MCA_odls_base_sigkill_timeout="0")
    kills, runs, longest, phases, lost = 0, 0, 0.0, collections.Counter(), 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([args.bin / "synth", "--scenes", "40", "--size", "32", "--width", "2", "--weights", "random:1", "--split", ".8,.1,.1",
                        "--quiet", "--device", "cpu", "--out", folder / "data"], check=True)
        subprocess.run(train(args, folder, "calm"), check=True, env=environment)
        whole = None  # seconds that an undisturbed run of several takes
        while kills < args.kills or whole is None:
            out = f"run{runs}"
            runs += 1
            while True:
                ranks = dice.choice((2, 3, 4))
                command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)]
                if os.getuid() == 0:
                    command.append("--allow-run-as-root")
                command += ["sh", "-c", f'echo $$ > {folder}/pid$OMPI_COMM_WORLD_RANK; exec "$@"', "sh"] + train(args, folder, out)
                for pid in folder.glob("pid*"):
                    pid.unlink()
                start = time.monotonic()
                job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True)
                victim = folder / f"pid{dice.randrange(ranks)}"
                killed = None
                if whole is not None and kills < args.kills:
                    moment = start + dice.uniform(0, whole)
                    while job.poll() is None and (time.monotonic() < moment or not (victim.exists() and victim.read_text().strip())):
                        time.sleep(0.002)
                    if job.poll() is None:
                        at = phase(folder / out)
                        try:
                            os.kill(int(victim.read_text()), signal.SIGKILL)
                            killed = time.monotonic()
                        except ProcessLookupError:
                            pass
                try:
                    _, said = job.communicate(timeout=LONGEST)
                except subprocess.TimeoutExpired:
                    job.kill()
                    print(f"{out}: did not end within {LONGEST} s")
                    return 1
                if killed and job.returncode:
                    kills += 1
                    phases[at] += 1
                    longest = max(longest, time.monotonic() - killed)
                    continue
                if job.returncode:
                    print(f"{out}: exit code {job.returncode}, and nobody killed it: {said}")
                    return 1
                whole = whole or time.monotonic() - start
                break
            different = [f for f in FILES if (folder / out / f).read_bytes() != (folder / "calm" / f).read_bytes()]
            if different:
                lost += 1
                print(f"{out}: {', '.join(different)} differ from the undisturbed run's")
    print(f"{kills} kills in {runs} runs ({', '.join(f'{n} at {p}' for p, n in phases.items())}); "
          f"all had ended {longest:.1f} s after a kill at the latest; {lost} runs lost something")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
