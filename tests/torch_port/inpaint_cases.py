"""Golden cases of DeepFillv2 (kind: inpaint), by our PyTorch ports in double."""

import math

import torch
from torch import nn

from . import safetensors_io
from .deepfill_v2 import DeepFillV2, SpectralNormed
from .deepfill_v2_official import DeepFillV2Official


def initialise(net):
    """Random values that keep the signal alive through gates, which halve it, and give attention something to choose."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.dim() == 4:
                p.normal_(0, (2.5 if "mask_conv" not in name else 1) * math.sqrt(1 / p[0].numel()))
                if isinstance(net, DeepFillV2Official):  # the gates are its second half; those that make RGB have none
                    p[0 if p.shape[0] == 3 else p.shape[0] // 2:].mul_(0.4)
            elif name.endswith("bias"):
                p.normal_(0, 0.1)
        # Filters under spectral norm come at any scale, and u is near but not at its fixed point, as after training.
        for m in net.modules():
            if isinstance(m, SpectralNormed):
                matrix = m.module.weight_bar.flatten(1)
                for _ in range(3):
                    m.module.weight_v.copy_(nn.functional.normalize(matrix.t() @ m.module.weight_u, dim=0))
                    m.module.weight_u.copy_(nn.functional.normalize(matrix @ m.module.weight_v, dim=0))


def picture(n, h, w):
    """Smooth colours and a little noise, in [0, 1]."""
    coarse = torch.rand(n, 3, max(2, h // 8), max(2, w // 8))
    smooth = nn.functional.interpolate(coarse, (h, w), mode="bilinear", align_corners=False)
    return (0.9 * smooth + 0.1 * torch.rand(n, 3, h, w)).clamp(0, 1)


# Gradients are kept of every bias, of filters as small as these, and of two that are dilated or lead to the attention.
SMALL_FILTER = 100
ALSO = ("coarse.9.", "refine_atten_1.5.")


def trained_weights(net):
    """Filters and biases under the names they have once spectral norm is folded, each a leaf of the next forward."""
    weights = {}
    for name, m in net.named_modules():
        if isinstance(m, SpectralNormed):
            filter = m.weight().detach().requires_grad_()
            m.weight = lambda filter=filter: filter
            weights[f"{name}.weight"], weights[f"{name}.bias"] = filter, m.module.bias
        elif isinstance(m, nn.Conv2d):
            weights[f"{name}.weight"], weights[f"{name}.bias"] = m.weight, m.bias
    return weights


def gradients(net, image, mask):
    """Of half the summed squares of both outputs' distances from the image, in [-1,1]: smooth, as an L1 is not."""
    weights = trained_weights(net)
    coarse, refined = net(image, mask)
    target = 2 * image - 1
    (((coarse - target)**2).sum() / 2 + ((refined - target)**2).sum() / 2).backward()
    return {f"expect.grad.{k}": w.grad.float() for k, w in weights.items()
            if w.dim() == 1 or w.numel() <= SMALL_FILTER or k.startswith(ALSO)}


def holes(n, h, w):
    """Another rectangle for every sample."""
    mask = torch.zeros(n, 1, h, w, dtype=torch.uint8)
    for i in range(n):
        top, left = h // 8 + 3 * i, w // 5 + 5 * i
        mask[i, :, top:top + h // 2 - i, left:left + w // 3 + i] = 1
    return mask


# case: its family, a net of some width, and what its images are in terms of [0, 1]
FAMILIES = {
    "one_step": ("csqiangwen", DeepFillV2, lambda image: image),
    "folded": ("csqiangwen", DeepFillV2, lambda image: image),
    "official": ("official", DeepFillV2Official, lambda image: 2 * image - 1),
    "official_torch": ("official", lambda width: DeepFillV2Official(width, "torch"), lambda image: 2 * image - 1),
}


def write_case(path, case, width, shape, seed, storage):
    torch.manual_seed(seed)
    family, make, scaled = FAMILIES[case]
    net = make(width)
    initialise(net)
    state = {k: v.to(storage) for k, v in net.state_dict().items()}
    image, mask = picture(*shape).to(storage), holes(*shape)
    net.double().load_state_dict(state)
    metadata = {"kind": "inpaint", "mode": "train" if case == "folded" else "eval", "family": family}
    if family == "csqiangwen":
        net.use_spectral_norm(case)
        metadata["spectral_norm"] = case
    metadata["width"] = str(width)
    with torch.no_grad():
        coarse, refined = net(scaled(image.double()), mask.double())
    tensors = {"image": image, "mask": mask, "expect.coarse": coarse.float(), "expect.refined": refined.float(),
               **{f"param.{k}": v for k, v in state.items()}}
    if case == "folded":
        tensors |= gradients(net, image.double(), mask.double())
    safetensors_io.write(path, tensors, metadata)


# case: (width, (batch, height, width)). 32 shrinks with its corners aligned without a tie.
SMALL = {"one_step": (2, (1, 40, 48)), "folded": (2, (2, 32, 48)), "official": (4, (1, 32, 32)),
         "official_torch": (4, (1, 24, 32))}
FULL = {"one_step": (48, (1, 256, 256)), "folded": (48, (2, 256, 256)), "official": (48, (2, 256, 256)),
        "official_torch": (48, (2, 256, 256))}


def write(folder, full=False):
    storage = torch.float32 if full else torch.float16
    for seed, (case, (width, shape)) in enumerate((FULL if full else SMALL).items(), start=22):
        write_case(folder / f"inpaint_{case}.safetensors", case, width, shape, seed, storage)
