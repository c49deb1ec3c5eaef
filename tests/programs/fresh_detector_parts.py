#!/usr/bin/env python3
"""The parts of bench/fresh_detector.py against their definitions: PNG's five filters, holes and rings pixel by pixel, the area under ROC by counting pairs.

Usage: fresh_detector_parts.py MASK.png WIDTH HEIGHT     the mask is WIDTH x HEIGHT with (7 x + 13 y) mod 256 at column x of row y, as the library writes it
"""
import pathlib
import random
import struct
import sys
import tempfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import fresh_detector as fd  # noqa: E402


def check(said, got, expected):
    if got != expected:
        sys.exit(f"{said}: {got}, expected {expected}")


def png(rows, methods):
    """By the standard: what is stored is the difference to the prediction."""
    body, above = b"", [0] * len(rows[0])
    for row, method in zip(rows, methods):
        line = [method]
        for x, v in enumerate(row):
            a, b, c = row[x - 1] if x else 0, above[x], above[x - 1] if x else 0
            p = a + b - c
            paeth = a if abs(p - a) <= abs(p - b) and abs(p - a) <= abs(p - c) else b if abs(p - b) <= abs(p - c) else c
            line.append((v - (0, a, b, (a + b) // 2, paeth)[method]) % 256)
        body, above = body + bytes(line), row

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    packed = zlib.compress(body)
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed[:9]) + chunk(b"IDAT", packed[9:]) + chunk(b"IEND", b"")


def main():
    path, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    check("the library's PNG", [list(r) for r in fd.read_grey(pathlib.Path(path))], [[(7 * x + 13 * y) % 256 for x in range(width)] for y in range(height)])
    r = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "a.png"
        rows = [[r.choice((r.randrange(256), 7)) for _ in range(11)] for _ in range(10)]
        file.write_bytes(png(rows, [0, 1, 2, 3, 4, 4, 3, 2, 1, 0]))
        check("PNG's filters", [list(row) for row in fd.read_grey(file)], rows)

    size = 70
    mask = [[255 * (20 <= y < 45 and 30 <= x < 41 or y < 10 and x < 12) for x in range(size)] for y in range(size)]

    def near(y, x, by, value):
        return any(bool(mask[v][u]) == value for v in range(max(0, y - by), min(size, y + by + 1)) for u in range(max(0, x - by), min(size, x + by + 1)))
    inner, ring = fd.hole_and_ring(mask)
    for y in range(size):
        bits = [format(rows[y], f"0{size}b") for rows in (inner, ring)]
        check(f"hole, row {y}", bits[0], "".join("01"[not near(y, x, 4, False)] for x in range(size)))
        check(f"ring, row {y}", bits[1], "".join("01"[near(y, x, 24, True) and not near(y, x, 4, True)] for x in range(size)))

    images = [[[r.randrange(3) for _ in range(256)] for _ in range(2)] for _ in range(3)]
    pairs = [(a, b, sum(i[0][a] for i in images) * sum(i[1][b] for i in images)) for a in range(256) for b in range(256)]
    expected = sum(n * (a > b) + n * (a == b) / 2 for a, b, n in pairs) / sum(n for *_, n in pairs)
    check("area under ROC", round(fd.auc(images), 9), round(expected, 9))
    low, high = fd.interval(images)
    check("the interval holds it", low <= fd.auc(images) <= high and low < high, True)


if __name__ == "__main__":
    main()
