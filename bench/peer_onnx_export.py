#!/usr/bin/env python3
"""Writes a detector as ONNX (opset 13, constants folded, any batch). Usage: peer_onnx_export.py NET OUT.onnx     needs torch, torchvision"""
import sys

import torch

from peer_torch import detector

net, out = sys.argv[1:3]
torch.manual_seed(0)
by_tracing = {"dynamo": False} if int(torch.__version__.split(".")[0]) >= 2 else {}
torch.onnx.export(detector(net).eval(), torch.rand(1, 3, 256, 256), out, opset_version=13, input_names=["x"], output_names=["y"],
                  dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, **by_tracing)
