"""Odd PNGs, chunk by chunk: no library writes what a reader must stand."""
import struct
import zlib

from parts import Case, damaged, picture, saved, tiff, truncations, xmp

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # x, y, steps


def chunk(name, body=b"", crc=None):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body) if crc is None else crc)


def header(width, height, depth, colour, interlaced=0, compression=0, filters=0):
    return struct.pack(">IIBBBBB", width, height, depth, colour, compression, filters, interlaced)


def samples(x, y, depth, colour):
    """Of one pixel, each within `depth` bits."""
    most = (1 << depth) - 1
    ramp = [x * most // 23, y * most // 17, (x * 7 + y * 3) % (most + 1), (x + y) * most // 40]
    return [ramp[0], ramp[3]] if colour == 4 else ramp[:CHANNELS[colour]]


def rows(width, height, depth, colour, interlaced=False, filtered=0, pixel=samples):
    """The image as it is compressed: filtered lines of packed samples, in passes when interlaced."""
    out = b""
    for x0, y0, dx, dy in PASSES if interlaced else ((0, 0, 1, 1),):
        for y in range(y0, height, dy):
            xs = range(x0, width, dx)
            if not xs:
                continue
            bits = "".join(format(v, f"0{depth}b") for x in xs for v in pixel(x, y, depth, colour))
            bits += "0" * (-len(bits) % 8)
            out += bytes((filtered,)) + int(bits, 2).to_bytes(len(bits) // 8, "big")
    return out


def png(head, data, *front, behind=(), end=chunk(b"IEND"), packed=zlib.compress):
    return SIGNATURE + chunk(b"IHDR", head) + b"".join(front) + chunk(b"IDAT", packed(data)) + b"".join(behind) + end


def palette(colours):
    return chunk(b"PLTE", bytes(v for i in range(colours) for v in (i * 7 % 256, i * 31 % 256, 255 - i)))


def kinds():
    cases = []
    for colour, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16))):
        for depth in depths:
            front = [palette(1 << depth)] if colour == 3 else []
            for interlaced in (0, 1):
                data = rows(24, 18, depth, colour, interlaced)
                cases.append(Case(f"kind_{colour}_{depth}{'_interlaced' * interlaced}.png",
                                  png(header(24, 18, depth, colour, interlaced), data, *front)))
            if colour in (4, 6):
                continue
            alphas = {0: struct.pack(">H", (1 << depth) // 2), 2: struct.pack(">HHH", 0, 0, 0), 3: bytes((0, 128, 255))[:1 << depth]}
            cases.append(Case(f"transparent_{colour}_{depth}.png",
                              png(header(24, 18, depth, colour), rows(24, 18, depth, colour), *front, chunk(b"tRNS", alphas[colour]))))
    for filtered in range(6):
        cases.append(Case(f"filter_{filtered}.png", png(header(24, 18, 8, 2), rows(24, 18, 8, 2, filtered=filtered))))
    for size in ((1, 1), (1, 9), (9, 1), (5, 3)):
        cases.append(Case(f"interlaced_{size[0]}x{size[1]}.png", png(header(*size, 8, 2, 1), rows(*size, 8, 2, True))))
    return cases


def palettes():
    def indexed(name, colours, depth, index, *front, most=24):
        data = rows(24, 18, depth, 3, pixel=lambda x, y, *_: [index(x, y)])
        return Case(f"palette_{name}.png", png(header(24, 18, depth, 3), data, *([palette(colours)] if colours else []), *front))

    return [indexed("one_beyond", 5, 8, lambda x, y: x % 6), indexed("far_beyond", 5, 8, lambda x, y: 255 if x == y else 0),
            indexed("beyond_in_4_bits", 3, 4, lambda x, y: x % 4), indexed("beyond_in_1_bit", 1, 1, lambda x, y: x % 2),
            indexed("just_full", 6, 8, lambda x, y: x % 6), indexed("of_one", 1, 8, lambda x, y: 0), indexed("missing", 0, 8, lambda x, y: 0),
            indexed("alphas_beyond", 3, 8, lambda x, y: x % 3, chunk(b"tRNS", bytes(9))),
            indexed("too_long_for_2_bits", 16, 2, lambda x, y: x % 4), indexed("cut_colour", 0, 8, lambda x, y: 0, chunk(b"PLTE", b"abcd")),
            indexed("twice", 6, 8, lambda x, y: x % 6, palette(3)), indexed("of_257", 0, 8, lambda x, y: 0, chunk(b"PLTE", bytes(771))),
            indexed("alphas_first", 0, 8, lambda x, y: x % 3, chunk(b"tRNS", bytes(3)), palette(3)),
            Case("palette_behind.png", png(header(24, 18, 8, 3), bytes(25 * 18), behind=[palette(6)])),
            Case("palette_of_grey.png", png(header(24, 18, 8, 0), rows(24, 18, 8, 0), palette(6))),
            Case("palette_of_rgb.png", png(header(24, 18, 8, 2), rows(24, 18, 8, 2), palette(6)))]


def extras(head, data):
    """Chunks that say more, or contradict."""
    def text(name, kind, body):
        return Case(f"text_{name}.png", png(head, data, chunk(kind, body)))

    packet = b"XML:com.adobe.xmp\0%b\0\0\0"
    cases = [Case(f"turned_{o}.png", png(head, data, chunk(b"eXIf", tiff(o)))) for o in range(1, 9)]
    cases += [Case("turned_MM.png", png(head, data, chunk(b"eXIf", tiff(6, False)))),
              Case("turned_LONG.png", png(head, data, chunk(b"eXIf", tiff(6, True, 4)))),
              Case("turned_behind.png", png(head, data, behind=[chunk(b"eXIf", tiff(6))])),
              Case("turned_headed.png", png(head, data, chunk(b"eXIf", b"Exif\0\0" + tiff(6)))),
              Case("turned_broken.png", png(head, data, chunk(b"eXIf", b"XX"))),
              Case("turned_bad_crc.png", png(head, data, chunk(b"eXIf", tiff(6), crc=1)))]
    cases += [text("xmp", b"iTXt", packet % b"\0" + xmp(6)), text("xmp_packed", b"iTXt", packet % b"\1" + zlib.compress(xmp(6))),
              text("xmp_in_zTXt", b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(xmp(6))),
              text("raw_exif", b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n%s\n" % (
                  len(b"Exif\0\0" + tiff(6)), (b"Exif\0\0" + tiff(6)).hex().encode()))),
              text("plain", b"tEXt", b"Comment\0hello"), text("without_key", b"tEXt", b"\0hello"), text("bad_packed", b"zTXt", b"a\0\0notzlib"),
              text("of_a_megabyte", b"tEXt", b"Comment\0" + b"x" * 1_000_000),
              text("bomb", b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000)))]
    known = ((b"gAMA", struct.pack(">I", 45455)), (b"gAMA", b"\0"), (b"cHRM", bytes(32)), (b"sRGB", b"\0"), (b"sRGB", b"\x09"),
             (b"pHYs", struct.pack(">IIB", 1, 2, 1)), (b"sBIT", b"\5\6\5"), (b"sBIT", b"\0\0\0"), (b"bKGD", b"\0\1\0\2\0\3"), (b"hIST", b"\0\1"),
             (b"tIME", b"\7\xe8\1\1\0\0\0"), (b"iCCP", b"icc\0\0" + zlib.compress(b"no profile")), (b"tRNS", b"\0\1"), (b"vpAg", b"xx"),
             (b"acTL", struct.pack(">II", 1, 0)), (b"CgBI", b"\x50\0\x20\2"), (b"ABCD", b"critical"), (b"ab1d", b"odd"), (b"IHDR", head))
    for i, (name, body) in enumerate(known):
        cases.append(Case(f"chunk_{i:02}_{name.decode()}.png", png(head, data, chunk(name, body))))
    frame = struct.pack(">IIIIIHHBB", 0, 24, 18, 0, 0, 1, 10, 0, 0)
    animated = [chunk(b"acTL", struct.pack(">II", 2, 0)), chunk(b"fcTL", frame)]
    second = [chunk(b"fcTL", struct.pack(">I", 1) + frame[4:]), chunk(b"fdAT", struct.pack(">I", 2) + zlib.compress(bytes(len(data))))]
    apart = [animated[0]]  # the default image is no part of the animation
    cases += [Case("animated.png", png(head, data, *animated, behind=second)), Case("animated_apart.png", png(head, data, *apart, behind=second)),
              Case("animated_cut.png", png(head, data, *animated, behind=second, end=b"")[:-9])]
    return cases


