"""What others make of a file: Pillow, Python's csv, torch, safetensors."""
import io
import json
import struct
import warnings

import PIL
from PIL import Image, ImageChops, ImageOps

import tables

try:
    import torch
except ImportError:
    torch = None
try:
    import safetensors
except ImportError:
    safetensors = None

PREFIXES = ("module.", "_orig_mod.", "model.")


def versions():
    return ", ".join([f"Pillow {PIL.__version__}"] + [f"{m.__name__} {m.__version__.split('+')[0]}" if m else f"no {n}" for n, m in (("torch", torch), ("safetensors", safetensors))])


def rgb_on_white(image):
    if image.mode.startswith("I"):  # 16 bits: the higher eight
        wide = image.tobytes()[1::2] if image.mode != "I" else bytes(min(v >> 8, 255) for v in image.getdata())
        return Image.frombytes("L", image.size, wide).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.composite(image.convert("RGB"), Image.new("RGB", image.size, "white"), image.getchannel("A"))
    return image.convert("RGB")


def pillow(content):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP", "BMP", "GIF")) as image:
            image.load()
            upright = rgb_on_white(ImageOps.exif_transpose(image))
    return upright.width, upright.height, upright.tobytes()


def safetensors_values(content):
    """Of a file that is known to be whole: {name: (dtype, shape, bytes)}."""
    (length,) = struct.unpack("<Q", content[:8])
    header, values = json.loads(content[8:8 + length]), content[8 + length:]
    header.pop("__metadata__", None)
    return {n: (t["dtype"], t["shape"], values[slice(*t["data_offsets"])]) for n, t in header.items()}


def by_safetensors(content):
    return {name: (t["dtype"], t["shape"], bytes(t["data"])) for name, t in safetensors.deserialize(content)}


def by_index(case):
    """As an index of shards is understood by those who write them."""
    shards = {name: by_safetensors(content) for name, content in case.beside.items()}
    return {tensor: shards[file][tensor] for tensor, file in json.loads(case.content)["weight_map"].items()}


def tensor_value(t):
    kinds = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "bool": "BOOL", "uint8": "U8"}
    kind = kinds.get(str(t.dtype)[6:], str(t.dtype)[6:].replace("int", "I"))
    t = t.detach().contiguous()
    return kind, list(t.shape), t.reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""


def tensors_in(value, depth=0):
    """Every dictionary of tensors in what torch read."""
    if not isinstance(value, dict) or depth > 8:
        return []
    held = {str(k): tensor_value(t) for k, t in value.items() if isinstance(t, torch.Tensor) and is_plain(t)}
    return ([held] if held or not value else []) + [d for inner in value.values() for d in tensors_in(inner, depth + 1)]


def is_plain(t):
    return t.layout == torch.strided and not t.is_quantized and not t.is_conj() and t.device.type == "cpu"


def by_torch(content):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = tensors_in(torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"))
    if not found:
        raise ValueError("read, but no dictionary of tensors in it")
    return found


def verdict(kind, case):
    """(what was read, "") or (None, why not)."""
    readers = {"csv": tables.read, "pth": by_torch, "safetensors": by_safetensors}
    try:
        if case.name.endswith(".json"):
            return by_index(case), ""
        return readers.get(kind, pillow)(case.content), ""
    except Exception as e:  # whatever it is: it was not read
        return None, f"{type(e).__name__}: {e}".split("\n")[0].replace("<_io.BytesIO", "<file")[:120]


def without_prefix(names):
    names = list(names)
    while any(names and all(n.startswith(p) for n in names) for p in PREFIXES):
        names = [n.split(".", 1)[1] for n in names]
    return names


def difference(kind, ours, other):
    """"" where they agree, else "we read", "we refuse", "size", "pixels: …" or "values"."""
    if ours is None or other is None:
        return "" if ours is other else "we refuse" if ours is None else "we read"
    if kind == "csv":
        return "" if ours == other else "values"
    if kind == "pth":
        return "" if any(dict(zip(without_prefix(d), d.values())) == ours for d in other) else "values"
    if kind == "safetensors":
        return "" if ours == other else "values"
    if ours[:2] != other[:2]:
        return f"size: {ours[0]}x{ours[1]}, theirs {other[0]}x{other[1]}"
    if ours[2] == other[2]:
        return ""
    apart = ImageChops.difference(*[Image.frombytes("RGB", p[:2], p[2]) for p in (ours, other)])
    most = max(high for _, high in apart.getextrema())
    # One level is rounding: where inks are mixed and where paint is laid on white.
    return "" if most <= 1 else f"pixels: up to {most}"
