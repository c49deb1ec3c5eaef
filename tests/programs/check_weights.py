#!/usr/bin/python3
"""Full-size weights out of PyTorch, into Telltale, and back. Needs torch, torchvision and what `cmake --build` made.

    tests/programs/check_weights.py [--bin build/bin] [--nets resnet18 ...]       each net, seeded, in all three file forms
    tests/programs/check_weights.py --photos DIR --resnet18 FILE --resnet50 FILE  the real weights on real photographs

The first draws a state_dict, saves it as PyTorch's zip and legacy forms and as safetensors, lets `convert` take each and
replay what PyTorch computed in double, and loads what `convert` writes back into PyTorch, bit for bit. The second
compares 1000-class logits of 256 x 256 photographs with torchvision's. Exits 1 when a limit is passed, 77 without torch.
"""

import argparse
import gzip
import io
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

try:
    import torch
    import torchvision
except ImportError as missing:
    print(f"check_weights.py: {missing}: nothing was checked")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from torch_port import inpaint_cases, safetensors_io  # noqa: E402
from torch_port.deepfill_v2 import DeepFillV2, SpectralNormed  # noqa: E402
from torch_port.deepfill_v2_official import DeepFillV2Official  # noqa: E402

DETECTORS = ("alexnet", "vgg11", "resnet18", "resnet50")
GENERATORS = {
    "csqiangwen": lambda: DeepFillV2(48),
    "official": lambda: DeepFillV2Official(48),
    "official_torch": lambda: DeepFillV2Official(48, "torch"),
}
FORWARD_LIMIT = 1e-5  # of ours against PyTorch's double, relative
REFINED_LIMIT = 1e-4  # a softmax over 1024 patches, its scores times ten, stands before it
LOGIT_LIMIT, TOP1_LIMIT = 1e-4, 0.995


class Failures(list):
    def expect(self, good, text):
        print(("ok      " if good else "FAILED  ") + text, flush=True)
        if not good:
            self.append(text)


def draw_detector(net):
    """Random values such that activations neither fade nor explode, and running statistics that fit them."""
    with torch.no_grad():
        for name, m in net.named_modules():
            if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)):
                m.weight.normal_(0, (2 / m.weight[0].numel())**0.5)
                if m.bias is not None:
                    m.bias.uniform_(-0.1, 0.1)
            elif isinstance(m, torch.nn.BatchNorm2d):
                # Branches weaker than their shortcuts, as in trained nets: else rounding grows from block to block.
                weak = 0.3 if re.search(r"bn[23]$", name) else 1
                m.weight.uniform_(0.5 * weak, 1.5 * weak)
                m.bias.normal_(0, 0.1)
                m.momentum = 1.0
        if any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules()):
            net.train()(torch.randn(4, 3, 256, 256))
    return net.eval()


def detector_case(name):
    net = draw_detector(getattr(torchvision.models, name)(weights=None))
    x = torch.randn(1, 3, 256, 256)
    state = {k: v.clone() for k, v in net.state_dict().items()}
    with torch.no_grad():
        expected = {"expect.output": net.double()(x.double()).float()}
    metadata = {"kind": "net", "net": name, "mode": "eval", "width": "1.0"}
    return net.float(), state, {"input": x, **expected}, metadata


def generator_case(name):
    net = GENERATORS[name]()
    inpaint_cases.initialise(net)
    image, mask = inpaint_cases.picture(1, 256, 256), inpaint_cases.holes(1, 256, 256)
    state = {k: v.clone() for k, v in net.state_dict().items()}
    metadata = {"kind": "inpaint", "family": name, "spectral_norm": "one_step", "width": "48"}
    if name == "csqiangwen":
        net.use_spectral_norm("one_step")
    scaled = image.double() if name == "csqiangwen" else 2 * image.double() - 1
    with torch.no_grad():
        coarse, refined = net.double()(scaled, mask.double())
    tensors = {"image": image, "mask": mask, "expect.coarse": coarse.float(), "expect.refined": refined.float()}
    return net.float(), state, tensors, metadata


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def same_bits(a, b):
    return list(a) == list(b) and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and torch.equal(a[k], b[k]) for k in a)


def check_folded(failures, convert, file, folder, net):
    """Spectral norm divided out: the filters are those divided by their largest singular value, under plain names."""
    code, said = run(convert, file, folder / "folded.pth", "--quiet")
    failures.expect(code == 0, f"csqiangwen: convert folds its spectral norm {said if code else ''}")
    if code:
        return
    folded = torch.load(folder / "folded.pth", weights_only=True)
    worst = 0.0
    for name, m in net.named_modules():
        if isinstance(m, SpectralNormed):
            bar = m.module.weight_bar.detach().double()
            expected = bar / torch.linalg.svdvals(bar.flatten(1))[0]
            worst = max(worst, ((folded[f"{name}.weight"] - expected).norm() / expected.norm()).item())
    failures.expect(worst < 1e-6, f"csqiangwen: folded filters are within {worst:.1e} of W / sigma (SVD in double)")


