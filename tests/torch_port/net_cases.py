"""Golden cases of the detectors (kind: net): outputs in eval mode, and three training steps, by PyTorch in double."""

import math

import torch
from torch import nn

from . import safetensors_io
from .box_losses import LOSSES, bce
from .detectors import NETS, Block, check_against_torchvision

# name: (width, image size, batch, box loss, box unit, alpha, beta)
SMALL = {
    "alexnet": (1 / 256, 64, 2, "mse", "normalised", 1.0, 2.0),
    "vgg11": (1 / 256, 32, 3, "smooth_l1", "pixel", 100.0, 0.8),
    "resnet18": (1 / 32, 48, 2, "giou", "normalised", 1.0, 1.0),
    "resnet50": (1 / 64, 48, 3, "ciou", "normalised", 0.5, 2.0),
}
FULL = {
    "alexnet": (1.0, 256, 2, "mse", "normalised", 1.0, 2.0),
    "vgg11": (1.0, 256, 2, "smooth_l1", "pixel", 100.0, 0.8),
    "resnet18": (1.0, 256, 2, "giou", "normalised", 1.0, 1.0),
    "resnet50": (1.0, 256, 2, "ciou", "normalised", 0.5, 2.0),
}
STEPS = 3
# In a wide net a step of 1e-3 on every weight at once throws the outputs far off, and rounding with them.
SMALL_LR, FULL_LR = 1e-3, 1e-5


def initialise(net, size):
    """Random values everywhere, none at its default, such that activations neither fade nor explode."""
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                m.weight.normal_(0, math.sqrt(2 / m.weight[0].numel()))
                if m.bias is not None:
                    m.bias.uniform_(-0.1, 0.1)
            elif isinstance(m, nn.BatchNorm2d):
                m.weight.uniform_(0.5, 1.5)
                m.bias.normal_(0, 0.1)
                m.momentum = 1.0  # the forward below leaves plausible running statistics
        # Branches weaker than their shortcuts, as in trained nets: otherwise rounding grows from block to block.
        for m in net.modules():
            if isinstance(m, Block):
                getattr(m, f"bn{m.depth}").weight.mul_(0.3)
        head = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
        head.weight.mul_(0.1)
        head.bias.copy_(torch.tensor([0.1, 0.2, 0.25, 0.7, 0.8]))  # near a box, so that boxes overlap
        net.train()(torch.randn(4, 3, size, size))
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.momentum = 0.1
                m.num_batches_tracked.fill_(7)


def targets(n):
    """Positives and negatives by turns; a negative's corners are 0."""
    t = torch.tensor([[1, 0.25, 0.125, 0.75, 0.625], [0, 0, 0, 0, 0], [1, 0.0, 0.5, 0.5, 1.0]])
    return t[torch.arange(n) % 3]


def detection_loss(output, target, loss, box_unit, alpha, beta, size):
    """alpha * mean BCE + beta * mean box loss over the positives."""
    unit = size if box_unit == "pixel" else 1
    positive = target[:, 0] > 0
    box = LOSSES[loss](output[positive, 1:] * unit, target[positive, 1:] * unit)
    return alpha * bce(output[:, :1], target[:, :1]).mean() + beta * box.mean()


def train(net, x, target, dtype, settings, size, lr):
    """Returns outputs of the first step, losses, gradients of the first step; leaves the net stepped."""
    net.train()
    optimiser = torch.optim.Adam(net.parameters(), lr=lr)
    losses, gradients, first = [], {}, None
    for step in range(STEPS):
        optimiser.zero_grad()
        output = net(x.to(dtype))
        loss = detection_loss(output, target.to(dtype), *settings, size)
        loss.backward()
        if step == 0:
            first = output.detach()
            gradients = {name: p.grad.clone() for name, p in net.named_parameters()}
        optimiser.step()
        losses.append(loss.detach())
    return first, torch.stack(losses), gradients


def stored(t, storage):
    """A copy (training changes the net's own tensors) in the file's type; counters stay i64."""
    return t.clone() if t.dtype == torch.int64 else t.to(storage, copy=True)


def relative(a, b):
    return ((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30)).item()


def train_case(name, case, storage, seed, lr):
    """Tensors of a training case, and how far PyTorch's own f32 ends from its double: (forward, backward)."""
    width, size, n, *settings = case
    torch.manual_seed(seed)
    net = NETS[name](width)
    initialise(net, size)
    x = torch.randn(n, 3, size, size).to(storage)
    target = targets(n)
    state = {k: stored(v, storage) for k, v in net.state_dict().items()}
    results = []
    for dtype in (torch.float32, torch.float64):
        net.to(dtype).load_state_dict(state)
        output, losses, gradients = train(net, x, target, dtype, settings, size, lr)
        expect = {"expect.output": output, "expect.loss": losses}
        expect |= {f"expect.grad.{k}": g for k, g in gradients.items()}
        expect |= {f"expect.param.{k}": v for k, v in net.state_dict().items()}
        results.append({k: stored(v, torch.float32) for k, v in expect.items()})
    single, double = results
    errors = {k: relative(single[k], double[k]) for k in double}
    forward = max(errors.pop("expect.output"), errors.pop("expect.loss"))
    tensors = {"input": x, "target": target, **{f"param.{k}": v for k, v in state.items()}, **double}
    return tensors, (forward, max(errors.values()))


def write_train(path, name, case, storage, full):
    """Adam divides a gradient by its own size, so one that nearly vanishes turns rounding into a whole step. Small cases
    are drawn until there is none: one that PyTorch's f32 cannot repeat would say nothing about another program."""
    limits = (2e-6, 1e-5)
    lr = FULL_LR if full else SMALL_LR
    for seed in range(sum(name.encode()), sum(name.encode()) + (1 if full else 200)):
        tensors, errors = train_case(name, case, storage, seed, lr)
        if all(e < limit for e, limit in zip(errors, limits)):
            break
    else:
        assert full, f"{name}: no well-conditioned case found"
    print(f"{path.name}: PyTorch's f32 is within {errors[0]:.1e} forward, {errors[1]:.1e} backward (seed {seed})")
    width, _, _, loss, box_unit, alpha, beta = case
    metadata = {"kind": "net", "net": name, "mode": "train", "width": repr(width), "loss": loss, "alpha": str(alpha),
                "beta": str(beta), "smooth_l1_beta": "1.0", "box_unit": box_unit, "lr": str(lr), "steps": str(STEPS),
                "dropout": "0", "f32_forward": f"{errors[0]:.1e}", "f32_backward": f"{errors[1]:.1e}"}
    safetensors_io.write(path, tensors, metadata)


def write_eval(path, name, case, storage):
    width, size = case[:2]
    torch.manual_seed(sum(name.encode()) - 1)
    net = NETS[name](width)
    initialise(net, size)
    state = {k: stored(v, storage) for k, v in net.state_dict().items()}
    x = torch.randn(1, 3, size, size).to(storage)
    net.double().load_state_dict(state)
    with torch.no_grad():
        output = net.eval()(x.double()).float()
    tensors = {"input": x, "expect.output": output, **{f"param.{k}": v for k, v in state.items()}}
    safetensors_io.write(path, tensors, {"kind": "net", "net": name, "mode": "eval", "width": repr(width)})


def write(folder, full=False):
    storage = torch.float32 if full else torch.float16
    for name, case in (FULL if full else SMALL).items():
        check_against_torchvision(name)
        write_eval(folder / f"net_{name}_eval.safetensors", name, case, storage)
        write_train(folder / f"net_{name}_train.safetensors", name, case, storage, full)
