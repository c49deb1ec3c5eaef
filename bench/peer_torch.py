#!/usr/bin/env python3
"""PyTorch as a peer: times one step of a net for each line "go" on standard input, as `bench nets --serve` does.

Usage: peer_torch.py --net NAME --batch N [--mode infer|train] [--threads N] [--size 256] [--channels-last] [--jit]
Needs torch and torchvision (Debian: python3-torch, python3-torchvision).
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


def workload(a):
    torch.manual_seed(0)
    x = torch.rand(a.batch, 3, a.size, a.size)
    if a.net == "deepfill_v2":
        from torch_port.deepfill_v2 import DeepFillV2

        net = DeepFillV2(width=48).eval()
        mask = torch.zeros(a.batch, 1, a.size, a.size)
        mask[:, :, a.size // 4 : a.size // 2, a.size // 4 : a.size // 2] = 1

        def fill():
            with torch.inference_mode():
                net(x, mask)

        return fill
    net = detector(a.net)
    if a.channels_last:
        net = net.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    if a.mode == "infer":
        net = net.eval()
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
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    label = (torch.arange(a.batch) % 2).float()
    box = torch.tensor([0.2, 0.3, 0.6, 0.7]).expand(a.batch, 4)

    def train():
        optimizer.zero_grad(set_to_none=True)
        y = net(x)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(y[:, 0], label)
        positive = label > 0
        if positive.any():
            loss = loss + giou_loss(y[positive, 1:], box[positive]).mean()
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
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    step = workload(a)
    step()
    step()
    print(json.dumps({"ready": True, "version": torch.__version__}), flush=True)
    for line in sys.stdin:
        if line.strip() != "go":
            break
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main()
