"""Golden case of DeepFillv2's discriminator: two training steps on a hinge loss, spectral norm by PyTorch, in double."""

import torch
from torch import nn
from torch.nn.utils import spectral_norm

from . import safetensors_io

CHANNELS = (1, 2, 4, 4, 4, 4)


class PatchGan(nn.Module):
    """Six 5 x 5 convolutions of stride 2 under spectral norm, leaky ReLU 0.2 behind each."""

    def __init__(self, width):
        super().__init__()
        inputs = 4
        for i, c in enumerate(CHANNELS, 1):
            setattr(self, f"conv{i}", spectral_norm(nn.Conv2d(inputs, c * width, 5, 2, 2)))
            inputs = c * width

    def forward(self, x):
        for i in range(1, len(CHANNELS) + 1):
            x = nn.functional.leaky_relu(getattr(self, f"conv{i}")(x), 0.2)
        return x


def exact(t):
    """Numbers that f32 holds exactly, in double."""
    return t.float().double()


def write(folder):
    torch.manual_seed(31)
    net = PatchGan(width=1).double()
    with torch.no_grad():
        for t in net.state_dict().values():
            t.copy_(exact(t))
    tensors = {f"param.{name}": t.clone() for name, t in net.state_dict().items()}
    real, painted = exact(torch.rand(1, 4, 12, 10)), exact(torch.rand(1, 4, 12, 10))
    x = torch.cat([real, painted]).requires_grad_()
    tensors["input"] = x.detach().clone()
    for _ in range(2):  # the second forward starts from the first one's vectors; only its gradients are kept
        net.zero_grad()
        x.grad = None
        scores = net(x)
        loss = torch.relu(1 - scores[:1]).mean() + torch.relu(1 + scores[1:]).mean()
        loss.backward()
    tensors["expect.scores"], tensors["expect.loss"] = scores.detach(), loss.detach().reshape(1)
    tensors["expect.input_grad"] = x.grad
    for name, p in net.named_parameters():
        tensors[f"expect.grad.{name}"] = p.grad
    for name, t in net.state_dict().items():
        if name.endswith("_u") or name.endswith("_v"):
            tensors[f"expect.{name}"] = t.clone()
    safetensors_io.write(folder / "patch_gan.safetensors", {name: t.float() for name, t in tensors.items()},
                         {"kind": "patch_gan", "width": "1"})
