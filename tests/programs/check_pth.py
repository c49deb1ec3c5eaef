#!/usr/bin/env python3
"""What convert reads is what PyTorch wrote, and PyTorch takes what convert writes: bit for bit, in every form.

Usage: check_pth.py CONVERT FOLDER  (needs torch; exits 3 without it)
"""
import collections
import json
import pathlib
import struct
import subprocess
import sys

try:
    import torch
except ImportError as e:
    print(f"no PyTorch here: {e}")
    sys.exit(3)

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
          "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}


def tensors():
    """Every dtype, and every way in which a tensor may lie in its storage."""
    torch.manual_seed(1)
    t = torch.randn(2, 3, 4)
    nan = torch.tensor([0x7fc01234, -0x400001, 0x7f800001], dtype=torch.int32).view(torch.float32)
    made = collections.OrderedDict(
        plain=t, turned=t.permute(2, 0, 1), part=t[1, 1:], steps=t[:, ::2, 1::2], repeated=t[0, 0, :1].expand(5, 3),
        same=t, scalar=torch.tensor(3.25), none=torch.zeros(0, 3), one=t[1:, 2:, 3:],
        channels_last=torch.randn(2, 8, 3, 3).to(memory_format=torch.channels_last), nan=nan,
        parameter=torch.nn.Parameter(t[0]), buffer=torch.nn.Parameter(t[1], requires_grad=False),
        large=torch.tensor([2**62 + 1, -2**63, 2**53 + 1]))
    for name, dtype in DTYPES.items():
        made[f"dtype.{name}"] = (t * 50).to(torch.int32).to(dtype) if name != "BOOL" else t > 0
    return made


def bits(t):
    """The elements as bytes, row-major: NaNs compare too."""
    t = t.detach().contiguous()
    return t.reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() and t.dtype != torch.bool else bytes(t.reshape(-1).tolist())


def compare(got, expected, what):
    assert list(got) == list(expected) or sorted(got) == sorted(expected), f"{what}: {sorted(got)} / {sorted(expected)}"
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.dtype and got[name].shape == tensor.shape, f"{what}: {name}"
        assert bits(got[name]) == bits(tensor), f"{what}: {name} differs"


def read_safetensors(path):
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header, values = json.loads(raw[8:8 + size]), raw[8 + size:]
    header.pop("__metadata__", None)
    read = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        flat = torch.frombuffer(bytearray(values[begin:end]), dtype=DTYPES[t["dtype"]]) if end > begin else torch.zeros(0, dtype=DTYPES[t["dtype"]])
        read[name] = flat.reshape(t["shape"])
    return read


def main():
    convert, folder = sys.argv[1], pathlib.Path(sys.argv[2])

    def run(*arguments):
        subprocess.run([convert, *map(str, arguments), "--quiet"], check=True)

    state = tensors()
    plain = folder / "in.pth"
    for form, zipped in (("zip", True), ("legacy", False)):
        for what, saved, expected in (
                ("state_dict", state, state),
                ("checkpoint", {"epoch": 3, "lr": 1e-3, "best": torch.tensor(1.), "name": "x", "none": None, "big": 2**70,
                                "sizes": [torch.Size([1, 2])], "state_dict": {"module." + k: v for k, v in state.items()}}, state),
                ("generator", {"G": state, "D": {"x": torch.zeros(3)}}, state)):
            torch.save(saved, plain, _use_new_zipfile_serialization=zipped)
            run(plain, folder / "out.safetensors", "--any")
            compare(read_safetensors(folder / "out.safetensors"), expected, f"{form} {what} to safetensors")
            run(plain, folder / "out.pth", "--any")
            compare(torch.load(folder / "out.pth", weights_only=True), expected, f"{form} {what} to pth")
            run(folder / "out.safetensors", folder / "back.pth", "--any")
            compare(torch.load(folder / "back.pth", weights_only=True), expected, f"{form} {what} there and back")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    torch.save(net.state_dict(), plain)
    run(plain, folder / "out.pth", "--any")
    print(net.load_state_dict(torch.load(folder / "out.pth", weights_only=True), strict=True))
    for refused, save in (("a whole net", lambda: torch.save(net, plain)),
                          ("TorchScript", lambda: torch.jit.script(net).save(str(plain)))):
        save()
        said = subprocess.run([convert, str(plain), str(folder / "never.safetensors"), "--any"], capture_output=True, text=True)
        assert said.returncode == 1 and not (folder / "never.safetensors").exists(), f"{refused}: {said}"
        assert "state_dict" in said.stderr, said.stderr


main()
