"""Odd weights: PyTorch's files, written by torch and then changed, and safetensors by hand."""
import argparse
import collections
import io
import json
import re
import struct
import zipfile

from parts import Case, damaged, truncations


# --- PyTorch ---
def pth(value, **options):
    import torch
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def with_plain_keys(legacy):
    """The legacy form names storages by addresses of memory; by letters the same seed gives the same file."""
    keys = []

    def letter(match):
        if match[1] not in keys:
            keys.append(match[1])
        return b"X\1\0\0\0" + bytes((97 + keys.index(match[1]),))

    return re.sub(rb"X.\0\0\0(\d{10,20})", letter, legacy, flags=re.DOTALL)


def repacked(content, change, compression=zipfile.ZIP_STORED):
    """The zip with its members (name, bytes) put through `change`, a function of a list."""
    old, out = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as new:
        for name, body in change([(i.filename, old.read(i)) for i in old.infolist()]):
            new.writestr(name, body)
    return out.getvalue()


def tensors():
    import torch
    torch.manual_seed(1)
    t = torch.randn(2, 3, 4)
    kinds = {str(d)[6:]: (t * 50).to(torch.int32).to(d) for d in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64,
                                                                   torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)}
    lying = dict(plain=t, turned=t.permute(2, 0, 1), part=t[1, 1:], steps=t[:, ::2, 1::2], repeated=t[0, 0, :1].expand(5, 3), scalar=torch.tensor(3.25),
                 none=torch.zeros(0, 3), parameter=torch.nn.Parameter(t[0]), channels_last=torch.randn(2, 8, 3, 3).to(memory_format=torch.channels_last))
    return kinds, lying


def beside():
    """What people's checkpoints hold beside their tensors."""
    import numpy
    import torch
    return {"int": 7, "big": 2**70, "negative": -3, "float": .5, "text": "x", "bytes": b"abc", "none": None, "bool": True, "list": [1, [2]], "tuple": (1, 2, 3, 4), "dict": {"a": 1, 2: "b"},
            "set": {1, 2}, "frozenset": frozenset({1}), "complex": 1 + 2j, "size": torch.Size([1, 2]), "device": torch.device("cpu"), "dtype": torch.float16, "layout": torch.strided,
            "numpy_scalar": numpy.float64(.5), "numpy_int": numpy.int64(5), "numpy_array": numpy.arange(3.), "namespace": argparse.Namespace(lr=.1, sizes=[1, 2]), "counter": collections.Counter("aab"),
            "defaultdict": collections.defaultdict(list, a=[1]), "ordered": collections.OrderedDict(a=1), "bytearray": bytearray(b"ab"), "range": range(3), "path": __import__("pathlib").PurePosixPath("/x"),
            "function": print, "generator_state": torch.get_rng_state(), "module": torch.nn.Linear(1, 1), "quantised": torch.quantize_per_tensor(torch.ones(3), .1, 0, torch.qint8),
            "sparse": torch.eye(3).to_sparse(), "complex_tensor": torch.ones(2, dtype=torch.complex64), "meta": torch.empty(3, device="meta"), "float8": torch.ones(4).to(torch.float8_e4m3fn),
            "uint16": torch.ones(4).to(torch.uint16), "conjugate": torch.ones(2, dtype=torch.complex64).conj(), "hooked": torch.nn.Parameter(torch.ones(2))}


