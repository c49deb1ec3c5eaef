#!/usr/bin/env python3
"""ONNX Runtime as a peer: times one inference for each line "go" on standard input.

Usage: peer_onnx.py MODEL.onnx --batch N [--threads N] [--size 256]     needs onnxruntime and numpy (PyPI)
Models: peer_onnx_export.py writes them.
"""
import argparse
import json
import os
import resource
import sys
import time

import numpy
import onnxruntime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--size", type=int, default=256)
    a = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = a.threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(a.model, options, providers=["CPUExecutionProvider"])
    x = numpy.random.default_rng(0).random((a.batch, 3, a.size, a.size), dtype=numpy.float32)
    name = session.get_inputs()[0].name
    session.run(None, {name: x})
    session.run(None, {name: x})
    print(json.dumps({"ready": True, "version": onnxruntime.__version__}), flush=True)
    for line in sys.stdin:
        if line.strip() != "go":
            break
        start = time.perf_counter()
        session.run(None, {name: x})
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main()
