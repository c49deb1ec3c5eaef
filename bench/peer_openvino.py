#!/usr/bin/env python3
"""OpenVINO as a peer: times one inference for each line "go" on standard input.

Usage: peer_openvino.py MODEL.onnx --batch N [--threads N] [--size 256] [--precision f32|bf16]     needs openvino and numpy (PyPI)
Models: peer_onnx_export.py writes them. One stream over all threads, as for the least time of a step; shapes are fixed, as OpenVINO advises.
"""
import argparse
import json
import os
import resource
import sys
import time

import numpy
import openvino


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    a = parser.parse_args()
    core = openvino.Core()
    model = core.read_model(a.model)
    model.reshape([a.batch, 3, a.size, a.size])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": a.precision, "INFERENCE_NUM_THREADS": a.threads, "NUM_STREAMS": 1,
                                                 "PERFORMANCE_HINT": "LATENCY"})
    request = compiled.create_infer_request()
    x = numpy.random.default_rng(0).random((a.batch, 3, a.size, a.size), dtype=numpy.float32)
    request.infer({0: x})
    request.infer({0: x})
    print(json.dumps({"ready": True, "version": openvino.__version__.split("-")[0]}), flush=True)
    for line in sys.stdin:
        if line.strip() != "go":
            break
        start = time.perf_counter()
        request.infer({0: x})
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main()
