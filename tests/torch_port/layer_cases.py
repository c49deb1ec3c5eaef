"""Golden cases of single layers: forward and gradients by PyTorch in double, stored in f32. One file holds them all."""

import json

import torch
from torch.nn import functional as F

from . import safetensors_io
from .deepfill_v2 import contextual_attention

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
ACTIVATIONS = {"none": lambda x: x, "relu": torch.relu, "elu": F.elu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}


def normal(*shape):
    """Numbers that f32 holds exactly, in double."""
    return torch.randn(*shape).double()


class Cases:
    """Collects tensors CASE.NAME and a JSON string of settings per case."""

    def __init__(self):
        self.tensors, self.settings = {}, {}

    def add(self, case, op, settings, tensors):
        self.settings[case] = json.dumps({"op": op, **settings})
        for name, t in tensors.items():
            self.tensors[f"{case}.{name}"] = t if t.dtype == torch.uint8 else t.float()

    def differentiate(self, case, op, settings, inputs, function, also=None):
        """Runs y = function(**inputs) and stores inputs, y, dy and d<input> for each of them."""
        leaves = {name: t.clone().requires_grad_() for name, t in inputs.items()}
        y = function(**leaves)
        dy = normal(*y.shape)
        y.backward(dy)
        gradients = {f"d{name}": t.grad for name, t in leaves.items()}
        self.add(case, op, settings, {**inputs, "y": y.detach(), "dy": dy, **gradients, **(also or {})})


def convolutions(cases):
    # case: (x, outputs, size, stride, pad, dilation, bias, activation)
    table = {
        "conv_3x3": ((2, 3, 7, 6), 5, 3, 1, 1, 1, True, "none"),
        "conv_3x3_relu": ((2, 4, 6, 7), 6, 3, 1, 1, 1, True, "relu"),
        "conv_5x5_s2": ((1, 3, 9, 10), 4, 5, 2, 2, 1, True, "none"),
        "conv_11x11_s4": ((1, 3, 19, 23), 4, 11, 4, 2, 1, True, "relu"),
        "conv_7x7_s2_no_bias": ((2, 3, 13, 12), 4, 7, 2, 3, 1, False, "none"),
        "conv_1x1": ((2, 7, 5, 3), 9, 1, 1, 0, 1, False, "none"),
        "conv_1x1_s2": ((2, 5, 7, 6), 8, 1, 2, 0, 1, False, "none"),
        "conv_3x3_dilation_2": ((1, 3, 9, 8), 4, 3, 1, 2, 2, True, "none"),
        "conv_3x3_dilation_16": ((1, 2, 8, 10), 3, 3, 1, 16, 16, True, "none"),
    }
    for case, (shape, outputs, size, stride, pad, dilation, bias, act) in table.items():
        inputs = {"x": normal(*shape), "w": normal(outputs, shape[1], size, size)}
        if bias:
            inputs["b"] = normal(outputs)
        cases.differentiate(
            case, "conv", dict(stride=stride, pad=pad, dilation=dilation, act=act), inputs,
            lambda x, w, b=None: ACTIVATIONS[act](F.conv2d(x, w, b, stride, pad, dilation)))