def pths(random):
    import torch
    kinds, lying = tensors()
    w = {"w": torch.arange(6.).reshape(2, 3), "b": torch.ones(3)}
    good, old = pth(w), with_plain_keys(pth(w, _use_new_zipfile_serialization=False))
    cases = [Case("kinds.pth", pth(kinds)), Case("lying.pth", pth(lying)), Case("legacy_kinds.pth", pth(kinds, _use_new_zipfile_serialization=False)),
             Case("legacy_lying.pth", pth(lying, _use_new_zipfile_serialization=False)), Case("empty_dict.pth", pth({})), Case("tensor_alone.pth", pth(w["w"])), Case("list.pth", pth([w["w"]])),
             Case("numbers_as_keys.pth", pth({0: w["w"], 1: w["b"]})), Case("no_tensor.pth", pth({"a": 1})), Case("nan.pth", pth({"w": torch.tensor([float("nan"), float("inf")])})),
             Case("aliases.pth", pth({"a": w["w"], "b": w["w"]})), Case("key_empty.pth", pth({"": w["w"]})), Case("key_odd.pth", pth({"a\nb/ü": w["w"]})), Case("sequential.pth", pth(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).state_dict()))]
    cases += [Case(f"protocol_{p}_{form}.pth", pth({"state_dict": w, "epoch": 3}, pickle_protocol=p, _use_new_zipfile_serialization=form == "zip")) for p in (2, 3, 4, 5) for form in ("zip", "legacy")]
    cases += [Case(f"under_{'_'.join(keys)}.pth", pth(nested(keys, w))) for keys in (["state_dict"], ["model"], ["model", "state_dict"], ["G"], ["mine"], ["a", "b", "c"], ["a", "b", "c", "d", "e"])]
    cases += [Case(f"prefix_{p.replace('.', '-')}.pth", pth({p + k: v for k, v in w.items()})) for p in ("module.", "_orig_mod.", "model.", "module._orig_mod.model.")]
    cases += [Case(f"beside_{name}.pth", pth({"state_dict": w, "x": value})) for name, value in beside().items()]
    cases += [Case(f"among_{name}.pth", pth({**w, "x": value})) for name, value in beside().items() if name in ("int", "text", "numpy_array", "quantised", "sparse", "complex_tensor", "float8", "uint16", "meta", "hooked")]
    scripted = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), scripted)

    def member(change):
        return repacked(good, lambda members: [(n, change(n, b)) for n, b in members])

    def pickled(old_bytes, new):
        return member(lambda n, b: b.replace(old_bytes, new, 1) if n.endswith("data.pkl") else b)

    huge = b"\x8a\x08" + struct.pack("<q", 1 << 61)
    cases += [
        Case("torchscript.pth", scripted.getvalue()), Case("compressed.pth", repacked(good, lambda m: m, zipfile.ZIP_DEFLATED)), Case("repacked.pth", repacked(good, lambda m: m)),
        Case("reversed.pth", repacked(good, lambda m: m[::-1])), Case("without_storage.pth", repacked(good, lambda m: [x for x in m if not x[0].endswith("data/1")])),
        Case("without_pickle.pth", repacked(good, lambda m: [x for x in m if not x[0].endswith("data.pkl")])), Case("without_version.pth", repacked(good, lambda m: [x for x in m if not x[0].endswith("version")])),
        Case("without_byteorder.pth", repacked(good, lambda m: [x for x in m if not x[0].endswith("byteorder")])), Case("big_endian.pth", member(lambda n, b: b"big" if n.endswith("byteorder") else b)),
        Case("storage_short.pth", member(lambda n, b: b[:-4] if n.endswith("data/0") else b)), Case("storage_long.pth", member(lambda n, b: b + b"\0" * 4 if n.endswith("data/0") else b)),
        Case("other_folder.pth", repacked(good, lambda m: [("x/" + n.split("/", 1)[1], b) for n, b in m])), Case("no_folder.pth", repacked(good, lambda m: [(n.split("/", 1)[1], b) for n, b in m])),
        Case("stranger_outside.pth", repacked(good, lambda m: m + [("readme.txt", b"hello")])), Case("stranger_inside.pth", repacked(good, lambda m: m + [(m[0][0].split("/")[0] + "/extra/notes", b"hello")])),
        Case("shape_too_large.pth", pickled(b"K\x02K\x03\x86", b"K\x02K\x09\x86")), Case("shape_smaller.pth", pickled(b"K\x02K\x03\x86", b"K\x02K\x02\x86")), Case("shape_huge.pth", pickled(b"K\x02K\x03\x86", huge + huge + b"\x86")),
        Case("shape_negative.pth", pickled(b"K\x02K\x03\x86", b"J\xff\xff\xff\xffK\x03\x86")), Case("stride_0.pth", pickled(b"K\x03K\x01\x86", b"K\x00K\x01\x86")), Case("stride_large.pth", pickled(b"K\x03K\x01\x86", b"K\x09K\x01\x86")),
        Case("strides_few.pth", pickled(b"K\x03K\x01\x86", b"K\x01\x85")), Case("storage_of_halves.pth", pickled(b"FloatStorage", b"HalfStorage")), Case("storage_unknown.pth", pickled(b"FloatStorage", b"QInt9Storage")),
        Case("calls_system.pth", pickled(b"ctorch._utils\n_rebuild_tensor_v2", b"cposix\nsystem")), Case("calls_eval.pth", pickled(b"ccollections\nOrderedDict", b"cbuiltins\neval")), Case("getattr.pth", pickled(b"ccollections\nOrderedDict", b"cbuiltins\ngetattr")),
        Case("zip_alone.pth", repacked(good, lambda m: [])), Case("behind.pth", good + b"trailer"), Case("in_front.pth", b"#!/bin/sh\n" + good), Case("legacy_behind.pth", old + b"trailer"), Case("empty.pth", b""), Case("text.pth", b"hello\n"),
        Case("lfs.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"), Case("html.pth", b"<!DOCTYPE html>"), Case("gzip.pth", __import__("gzip").compress(good, mtime=0)), Case("pickle_alone.pth", __import__("pickle").dumps({"a": 1}, 2)),
        *truncations(random, "zip.pth", good, 8), *truncations(random, "legacy.pth", old, 10), *damaged(random, "zip.pth", good, 20, 0), *damaged(random, "legacy.pth", old, 20, 0)]
    return cases


