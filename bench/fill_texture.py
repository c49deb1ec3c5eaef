"""How the texture of a fill differs from a photograph's: two measures that need no eye and do not reward blur.

ratio(image, hole)               the fill's mean squared Laplacian over that of its surroundings: 1 for paint as grainy as what is around it, near 0 for blur
distance(image, photo, hole)     sliced Wasserstein distance of 7x7 high-pass patches, fill against what the photograph shows there; levels, lower is nearer

Images are BGR, u8, as OpenCV reads them; holes are bool. Both look at the hole without a rim of RIM pixels, where a seam would count as texture.
"""
import cv2
import numpy

RIM = 4              # pixels of the hole's border that are left out, and of its surroundings
RING = 24            # how far the surroundings reach
LEAST = 64           # pixels that either side must have left
PATCH = 7
PATCHES = 2000       # at most, an image
DIRECTIONS = 64
QUALITY = 95


def as_saved(image):
    """What a JPEG of quality 95, 4:2:0, makes of it: detectors and people see fills in files."""
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert ok
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def _disc(radius):
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def inner(hole):
    """The hole without its rim; the image's own border takes nothing away."""
    return cv2.erode(hole.astype(numpy.uint8), _disc(RIM), borderType=cv2.BORDER_CONSTANT, borderValue=1) > 0


def ring(hole):
    h = hole.astype(numpy.uint8)
    return (cv2.dilate(h, _disc(RING)) > 0) & ~(cv2.dilate(h, _disc(RIM)) > 0)


def ratio(image, hole):
    """None where the hole or the ring is too small, or the surroundings have no texture at all."""
    a, b = inner(hole), ring(hole)
    if a.sum() < LEAST or b.sum() < LEAST:
        return None
    square = cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(numpy.float64), cv2.CV_64F, ksize=1) ** 2
    around = square[b].mean()
    return square[a].mean() / around if around > 0 else None


def high_pass(image):
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(numpy.float64)
    return grey - cv2.GaussianBlur(grey, (0, 0), 2)


def directions():
    d = numpy.random.default_rng(0).normal(size=(PATCH * PATCH, DIRECTIONS))
    return d / numpy.linalg.norm(d, axis=0)


def patches(image, centres):
    half = PATCH // 2
    padded = cv2.copyMakeBorder(high_pass(image), half, half, half, half, cv2.BORDER_REFLECT_101)
    rows, columns = centres
    offsets = range(PATCH)
    return numpy.stack([padded[rows + i, columns + j] for i in offsets for j in offsets], 1)


def distance(image, photo, hole, onto=directions()):
    rows, columns = numpy.nonzero(inner(hole))
    if len(rows) < LEAST:
        return None
    chosen = numpy.random.default_rng(1).permutation(len(rows))[:PATCHES]
    centres = rows[chosen], columns[chosen]
    a, b = (numpy.sort(patches(x, centres) @ onto, 0) for x in (image, photo))
    return numpy.abs(a - b).mean()