def structure(random, head, data):
    packed = zlib.compress(data)
    idat = chunk(b"IDAT", packed)
    whole = png(head, data)

    def of(*chunks):
        return SIGNATURE + b"".join(chunks)

    first, end = chunk(b"IHDR", head), chunk(b"IEND")
    raw = zlib.compressobj(wbits=-15)
    return [
        Case("split_to_bytes.png", of(first, *[chunk(b"IDAT", packed[i:i + 1]) for i in range(len(packed))], end)),
        Case("split_with_empty.png", of(first, chunk(b"IDAT"), chunk(b"IDAT", packed[:9]), chunk(b"IDAT"), chunk(b"IDAT", packed[9:]), end)),
        Case("split_by_another.png", of(first, chunk(b"IDAT", packed[:9]), chunk(b"tEXt", b"a\0b"), chunk(b"IDAT", packed[9:]), end)),
        Case("adler_wrong.png", png(head, data, packed=lambda d: packed[:-1] + bytes((packed[-1] ^ 1,)))),
        Case("adler_missing.png", png(head, data, packed=lambda d: packed[:-4])), Case("zlib_more.png", png(head, data, packed=lambda d: packed + b"more")),
        Case("zlib_missing.png", png(head, data, packed=lambda d: raw.compress(d) + raw.flush())),
        Case("rows_too_many.png", png(head, data + bytes(500))), Case("rows_too_few.png", png(head, data[:-73])), Case("rows_cut.png", png(head, data[:-5])),
        Case("window_small.png", png(head, data, packed=lambda d: b"\x08\x1d" + packed[2:])),
        Case("crc_of_idat.png", of(first, chunk(b"IDAT", packed, 1), end)), Case("crc_of_header.png", of(chunk(b"IHDR", head, 1), idat, end)),
        Case("crc_of_end.png", of(first, idat, chunk(b"IEND", b"", 1))), Case("crc_of_text.png", png(head, data, chunk(b"tEXt", b"a\0b", 1))),
        Case("crc_of_palette.png", png(header(24, 18, 8, 3), bytes(25 * 18), chunk(b"PLTE", bytes(9), 1))),
        Case("end_missing.png", whole[:-12]), Case("end_half.png", whole[:-5]), Case("end_and_more.png", whole + b"trailer" * 50), Case("end_long.png", of(first, idat, chunk(b"IEND", b"xx"))),
        Case("two_pngs.png", whole + whole), Case("in_front.png", b"\0" + whole), Case("crlf.png", whole.replace(b"\r\n", b"\n", 1)),
        Case("header_of_14.png", of(chunk(b"IHDR", head + b"\0"), idat, end)), Case("header_of_12.png", of(chunk(b"IHDR", head[:12]), idat, end)),
        Case("header_second.png", of(chunk(b"tEXt", b"a\0b"), first, idat, end)), Case("header_missing.png", of(idat, end)), Case("data_missing.png", of(first, end)),
        *[Case(f"header_{name}.png", png(changed, data)) for name, changed in (
            ("no_columns", header(0, 18, 8, 2)), ("no_rows", header(24, 0, 8, 2)), ("negative", header(1 << 31, 18, 8, 2)),
            ("giant", header(20000, 20000, 8, 2)), ("long", header(24, 100000, 8, 2)), ("depth_3", header(24, 18, 3, 2)), ("rgb_of_4_bits", header(24, 18, 4, 2)), ("colour_5", header(24, 18, 8, 5)),
            ("compression_1", header(24, 18, 8, 2, compression=1)), ("filters_1", header(24, 18, 8, 2, filters=1)), ("filters_64", header(24, 18, 8, 2, filters=64)), ("interlaced_2", header(24, 18, 8, 2, 2)))],
        Case("chunk_length_negative.png", of(first, struct.pack(">I", 0xFFFFFFF0) + b"tEXt", idat, end)),
        Case("wide.png", png(header(70000, 2, 8, 2), bytes((70000 * 3 + 1) * 2))), Case("signature.png", SIGNATURE), Case("header_alone.png", of(first)),
        *truncations(random, "cut.png", whole, 12), *damaged(random, "damaged.png", whole, 24, 8),
        Case("pillows.png", saved(picture(48, 40), "PNG", optimize=True)), Case("pillows_alpha.png", saved(picture(48, 40, "RGBA"), "PNG")),
    ]


def make(random):
    head, data = header(24, 18, 8, 2), rows(24, 18, 8, 2)
    return kinds() + palettes() + extras(head, data) + structure(random, head, data)