def nested(keys, value):
    for key in reversed(keys):
        value = {key: value, "epoch": 1}
    return value


# --- safetensors ---
def safetensors(header, values, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + values


def entry(kind="F32", shape=(2, 3), begin=0, end=24, **more):
    return {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end], **more}


def safetensors_cases(random):
    data = struct.pack("<6f", *range(6))
    good = safetensors({"w": entry()}, data)
    sizes = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1, "U16": 2, "U32": 4, "U64": 8, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8, "F4": 1, "XX": 1}
    cases = [Case(f"kind_{k}.safetensors", safetensors({"w": entry(k, (2,), 0, 2 * n)}, b"\1\0" * n)) for k, n in sizes.items()]
    odd = {
        "good": ({"w": entry()}, data), "metadata": ({"__metadata__": {"a": "b"}, "w": entry()}, data), "metadata_number": ({"__metadata__": {"a": 1}, "w": entry()}, data), "metadata_null": ({"__metadata__": None, "w": entry()}, data),
        "metadata_list": ({"__metadata__": [], "w": entry()}, data), "metadata_nested": ({"__metadata__": {"a": {"b": "c"}}, "w": entry()}, data), "none": ({}, b""), "none_and_bytes": ({}, b"abcd"), "scalar": ({"w": entry(shape=(), end=4)}, data[:4]),
        "no_values": ({"w": entry(shape=(0, 3), end=0)}, b""), "no_values_between": ({"v": entry(shape=(0,), begin=24, end=24), "w": entry()}, data), "overlapping": ({"v": entry(), "w": entry(begin=12, end=36)}, data + data), "same_bytes": ({"v": entry(), "w": entry()}, data),
        "hole": ({"v": entry(), "w": entry(begin=28, end=52)}, data + data + b"abcd"), "hole_in_front": ({"w": entry(begin=8, end=32)}, data + b"abcdefgh"), "behind": ({"w": entry()}, data + b"abcd"), "short": ({"w": entry()}, data[:-1]),
        "offsets_backwards": ({"w": entry(begin=24, end=0)}, data), "offsets_one": ({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [24]}}, data), "offsets_negative": ({"w": entry(begin=-24)}, data), "offsets_real": ({"w": entry(end=24.0)}, data),
        "shape_wrong": ({"w": entry(shape=(2, 4))}, data), "shape_negative": ({"w": entry(shape=(-2, -3))}, data), "shape_huge": ({"w": entry(shape=(1 << 62, 1 << 62))}, data), "shape_text": ({"w": entry(shape=("2", 3))}, data), "shape_wraps": ({"w": entry(shape=(1 << 62, 4), end=0)}, b""), "shape_of_33": ({"w": entry(shape=[1] * 40 + [6])}, data),
        "field_more": ({"w": entry(note="x")}, data), "field_missing": ({"w": {"dtype": "F32", "shape": [6]}}, data), "entry_list": ({"w": []}, data), "entry_null": ({"w": None}, data), "kind_lower": ({"w": entry("f32")}, data), "name_empty": ({"": entry()}, data), "name_odd": ({"a\nü/..": entry()}, data),
        "unsorted": ({"b": entry(begin=24, end=48), "a": entry()}, data + data), "unaligned": ({"a": entry("U8", (1,), 0, 1), "w": entry(begin=1, end=25)}, b"x" + data)}
    cases += [Case(f"{name}.safetensors", safetensors(*parts)) for name, parts in odd.items()]
    raw = {"name_twice": b'{"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}', "spaces_behind": json.dumps({"w": entry()}).encode() + b"   ", "spaces_in_front": b"  " + json.dumps({"w": entry()}).encode(),
           "nul_behind": json.dumps({"w": entry()}).encode() + b"\0", "not_utf8": json.dumps({"w?": entry()}).encode().replace(b"?", b"\xff"), "escaped": rb'{"\u0077":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}', "list": b"[]", "comma": b'{"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},}',
           "comment": b'{/*x*/}', "deep": b'{"w":' + b"[" * 5000 + b"]" * 5000 + b"}", "number_long": b'{"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24000000000000000000000]}}', "exponent": b'{"w":{"dtype":"F32","shape":[6e0],"data_offsets":[0,24]}}', "pair_broken": rb'{"\ud800":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}'}
    cases += [Case(f"text_{name}.safetensors", safetensors(text, data)) for name, text in raw.items()]
    cases += [Case("length_more.safetensors", safetensors({"w": entry()}, data, 5000)), Case("length_less.safetensors", safetensors({"w": entry()}, data, 20)), Case("length_0.safetensors", safetensors(b"", b"")), Case("length_huge.safetensors", safetensors({"w": entry()}, data, 1 << 63)),
              Case("length_100_megabytes.safetensors", safetensors({"w": entry()}, data, 100_000_001)), Case("empty.safetensors", b""), Case("seven_bytes.safetensors", good[:7]), Case("eight_bytes.safetensors", good[:8])]
    shard = {"a.st": safetensors({"w": entry()}, data), "b.st": safetensors({"v": entry()}, data)}

    def index(name, mapping, beside=shard, **more):
        return Case(f"index_{name}.json", json.dumps({"metadata": {"total_size": 48}, "weight_map": mapping, **more}).encode(), beside)

    cases += [index("whole", {"w": "a.st", "v": "b.st"}), index("part", {"w": "a.st"}), index("missing_shard", {"w": "gone.st"}), index("missing_tensor", {"x": "a.st"}), index("outside", {"w": "../a.st"}), index("hidden", {"w": ".a.st"}), index("itself", {"w": "index_itself.json"}),
              index("number", {"w": 3}), index("broken_shard", {"w": "c.st"}, {"c.st": shard["a.st"][:30]}), Case("index_none.json", b"{}"), Case("index_text.json", b"{hello")]
    return cases + truncations(random, "cut.safetensors", good, 6) + damaged(random, "header.safetensors", good, 16, 0, len(good) - 24)
