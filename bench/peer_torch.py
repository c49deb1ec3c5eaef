#!/usr/bin/env python3
"""PyTorch as a peer: times one step of a net for each line "go" on standard input, as `bench nets --serve` does.

Usage: peer_torch.py --net NAME --batch N [--mode infer|train] [--threads N] [--size 256] [--channels-last] [--jit]
                     [--device cuda] [--precision f32|tf32|bf16|f16] [--compile MODE]
16 bits: inference with the weights cast, training under autocast (f16 with a GradScaler). On CUDA Adam is the fused one and cuDNN picks its plans by
timing; --compile is torch.compile's mode (default, reduce-overhead, max-autotune). Needs torch and torchvision (Debian: python3-torch, python3-torchvision).
"""
import argparse
import json
import os
import resource
import sys
import time

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))


def detector(name):
    import torchvision

    net = getattr(torchvision.models, name)(weights=None)
    if name.startswith("resnet"):
        net.fc = torch.nn.Linear(net.fc.in_features, 5)
    else:
        net.classifier[-1] = torch.nn.Linear(net.classifier[-1].in_features, 5)
    return net


def giou_loss(p, t):
    lt, rb = torch.maximum(p[:, :2], t[:, :2]), torch.minimum(p[:, 2:], t[:, 2:])
    inter = (rb - lt).clamp(min=0).prod(1)
    union = (p[:, 2:] - p[:, :2]).prod(1) + (t[:, 2:] - t[:, :2]).prod(1) - inter
    hull = (torch.maximum(p[:, 2:], t[:, 2:]) - torch.minimum(p[:, :2], t[:, :2])).prod(1)
    return 1 - inter / (union + 1e-7) + (hull - union) / (hull + 1e-7)


class Pictures(torch.nn.Module):
    """A net that reads bytes and normalises them, as Telltale's do."""

    def __init__(self, net, dtype):
        super().__init__()
        self.net, self.dtype = net, dtype
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1) * 255)
        self.register_buffer("rate", 1 / (torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1) * 255))

    def forward(self, pixels):
        return self.net(((pixels.float() - self.mean) * self.rate).to(self.dtype))


DTYPES = {"f32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def prepared(net, a):
    """The net where it runs, in its layout and type, compiled when asked for."""
    net = net.to(a.device)
    if a.mode == "infer":
        net = net.eval().to(DTYPES[a.precision])
    if a.channels_last:
        net = net.to(memory_format=torch.channels_last)
    if a.net != "deepfill_v2":
        net = Pictures(net, DTYPES[a.precision] if a.mode == "infer" else torch.float32).to(a.device)
    return torch.compile(net, mode=a.compile) if a.compile else net


def workload(a):
    torch.manual_seed(0)
    if a.net == "deepfill_v2":
        x = torch.rand(a.batch, 3, a.size, a.size, device=a.device).to(DTYPES[a.precision])
    else:
        x = torch.randint(0, 256, (a.batch, 3, a.size, a.size), device=a.device, dtype=torch.uint8)
    if a.channels_last:
        x = x.to(memory_format=torch.channels_last)
    if a.net == "deepfill_v2":
        from torch_port.deepfill_v2 import DeepFillV2, SpectralNormed

        net = DeepFillV2(width=48)
        for module in net.modules():  # a tuned port divides by the spectral norm once, not at every pass
            if isinstance(module, SpectralNormed):
                folded = torch.nn.Parameter(module.weight().detach())
                module.register_parameter("folded_weight", folded)
                module.weight = lambda module=module: module.folded_weight
        net = prepared(net, a)
        mask = torch.zeros(a.batch, 1, a.size, a.size, device=a.device, dtype=x.dtype)
        mask[:, :, a.size // 4 : a.size // 2, a.size // 4 : a.size // 2] = 1

        def fill():
            with torch.inference_mode():
                net(x, mask)

        return fill
    net = detector(a.net)
    if a.mode == "infer":
        net = prepared(net, a).eval()
        if a.jit:
            with torch.no_grad():
                net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, x)))

        def infer():
            with torch.inference_mode():
                net(x)

        return infer
    net = net.train()
    for module in net.modules():  # the same arithmetic on both sides: no dropout
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    net = prepared(net, a)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, **({"fused": True} if a.device == "cuda" else {}))
    label = (torch.arange(a.batch, device=a.device) % 2).float()
    box = torch.tensor([0.2, 0.3, 0.6, 0.7], device=a.device).expand(a.batch, 4)
    half = DTYPES[a.precision] != torch.float32
    scaler = torch.cuda.amp.GradScaler() if a.precision == "f16" else None

    def train():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(a.device, dtype=DTYPES[a.precision] if half else torch.bfloat16, enabled=half):
            y = net(x)
        y = y.float()
        # The box loss masked by the label, written so that nothing waits for the GPU.
        loss = torch.nn.functional.binary_cross_entropy_with_logits(y[:, 0], label)
        loss = loss + (giou_loss(y[:, 1:], box) * label).sum() / label.sum()
        if scaler:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        else:
            loss.backward()
            optimizer.step()

    return train


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--mode", choices=("infer", "train"), default="infer")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--jit", action="store_true")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=tuple(DTYPES), default="f32")
    parser.add_argument("--compile", default="")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    cuda = a.device == "cuda"
    if cuda:
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = a.precision != "f32"
    step = workload(a)
    for _ in range(20 if cuda else 2):
        step()
    if cuda:
        torch.cuda.synchronize()
    print(json.dumps({"ready": True, "version": torch.__version__}), flush=True)
    for line in sys.stdin:
        if line.strip() != "go":
            break
        start = time.perf_counter()
        step()
        if cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        peak = torch.cuda.max_memory_reserved() / 2**20 if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main()
