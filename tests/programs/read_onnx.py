#!/usr/bin/env python3
"""Runs an ONNX model in ONNX Runtime on what our engine computed and prints the largest difference.

    tests/programs/read_onnx.py MODEL CASE

MODEL is checked by the onnx package, then run on the inputs in CASE (safetensors: a tensor for each input of the model,
by its name, and one for each output). Prints, for each output, its name, the largest absolute difference, and the
largest magnitude expected. Exits 77 without onnx and onnxruntime.
"""

import json
import struct
import sys

try:
    import numpy
    import onnx
    import onnxruntime
except ImportError as missing:
    print(f"read_onnx.py: {missing}: nothing was checked")
    sys.exit(77)

TYPES = {"F32": numpy.float32, "U8": numpy.uint8}


def read(path):
    """{name: array} of a safetensors file."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        values = file.read()
    header.pop("__metadata__", None)
    return {
        name: numpy.frombuffer(values[info["data_offsets"][0]:info["data_offsets"][1]],
                               TYPES[info["dtype"]]).reshape(info["shape"])
        for name, info in header.items()
    }


def main():
    model, case = sys.argv[1], read(sys.argv[2])
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    inputs = {}
    for value in session.get_inputs():
        array = case[value.name]
        inputs[value.name] = array.astype(numpy.float16) if value.type == "tensor(float16)" else array
    for value, got in zip(session.get_outputs(), session.run(None, inputs)):
        expected = case[value.name]
        if got.shape != expected.shape:
            sys.exit(f"{value.name} is {got.shape}, expected {expected.shape}")
        print(value.name, abs(got.astype(numpy.float64) - expected).max(), abs(expected).max())


if __name__ == "__main__":
    main()
