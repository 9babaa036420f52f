"""PNG: deflated zeros, and chunks without end."""

import struct
import zlib
from collections.abc import Callable, Iterator

from hostile_images.pictures import picture
from hostile_images.zeros import deflated

GREY, RGB, PALETTE, RGBA = 0, 2, 3, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, RGBA: 4}


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """One chunk with its checksum."""
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(
    width: int,
    height: int,
    colours: int = RGB,
    bits: int = 8,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A black picture, all of whose pixels are there."""
    length = (1 + -(-width * bits * SAMPLES[colours] // 8)) * height
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(768)) if colours == PALETTE else b""
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + before
    return start + chunk(b"IDAT", deflated(length)) + after + chunk(b"IEND")


def bombs(side: int, part: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Names and makers; of what is repeated, one in ``part`` is there."""
    yield "rgb", lambda: png(side, side)
    yield "rgba", lambda: png(side, side, RGBA)
    yield "rgb-deep", lambda: png(side, side, RGB, 16)
    yield "grey-deep", lambda: png(side, side, GREY, 16)
    yield "grey", lambda: png(side, side, GREY)
    yield "palette", lambda: png(side, side, PALETTE, before=chunk(b"tRNS", bytes(256)))
    yield "bit", lambda: png(side, side, GREY, 1)
    yield "turned", lambda: png(side, side, before=chunk(b"eXIf", _turned()))
    yield "huge", lambda: png(9, 9).replace(struct.pack(">II", 9, 9), b"\x7f\xff\xff\xff" * 2)
    yield "over", lambda: png(50_000, 50_000, GREY)
    yield "wide", lambda: png(side * side, 1)
    yield "tall", lambda: png(1, side * side // 2)
    yield "tall-rgba", lambda: png(2, side * side // 4, RGBA)
    yield "text", lambda: png(9, 9, before=chunk(b"zTXt", b"a\0\0" + deflated((1 << 30) // part)))
    yield "texts", lambda: png(9, 9, before=chunk(b"tEXt", b"a\0b") * (300_000 // part))
    yield "texts-after", lambda: png(9, 9, after=chunk(b"tEXt", b"a\0b") * (300_000 // part))
    yield "many-texts", lambda: png(9, 9, before=_texts(99))
    yield (
        "profile",
        lambda: png(9, 9, before=chunk(b"iCCP", b"a\0\0" + deflated((1 << 30) // part))),
    )
    yield "chunks", lambda: png(9, 9, before=chunk(b"abCd") * (800_000 // part))
    yield "chunks-after", lambda: png(9, 9, after=chunk(b"abCd") * (800_000 // part))
    yield "empty-data", lambda: png(9, 9, before=chunk(b"IDAT") * (800_000 // part))
    yield "exif", lambda: png(9, 9, before=chunk(b"eXIf", _many_tags()))
    yield "surplus", lambda: png(9, 9).replace(deflated(252), deflated((1 << 31) // part))
    yield "frames", lambda: _animated(5000 // part)


def _texts(count: int) -> bytes:
    text = deflated(1_000_000)
    return b"".join(chunk(b"zTXt", b"%d\0\0" % number + text) for number in range(count))


def _turned() -> bytes:
    return b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


def _many_tags() -> bytes:
    entries = b"".join(struct.pack(">HHII", n, 2, 4_000_000, 26) for n in range(65_535))
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", 65_535) + entries + bytes(4_000_000)


def _animated(frames: int) -> bytes:
    data = picture("apng")[1]
    control = data.index(b"acTL") - 4
    first = data.index(b"fcTL", data.index(b"IDAT")) - 4
    end = data.index(b"fcTL", first + 8) - 4
    head = data[:control] + chunk(b"acTL", struct.pack(">II", frames, 0)) + data[control + 20 :]
    return head[:-12] + data[first:end] * frames + chunk(b"IEND")