def gated_convolutions(cases):
    # case: (x, outputs, size, stride, dilation, activation, doubled first)
    table = {
        "gated_elu": ((2, 4, 7, 6), 5, 3, 1, 1, "elu", False),
        "gated_relu_s2": ((2, 3, 8, 6), 4, 3, 2, 1, "relu", False),
        "gated_none": ((1, 4, 5, 5), 3, 3, 1, 1, "none", False),
        "gated_5x5": ((1, 4, 6, 9), 6, 5, 1, 1, "elu", False),
        "gated_dilation_4": ((1, 3, 9, 7), 4, 3, 1, 4, "elu", False),
        "gated_up": ((2, 4, 3, 4), 3, 3, 1, 1, "elu", True),
    }
    for case, (shape, outputs, size, stride, dilation, act, up) in table.items():
        pad = dilation * (size // 2)

        def run(x, w, b, mask_w, mask_b):
            if up:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            value = F.conv2d(x, w, b, stride, pad, dilation)
            return ACTIVATIONS[act](value) * torch.sigmoid(F.conv2d(x, mask_w, mask_b, stride, pad, dilation))

        filters = (outputs, shape[1], size, size)
        inputs = {"x": normal(*shape), "w": normal(*filters), "b": normal(outputs), "mask_w": normal(*filters),
                  "mask_b": normal(outputs)}
        settings = dict(stride=stride, pad=pad, dilation=dilation, act=act, up=up)
        cases.differentiate(case, "gated_conv", settings, inputs, run)


def batch_norms(cases):
    for training in (True, False):
        for residual in (False, True):
            case = "bn_" + ("train" if training else "eval") + ("_add_relu" if residual else "")
            c = 6
            mean, var = normal(c).float(), torch.rand(c) + 0.5
            inputs = {"x": 2 * normal(3, c, 5, 4) + normal(1, c, 1, 1), "weight": normal(c), "bias": normal(c)}
            if residual:
                inputs["residual"] = normal(3, c, 5, 4)
            new_mean, new_var = mean.double(), var.double()  # written by batch_norm when training

            def run(x, weight, bias, residual=None):
                y = F.batch_norm(x, new_mean, new_var, weight, bias, training, momentum=0.1, eps=1e-5)
                return y if residual is None else torch.relu(y + residual)

            also = {"running_mean": mean, "running_var": var}
            if training:
                also |= {"new_running_mean": new_mean, "new_running_var": new_var}
            settings = dict(training=training, eps=1e-5, momentum=0.1, residual=residual,
                            act="relu" if residual else "none")
            cases.differentiate(case, "batch_norm", settings, inputs, run, also)


def pools(cases):
    for case, shape, size, stride, pad in (("max_3_2", (2, 3, 7, 9), 3, 2, 0), ("max_3_2_pad", (2, 3, 7, 8), 3, 2, 1),
                                           ("max_2_2_odd", (1, 4, 5, 7), 2, 2, 0)):
        cases.differentiate(case, "max_pool", dict(size=size, stride=stride, pad=pad), {"x": normal(*shape)},
                            lambda x: F.max_pool2d(x, size, stride, pad))
    # Equal elements: the gradient goes to the first one in row order.
    ties = torch.randint(0, 2, (1, 3, 7, 7)).double()
    cases.differentiate("max_ties", "max_pool", dict(size=3, stride=2, pad=1), {"x": ties},
                        lambda x: F.max_pool2d(x, 3, 2, 1))
    for case, shape, size, stride, pad in (("avg_2_2", (2, 3, 6, 8), 2, 2, 0), ("avg_3_2_pad", (1, 3, 7, 6), 3, 2, 1)):
        cases.differentiate(case, "avg_pool", dict(size=size, stride=stride, pad=pad, count_include_pad=False),
                            {"x": normal(*shape)},
                            lambda x: F.avg_pool2d(x, size, stride, pad, count_include_pad=False))
    for case, shape, to in (("adaptive_7_to_6", (2, 3, 7, 7), (6, 6)), ("adaptive_8_to_7", (1, 3, 8, 8), (7, 7)),
                            ("adaptive_1_to_6", (2, 3, 1, 2), (6, 6)), ("adaptive_to_1", (2, 5, 3, 7), (1, 1)),
                            ("adaptive_13_9_to_5_4", (1, 2, 13, 9), (5, 4))):
        cases.differentiate(case, "adaptive_avg_pool", dict(h=to[0], w=to[1]), {"x": normal(*shape)},
                            lambda x: F.adaptive_avg_pool2d(x, to))


def linears(cases):
    for case, shape, outputs, act in (("linear", (3, 7, 1, 1), 5, "none"), ("linear_relu", (4, 9, 1, 1), 6, "relu"),
                                      ("linear_flatten", (2, 3, 4, 5), 7, "none"),
                                      ("linear_one_sample", (1, 5, 2, 2), 3, "none")):
        features = shape[1] * shape[2] * shape[3]
        inputs = {"x": normal(*shape), "w": normal(outputs, features), "b": normal(outputs)}
        cases.differentiate(case, "linear", dict(act=act), inputs,
                            lambda x, w, b: ACTIVATIONS[act](F.linear(x.flatten(1), w, b)))


def activations(cases):
    special = torch.tensor([0.0, 1e-6, -1e-6, 30.0, -30.0, 100.0, -100.0, 1.0, -1.0]).double()
    for act in ("relu", "elu", "sigmoid", "tanh"):
        x = torch.cat([special, 3 * normal(39)]).view(2, 3, 2, 4)
        cases.differentiate(f"act_{act}", "activation", dict(act=act), {"x": x},
                            lambda x: ACTIVATIONS[act](x))


def resizes(cases):
    sizes = {"up2": ((2, 3, 4, 5), (8, 10)), "down2": ((2, 3, 8, 6), (4, 3)), "odd": ((1, 3, 13, 9), (5, 4)),
             "mixed": ((1, 2, 5, 11), (9, 4)), "same": ((1, 2, 4, 3), (4, 3)), "from_1": ((1, 3, 1, 1), (3, 2)),
             "to_1": ((1, 2, 7, 5), (1, 1))}
    for name, (shape, to) in sizes.items():
        settings = dict(h=to[0], w=to[1])
        cases.differentiate(f"nearest_{name}", "nearest", settings, {"x": normal(*shape)},
                            lambda x: F.interpolate(x, to, mode="nearest"))


def preprocessing(cases):
    mean = torch.tensor(IMAGENET_MEAN, dtype=torch.float64).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD, dtype=torch.float64).view(1, 3, 1, 1)
    for name, to in (("same", (9, 12)), ("down", (4, 5)), ("up", (13, 20))):
        x = torch.randint(0, 256, (2, 3, 9, 12), dtype=torch.uint8)
        flip = torch.tensor([0, 1], dtype=torch.uint8)
        turned = torch.stack([x[0], x[1].flip(2)]).double()
        if to != (9, 12):
            turned = F.interpolate(turned, to, mode="bilinear", align_corners=False, antialias=True)
        cases.add(f"preprocess_{name}", "preprocess", dict(h=to[0], w=to[1], mean=IMAGENET_MEAN, std=IMAGENET_STD),
                  {"x": x, "flip": flip, "y": (turned / 255 - mean) / std})


