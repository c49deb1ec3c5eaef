"""The four detectors at any width, with torchvision's state_dict names and layouts. At width 1 they are torchvision's
nets with a head of 5 outputs (check_against_torchvision proves it); dropout is left out, as the golden cases have none.
"""

import math

import torch
import torchvision
from torch import nn


def scaled(channels, width):
    """channels * width, a multiple of 8 and at least 8, unless width is 1 (the rule of nets/build.h)."""
    return channels if width == 1 else max(8, math.floor(channels * width / 8 + 0.5) * 8)


class Classifier(nn.Module):
    """features -> avgpool -> flatten -> classifier: torchvision's AlexNet and VGG."""

    def __init__(self, features, pooled, classifier):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(pooled)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def alexnet(width=1.0, outputs=5):
    c = [scaled(n, width) for n in (64, 192, 384, 256, 256)]
    f = scaled(4096, width)
    features = [
        nn.Conv2d(3, c[0], 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(c[0], c[1], 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(c[1], c[2], 3, padding=1), nn.ReLU(),
        nn.Conv2d(c[2], c[3], 3, padding=1), nn.ReLU(),
        nn.Conv2d(c[3], c[4], 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    ]
    classifier = [
        nn.Identity(), nn.Linear(c[4] * 36, f), nn.ReLU(),
        nn.Identity(), nn.Linear(f, f), nn.ReLU(), nn.Linear(f, outputs),
    ]
    return Classifier(features, 6, classifier)


def vgg11(width=1.0, outputs=5):
    features, inputs = [], 3
    for channels in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        if channels == 0:
            features.append(nn.MaxPool2d(2, 2))
            continue
        channels = scaled(channels, width)
        features += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
        inputs = channels
    f = scaled(4096, width)
    classifier = [
        nn.Linear(inputs * 49, f), nn.ReLU(), nn.Identity(),
        nn.Linear(f, f), nn.ReLU(), nn.Identity(), nn.Linear(f, outputs),
    ]
    return Classifier(features, 7, classifier)


class Block(nn.Module):
    """A residual block: sizes of its convolutions, the strided one, and channels after each."""

    def __init__(self, inputs, channels, sizes, stride, strided):
        super().__init__()
        self.depth = len(sizes)
        last = inputs
        for i, (size, outputs) in enumerate(zip(sizes, channels)):
            step = stride if i == strided else 1
            setattr(self, f"conv{i + 1}", nn.Conv2d(last, outputs, size, step, size // 2, bias=False))
            setattr(self, f"bn{i + 1}", nn.BatchNorm2d(outputs))
            last = outputs
        self.downsample = None
        if stride != 1 or inputs != last:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, last, 1, stride, bias=False), nn.BatchNorm2d(last))

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.depth:
                y = torch.relu(y)
        return torch.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
    def __init__(self, depths, bottleneck, width, outputs):
        super().__init__()
        inputs = scaled(64, width)
        self.conv1 = nn.Conv2d(3, inputs, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for stage, depth in enumerate(depths):
            mid = scaled(64 << stage, width)
            blocks = []
            for i in range(depth):
                stride = 2 if stage > 0 and i == 0 else 1
                if bottleneck:
                    blocks.append(Block(inputs, (mid, mid, 4 * mid), (1, 3, 1), stride, strided=1))
                    inputs = 4 * mid
                else:
                    blocks.append(Block(inputs, (mid, mid), (3, 3), stride, strided=0))
                    inputs = mid
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, outputs)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


def resnet18(width=1.0, outputs=5):
    return ResNet((2, 2, 2, 2), False, width, outputs)


def resnet50(width=1.0, outputs=5):
    return ResNet((3, 4, 6, 3), True, width, outputs)


NETS = {"alexnet": alexnet, "vgg11": vgg11, "resnet18": resnet18, "resnet50": resnet50}


def check_against_torchvision(name):
    """Asserts that our net at width 1 takes torchvision's state_dict and computes what torchvision does, in training
    mode (no dropout) and in eval mode."""
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(weights=None, num_classes=5)
    for m in theirs.modules():
        if isinstance(m, nn.Dropout):
            m.p = 0.0
    ours = NETS[name]()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    for train in (True, False):
        theirs.train(train)
        ours.train(train)
        with torch.no_grad():
            a, b = ours(x), theirs(x)
        error = ((a - b).norm() / b.norm()).item()
        assert error < 1e-6, f"{name}, train={train}: differs from torchvision's by {error}"
