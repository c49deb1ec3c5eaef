"""DeepFillv2's generator (Yu et al. 2019, "Free-Form Image Inpainting with Gated Convolution"), family csqiangwen.

Written from the description of the published weights' layout; it loads them unchanged. Every sample is attended under
its own mask. Forward changes no parameter, so it can be called twice.
"""

import torch
from torch import nn
from torch.nn import functional as F


class SpectralNormed(nn.Module):
    """A convolution whose filter is divided by its largest singular value, or by one power iteration's estimate."""

    def __init__(self, inputs, outputs, size):
        super().__init__()
        # The weights of the published files live one level deeper, under "module".
        self.module = nn.Module()
        bar = torch.empty(outputs, inputs, size, size)
        nn.init.kaiming_normal_(bar)
        self.module.bias = nn.Parameter(torch.zeros(outputs))
        self.module.weight_bar = nn.Parameter(bar)
        self.module.weight_u = nn.Parameter(F.normalize(torch.randn(outputs), dim=0), requires_grad=False)
        self.module.weight_v = nn.Parameter(
            F.normalize(torch.randn(inputs * size * size), dim=0), requires_grad=False)
        self.folded = False

    def weight(self):
        bar = self.module.weight_bar
        matrix = bar.flatten(1)
        if self.folded:
            return (bar.double() / torch.linalg.svdvals(matrix.double())[0]).to(bar.dtype)
        v = matrix.t() @ self.module.weight_u
        v = v / (v.norm() + 1e-12)
        u = matrix @ v
        u = u / (u.norm() + 1e-12)
        return bar / (u @ (matrix @ v))

    def forward(self, x, **geometry):
        return F.conv2d(x, self.weight(), self.module.bias, **geometry)


class PlainConv(nn.Conv2d):
    def forward(self, x, **geometry):
        return F.conv2d(x, self.weight, self.bias, **geometry)