def attention(cases):
    for name, (h, w) in (("square", (12, 12)), ("oblong", (8, 12))):
        x = normal(4, 3, h, w) * 0.3
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1).float().double()  # smooth, so that some patches match
        mask = torch.zeros(4, 1, h, w).double()
        mask[0, :, h // 4:h // 2, w // 3:w // 2] = 1
        mask[1, :, :h // 2, w // 2:] = 1  # against the border; sample 2 has no hole, sample 3 nothing else
        mask[3] = 1
        cases.add(f"attention_{name}", "attention", dict(rate=2, scale=10.0),
                  {"x": x, "mask": mask, "y": contextual_attention(x, mask)})


def adam(cases):
    for name, decay in (("adam", 0.0), ("adam_decay", 0.01)):
        start = normal(50)
        p = start.clone().requires_grad_()
        optimiser = torch.optim.Adam([p], lr=1e-3, weight_decay=decay)
        tensors = {"p": start}
        for step in (1, 2, 3):
            p.grad = normal(50) * 10.0 ** torch.randint(-6, 3, (50,)).double()
            p.grad = p.grad.float().double()
            p.grad[:2] = 0
            tensors[f"g{step}"] = p.grad.clone()
            optimiser.step()
            tensors[f"p{step}"] = p.detach().clone()
        state = optimiser.state[p]
        tensors |= {"m": state["exp_avg"], "v": state["exp_avg_sq"]}
        cases.add(name, "adam", dict(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=decay, steps=3), tensors)


def constrained_convolutions(cases):
    """Bayar and Stamm's: of the filters with -1 at the centre and a sum of 1 around it those nearest to w, scaled."""
    # case: (x, outputs, size, scale, stride, pad)
    table = {"bayar_5x5": ((2, 3, 9, 8), 4, 5, 0.5, 1, 2), "bayar_3x3_s2": ((1, 2, 7, 6), 3, 3, 1.0, 2, 1)}
    for case, (shape, outputs, size, scale, stride, pad) in table.items():
        around = torch.ones(size, size).double()
        around[size // 2, size // 2] = 0

        def run(x, w):
            lacking = 1 - (w * around).sum((2, 3), keepdim=True)
            nearest = around * (w + lacking / around.sum()) - (1 - around)
            return F.conv2d(x, scale * nearest, None, stride, pad)

        inputs = {"x": normal(*shape), "w": normal(outputs, shape[1], size, size)}
        cases.differentiate(case, "bayar_conv", dict(stride=stride, pad=pad, dilation=1, scale=scale), inputs, run)


def write(folder):
    torch.manual_seed(20)
    cases = Cases()
    for group in (convolutions, gated_convolutions, batch_norms, pools, linears, activations, resizes, preprocessing,
                  attention, adam, constrained_convolutions):
        group(cases)
    safetensors_io.write(folder / "layers.safetensors", cases.tensors, {"kind": "layers", **cases.settings})
