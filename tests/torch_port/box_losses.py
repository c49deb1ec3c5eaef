"""The losses of the golden cases, per sample and differentiable. Where torchvision has the same loss, on boxes that are
not inverted, check_against_torchvision proves that these agree with it."""

import math

import torch
import torchvision.ops
from torch.nn import functional as F

EPSILON = 1e-7


def bce(pred, target):
    return F.binary_cross_entropy_with_logits(pred, target, reduction="none").mean(1)


def mse(pred, target):
    return F.mse_loss(pred, target, reduction="none").mean(1)


def smooth_l1(pred, target, smooth_l1_beta=1.0):
    return F.smooth_l1_loss(pred, target, reduction="none", beta=smooth_l1_beta).mean(1)


def _sorted(box):
    """An inverted box is the box it spans."""
    low = torch.minimum(box[:, :2], box[:, 2:])
    high = torch.maximum(box[:, :2], box[:, 2:])
    return low, high


def _geometry(pred, target):
    p_low, p_high = _sorted(pred)
    t_low, t_high = _sorted(target)
    size = torch.minimum(p_high, t_high) - torch.maximum(p_low, t_low)
    overlaps = (size > 0).all(1)
    intersection = torch.where(overlaps, size.prod(1), torch.zeros_like(size[:, 0]))
    union = (p_high - p_low).prod(1) + (t_high - t_low).prod(1) - intersection
    hull = torch.maximum(p_high, t_high) - torch.minimum(p_low, t_low)
    return (p_low, p_high), (t_low, t_high), intersection, union, hull


def giou(pred, target):
    _, _, intersection, union, hull = _geometry(pred, target)
    area = hull.prod(1)
    return 1 - intersection / (union + EPSILON) + (area - union) / (area + EPSILON)


def diou(pred, target):
    p, t, intersection, union, hull = _geometry(pred, target)
    apart = (sum(p) / 2 - sum(t) / 2).square().sum(1)
    return 1 - intersection / (union + EPSILON) + apart / (hull.square().sum(1) + EPSILON)


def ciou(pred, target):
    p, t, intersection, union, _ = _geometry(pred, target)
    angle = [torch.atan2(*(high - low).unbind(1)) for low, high in (t, p)]  # atan(w/h), also for h = 0
    v = 4 / math.pi**2 * (angle[0] - angle[1]).square()
    with torch.no_grad():
        alpha = v / (1 - intersection / (union + EPSILON) + v + EPSILON)
    return diou(pred, target) + alpha * v


def iou(pred, target):
    _, _, intersection, union, _ = _geometry(pred, target)
    return 1 - intersection / (union + EPSILON)


def alpha_iou(pred, target, power=3.0):
    return 1 - (1 - iou(pred, target)).pow(power)


def eiou(pred, target):
    p, t, _, _, hull = _geometry(pred, target)
    sides = (p[1] - p[0]) - (t[1] - t[0])
    return diou(pred, target) + (sides.square() / (hull.square() + EPSILON)).sum(1)


def focal_eiou(pred, target, gamma=0.5):
    return (1 - iou(pred, target)).detach().pow(gamma) * eiou(pred, target)


def siou(pred, target, theta=4.0):
    """The angle cost as the paper writes it, by an arcsine; at equal centres, where it has no gradient, it is 0."""
    p, t, _, _, hull = _geometry(pred, target)
    apart = (sum(p) - sum(t)) / 2
    square = apart.square().sum(1)
    same = square == 0
    sine = apart[:, 1].abs() / torch.where(same, torch.ones_like(square), square).sqrt()
    angle = 1 - 2 * torch.sin(torch.asin(sine.clamp(max=1 - 1e-15)) - math.pi / 4).square()
    angle = torch.where(same, torch.zeros_like(angle), angle)
    distance = (1 - torch.exp(-(2 - angle)[:, None] * apart.square() / (hull.square() + EPSILON))).sum(1)
    sides = p[1] - p[0], t[1] - t[0]
    unlike = (sides[0] - sides[1]).abs() / (torch.maximum(*sides) + EPSILON)
    return iou(pred, target) + (distance + (1 - torch.exp(-unlike)).pow(theta).sum(1)) / 2


def l1(pred, target):
    return F.l1_loss(pred, target, reduction="none").mean(1)


def huber(pred, target, delta=1.0):
    return F.huber_loss(pred, target, reduction="none", delta=delta).mean(1)


def smoothed_bce(pred, target, smoothing=0.1):
    return bce(pred, target * (1 - smoothing) + smoothing / 2)


def focal_bce(pred, target, gamma=2.0, balance=0.25):
    return torchvision.ops.sigmoid_focal_loss(pred, target, alpha=balance, gamma=gamma, reduction="none").mean(1)


def hinge(pred, target, weight=1.0):
    return weight * F.relu(1 - target * pred).mean(1)


def critic(pred, target, weight=1.0):
    return -weight * (target * pred).mean(1)


def absolute_error(pred, target, weight=1.0):
    return weight * l1(pred, target)


LOSSES = {f.__name__: f for f in (bce, mse, smooth_l1, giou, diou, ciou, iou, alpha_iou, eiou, focal_eiou, siou, l1,
                                  huber, smoothed_bce, focal_bce, hinge, critic, absolute_error)}


def check_against_torchvision():
    """Values and gradients of the IoU family on random boxes, in double."""
    torch.manual_seed(0)
    theirs = {
        "giou": torchvision.ops.generalized_box_iou_loss,
        "diou": torchvision.ops.distance_box_iou_loss,
        "ciou": torchvision.ops.complete_box_iou_loss,
    }
    low = torch.rand(1000, 4, dtype=torch.float64)
    boxes = torch.cat([low[:, :2], low[:, :2] + low[:, 2:] + 0.01], 1)
    pred, target = boxes, boxes.roll(1, 0)
    for name, loss in theirs.items():
        for function in (LOSSES[name], loss):
            p = pred.clone().requires_grad_()
            value = function(p, target)
            value.sum().backward()
            if function is not loss:
                ours = value, p.grad
        for a, b, what in ((ours[0], value, "value"), (ours[1], p.grad, "gradient")):
            error = (a - b).abs().max().item()
            assert error < 1e-9, f"{name}: the {what} differs from torchvision's by {error}"
