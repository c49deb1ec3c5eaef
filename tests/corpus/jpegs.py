"""Odd JPEGs: made by Pillow, then changed segment by segment."""
import struct

from parts import Case, damaged, picture, saved, tiff, truncations, xmp

EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
SOF = (0xC0, 0xC1, 0xC2)
RESTARTS = range(0xD0, 0xD8)


def segment(marker, body):
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def parse(content):
    """(marker, body, what follows as it stands: a scan's coded data) of each segment between SOI and EOI."""
    at, parts = 2, []
    while content[at + 1] != 0xD9:
        marker, length = content[at + 1], struct.unpack(">H", content[at + 2:at + 4])[0]
        body, begin = content[at + 4:at + 2 + length], at + 2 + length
        at = begin
        while marker == 0xDA and not (content[at] == 0xFF and content[at + 1] != 0 and content[at + 1] not in RESTARTS):
            at += 1
        parts.append((marker, body, content[begin:at]))
    return parts


def joined(parts, end=b"\xff\xd9"):
    return b"\xff\xd8" + b"".join(segment(m, b) + data for m, b, data in parts) + end


def changed(content, marker, change):
    """With the bodies of the segments `marker` put through `change`."""
    wanted = marker if isinstance(marker, tuple) else (marker,)
    return joined([(m, change(b) if m in wanted else b, d) for m, b, d in parse(content)])


def without(content, *markers):
    return joined([p for p in parse(content) if p[0] not in markers])


def before(content, marker, inserted):
    """With bytes in front of the first segment `marker`."""
    out, done = b"\xff\xd8", False
    for m, body, data in parse(content):
        if m == marker and not done:
            out, done = out + inserted, True
        out += segment(m, body) + data
    return out + b"\xff\xd9"


def put(at, values):
    """A change of bytes in place."""
    return lambda body: body[:at] + bytes(values) + body[at + len(values):]


def plain():
    cases = []
    for size in ((1, 1), (7, 5), (8, 8), (16, 16), (17, 33), (300, 2), (2, 300)):
        for sampling in (0, 2):
            cases.append(Case(f"size_{size[0]}x{size[1]}_{sampling}.jpg",
                              saved(picture(*size), "JPEG", quality=90, subsampling=sampling)))
    for quality in (1, 50, 100):
        cases.append(Case(f"quality_{quality}.jpg", saved(picture(48, 40), "JPEG", quality=quality)))
    for name, mode, options in (("grey", "L", {}), ("grey_progressive", "L", {"progressive": True}), ("cmyk", "CMYK", {}),
                                ("cmyk_progressive", "CMYK", {"progressive": True}), ("422", "RGB", {"subsampling": 1}),
                                ("optimised", "RGB", {"optimize": True}), ("rgb", "RGB", {"keep_rgb": True}),
                                ("progressive", "RGB", {"progressive": True}), ("comment", "RGB", {"comment": b"x" * 300})):
        cases.append(Case(f"{name}.jpg", saved(picture(48, 40, mode), "JPEG", quality=90, **options)))
    for name, options in (("every_block", {"restart_marker_blocks": 1}), ("every_third", {"restart_marker_blocks": 3}),
                          ("every_row", {"restart_marker_rows": 1}),
                          ("progressive", {"restart_marker_blocks": 2, "progressive": True})):
        cases.append(Case(f"restart_{name}.jpg", saved(picture(48, 40), "JPEG", quality=90, **options)))
    cases.append(Case("mpo.jpg", saved(picture(48, 40), "MPO", save_all=True, append_images=[picture(24, 20)])))
    return cases


