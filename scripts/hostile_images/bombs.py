"""Small files that ask for gigabytes of memory or minutes of time, one of each known kind.

``side`` is that of the pictures whose pixels are all there: 14,142 makes 200 million of them, the
most that is read by default.
"""

import io
import struct
from collections.abc import Callable, Iterator

from PIL import Image

from hostile_images import bombs_jpeg, bombs_png, bombs_tiff
from hostile_images.pictures import picture
from hostile_images.zeros import gif_codes

Made = tuple[str, Callable[[], bytes]]


def bombs(side: int, part: int = 1) -> Iterator[Made]:
    """Names and makers, in an order that never changes; of what is repeated, one in ``part``."""
    for kind, of_kind in (
        ("png", bombs_png.bombs(side, part)),
        ("jpg", bombs_jpeg.bombs(side, part)),
        ("tif", bombs_tiff.bombs(side, part)),
        ("gif", _gifs(side, part)),
        ("webp", _webps(side, part)),
        ("bmp", _bmps(side, part)),
        ("avif", _boxed("AVIF", side)),
        ("heic", _boxed("HEIF", side)),
        ("jpg", _no_pictures()),
    ):
        for name, make in of_kind:
            yield f"bomb-{kind}-{name}.{kind}", make


def _gif(width: int, height: int, codes: bytes, before: bytes = b"") -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0xF7, 0, 0) + bytes(768)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0)
    return b"GIF89a" + screen + before + frame + codes + b";"


def _gifs(side: int, part: int) -> Iterator[Made]:
    many = b"\xff" + b"x" * 255
    transparent = b"\x21\xf9\x04\x01\x00\x00\x00\x00"
    yield "zeros", lambda: _gif(side, side, gif_codes(side * side))
    yield "transparent", lambda: _gif(side, side, gif_codes(side * side), transparent)
    yield "huge", lambda: _gif(65535, 65535, gif_codes(100))
    yield "strip", lambda: _gif(65535, 1, gif_codes(65535))
    yield (
        "comment",
        lambda: _gif(9, 9, gif_codes(81), b"\x21\xfe" + many * (60_000 // part) + b"\0"),
    )
    yield "comments", lambda: _gif(9, 9, gif_codes(81), b"\x21\xfe\x01x\0" * (1_000_000 // part))
    yield (
        "application",
        lambda: _gif(9, 9, gif_codes(81), b"\x21\xff" + many * (60_000 // part) + b"\0"),
    )
    yield (
        "frames",
        lambda: (
            _gif(9, 9, gif_codes(81))[:-1]
            + (b"\x2c" + struct.pack("<HHHHB", 0, 0, 9, 9, 0) + gif_codes(81)) * (20_000 // part)
            + b";"
        ),
    )
    # A frame beyond the screen makes the screen larger.
    yield (
        "beyond",
        lambda: (
            _gif(9, 9, b"")[:-11]
            + b"\x2c"
            + struct.pack("<HHHHB", 65000, 65000, 500, 500, 0)
            + gif_codes(250_000)
            + b";"
        ),
    )


def _webps(side: int, part: int) -> Iterator[Made]:
    def canvas(width: int, height: int) -> bytes:
        """A few small frames on a large canvas."""
        data = bytearray(picture("webp-animated")[1])
        data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        return bytes(data)

    def frames(count: int) -> bytes:
        data = picture("webp-animated")[1]
        at = data.index(b"ANMF")
        (size,) = struct.unpack_from("<I", data, at + 4)
        frame = data[at : at + 8 + size + size % 2]
        return _riff(data[8:at] + frame * count)

    def metadata(kind: bytes, length: int) -> bytes:
        data = bytearray(picture("webp-animated")[1])
        data[20] |= 0x0C if kind == b"EXIF" else 0x20
        chunk = kind + struct.pack("<I", length) + bytes(length)
        return _riff(bytes(data[8:30]) + chunk + bytes(data[30:]))

    yield "canvas", lambda: canvas(side, side)
    yield "canvas-limit", lambda: canvas(20_000, 10_000)
    yield "canvas-huge", lambda: canvas(65_535, 65_535)
    yield "frames", lambda: frames(3000 // part)
    yield "exif", lambda: metadata(b"EXIF", 16_000_000 // part)
    yield "profile", lambda: metadata(b"ICCP", 16_000_000 // part)


def _riff(content: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _bmp(width: int, height: int, bits: int, compression: int, pixels: bytes) -> bytes:
    palette = bytes(1024) if bits == 8 else b""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    start = 14 + len(header) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start, 0, 0, start) + header + palette + pixels


def _bmps(side: int, part: int) -> Iterator[Made]:
    yield "runs", lambda: _bmp(side, side, 8, 1, b"\xff\0" * (side * side // 255))
    yield "ones", lambda: _bmp(side, side, 8, 1, b"\x01\0" * min(side * side, 8_000_000 // part))
    yield "skips", lambda: _bmp(side, side, 8, 1, b"\0\x02\xff\xff" * 100_000)
    yield "short", lambda: _bmp(side, side, 24, 0, bytes(100))
    yield "huge", lambda: _bmp(2**31 - 1, -(2**31 - 1), 24, 0, bytes(100))
    yield "bits", lambda: _bmp(side, side, 1, 0, bytes(side * (side // 8 + 4)))


def _boxed(kind: str, side: int) -> Iterator[Made]:
    """AVIF and HEIF: their boxes say one size and their pictures may have another."""

    def flat(width: int, height: int) -> bytes:
        buffer = io.BytesIO()
        options = {"speed": 10} if kind == "AVIF" else {"quality": 10}
        Image.new("RGB", (width, height)).save(buffer, kind, **options)
        return buffer.getvalue()

    def says(real: tuple[int, int], said: tuple[int, int]) -> bytes:
        picture("heif")
        return flat(*real).replace(struct.pack(">II", *real), struct.pack(">II", *said))

    half = side // 2
    yield "flat", lambda: says((half, half), (half, half))
    yield "understated", lambda: says((half, half), (64, 64))
    yield "overstated", lambda: says((64, 64), (side, side))
    yield "huge", lambda: says((64, 64), (2**31 - 1, 2**31 - 1))
    yield "strip", lambda: says((8000, 64), (8000, 64))


def _no_pictures() -> Iterator[Made]:
    yield "empty", lambda: b""
    yield "text", lambda: b"not a picture\n" * 100
    yield "pdf", lambda: b"%PDF-1.7\n" + bytes(1000)
    yield "eps", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    yield "zip", lambda: b"PK\x03\x04" + bytes(1000)
    yield "svg", lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="99999"/>'
    yield "zeros", lambda: bytes(1_000_000)
