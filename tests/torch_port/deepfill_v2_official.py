"""DeepFillv2's generator, family official: the net its authors released, under the names that nipponjo's PyTorch port
gives its tensors, in both forms of that port.

"tensorflow" (conv1 ... allconv17) takes the authors' weights: strided convolutions pad as TensorFlow's SAME, shrinking
aligns corners, and attention is not fused. "torch" (stage1.*, stage2.*) is what the port trains: symmetric padding,
PyTorch's shrinking, fused attention, whose filter is a buffer. The layers are the same. Every sample is attended under
its own mask.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .deepfill_v2 import attend


class SplitGatedConv(nn.Module):
    """One convolution whose channels are value, then gate; `activation` None: no gate either."""

    def __init__(self, inputs, outputs, size=3, stride=1, dilation=1, activation=F.elu, same=True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, 2 * outputs if activation else outputs, size, stride, dilation=dilation)
        before = dilation * (size // 2)
        after = before
        if stride == 2 and same:  # of an even size: the odd zero comes last
            before -= 1
        self.padding = (before, after, before, after)
        self.activation = activation

    def forward(self, x):
        z = self.conv(F.pad(x, self.padding))
        if not self.activation:
            return z
        value, gate = z.chunk(2, 1)
        return self.activation(value) * torch.sigmoid(gate)


def shrink(x, factor, aligned):
    """Nearest neighbour; aligned: first and last pixel stay first and last, as TensorFlow's align_corners."""
    if not aligned:
        return x[:, :, ::factor, ::factor]
    rows, columns = ([(2 * i * (size - 1) + small - 1) // max(1, 2 * (small - 1)) for i in range(small)]
                     for size in x.shape[2:] for small in [size // factor])
    return x[:, :, rows][:, :, :, columns]


class Upsampled(nn.Module):
    """Nearest doubling, then `conv`."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


# Layers in order: names in the two forms, output channels in units of the width, size, stride, dilation.
ENCODER = {  # stage 1 starts from five channels and keeps more of them at the first shrinking
    "coarse": [
        ("conv1", "conv1", 0.5, 5, 1, 1),
        ("conv2_downsample", "down_block1.conv1_downsample", 1, 3, 2, 1),
        ("conv3", "down_block1.conv2", 1, 3, 1, 1),
        ("conv4_downsample", "down_block2.conv1_downsample", 2, 3, 2, 1),
        ("conv5", "down_block2.conv2", 2, 3, 1, 1),
    ],
    "convolved": [
        ("xconv1", "conv_conv1", 0.5, 5, 1, 1),
        ("xconv2_downsample", "conv_down_block1.conv1_downsample", 0.5, 3, 2, 1),
        ("xconv3", "conv_down_block1.conv2", 1, 3, 1, 1),
        ("xconv4_downsample", "conv_down_block2.conv1_downsample", 1, 3, 2, 1),
        ("xconv5", "conv_down_block2.conv2", 2, 3, 1, 1),
    ],
    "attended": [
        ("pmconv1", "ca_conv1", 0.5, 5, 1, 1),
        ("pmconv2_downsample", "ca_down_block1.conv1_downsample", 0.5, 3, 2, 1),
        ("pmconv3", "ca_down_block1.conv2", 1, 3, 1, 1),
        ("pmconv4_downsample", "ca_down_block2.conv1_downsample", 2, 3, 2, 1),
        ("pmconv5", "ca_down_block2.conv2", 2, 3, 1, 1),
        ("pmconv6", "ca_conv_bn1", 2, 3, 1, 1),
    ],
}
BOTTLENECK = {
    "coarse": [("conv6", "conv_bn1", 2, 3, 1, 1)] + [
        (f"conv{7 + i}_atrous", f"conv_bn{2 + i}", 2, 3, 1, 2 << i) for i in range(4)
    ] + [("conv11", "conv_bn6", 2, 3, 1, 1), ("conv12", "conv_bn7", 2, 3, 1, 1)],
    "convolved": [("xconv6", "conv_conv_bn1", 2, 3, 1, 1)] + [
        (f"xconv{7 + i}_atrous", f"conv_conv_bn{2 + i}", 2, 3, 1, 2 << i) for i in range(4)
    ],
    "attended": [],
}
AFTER_ATTENTION = [("pmconv9", "ca_conv_bn4", 2, 3, 1, 1), ("pmconv10", "ca_conv_bn5", 2, 3, 1, 1)]
JOINED = [("allconv11", "conv_bn6", 2, 3, 1, 1), ("allconv12", "conv_bn7", 2, 3, 1, 1)]


def decoder(prefix):
    """Names end in _upsample where the layer doubles its input first."""
    return [
        (f"{prefix}13_upsample", "up_block1.conv1_upsample", 1, 3, 1, 1),
        (f"{prefix}14", "up_block1.conv2", 1, 3, 1, 1),
        (f"{prefix}15_upsample", "up_block2.conv1_upsample", 0.5, 3, 1, 1),
        (f"{prefix}16", "up_block2.conv2", 0.25, 3, 1, 1),
        (f"{prefix}17", "conv_to_rgb", 3, 3, 1, 1),
    ]


class DeepFillV2Official(nn.Module):
    """forward(image [N,3,H,W] in [-1,1], mask [N,1,H,W], 1 = hole) -> (coarse, refined), both in [-1,1] before
    composition. H and W are multiples of 8; width is a multiple of 4 (48 as published)."""

    def __init__(self, width=48, form="tensorflow"):
        super().__init__()
        assert form in ("tensorflow", "torch"), form
        self.form, self.width = form, width
        self.paths = {}
        self.build("coarse", 1, 5, ENCODER["coarse"] + BOTTLENECK["coarse"] + decoder("conv"))
        self.build("convolved", 2, 3, ENCODER["convolved"] + BOTTLENECK["convolved"])
        self.build("attended", 2, 3, ENCODER["attended"])
        self.build("after", 2, 2 * width, AFTER_ATTENTION)
        self.build("joined", 2, 4 * width, JOINED + decoder("allconv"))
        if form == "torch":
            self.stage2.contextual_attention = nn.Module()
            self.stage2.contextual_attention.register_buffer("fuse_weight", torch.eye(3).view(1, 1, 3, 3))

    def build(self, path, stage, inputs, steps):
        """Adds each layer under its name; a name with dots makes the modules in between."""
        layers = []
        for tensorflow, torch_name, channels, size, stride, dilation in steps:
            last = torch_name == "conv_to_rgb"
            outputs = 3 if last else int(channels * self.width)
            activation = None if last else F.relu if tensorflow == "pmconv6" else F.elu
            layer = SplitGatedConv(inputs, outputs, size, stride, dilation, activation, self.form == "tensorflow")
            if tensorflow.endswith("_upsample"):
                layer = Upsampled(layer)
            *folders, leaf = (tensorflow if self.form == "tensorflow" else f"stage{stage}.{torch_name}").split(".")
            owner = self
            for folder in folders:
                if not hasattr(owner, folder):
                    owner.add_module(folder, nn.Module())
                owner = getattr(owner, folder)
            owner.add_module(leaf, layer)
            layers.append(layer)
            inputs = outputs
        self.paths[path] = layers

    def run(self, path, x):
        for layer in self.paths[path]:
            x = layer(x)
        return x

    def forward(self, image, mask):
        holed = image * (1 - mask)
        coarse = torch.tanh(self.run("coarse", torch.cat([holed, torch.ones_like(mask), mask], 1)))
        filled = holed + coarse * mask
        aligned = self.form == "tensorflow"
        x = self.run("attended", filled)
        attended = attend(x, shrink(x, 2, aligned), shrink(mask, 8, aligned), fused=not aligned, clamped=True)
        joined = torch.cat([self.run("convolved", filled), self.run("after", attended)], 1)
        return coarse, torch.tanh(self.run("joined", joined))