def turned(jpeg):
    def app1(name, *bodies):
        return Case(f"turned_{name}.jpg", before(jpeg, 0xDB, b"".join(segment(0xE1, b) for b in bodies)))

    cases = [app1(f"{o}_{'II' if little else 'MM'}", EXIF + tiff(o, little)) for o in range(10) for little in (True, False)]
    cases += [app1(f"kind_{kind}", EXIF + tiff(6, little, kind)) for kind in (1, 4) for little in (True,)]
    cases += [app1("kind_4_MM", EXIF + tiff(6, False, 4)),
              app1("behind_another_tag", EXIF + tiff(8, True, 3, [(0x0100, 4, 77), (0x0101, 3, 5)])),
              app1("xmp", XMP + xmp(6)), app1("xmp_element", XMP + xmp(3, True)), app1("xmp_9", XMP + xmp(9)),
              app1("exif_and_xmp", EXIF + tiff(3), XMP + xmp(6)), app1("xmp_and_exif", XMP + xmp(6), EXIF + tiff(3)),
              app1("exif_without_and_xmp", EXIF + tiff(1)[:8] + b"\0\0\0\0\0\0", XMP + xmp(6)),
              app1("exif_cut", EXIF + tiff(6)[:15]), app1("exif_empty", EXIF), app1("exif_far", EXIF + b"II*\0\xff\xff\xff\x7f"),
              app1("exif_of_no_order", EXIF + b"XX" + tiff(6)[2:]), app1("exif_header_odd", b"Exif\0\xff" + tiff(6)),
              app1("two_exifs", EXIF + tiff(6), EXIF + tiff(3)), app1("other_app1", b"FLIR\0\1", EXIF + tiff(6))]
    return cases


