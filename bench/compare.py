#!/usr/bin/env python3
"""Times this engine and its peers side by side: A B C C B A …, each in its own process, one timed step a turn (after a pause and a step that is not timed).

A ratio is peer's seconds / ours, the median over the rounds: above 1 we are faster. Peak memory is each process's highest resident size.
An accuracy gate stands before the table: the parity cases given by --cases must pass first.

Usage: compare.py [--rounds 15] [--threads N] [--rows infer,train,inpaint] [--nets resnet18,resnet50] [--batches N,…] [--size 256]
                  [--device cpu|cuda] [--precision P] [--peers NAME,…] [--programs build/bin] [--limit SECONDS] [--before OTHER/build/bin]
                  [--onnx-python PYTHON] [--torch-python /usr/bin/python3] [--cases FILE …] [--json FILE]
On the CPU: PyTorch eager, channels_last, and jit or (from 2.0 on) compiled; with --onnx-python also ONNX Runtime, which has no bf16 on x86 and runs f32, and OpenVINO.
On CUDA: bf16 (the inpainter f16), batch 512 in training, 64 and 1 in inference; the peers are eager AMP and torch.compile, channels_last, fused Adam; peak memory
is what each took on the GPU. --before: another build of ours is the only contestant: what a change cost. --limit: no row begins that would not fit, judged by the slowest so far.
Today's peers: python3 -m venv bench/.venv && bench/.venv/bin/pip install torch torchvision onnx onnxruntime openvino, then both pythons are bench/.venv/bin/python.
docs/speed.md says how to do without the CUDA packages that PyPI's torch brings.
"""
import argparse
import functools
import glob
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


