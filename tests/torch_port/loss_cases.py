"""Golden cases of the losses (kind: loss): one file per loss, values and gradients by PyTorch in double."""

import torch

from . import safetensors_io
from .box_losses import LOSSES, check_against_torchvision


def box_pairs():
    """(pred, target) corners: random pairs, then every arrangement that takes another branch."""
    low = torch.rand(24, 2) * 0.7
    boxes = torch.cat([low, low + 0.02 + torch.rand(24, 2) * 0.3], 1)
    jitter = boxes[:12] + 0.03 * torch.randn(12, 4)
    unit = [0.25, 0.25, 0.75, 0.5]
    special = [
        (unit, unit),  # identical
        ([0.75, 0.25, 0.25, 0.5], unit),  # inverted in x: the same box
        ([0.7, 0.6, 0.3, 0.3], unit),  # inverted both ways
        ([0.8, 0.6, 0.9, 0.9], unit),  # disjoint
        ([0.75, 0.25, 0.9, 0.5], unit),  # touching along an edge
        ([0.75, 0.5, 0.9, 0.9], unit),  # touching at a corner
        ([0.3, 0.3, 0.6, 0.4], unit),  # inside
        ([0.1, 0.1, 0.9, 0.9], unit),  # around
        ([0.4, 0.3, 0.4, 0.45], unit),  # no width
        ([0.3, 0.3, 0.6, 0.3], unit),  # no height
        (unit, [0.25, 0.25, 0.25, 0.5]),  # target without width
        ([-0.5, -0.25, 1.5, 1.25], unit),  # beyond the image
        ([64.0, 32.0, 128.0, 200.0], [70.0, 40.0, 140.0, 190.0]),  # pixels
    ]
    pred = torch.cat([jitter, boxes[12:].roll(1, 0), torch.tensor([p for p, _ in special])])
    target = torch.cat([boxes, torch.tensor([t for _, t in special])])
    return pred, target


def empty_pairs():
    """Boxes without any size: the aspect ratio of CIoU is undefined there, so only the others have them."""
    point, unit = [0.3, 0.3, 0.3, 0.3], [0.25, 0.25, 0.75, 0.5]
    pairs = [(point, point), (point, unit), (unit, point), ([0.1, 0.2, 0.1, 0.2], point)]
    return torch.tensor([p for p, _ in pairs]), torch.tensor([t for _, t in pairs])


def numbers():
    """Differences small, large and exactly at smooth L1's kinks, which are multiples of 1/16."""
    target = torch.randint(-16, 17, (16, 4)) / 8
    difference = torch.cat([torch.randn(8, 4), torch.randn(2, 4) * 100, torch.zeros(1, 4),
                            torch.tensor([[1.0, -1.0, 0.25, -0.25]]), torch.randint(-32, 33, (4, 4)) / 16])
    return target + difference, target


def logits():
    x = torch.cat([torch.randn(20, 1) * 3, torch.tensor([[0.0], [40.0], [-40.0], [100.0], [-100.0], [1e-6]])])
    return x.repeat(2, 1), torch.cat([torch.zeros_like(x), torch.ones_like(x)])


def few_boxes():
    """A pair of every kind, without ties of three numbers at once: cases of losses that share this geometry are small.
    The centres never share a row or a column, where the arcsine of SIoU's paper has no gradient."""
    unit = [0.25, 0.25, 0.75, 0.5]
    pairs = [([0.3, 0.2, 0.8, 0.6], unit), ([0.7, 0.6, 0.3, 0.3], unit), ([0.8, 0.6, 0.9, 0.9], unit),
             ([0.75, 0.5, 0.9, 0.9], unit), ([0.3, 0.3, 0.6, 0.4], unit), ([0.1, 0.05, 0.95, 0.9], unit),
             ([0.4, 0.3, 0.4, 0.4], unit), ([0.3, 0.3, 0.3, 0.3], unit), (unit, [0.3, 0.3, 0.3, 0.4]),
             ([64.0, 32.0, 128.0, 200.0], [70.0, 40.0, 140.0, 190.0])]
    return torch.tensor([p for p, _ in pairs]), torch.tensor([t for _, t in pairs])


def few_logits():
    x = torch.tensor([[-7.5], [-1.25], [-0.5], [0.0], [0.75], [2.5], [16.0]])
    return x.repeat(2, 1), torch.cat([torch.zeros_like(x), torch.ones_like(x)])


def scores():
    """Of a critic: targets are -1 and 1; some scores lie on the hinge."""
    x, label = few_logits()
    return torch.cat([x, torch.tensor([[1.0], [-1.0]])]), torch.cat([2 * label - 1, torch.tensor([[1.0], [-1.0]])])


def write(folder):
    check_against_torchvision()
    torch.manual_seed(21)
    boxes, empty = box_pairs(), empty_pairs()
    with_empty = tuple(torch.cat(pair) for pair in zip(boxes, empty))
    plain = numbers()
    table = [("bce", {}, logits()), ("mse", {}, plain), ("smooth_l1", {"smooth_l1_beta": 1.0}, plain),
             ("smooth_l1", {"smooth_l1_beta": 0.25}, plain), ("giou", {}, with_empty), ("diou", {}, with_empty),
             ("ciou", {}, boxes)]
    few, labels = few_boxes(), few_logits()
    table += [("iou", {}, few), ("alpha_iou", {"power": 3.0}, few), ("eiou", {}, few), ("siou", {"theta": 4.0}, few),
              ("focal_eiou", {"gamma": 0.5}, few), ("l1", {}, plain), ("huber", {"delta": 0.25}, plain),
              ("smoothed_bce", {"smoothing": 0.1}, labels), ("focal_bce", {"gamma": 2.0, "balance": 0.25}, labels),
              ("hinge", {"weight": 0.5}, scores()), ("critic", {"weight": 0.5}, scores()),
              ("absolute_error", {"weight": 0.5}, scores())]
    for name, settings, (pred, target) in table:
        p = pred.double().requires_grad_()
        value = LOSSES[name](p, target.double(), **settings)
        value.sum().backward()
        assert value.isfinite().all() and p.grad.isfinite().all(), name
        tensors = {"pred": pred, "target": target, "expect.loss": value.detach().float(), "expect.grad": p.grad.float()}
        metadata = {"kind": "loss", "loss": name, **{key: str(number) for key, number in settings.items()}}
        suffix = "_beta_0.25" if settings.get("smooth_l1_beta") == 0.25 else ""
        safetensors_io.write(folder / f"loss_{name}{suffix}.safetensors", tensors, metadata)