def segments(jpeg):
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\1")
    cmyk = saved(picture(48, 40, "CMYK"), "JPEG", quality=90)
    grey = saved(picture(48, 40, "L"), "JPEG", quality=90)
    sos = 0xDA

    def frame(name, at, *values):
        return Case(f"frame_{name}.jpg", changed(jpeg, 0xC0, put(at, values)))

    def adobes(name, base, transform):
        body = b"Adobe\0\x64\0\0\0\0" + bytes((transform,))
        return Case(f"adobe_{name}.jpg", before(without(base, 0xEE), 0xDB, segment(0xEE, body)))

    def as_frame(marker):
        return joined([(marker if m == 0xC0 else m, b, d) for m, b, d in parse(jpeg)])

    def ids(*values):
        frames = changed(without(jpeg, 0xE0), 0xC0, lambda b: bytes(values[(i - 6) // 3] if i >= 6 and i % 3 == 0 else v
                                                                   for i, v in enumerate(b)))
        return changed(frames, sos, lambda b: bytes(values[(i - 1) // 2] if 1 <= i < 7 and i % 2 else v for i, v in enumerate(b)))

    wide = changed(jpeg, 0xDB, lambda b: bytes((b[0] | 0x10,)) + b"".join(struct.pack(">H", v) for v in b[1:65]) + b[65:])
    return [
        adobes("0_of_three", jpeg, 0), adobes("1_of_three", jpeg, 1), adobes("2_of_three", jpeg, 2), adobes("7_of_three", jpeg, 7),
        adobes("0_of_four", cmyk, 0), adobes("2_of_four", cmyk, 2), adobes("1_of_one", grey, 1),
        Case("adobe_missing_of_four.jpg", without(cmyk, 0xEE)), Case("adobe_short.jpg", before(jpeg, 0xDB, segment(0xEE, b"Adobe"))),
        Case("adobe_without_jfif.jpg", before(without(jpeg, 0xE0), 0xDB, adobe)), Case("jfif_missing.jpg", without(jpeg, 0xE0)),
        Case("ids_rgb.jpg", ids(82, 71, 66)), Case("ids_odd.jpg", ids(5, 6, 7)), Case("ids_equal.jpg", ids(1, 1, 1)),
        Case("jfif_major_9.jpg", changed(jpeg, 0xE0, put(5, [9]))),
        frame("12_bits", 0, 12), frame("0_bits", 0, 0), frame("16_bits", 0, 16), frame("no_rows", 1, 0, 0), frame("no_columns", 3, 0, 0),
        frame("more_rows", 1, 0, 80), frame("fewer_rows", 1, 0, 16), frame("giant", 1, 0xFF, 0xDC, 0xFF, 0xDC),
        frame("wide", 1, 0, 1, 0xFF, 0xFF), frame("65535", 1, 0xFF, 0xFF, 0xFF, 0xFF), frame("sampling_5", 7, 0x51),
        frame("sampling_0", 7, 0), frame("sampling_3x1", 7, 0x31), frame("sampling_4x1", 7, 0x41), frame("sampling_1x2", 7, 0x12),
        frame("table_9", 8, 9), frame("two_components", 5, 2), frame("no_component", 5, 0), frame("ten_components", 5, 10),
        *[Case(f"sof_{m:02x}.jpg", as_frame(m)) for m in (0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCB, 0xCD)],
        Case("two_frames.jpg", before(jpeg, sos, segment(0xC0, parse(jpeg)[[p[0] for p in parse(jpeg)].index(0xC0)][1]))),
        Case("no_frame.jpg", without(jpeg, 0xC0)), Case("no_scan.jpg", without(jpeg, sos)), Case("no_huffman.jpg", without(jpeg, 0xC4)),
        Case("no_quantisation.jpg", without(jpeg, 0xDB)), Case("wide_quantisation.jpg", wide),
        Case("quantisation_zero.jpg", changed(jpeg, 0xDB, put(1, [0] * 64))), Case("quantisation_short.jpg", changed(jpeg, 0xDB, lambda b: b[:40])),
        Case("huffman_of_class_2.jpg", changed(jpeg, 0xC4, put(0, [0x20]))), Case("huffman_overfull.jpg", changed(jpeg, 0xC4, put(1, [255] * 16))),
        Case("huffman_short.jpg", changed(jpeg, 0xC4, lambda b: b[:10])),
        Case("scan_phone.jpg", changed(jpeg, sos, put(8, [0]))), Case("scan_approximate.jpg", changed(jpeg, sos, put(9, [0x11]))),
        Case("scan_stranger.jpg", changed(jpeg, sos, put(1, [99]))), Case("scan_of_none.jpg", changed(jpeg, sos, put(0, [0]))),
        Case("scan_tables_7.jpg", changed(jpeg, sos, put(2, [0x77]))), Case("scan_short.jpg", changed(jpeg, sos, lambda b: b[:5])),
        *[Case(f"before_scan_{name}.jpg", before(jpeg, sos, inserted)) for name, inserted in (
            ("fill", b"\xff" * 40), ("app_of_none", segment(0xE7, b"")), ("length_0", b"\xff\xe7\0\0"), ("length_1", b"\xff\xe7\0\1"),
            ("app_past_end", b"\xff\xe7\xff\xff"), ("rubbish", b"\0\1\2 rubbish"), ("restart", b"\xff\xd3"), ("tem", b"\xff\x01"),
            ("soi", b"\xff\xd8"), ("eoi", b"\xff\xd9"), ("reserved", segment(0x4F, b"abc")), ("dnl", segment(0xDC, b"\0\x28")),
            ("dac", segment(0xCC, b"\0\x10")), ("dri_7", segment(0xDD, b"\0\7")), ("dri_long", segment(0xDD, b"\0\7\0")))],
        *[Case(f"app{n}.jpg", before(jpeg, 0xDB, segment(0xE0 + n, bytes(range(200)) * 300))) for n in (2, 13, 15)],
    ]


def coded(random, jpeg, progressive):
    """Wrong within and behind the coded data."""
    restarting = saved(picture(48, 40), "JPEG", quality=90, restart_marker_blocks=1)

    def rewritten(change):
        return joined([(m, b, change(d) if m == 0xDA else d) for m, b, d in parse(restarting)])

    scans = [i for i, p in enumerate(parse(progressive)) if p[0] == 0xDA]
    few = [[p for i, p in enumerate(parse(progressive)) if i != gone] for gone in scans]
    twice = parse(progressive)
    swapped = parse(progressive)
    swapped[scans[-1]], swapped[scans[-2]] = swapped[scans[-2]], swapped[scans[-1]]
    scan = parse(jpeg)[-1][2]
    middle = len(scan) // 2
    return [
        Case("restart_out_of_order.jpg", rewritten(lambda d: d.replace(b"\xff\xd1", b"\xff\xd4", 1))),
        Case("restart_missing.jpg", rewritten(lambda d: d.replace(b"\xff\xd2", b"", 1))),
        Case("restart_doubled.jpg", rewritten(lambda d: d.replace(b"\xff\xd2", b"\xff\xd2\xff\xd2", 1))),
        Case("restart_filled.jpg", rewritten(lambda d: d.replace(b"\xff\xd2", b"\xff\xff\xff\xd2", 1))),
        Case("restart_interval_gone.jpg", without(restarting, 0xDD)),
        Case("restart_interval_2.jpg", changed(restarting, 0xDD, put(0, [0, 2]))),
        *[Case(f"scans_without_{i}.jpg", joined(parts)) for i, parts in enumerate(few)],
        *[Case(f"scans_without_{i}_and_end.jpg", joined(parts, b"")) for i, parts in enumerate(few)],
        Case("scans_only_first.jpg", joined(parse(progressive)[:scans[0] + 1])),
        Case("scans_last_twice.jpg", joined(twice + twice[-1:])), Case("scans_swapped.jpg", joined(swapped)),
        Case("scans_1200.jpg", joined(twice + twice[-1:] * 1200)),
        Case("ends_in_scan.jpg", joined([(m, b, d[:middle]) for m, b, d in parse(jpeg)])),
        Case("unstuffed.jpg", joined([(m, b, d.replace(b"\xff\0", b"\xff")) for m, b, d in parse(jpeg)])),
        Case("marker_in_scan.jpg", joined([(m, b, d[:middle] + b"\xff\xe5" + d[middle:] if m == 0xDA else d) for m, b, d in parse(jpeg)])),
        *truncations(random, "baseline.jpg", jpeg, 12), *truncations(random, "progressive.jpg", progressive, 12),
        *damaged(random, "baseline.jpg", jpeg, 16, len(jpeg) - len(scan) - 2),
        *damaged(random, "headers.jpg", jpeg, 24, 2, len(jpeg) - len(scan) - 2),
        *damaged(random, "progressive.jpg", progressive, 10, len(progressive) // 2),
    ]


def ends(jpeg, progressive):
    trailers = (("zeros", b"\0" * 500), ("ff", b"\xff" * 500), ("zip", b"PK\3\4" + b"z" * 400), ("jpeg", jpeg), ("samsung", b"SEFH\x6a\0\0\0SEFT"))
    cases = [Case(f"behind_{name}.jpg", jpeg + more) for name, more in trailers]
    for form, content in (("baseline", jpeg), ("progressive", progressive)):
        cases += [Case(f"no_end_{form}.jpg", content[:-2]), Case(f"half_end_{form}.jpg", content[:-1])]
        cases += [Case(f"no_end_{form}_{name}.jpg", content[:-2] + more) for name, more in trailers]
    cases += [Case("empty.jpg", b""), Case("soi.jpg", b"\xff\xd8"), Case("soi_eoi.jpg", b"\xff\xd8\xff\xd9"), Case("soi_ff.jpg", b"\xff\xd8\xff"),
              Case("in_front_zeros.jpg", b"\0\0" + jpeg), Case("in_front_line.jpg", b"\n" + jpeg), Case("doubled.jpg", jpeg + jpeg),
              Case("text.jpg", b"hello, this is a text\n"), Case("html.jpg", b"<!DOCTYPE html><html></html>"), Case("crlf.jpg", jpeg.replace(b"\n", b"\r\n"))]
    return cases


def make(random):
    jpeg = saved(picture(48, 40), "JPEG", quality=90)
    progressive = saved(picture(48, 40), "JPEG", quality=90, progressive=True)
    return plain() + turned(jpeg) + segments(jpeg) + coded(random, jpeg, progressive) + ends(jpeg, progressive)
