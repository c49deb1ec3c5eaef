#!/usr/bin/env python3
"""Describes the GPU: what cuDNN says of it (a description that plans can be built from without a GPU), and what it can do: copy TB/s, matrix TFLOP/s.

Usage: gpu_device.py [--json FILE] [--description FILE] [--library libcudnn.so.9]
  --json FILE         everything found, as JSON
  --description FILE  cuDNN's device description alone, as tests/cudnn_plan_test reads it
Needs no package for the description (libcudnn by ctypes); the ceilings need torch. What is missing is said and left out; exit code 1 if nothing was found.
"""
import argparse
import ctypes
import json
import os
import subprocess
import sys

DEVICEPROP_DESCRIPTOR, DEVICE_ID, JSON_REPRESENTATION, TYPE_INT32, TYPE_CHAR = 38, 2700, 2702, 23, 24  # cudnn_graph_v9.h


def cudnn(name):
    """The library by name, or where torch's packages keep it."""
    places = [name, "/usr/local/cuda/lib64/" + name]
    for folder in sys.path:
        places.append(os.path.join(folder, "nvidia/cudnn/lib/libcudnn.so.9"))
    for place in places:
        try:
            return ctypes.CDLL(place)
        except OSError:
            pass
    raise RuntimeError(f"{name} is not here")


def description(library):
    """cuDNN's own JSON of device 0."""

    def check(status, what):
        if status != 0:
            library.cudnnGetErrorString.restype = ctypes.c_char_p
            raise RuntimeError(f"{what}: {library.cudnnGetErrorString(status).decode()}")

    descriptor, device, count = ctypes.c_void_p(), ctypes.c_int32(0), ctypes.c_int64(0)
    check(library.cudnnBackendCreateDescriptor(DEVICEPROP_DESCRIPTOR, ctypes.byref(descriptor)), "creating a device description")
    check(library.cudnnBackendSetAttribute(descriptor, DEVICE_ID, TYPE_INT32, ctypes.c_int64(1), ctypes.byref(device)), "naming the device")
    check(library.cudnnBackendFinalize(descriptor), "reading the device")
    text = ctypes.create_string_buffer(1 << 16)
    check(library.cudnnBackendGetAttribute(descriptor, JSON_REPRESENTATION, TYPE_CHAR, ctypes.c_int64(len(text)), ctypes.byref(count), text),
          "asking for its description")
    return json.loads(text.value.decode())


def ceilings():
    """What a copy and a bf16 matrix product reach on random data: the roofs that every share is of."""
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError("torch sees no GPU")

    def seconds(work, runs=20):
        for _ in range(3):
            work()
        times = []
        for _ in range(runs):
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            work()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) / 1e3)
        return sorted(times)[runs // 2]

    a = torch.randn(1 << 30, device="cuda", dtype=torch.float32)
    b = torch.empty_like(a)
    copy = 2 * a.numel() * 4 / seconds(lambda: b.copy_(a))
    del a, b
    found = {"copy_bytes_per_s": copy}
    for name, dtype, n in (("bf16", torch.bfloat16, 8192), ("f16", torch.float16, 8192), ("f32", torch.float32, 4096)):
        x, y = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
        found[f"matrix_{name}_flop_per_s"] = 2 * n**3 / seconds(lambda: x @ y)
    torch.backends.cuda.matmul.allow_tf32 = True
    x, y = (torch.randn(8192, 8192, device="cuda") for _ in range(2))
    found["matrix_tf32_flop_per_s"] = 2 * 8192**3 / seconds(lambda: x @ y)
    return found


def smi():
    fields = "name,driver_version,memory.total,memory.free,clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu"
    row = subprocess.run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], capture_output=True, text=True, check=True)
    return dict(zip(fields.split(","), (v.strip() for v in row.stdout.splitlines()[0].split(","))))


def versions():
    import torch

    found = {"torch": torch.__version__, "torch_cuda": torch.version.cuda, "torch_cudnn": torch.backends.cudnn.version()}
    try:
        import triton

        found["triton"] = triton.__version__
    except ImportError:
        pass
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", default="")
    parser.add_argument("--description", default="")
    parser.add_argument("--library", default="libcudnn.so.9")
    a = parser.parse_args()
    found = {}

    def attempt(name, read):
        try:
            found[name] = read()
            print(f"{name}: {json.dumps(found[name])}", flush=True)
        except Exception as error:  # whatever is missing here, the rest is still worth having
            print(f"{name}: not found ({error})", flush=True)

    attempt("gpu", smi)
    attempt("versions", versions)
    attempt("cudnn", lambda: cudnn(a.library).cudnnGetVersion())
    attempt("description", lambda: description(cudnn(a.library)))
    attempt("ceilings", ceilings)
    if a.json:
        with open(a.json, "w") as f:
            json.dump(found, f, indent=1)
    if a.description and "description" in found:
        with open(a.description, "w") as f:
            json.dump(found["description"], f)
    sys.exit(0 if "gpu" in found else 1)


if __name__ == "__main__":
    main()
