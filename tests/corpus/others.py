"""Odd WebPs, BMPs and GIFs."""
import struct

from parts import Case, damaged, picture, saved, tiff, truncations, xmp


# --- WebP ---
def riff(*chunks, size=None):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def webp_chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def vp8x(flags, width, height):
    return webp_chunk(b"VP8X", struct.pack("<I", flags) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))


def webps(random):
    lossy, lossless = saved(picture(48, 40), "WEBP", quality=80), saved(picture(48, 40), "WEBP", lossless=True)
    alpha = saved(picture(48, 40, "RGBA"), "WEBP", quality=80)
    animated = saved(picture(48, 40), "WEBP", save_all=True, append_images=[picture(48, 40).rotate(90)], duration=100, lossless=True)
    turned = [Case(f"turned_{o}.webp", saved(picture(48, 40), "WEBP", lossless=True, exif=tiff(o))) for o in range(1, 9)]
    simple, plain = lossy[12:], lossless[12:]
    exif = webp_chunk(b"EXIF", tiff(6))
    cases = [Case("lossy.webp", lossy), Case("lossless.webp", lossless), Case("alpha.webp", alpha), Case("animated.webp", animated),
             Case("alpha_lossless.webp", saved(picture(48, 40, "RGBA"), "WEBP", lossless=True)),
             Case("one.webp", saved(picture(1, 1), "WEBP")), Case("narrow.webp", saved(picture(1, 100), "WEBP", lossless=True)),
             Case("quality_0.webp", saved(picture(48, 40), "WEBP", quality=0)),
             Case("turned_by_xmp.webp", saved(picture(48, 40), "WEBP", lossless=True, xmp=xmp(6))),
             Case("turned_headed.webp", riff(vp8x(8, 48, 40), plain, webp_chunk(b"EXIF", b"Exif\0\0" + tiff(6)))),
             Case("turned_unflagged.webp", riff(vp8x(0, 48, 40), plain, exif)), Case("turned_in_front.webp", riff(vp8x(8, 48, 40), exif, plain)),
             Case("turned_without_vp8x.webp", riff(plain, exif)),
             Case("canvas_too_large.webp", riff(vp8x(0, 60, 50), plain)), Case("canvas_too_small.webp", riff(vp8x(0, 10, 10), plain)),
             Case("unknown_chunk.webp", riff(vp8x(0, 48, 40), webp_chunk(b"abcd", b"x" * 7), plain)),
             Case("animation_of_none.webp", riff(vp8x(2, 48, 40), webp_chunk(b"ANIM", bytes(6)))), Case("animation_flag_alone.webp", riff(vp8x(2, 48, 40), plain)),
             Case("alpha_flag_alone.webp", riff(vp8x(16, 48, 40), simple)), Case("alpha_chunk_alone.webp", riff(vp8x(16, 48, 40), webp_chunk(b"ALPH", b"\0" * 9))),
             Case("size_0.webp", riff(plain, size=0)), Case("size_small.webp", riff(plain, size=30)), Case("size_large.webp", riff(plain, size=1 << 30)),
             Case("behind.webp", lossless + b"trailer" * 30), Case("two_pictures.webp", riff(plain, plain)), Case("riff_alone.webp", riff()),
             Case("wave.webp", b"RIFF\0\0\0\0WAVE"), Case("giant.webp", riff(webp_chunk(b"VP8L", b"\x2f\xff\xff\xff\x0f" + b"\0" * 30)))]
    return (cases + turned + truncations(random, "lossy.webp", lossy, 6) + truncations(random, "lossless.webp", lossless, 6) +
            truncations(random, "animated.webp", animated, 6) + damaged(random, "lossless.webp", lossless, 8, 12) +
            damaged(random, "lossy.webp", lossy, 8, 12) + damaged(random, "alpha.webp", alpha, 6, 12))