class Contestant:
    def __init__(self, name, command, env):
        self.name, self.seconds, self.peak = name, [], 0.0
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        first = self.process.stdout.readline()
        while first and not first.startswith("{"):
            first = self.process.stdout.readline()
        if not first:
            raise RuntimeError(f"{name} did not start: {self.process.stderr.read().strip()[-400:]}")
        self.version = json.loads(first).get("version", "")

    def step(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def turn(self):
        # The contestant before leaves its threads spinning for a while, and the caches full of its own: wait, step once, time the next.
        time.sleep(0.2)
        self.step()
        answer = self.step()
        self.seconds.append(answer["seconds"])
        self.peak = answer["peak_mib"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def machine():
    model = platform.processor()
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, {os.cpu_count()} cores"


def commands(a, row, models):
    """Who runs this row: name → command line."""
    net, batch, mode, precision = row
    shape = ["--net", net, "--batch", str(batch), "--mode", mode, "--size", str(a.size), "--threads", str(a.threads), "--device", a.device]
    torch = [a.torch_python, os.path.join(HERE, "peer_torch.py"), "--precision", precision] + shape
    ours = ["nets", "--serve", "--precision", precision] + shape
    out = {"telltale": [os.path.join(a.programs, "bench")] + ours}
    if a.before:
        out["telltale before"] = [os.path.join(a.before, "bench")] + ours
        return out
    if a.device == "cuda":
        out["torch eager"] = torch + ["--channels-last"]
        out["torch compile"] = torch + ["--channels-last", "--compile", "reduce-overhead" if mode == "infer" else "default"]
        return out
    out["torch eager"] = torch
    if torch_compiles(a):
        out["torch compile"] = torch + ["--channels-last", "--compile", "default"]
    if net != "deepfill_v2":
        out["torch channels_last"] = torch + ["--channels-last"]
        if mode == "infer":
            if not torch_compiles(a):
                out["torch jit"] = torch + ["--jit"]
            if a.onnx_python:
                onnx = [models[net], "--batch", str(batch), "--threads", str(a.threads), "--size", str(a.size)]
                out["onnxruntime"] = [a.onnx_python, os.path.join(HERE, "peer_onnx.py")] + onnx
                out["openvino"] = [a.onnx_python, os.path.join(HERE, "peer_openvino.py")] + onnx + ["--precision", precision]
    if a.peers:
        wanted = a.peers.split(",")
        out = {name: command for name, command in out.items() if name == "telltale" or any(name.startswith(w) for w in wanted)}
    return out


@functools.cache
def torch_version(python):
    return subprocess.run([python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True).stdout.strip()


def torch_compiles(a):
    return int(torch_version(a.torch_python).split(".")[0] or 0) >= 2


def start(a, row, models, env):
    """The contestants that start; ours must."""
    out = []
    for name, command in commands(a, row, models).items():
        try:
            out.append(Contestant(name, command, env))
        except RuntimeError as error:
            if name == "telltale":
                for other in out:
                    other.close()
                raise
            print(f"| {row[0]} | {row[1]} | {row[2]} {row[3]} | {name} | did not start: {str(error).splitlines()[-1][-160:]} | | | |", flush=True)
    return out


def planned_rows(a):
    """(net, batch, mode, precision), the most telling first: time may run out."""
    nets, wanted, gpu = a.nets.split(","), a.rows.split(","), a.device == "cuda"
    batches = [int(b) for b in a.batches.split(",")] if a.batches else []
    precision = a.precision or ("bf16" if gpu else "f32")
    rows = []
    if "train" in wanted and gpu:
        rows += [(net, b, "train", precision) for net in nets for b in batches or (512,)]
    if "infer" in wanted:
        rows += [(net, b, "infer", precision) for net in nets for b in batches or ((64, 1) if gpu else (1, 8))]
    if "train" in wanted and not gpu:
        rows += [(net, b, "train", precision) for net in nets for b in batches or (8,)]
    if "inpaint" in wanted:
        rows.insert(2 if gpu else len(rows), ("deepfill_v2", 16 if gpu else 1, "infer", a.precision or ("f16" if gpu else "f32")))
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rows", default="infer,train,inpaint")
    parser.add_argument("--nets", default="resnet18,resnet50")
    parser.add_argument("--batches", default="")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", default="")
    parser.add_argument("--limit", type=float, default=float("inf"))
    parser.add_argument("--programs", default=os.path.join(ROOT, "build/bin"))
    parser.add_argument("--before", default="")
    parser.add_argument("--peers", default="", help="only those whose names begin so: openvino,torch compile")
    parser.add_argument("--onnx-python", default="")
    parser.add_argument("--torch-python", default="/usr/bin/python3")
    parser.add_argument("--cases", nargs="*", default=sorted(glob.glob(os.path.join(ROOT, "tests/golden/*eval*.safetensors"))))
    parser.add_argument("--json", default="")
    a = parser.parse_args()
    env = dict(os.environ, OMP_NUM_THREADS=str(a.threads))
    began = time.monotonic()

    if a.cases:
        gate = subprocess.run([os.path.join(a.programs, "parity"), "--device", a.device, "--quiet"] + a.cases, capture_output=True, text=True)
        if gate.returncode != 0:
            sys.exit("the accuracy gate failed: no speed is reported\n" + gate.stdout + gate.stderr)
        print("accuracy gate:", gate.stdout.strip().splitlines()[-1])

    rows = planned_rows(a)
    print(f"\n{machine()}; {a.device}, {a.threads} threads, {a.rounds} interleaved rounds, {a.size}x{a.size}\n")
    print("| net | batch | step | contestant | median ms | min–max ms | ratio to ours | peak MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    report, slowest = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        models = {}
        if a.onnx_python and any(row[2] == "infer" for row in rows):
            for net in {row[0] for row in rows} - {"deepfill_v2"}:
                models[net] = os.path.join(folder, net + ".onnx")
                subprocess.run([a.torch_python, os.path.join(HERE, "peer_onnx_export.py"), net, models[net]], check=True,
                               capture_output=True)
        for i, row in enumerate(rows):
            net, batch, mode, precision = row
            row_began = time.monotonic()
            if row_began - began + slowest > a.limit:
                print("no time was left for " + ", ".join(" ".join(map(str, r)) for r in rows[i:]))
                break
            runners = start(a, row, models, env)
            rounds = a.rounds if a.device == "cuda" or (net != "deepfill_v2" and mode == "infer") else max(5, a.rounds // 3)
            for turn in range(rounds):
                for runner in runners if turn % 2 == 0 else runners[::-1]:  # who comes first is a few per cent slower
                    runner.turn()
            ours = runners[0].seconds
            for runner in runners:
                runner.close()
                ratio = statistics.median(p / o for p, o in zip(runner.seconds, ours))
                median = statistics.median(runner.seconds)
                print(f"| {net} | {batch} | {mode} {precision} | {runner.name} {runner.version} | {median * 1e3:.2f} | {min(runner.seconds) * 1e3:.2f}–"
                      f"{max(runner.seconds) * 1e3:.2f} | {ratio:.2f} | {runner.peak:.0f} |", flush=True)
                report.append({"net": net, "batch": batch, "mode": mode, "precision": precision, "contestant": runner.name,
                               "version": runner.version, "median_s": median, "ratio": ratio, "peak_mib": runner.peak, "seconds": runner.seconds})
            slowest = max(slowest, time.monotonic() - row_began)
            if a.json:
                with open(a.json, "w") as f:
                    json.dump({"machine": machine(), "device": a.device, "threads": a.threads, "rows": report}, f, indent=1)


if __name__ == "__main__":
    main()
