"""TIFF: tags that say anything, strips and tiles of any size."""

import struct
from collections.abc import Callable, Iterator

from hostile_images.zeros import deflated

DEFLATE, NONE, LZMA = 8, 1, 34925
SHORT, LONG = 3, 4
Tag = tuple[int, int, int, int]


def _tags(width: int, height: int, compression: int, *others: Tag) -> list[Tag]:
    tags = {
        256: (LONG, 1, width),
        257: (LONG, 1, height),
        258: (SHORT, 1, 8),
        259: (SHORT, 1, compression),
        262: (SHORT, 1, 1),
        277: (SHORT, 1, 1),
        278: (LONG, 1, height),
    }
    tags |= {number: rest for number, *rest in others}  # type: ignore[misc]
    return [(number, *rest) for number, rest in sorted(tags.items())]  # type: ignore[misc]


def _directory(tags: list[Tag], after: int = 0) -> bytes:
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", after)


def _tiff(
    width: int, height: int, pixels: bytes, *others: Tag, compression: int = DEFLATE
) -> bytes:
    """One strip of grey. Pixels are at 8, the directory is behind them."""
    strip = [] if any(tag[0] == 322 for tag in others) else [(273, LONG, 1, 8)]
    lengths = [] if any(tag[0] in (279, 325) for tag in others) else [(279, LONG, 1, len(pixels))]
    tags = _tags(width, height, compression, *strip, *lengths, *others)
    return struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels + _directory(tags)


def _tiles(width: int, height: int, tile: int) -> bytes:
    pixels = deflated(tile * tile)
    offsets = [(322, LONG, 1, tile), (323, LONG, 1, tile), (324, LONG, 1, 8)]
    return _tiff(width, height, pixels, *offsets, (325, LONG, 1, len(pixels)))


def _many_strips(count: int) -> bytes:
    """A row a strip: an offset and a length for each."""
    offsets = struct.pack("<I", 8) * count
    lengths = struct.pack("<I", 1) * count
    begin = (273, LONG, count, 12)
    long = (279, LONG, count, 12 + len(offsets))
    rows = (278, LONG, 1, 1)
    return _tiff(1, count, b"\0" * 4 + offsets + lengths, begin, long, rows, compression=NONE)


def _pages(count: int, loop: bool = False) -> bytes:
    page = _tags(9, 9, NONE, (273, LONG, 1, 8), (279, LONG, 1, 81))
    length = len(_directory(page))
    start = 8 + 82
    ends = [start + length * (n + 1) for n in range(count)]
    ends[-1] = start if loop else 0
    pages = b"".join(_directory(page, end) for end in ends)
    return struct.pack("<2sHI", b"II", 42, start) + bytes(82) + pages


def bombs(side: int, part: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Names and makers; of what is repeated, one in ``part`` is there."""
    whole = side * side
    deep, floats, alpha = (258, SHORT, 1, 16), (258, SHORT, 1, 32), (277, SHORT, 1, 4)
    yield "zeros", lambda: _tiff(side, side, deflated(whole))
    yield "deep", lambda: _tiff(side, side, deflated(2 * whole), deep)
    yield "floats", lambda: _tiff(side, side, deflated(4 * whole), floats, (339, SHORT, 1, 3))
    yield "integers", lambda: _tiff(side, side, deflated(4 * whole), floats, (339, SHORT, 1, 2))
    yield "surplus", lambda: _tiff(99, 99, deflated((1 << 31) // part))
    yield (
        "rgba",
        lambda: _tiff(
            side, side, deflated(4 * whole), alpha, (262, SHORT, 1, 2), (338, SHORT, 1, 2)
        ),
    )
    yield "tile", lambda: _tiles(side, side, side // 16 * 16)
    yield "tile-huge", lambda: _tiles(1, 1, 32_768 // part)
    yield "tile-larger", lambda: _tiles(1, 1, 46_000 // part // 16 * 16)
    yield "strips", lambda: _many_strips(2_000_000 // part)
    yield "pages", lambda: _pages(100_000 // part)
    yield "circle", lambda: _pages(3, loop=True)
    yield "count", lambda: _tiff(9, 9, bytes(81), (270, 2, 2**32 - 1, 8), compression=NONE)
    counts = [(number, 5, 2_400_000, 8) for number in range(30_000, 30_000 + 900 // part)]
    yield "counts", lambda: _tiff(9, 9, bytes(20_000_000), *counts, compression=NONE)
    yield "samples", lambda: _tiff(99, 99, bytes(9801), (277, SHORT, 1, 65_535), compression=NONE)
    yield "rows", lambda: _tiff(9, 9, deflated(81), (278, LONG, 1, 2**32 - 1))
    yield "lengths", lambda: _tiff(9, 9, deflated(81), (279, LONG, 1, 2**32 - 1))
    yield "huge", lambda: _tiff(2**31 - 1, 2**31 - 1, deflated(81))
    yield "lzma", lambda: _tiff(side, side, bytes(99), compression=LZMA)
    yield "turned", lambda: _tiff(side, side, deflated(whole), (274, SHORT, 1, 6))