# --- BMP ---
def bmp(width, height, bits, pixels, *, compression=0, palette=b"", used=0, header=40, masks=b"", offset=None, planes=1, size=None):
    info = struct.pack("<IiiHHIIiiII", header, width, height, planes, bits, compression, 0, 2835, 2835, used, 0)
    info += masks if header == 40 else masks.ljust(header - 40, b"\0")
    start = 14 + len(info) + len(palette)
    total = start + len(pixels)
    return b"BM" + struct.pack("<IHHI", total if size is None else size, 0, 0, start if offset is None else offset) + info + palette + pixels


def lines(width, height, bits):
    stride = (width * bits + 31) // 32 * 4
    return b"".join(bytes((x * 5 + y * 11) % 256 for x in range(stride)) for y in range(height))


def bmps(random):
    grey = b"".join(bytes((i, i * 3 % 256, 255 - i, 0)) for i in range(256))
    true = bmp(13, 9, 24, lines(13, 9, 24))
    p565, p555 = struct.pack("<III", 0xF800, 0x7E0, 0x1F), struct.pack("<III", 0x7C00, 0x3E0, 0x1F)
    p8888 = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    core = struct.pack("<IHHHH", 12, 13, 9, 1, 24)
    core8 = struct.pack("<IHHHH", 12, 13, 9, 1, 8) + b"".join(grey[4 * i:4 * i + 3] for i in range(256))
    rle8 = bytes((13, 7, 0, 0)) * 4 + bytes((0, 5, 1, 2, 3, 4, 5, 0, 8, 9, 0, 0)) + bytes((0, 2, 3, 0, 10, 4, 0, 0, 0, 1))
    rle4 = bytes((13, 0x12, 0, 0)) * 9 + bytes((0, 1))
    cases = [Case(f"bits_{b}.bmp", bmp(13, 9, b, lines(13, 9, b), palette=grey[:4 << b] if b <= 8 else b"", used=0)) for b in (1, 2, 4, 8, 16, 24, 32)]
    cases += [Case(f"top_down_{b}.bmp", bmp(13, -9, b, lines(13, 9, b), palette=grey[:4 << b] if b <= 8 else b"")) for b in (1, 8, 24, 32)]
    cases += [Case(f"header_{h}.bmp", bmp(13, 9, 24, lines(13, 9, 24), header=h)) for h in (52, 56, 64, 108, 124, 16, 77)]
    cases += [
        Case("core.bmp", b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + core + lines(13, 9, 24)),
        Case("core_palette.bmp", b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(core8)) + core8 + lines(13, 9, 8)),
        Case("fields_565.bmp", bmp(13, 9, 16, lines(13, 9, 16), compression=3, masks=p565)),
        Case("fields_555.bmp", bmp(13, 9, 16, lines(13, 9, 16), compression=3, masks=p555)),
        Case("fields_8888.bmp", bmp(13, 9, 32, lines(13, 9, 32), compression=3, masks=p8888, header=108)),
        Case("fields_888_of_40.bmp", bmp(13, 9, 32, lines(13, 9, 32), compression=3, masks=p8888[:12])),
        Case("fields_odd.bmp", bmp(13, 9, 32, lines(13, 9, 32), compression=3, masks=struct.pack("<III", 0x3FF00000, 0xFFC00, 0x3FF))),
        Case("fields_none.bmp", bmp(13, 9, 16, lines(13, 9, 16), compression=3, masks=bytes(12))),
        Case("rle8.bmp", bmp(13, 9, 8, rle8, compression=1, palette=grey)), Case("rle4.bmp", bmp(13, 9, 4, rle4, compression=2, palette=grey[:64])),
        Case("jpeg_inside.bmp", bmp(13, 9, 0, saved(picture(13, 9), "JPEG"), compression=4)),
        Case("compression_9.bmp", bmp(13, 9, 24, lines(13, 9, 24), compression=9)),
        Case("palette_short.bmp", bmp(13, 9, 8, lines(13, 9, 8), palette=grey[:40], used=10)),
        Case("palette_just_full.bmp", bmp(13, 9, 8, bytes(v % 10 for v in lines(13, 9, 8)), palette=grey[:40], used=10)),
        Case("palette_of_none.bmp", bmp(13, 9, 8, lines(13, 9, 8))), Case("palette_says_more.bmp", bmp(13, 9, 8, lines(13, 9, 8), palette=grey, used=5000)),
        Case("offset_gap.bmp", bmp(13, 9, 24, b"gap!" + lines(13, 9, 24), offset=58)), Case("offset_in_header.bmp", bmp(13, 9, 24, lines(13, 9, 24), offset=20)),
        Case("offset_0.bmp", bmp(13, 9, 24, lines(13, 9, 24), offset=0)), Case("offset_far.bmp", bmp(13, 9, 24, lines(13, 9, 24), offset=1 << 30)),
        Case("size_wrong.bmp", bmp(13, 9, 24, lines(13, 9, 24), size=7)), Case("behind.bmp", true + b"more" * 40),
        Case("width_0.bmp", bmp(0, 9, 24, b"")), Case("width_negative.bmp", bmp(-13, 9, 24, lines(13, 9, 24))), Case("height_0.bmp", bmp(13, 0, 24, b"")),
        Case("giant.bmp", bmp(1 << 15, 1 << 15, 24, b"abc")), Case("height_least.bmp", bmp(13, -(1 << 31), 24, lines(13, 9, 24))),
        Case("planes_0.bmp", bmp(13, 9, 24, lines(13, 9, 24), planes=0)), Case("bits_7.bmp", bmp(13, 9, 7, lines(13, 9, 8), palette=grey)),
        Case("alpha_all_0.bmp", bmp(13, 9, 32, b"".join(bytes((x, y, 9, 0)) for y in range(9) for x in range(13)))),
        Case("row_missing.bmp", true[:-40]), Case("byte_missing.bmp", true[:-1]), Case("mark_alone.bmp", b"BM"), Case("header_alone.bmp", true[:54]),
    ]
    return cases + truncations(random, "cut.bmp", true, 6) + damaged(random, "header.bmp", true, 12, 0, 54)


