"""The golden case of the losses over pixels (kind: pixel_losses): one map, each loss's value and gradient in double."""

import torch
from torch.nn import functional as F

from . import safetensors_io


def bce(logits, label, positive=1.0):
    return F.binary_cross_entropy_with_logits(logits, label, pos_weight=torch.tensor(positive).double())


def focal(logits, label, gamma=2.0, balance=0.25):
    p = torch.sigmoid(logits)
    missed = label * (1 - p) + (1 - label) * p
    weight = balance * label + (1 - balance) * (1 - label)
    return (weight * missed.pow(gamma) * F.binary_cross_entropy_with_logits(logits, label, reduction="none")).mean()


def dice(logits, label, smooth=1.0, bce=1.0):
    p = torch.sigmoid(logits)
    overlap = (2 * (p * label).sum() + smooth) / (p.sum() + label.sum() + smooth)
    return 1 - overlap + bce * F.binary_cross_entropy_with_logits(logits, label)


def lovasz(logits, label):
    """Sorted, with the Jaccard distance of every prefix, as Berman 2018 describes it."""
    painted = (label >= 0.5).double().reshape(-1)
    errors, order = (1 - logits.reshape(-1) * (2 * painted - 1)).sort(descending=True)
    painted = painted[order]
    distance = 1 - (painted.sum() - painted.cumsum(0)) / (painted.sum() + (1 - painted).cumsum(0))
    steps = distance.diff(prepend=distance.new_zeros(1))
    return F.relu(errors) @ steps


def boundary(logits, label, strength=10.0, sigma=2.0):
    """The distances of all pairs of pixels; those with one label, or beyond 3 sigma, count as infinitely far."""
    painted = (label >= 0.5).reshape(-1)
    rows, columns = label.shape
    at = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).double()
    distance = torch.cdist(at, at)
    distance[(painted[:, None] == painted[None]) | (distance > 3 * sigma)] = torch.inf
    weight = 1 + strength * torch.exp(-distance.amin(1).square() / (2 * sigma**2))
    return (weight * F.binary_cross_entropy_with_logits(logits, label, reduction="none").reshape(-1)).mean()


LOSSES = {f.__name__: f for f in (bce, boundary, dice, focal, lovasz)}


def write(folder):
    torch.manual_seed(8)
    logits = (2 * torch.randn(5, 6)).half()
    label = torch.zeros(5, 6).half()
    label[1:4, 1:3] = 1
    label[1:4, 3] = 0.75
    label[4, 1:4] = 0.25
    values, gradients = [], []
    for loss in LOSSES.values():
        x = logits.double().requires_grad_()
        value = loss(x, label.double())
        value.backward()
        values.append(value.detach())
        gradients.append(x.grad)
    tensors = {"pred": logits, "target": label, "expect.loss": torch.stack(values).float(),
               "expect.grad": torch.stack(gradients).float()}
    metadata = {"kind": "pixel_losses", "losses": " ".join(LOSSES)}
    safetensors_io.write(folder / "pixel_losses.safetensors", tensors, metadata)
