"""What the generators of odd files share."""
import dataclasses
import io
import math

from PIL import Image


@dataclasses.dataclass
class Case:
    """An odd file. `beside` are files that must lie in its folder; `why` says what is odd where the name does not."""
    name: str
    content: bytes
    beside: dict = dataclasses.field(default_factory=dict)


def picture(width, height, mode="RGB"):
    """Smooth, asymmetric in both axes, coloured: any turn or swap of channels shows, and JPEG changes it little."""
    image = Image.new("RGB", (width, height))
    image.putdata([(230 * x // width, 230 * y // height, int(127 + 100 * math.sin(.11 * x + .07 * y)))
                   for y in range(height) for x in range(width)])
    if mode == "CMYK":  # with black ink, which Pillow's own conversion never uses
        plate = image.convert("CMYK").split()
        return Image.merge("CMYK", (*plate[:3], plate[0].point(lambda v: v // 3)))
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize((width, height)))
        return image
    return image.convert(mode)


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def truncations(random, name, content, count, least=1):
    """The file cut short at `count` places."""
    stem, ending = name.rsplit(".", 1)
    places = sorted(random.sample(range(least, len(content)), count))
    return [Case(f"{stem}_cut_{n:05}.{ending}", content[:n]) for n in places]


def damaged(random, name, content, count, least, most=None):
    """The file with one byte changed, at `count` places from `least` on."""
    stem, ending = name.rsplit(".", 1)
    cases = []
    for at in sorted(random.sample(range(least, most or len(content)), count)):
        other = bytearray(content)
        other[at] ^= random.randrange(1, 256)
        cases.append(Case(f"{stem}_byte_{at:05}.{ending}", bytes(other)))
    return cases


def tiff(orientation, little=True, kind=3, before=()):
    """An EXIF directory whose tag 0x0112 says `orientation`; `kind` 1, 3, 4: BYTE, SHORT, LONG."""
    order = "little" if little else "big"

    def n(value, size):
        return value.to_bytes(size, order)

    def entry(tag, kind, value):
        return n(tag, 2) + n(kind, 2) + n(1, 4) + n(value, {1: 1, 3: 2, 4: 4}[kind]).ljust(4, b"\0")

    entries = [entry(*e) for e in before] + [entry(0x0112, kind, orientation)]
    return (b"II" if little else b"MM") + n(42, 2) + n(8, 4) + n(len(entries), 2) + b"".join(entries) + n(0, 4)


def xmp(orientation, element=False):
    said = f"<tiff:Orientation>{orientation}</tiff:Orientation>" if element else ""
    attribute = "" if element else f' tiff:Orientation="{orientation}"'
    return (f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{attribute}>{said}</rdf:Description>'
            f"</rdf:RDF></x:xmpmeta>").encode()