# --- GIF ---
def packed_codes(indices, bits):
    """GIF's LZW without its compression: the table is cleared before it could grow."""
    clear, width, out, many, filled = 1 << bits, bits + 1, 0, 0, []
    every = (1 << bits) - 2 if bits > 1 else 1
    for i, index in enumerate(indices):
        filled += [clear, index] if i % max(every, 1) == 0 else [index]
    for code in filled + [clear + 1]:
        out |= code << many
        many += width
    return out.to_bytes((many + 7) // 8, "little")


def blocks(content):
    return b"".join(bytes((len(content[i:i + 255]),)) + content[i:i + 255] for i in range(0, len(content), 255)) + b"\0"


def gif(width, height, *parts, colours=8, background=0, version=b"89a", end=b"\x3b"):
    table = b"".join(bytes((i * 30 % 256, 255 - i * 20 % 256, i * 70 % 256)) for i in range(colours))
    flags = 0x80 | (colours.bit_length() - 2) if colours else 0
    return b"GIF" + version + struct.pack("<HHBBB", width, height, flags, background, 0) + table + b"".join(parts) + end


def frame(width, height, left=0, top=0, bits=3, flags=0, local=b"", data=None, colours=8):
    data = packed_codes([(x + y) % colours for y in range(height) for x in range(width)], bits) if data is None else data
    return b"\x2c" + struct.pack("<HHHHB", left, top, width, height, flags) + local + bytes((bits,)) + blocks(data)


def control(transparent=None, disposal=0):
    return b"\x21\xf9\4" + bytes((disposal << 2 | (transparent is not None),)) + b"\x0a\0" + bytes((transparent or 0,)) + b"\0"


def gifs(random):
    whole = gif(20, 15, frame(20, 15))
    pillows = saved(picture(48, 40, "P"), "GIF")
    animated = saved(picture(48, 40, "P"), "GIF", save_all=True, append_images=[picture(48, 40).rotate(90).convert("P")], duration=100)
    red = bytes((255, 0, 0) * 8)
    return [
        Case("whole.gif", whole), Case("pillows.gif", pillows), Case("animated.gif", animated), Case("grey.gif", saved(picture(48, 40, "L"), "GIF")),
        Case("interlaced.gif", saved(picture(48, 40, "P"), "GIF", interlace=True)), Case("flat.gif", saved(picture(48, 40, "P"), "GIF", interlace=False)),
        Case("version_87a.gif", gif(20, 15, frame(20, 15), version=b"87a")), Case("version_88a.gif", gif(20, 15, frame(20, 15), version=b"88a")),
        Case("transparent.gif", gif(20, 15, control(2), frame(20, 15))), Case("transparent_beyond.gif", gif(20, 15, control(200), frame(20, 15))),
        Case("local.gif", gif(20, 15, frame(20, 15, flags=0x82, local=red))), Case("local_only.gif", gif(20, 15, frame(20, 15, flags=0x82, local=red), colours=0)),
        Case("palette_missing.gif", gif(20, 15, frame(20, 15), colours=0)), Case("palette_short.gif", gif(20, 15, frame(20, 15), colours=4)),
        Case("inner.gif", gif(20, 15, frame(10, 7, 4, 3))), Case("inner_on_background.gif", gif(20, 15, frame(10, 7, 4, 3), background=5)),
        Case("inner_transparent.gif", gif(20, 15, control(2), frame(10, 7, 4, 3), background=5)),
        Case("outside.gif", gif(20, 15, frame(20, 15, 4, 3))), Case("far_outside.gif", gif(20, 15, frame(20, 15, 400, 3))),
        Case("screen_0.gif", gif(0, 0, frame(20, 15))), Case("frame_0.gif", gif(20, 15, frame(0, 0))), Case("frame_none.gif", gif(20, 15)),
        Case("two_frames.gif", gif(20, 15, control(1), frame(20, 15), control(), frame(20, 15, flags=0x82, local=red))),
        Case("comment.gif", gif(20, 15, b"\x21\xfe" + blocks(b"hello" * 90), frame(20, 15))), Case("application.gif", gif(20, 15, b"\x21\xff\x0bNETSCAPE2.0\3\1\0\0\0", frame(20, 15))),
        Case("plain_text.gif", gif(20, 15, b"\x21\1\x0c" + bytes(12) + blocks(b"text"), frame(20, 15))),
        Case("unknown_block.gif", gif(20, 15, b"\x77", frame(20, 15))), Case("extension_unknown.gif", gif(20, 15, b"\x21\x99" + blocks(b"abc"), frame(20, 15))),
        Case("bits_0.gif", gif(20, 15, frame(20, 15, bits=0, data=b"\0\0"))), Case("bits_12.gif", gif(20, 15, frame(20, 15, bits=12, data=b"\0\0"))),
        Case("bits_8.gif", gif(20, 15, frame(20, 15, bits=8, colours=8))), Case("index_beyond.gif", gif(20, 15, frame(20, 15, bits=4, colours=16))),
        Case("code_beyond.gif", gif(20, 15, frame(20, 15, data=b"\xf8\xff\xff\xff"))), Case("codes_few.gif", gif(20, 15, frame(20, 15, data=packed_codes([1] * 90, 3)))),
        Case("codes_many.gif", gif(20, 15, frame(20, 15, data=packed_codes([1] * 900, 3)))), Case("codes_none.gif", gif(20, 15, frame(20, 15, data=b""))),
        Case("no_end.gif", whole[:-1]), Case("behind.gif", whole + b"trailer" * 40), Case("giant.gif", gif(65535, 65535, frame(20, 15))), Case("giant_frame.gif", gif(65535, 65535, frame(65535, 65535, data=packed_codes([1] * 90, 3)))),
        *truncations(random, "cut.gif", whole, 6, 6), *truncations(random, "pillows.gif", pillows, 6, 6), *damaged(random, "pillows.gif", pillows, 12, 6),
    ]


def make(random):
    return webps(random) + bmps(random) + gifs(random)