def check_net(failures, convert, name, seed, folder):
    torch.manual_seed(seed)
    net, state, tensors, metadata = (detector_case if name in DETECTORS else generator_case)(name)
    case = folder / "case.safetensors"
    safetensors_io.write(case, tensors, metadata)
    forms = {
        "zip": ("net.pth", lambda path: torch.save(state, path)),
        "legacy": ("net_legacy.pth", lambda path: torch.save(state, path, _use_new_zipfile_serialization=False)),
        "safetensors": ("net.safetensors", lambda path: safetensors_io.write(path, state)),
    }
    for form, (file_name, save) in forms.items():
        file = folder / file_name
        save(file)
        code, said = run(convert, file, "--verify", case, "--quiet")
        errors = {t: float(e) for t, e in re.findall(r"(expect\.\w+) +\S+ +(\S+) +\S+ +(?:ok|FAILED)", said)}
        limits = {t: REFINED_LIMIT if t == "expect.refined" else FORWARD_LIMIT for t in tensors if "expect" in t}
        good = set(errors) == set(limits) and all(errors[t] <= limits[t] for t in limits)
        told = ", ".join(f"{t[7:]} {e:.1e}" for t, e in errors.items())
        failures.expect(good, f"{name}, {form}: {told or said}")

        keep = ["--power-iterations", "keep"] if name == "csqiangwen" else []
        ours, back = folder / "ours.safetensors", folder / "back.pth"
        code, said = run(convert, file, ours, "--quiet", *keep)
        if code == 0:
            code, said = run(convert, ours, back, "--quiet", *keep)
        failures.expect(code == 0, f"{name}, {form}: convert there and back {said if code else ''}")
        if code:
            continue
        returned = torch.load(back, weights_only=True)
        net.load_state_dict(returned, strict=True)
        in_safetensors = safetensors_io.read(ours)[0]
        failures.expect(
            same_bits(dict(sorted(returned.items())), dict(sorted(state.items())))
            and same_bits(dict(sorted(in_safetensors.items())), dict(sorted(state.items()))),
            f"{name}, {form}: {len(state)} tensors came back bit for bit, .pth and .safetensors")
    if name == "csqiangwen":
        check_folded(failures, convert, folder / "net.pth", folder, net)


def photographs(source, count):
    """The first `count` 256 x 256 JPEGs by name, in folders or in tar files; normalised, [count,3,256,256]."""
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    streams = []
    for file in files:
        if file.suffix == ".tar":
            with tarfile.open(file) as tar:
                members = sorted((m for m in tar if m.isfile()), key=lambda m: m.name)
                for m in members[:count - len(streams)]:
                    if m.name.lower().endswith((".jpg", ".jpeg")):
                        streams.append(tar.extractfile(m).read())
        elif file.suffix.lower() in (".jpg", ".jpeg"):
            streams.append(file.read_bytes())
        if len(streams) >= count:
            break
    from PIL import Image
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    batch = []
    for data in streams[:count]:
        image = torchvision.transforms.functional.to_tensor(Image.open(io.BytesIO(data)).convert("RGB"))
        assert image.shape == (3, 256, 256), f"a photograph is {tuple(image.shape)}, not 256 x 256"
        batch.append((image - mean) / std)
    assert batch, f"no photographs in {source}"
    return torch.stack(batch)


def check_real(failures, parity, name, weights, photos, folder, at_once=25):
    if weights.suffix == ".gz":
        unpacked = folder / "real.safetensors"
        unpacked.write_bytes(gzip.decompress(weights.read_bytes()))
        weights = unpacked
    state, _ = safetensors_io.read(weights)
    net = getattr(torchvision.models, name)(weights=None).eval()
    net.load_state_dict(state, strict=True)
    theirs, ours = [], []
    case, saved = folder / "real_case.safetensors", folder / "saved"
    for batch in photos.split(at_once):
        with torch.no_grad():
            theirs.append(net(batch))
        safetensors_io.write(case, {"input": batch, "expect.output": theirs[-1],
                                    **{f"param.{k}": v for k, v in state.items()}},
                             {"kind": "net", "net": name, "mode": "eval"})
        code, said = run(parity, case, "--save", saved, "--tolerance", LOGIT_LIMIT, "--quiet")
        if code:
            failures.expect(False, f"{name} on photographs: {said}")
            return
        ours.append(safetensors_io.read(saved / case.name)[0]["expect.output"].float())
    theirs, ours = torch.cat(theirs), torch.cat(ours)
    worst = ((ours - theirs).norm(dim=1) / theirs.norm(dim=1)).max().item()
    same = (ours.argmax(1) == theirs.argmax(1)).float().mean().item()
    failures.expect(
        worst <= LOGIT_LIMIT and same >= TOP1_LIMIT,
        f"{name}, real weights, {len(ours)} photographs: logits within {worst:.1e}, the same class for {100 * same:.2f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).parent.parent
    parser.add_argument("--bin", type=pathlib.Path, default=root / "build/bin", help="where convert and parity are")
    parser.add_argument("--nets", nargs="*", choices=[*DETECTORS, *GENERATORS], help="which to draw; default all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--photos", type=pathlib.Path, help="a folder of 256 x 256 JPEGs or of tar files of them, or a tar")
    parser.add_argument("--count", type=int, default=400, help="how many photographs")
    for name in ("resnet18", "resnet50"):
        parser.add_argument(f"--{name}", type=pathlib.Path, help="torchvision's weights, .safetensors or .safetensors.gz")
    args = parser.parse_args()
    failures = Failures()
    real = {n: getattr(args, n) for n in ("resnet18", "resnet50") if getattr(args, n)}
    nets = args.nets if args.nets is not None else [] if real else [*DETECTORS, *GENERATORS]
    for name in nets:
        with tempfile.TemporaryDirectory() as folder:
            check_net(failures, args.bin / "convert", name, args.seed, pathlib.Path(folder))
    if real:
        if not args.photos:
            parser.error("real weights are tried on photographs: give --photos")
        photos = photographs(args.photos, args.count)
        for name, weights in real.items():
            with tempfile.TemporaryDirectory() as folder:
                check_real(failures, args.bin / "parity", name, weights, photos, pathlib.Path(folder))
    print(f"{len(failures)} failed" if failures else "all hold")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
