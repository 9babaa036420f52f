"""Whether a file is an ordinary picture by its header: one that decodes in a moment, in memory
that its pixels bound. Photos are; what is not sure to be is not.

Nothing is decoded here, and no loop runs for longer than a file may have parts. TIFF, AVIF, HEIF
and JPEGs of rare kinds never are ordinary: their headers do not tell what decoding them costs.
"""

import struct
from collections.abc import Callable, Iterator

# Bytes of a file.
MOST_BYTES = 64_000_000
# Pixels that are decoded into four bytes each, and converted in as many more.
MOST_PIXELS = 32_000_000
# A JPEG with all its colours in one scan is decoded at a fraction of its size, row by row.
MOST_IN_ONE_SCAN = 64_000_000
# A progressive JPEG's coefficients are all kept, and looked through for each scan. Photos have
# about ten.
MOST_SCANNED = 400_000_000
# Segments, chunks or blocks, each of which costs Pillow some microseconds, or the more the more
# there are.
MOST_PARTS = 1000

SOS, SOF = 0xDA, (0xC0, 0xC1, 0xC2)
NO_LENGTH = (0x01, *range(0xD0, 0xDA))
RARE = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))


class _Odd(Exception):
    """The header is not as an ordinary file's."""


def is_ordinary(data: bytes) -> bool:
    """Whether a file is sure to be decoded in a moment; also where it is sure to be refused."""
    if len(data) > MOST_BYTES:
        return False
    look = next((look for prefix, look in LOOKS if data.startswith(prefix)), None)
    if look is None:
        return not data
    try:
        return look(data)
    except (_Odd, IndexError, struct.error):
        return False


def _jpeg(data: bytes) -> bool:
    frames: list[tuple[int, int, int]] = []  # height, width, components
    progressive, exifs, scanned = False, 0, 0
    for marker, at in _segments(data):
        # Pillow joins them, and reads more of them than is good.
        exifs += data.startswith(b"Exif", at + 3)
        if marker in RARE or exifs > 1:
            return False
        if marker in SOF:
            frames.append(struct.unpack_from(">HHB", data, at + 4))
            progressive = marker == SOF[-1]
        if marker == SOS:
            scanned = data[at + 3]
            break
    if len(frames) != 1:
        return False
    height, width, components = frames[0]
    if scanned == components and not progressive:
        return height * width <= MOST_IN_ONE_SCAN
    # What else may look so in the data of a scan is written in another way.
    scans = data.count(b"\xff\xda")
    return height * width <= MOST_PIXELS and height * width * scans <= MOST_SCANNED


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Markers up to the first scan, and where each is; the segment's length follows it."""
    at = 2
    for _ in range(MOST_PARTS):
        if data[at] != 0xFF:
            raise _Odd
        marker = data[at + 1]
        yield marker, at + 1
        if marker == 0xFF:
            at += 1
        elif marker in NO_LENGTH:
            at += 2
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            at += 2 + length
    raise _Odd


def _png(data: bytes) -> bool:
    width, height = struct.unpack_from(">II", data, 16)
    at, parts = 8, 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        at += 12 + length
        parts += 1
        # Data comes in chunks of some kilobytes each.
        if parts > MOST_PARTS + at // 4096:
            return False
    return bool(width * height <= MOST_PIXELS)


def _gif(data: bytes) -> bool:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    for _ in range(MOST_PARTS):
        if data[at] == 0x2C:
            left, top, wide, high = struct.unpack_from("<HHHH", data, at + 1)
            return bool(max(width, left + wide) * max(height, top + high) <= MOST_PIXELS)
        if data[at] != 0x21:
            return False
        at = _after_blocks(data, at + 2)
    return False


def _after_blocks(data: bytes, at: int) -> int:
    for _ in range(MOST_PARTS):
        if data[at] == 0:
            return at + 1
        at += 1 + data[at]
    raise _Odd


def _webp(data: bytes) -> bool:
    kind = data[12:16]
    if data[8:12] != b"WEBP":
        return False
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return bool(width * height <= MOST_PIXELS)


def _bmp(data: bytes) -> bool:
    (header,) = struct.unpack_from("<I", data, 14)
    if header < 40:
        return False
    width, height = struct.unpack_from("<ii", data, 18)
    (compression,) = struct.unpack_from("<I", data, 30)
    # Run lengths are decoded in Python.
    return compression in (0, 3) and abs(width * height) <= MOST_PIXELS


LOOKS: tuple[tuple[bytes, Callable[[bytes], bool]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
    (b"RIFF", _webp),
    (b"BM", _bmp),
)
