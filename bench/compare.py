#!/usr/bin/env python3
"""Times this engine and its peers side by side: A B C A B C …, each in its own process, one timed step a turn (after a pause and a step that is not timed).

A ratio is peer's seconds / ours, the median over the rounds: above 1 we are faster. Peak memory is each process's highest resident size.
An accuracy gate stands before the table: the parity cases given by --cases must pass first.

Usage: compare.py [--rounds 15] [--threads N] [--rows infer,train,inpaint] [--nets resnet18,resnet50]
                  [--onnx-python PYTHON] [--torch-python /usr/bin/python3] [--cases FILE …] [--json FILE]
ONNX Runtime: python3 -m venv bench/.venv && bench/.venv/bin/pip install onnxruntime, then --onnx-python bench/.venv/bin/python.
"""
import argparse
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


def contestants(a, net, batch, mode, models, env):
    ours = [os.path.join(ROOT, "build/bin/bench"), "nets", "--net", net, "--batch", str(batch), "--mode", mode, "--serve", "--device",
            "cpu", "--threads", str(a.threads)]
    torch = [a.torch_python, os.path.join(HERE, "peer_torch.py"), "--net", net, "--batch", str(batch), "--mode", mode, "--threads",
             str(a.threads)]
    out = [Contestant("telltale", ours, env), Contestant("torch eager", torch, env)]
    if net != "deepfill_v2":
        out.append(Contestant("torch channels_last", torch + ["--channels-last"], env))
    if mode == "infer" and net != "deepfill_v2":
        out.append(Contestant("torch jit", torch + ["--jit"], env))
        if a.onnx_python:
            onnx = [a.onnx_python, os.path.join(HERE, "peer_onnx.py"), models[net], "--batch", str(batch), "--threads", str(a.threads)]
            out.append(Contestant("onnxruntime", onnx, env))
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rows", default="infer,train,inpaint")
    parser.add_argument("--nets", default="resnet18,resnet50")
    parser.add_argument("--onnx-python", default="")
    parser.add_argument("--torch-python", default="/usr/bin/python3")
    parser.add_argument("--cases", nargs="*", default=sorted(glob.glob(os.path.join(ROOT, "tests/golden/*eval*.safetensors"))))
    parser.add_argument("--json", default="")
    a = parser.parse_args()
    env = dict(os.environ, OMP_NUM_THREADS=str(a.threads))

    if a.cases:
        gate = subprocess.run([os.path.join(ROOT, "build/bin/parity"), "--device", "cpu", "--quiet"] + a.cases, capture_output=True, text=True)
        if gate.returncode != 0:
            sys.exit("the accuracy gate failed: no speed is reported\n" + gate.stdout + gate.stderr)
        print("accuracy gate:", gate.stdout.strip().splitlines()[-1])

    nets, wanted = a.nets.split(","), a.rows.split(",")
    rows = []
    if "infer" in wanted:
        rows += [(net, batch, "infer") for net in nets for batch in (1, 8)]
    if "train" in wanted:
        rows += [(net, 8, "train") for net in nets]
    if "inpaint" in wanted:
        rows += [("deepfill_v2", 1, "infer")]
    print(f"\n{machine()}; {a.threads} threads, {a.rounds} interleaved rounds, f32, 256x256\n")
    print("| net | batch | step | contestant | median ms | min–max ms | ratio to ours | peak MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    report = []
    with tempfile.TemporaryDirectory() as folder:
        models = {}
        if a.onnx_python and "infer" in wanted:
            for net in nets:
                models[net] = os.path.join(folder, net + ".onnx")
                subprocess.run([a.torch_python, os.path.join(HERE, "peer_onnx_export.py"), net, models[net]], check=True,
                               capture_output=True)
        for net, batch, mode in rows:
            runners = contestants(a, net, batch, mode, models, env)
            rounds = a.rounds if net != "deepfill_v2" and mode == "infer" else max(5, a.rounds // 3)
            for _ in range(rounds):
                for runner in runners:
                    runner.turn()
            ours = runners[0].seconds
            for runner in runners:
                runner.close()
                ratio = statistics.median(p / o for p, o in zip(runner.seconds, ours))
                median = statistics.median(runner.seconds)
                print(f"| {net} | {batch} | {mode} | {runner.name} {runner.version} | {median * 1e3:.1f} | {min(runner.seconds) * 1e3:.1f}–"
                      f"{max(runner.seconds) * 1e3:.1f} | {ratio:.2f} | {runner.peak:.0f} |", flush=True)
                report.append({"net": net, "batch": batch, "mode": mode, "contestant": runner.name, "version": runner.version,
                               "median_s": median, "ratio": ratio, "peak_mib": runner.peak, "seconds": runner.seconds})
    if a.json:
        with open(a.json, "w") as f:
            json.dump({"machine": machine(), "threads": a.threads, "rows": report}, f, indent=1)


if __name__ == "__main__":
    main()