class GatedConv(nn.Module):
    """activation(conv2d(x)) * sigmoid(mask_conv2d(x)), zero padding that keeps size / stride."""

    def __init__(self, inputs, outputs, size=3, stride=1, dilation=1, activation=F.elu, normed=False):
        super().__init__()
        kind = SpectralNormed if normed else PlainConv
        self.conv2d = kind(inputs, outputs, size)
        self.mask_conv2d = kind(inputs, outputs, size)
        self.geometry = dict(stride=stride, padding=dilation * (size // 2), dilation=dilation)
        self.activation = activation

    def forward(self, x):
        value = self.conv2d(x, **self.geometry)
        gate = self.mask_conv2d(x, **self.geometry)
        return (self.activation(value) if self.activation else value) * torch.sigmoid(gate)


class UpGatedConv(nn.Module):
    """Nearest doubling, then a spectrally normalised gated convolution."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.gated_conv2d = GatedConv(inputs, outputs, normed=True)

    def forward(self, x):
        return self.gated_conv2d(F.interpolate(x, scale_factor=2, mode="nearest"))


def fuse(score):
    """A 3x3 identity filter over [N, L, L]: neighbours along the diagonal are added."""
    padded = F.pad(score, (1, 1, 1, 1))
    size = score.shape[1]
    return sum(padded[:, k:k + size, k:k + size] for k in range(3))


def swap_axes(score, rows, columns):
    """Reorders both L = rows * columns axes of [N, L, L] from row-major to column-major."""
    n = score.shape[0]
    return score.view(n, rows, columns, rows, columns).permute(0, 2, 1, 4, 3).reshape(n, rows * columns, -1)


def attend(x, small, hole, fused=True, clamped=False, scale=10.0):
    """Rebuilds x [N,C,2h,2w] from its patches outside the hole (Yu et al. 2018, section 3). small [N,C,h,w] is x shrunk,
    where patches are matched; hole [N,1,h,w] is 1 inside. clamped: patches are divided by max(|p|, 1e-4), not by
    sqrt(sum(p^2 + 1e-4))."""
    n, channels, rows, columns = small.shape
    patches = F.unfold(small, 3, padding=1)  # [N, 9C, L]
    if clamped:
        length = torch.sqrt((patches**2).sum(1, keepdim=True)).clamp_min(1e-4)
    else:
        length = torch.sqrt((patches**2 + 1e-4).sum(1, keepdim=True))
    score = (patches / length).transpose(1, 2) @ patches  # [N, L (source), L (place)]
    if fused:
        score = fuse(score)
        score = swap_axes(fuse(swap_axes(score, rows, columns)), columns, rows)
    outside = F.unfold(hole, 3, padding=1).mean(1)[:, :, None] == 0
    outside = outside.to(x.dtype)
    attention = torch.softmax(scale * (score * outside), dim=1) * outside
    raw = F.unfold(x, 4, stride=2, padding=1)  # [N, 16C, L]
    return F.fold(raw @ attention, (2 * rows, 2 * columns), 4, stride=2, padding=1) / 4


def contextual_attention(x, mask, scale=10.0):
    """x [N,C,H,W], mask [N,1,H,W] (1 = hole), H and W even; both are shrunk by taking every other pixel."""
    return attend(x, x[:, :, ::2, ::2], mask[:, :, ::2, ::2], scale=scale)


class DeepFillV2(nn.Module):
    """forward(image [N,3,H,W] in [0,1], mask [N,1,H,W], 1 = hole) -> (coarse, refined), both in [-1,1] before
    composition. H and W are multiples of 8; width is the first convolution's channels (48 as published)."""

    def __init__(self, width=48):
        super().__init__()
        w = width

        def bottleneck():
            return [GatedConv(4 * w, 4 * w, dilation=d) for d in (2, 4, 8, 16)]

        def decoder():
            return [
                UpGatedConv(4 * w, 2 * w),
                GatedConv(2 * w, 2 * w),
                UpGatedConv(2 * w, w),
                GatedConv(w, w // 2),
                GatedConv(w // 2, 3, activation=None),
                nn.Tanh(),
            ]

        self.coarse = nn.Sequential(
            GatedConv(4, w, 5), GatedConv(w, 2 * w, stride=2), GatedConv(2 * w, 2 * w),
            GatedConv(2 * w, 4 * w, stride=2), GatedConv(4 * w, 4 * w), GatedConv(4 * w, 4 * w), *bottleneck(),
            GatedConv(4 * w, 4 * w), GatedConv(4 * w, 4 * w), *decoder())
        self.refine_conv = nn.Sequential(
            GatedConv(4, w, 5), GatedConv(w, w, stride=2), GatedConv(w, 2 * w), GatedConv(2 * w, 2 * w, stride=2),
            GatedConv(2 * w, 4 * w), GatedConv(4 * w, 4 * w), *bottleneck())
        self.refine_atten_1 = nn.Sequential(
            GatedConv(4, w, 5), GatedConv(w, w, stride=2), GatedConv(w, 2 * w), GatedConv(2 * w, 4 * w, stride=2),
            GatedConv(4 * w, 4 * w), GatedConv(4 * w, 4 * w, activation=F.relu))
        self.refine_atten_2 = nn.Sequential(GatedConv(4 * w, 4 * w), GatedConv(4 * w, 4 * w))
        self.refine_combine = nn.Sequential(GatedConv(8 * w, 4 * w), GatedConv(4 * w, 4 * w), *decoder())

    def use_spectral_norm(self, mode):
        """"one_step" as PyTorch's forward does, or "folded"."""
        assert mode in ("one_step", "folded"), mode
        for m in self.modules():
            if isinstance(m, SpectralNormed):
                m.folded = mode == "folded"

    def forward(self, image, mask):
        coarse = self.coarse(torch.cat([image * (1 - mask) + mask, mask], 1))
        filled = torch.cat([image * (1 - mask) + coarse * mask, mask], 1)
        attended = contextual_attention(self.refine_atten_1(filled), mask[:, :, ::4, ::4])
        joined = torch.cat([self.refine_conv(filled), self.refine_atten_2(attended)], 1)
        return coarse, self.refine_combine(joined)
