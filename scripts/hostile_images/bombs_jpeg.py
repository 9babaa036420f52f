"""JPEG: scans over scans, and segments without end."""

import io
import struct
from collections.abc import Callable, Iterator

from PIL import Image

from hostile_images.pictures import SIZE, picture

PLAIN, PROGRESSIVE, CMYK = "jpeg", "jpeg-progressive", "jpeg-cmyk"


def _sized(kind: str, width: int, height: int) -> bytes:
    """A small picture that says it is large; what is missing is grey."""
    data = picture(kind)[1]
    small = struct.pack(">HH", SIZE[1], SIZE[0])
    return data.replace(small, struct.pack(">HH", height, width), 1)


def _scans(kind: str, side: int, count: int) -> bytes:
    """The last scan again and again, each over the whole picture."""
    data = _sized(kind, side, side)[:-2]
    return data + data[data.rindex(b"\xff\xda") :] * count + b"\xff\xd9"


def _before(segment: bytes, kind: str = PLAIN) -> bytes:
    data = picture(kind)[1]
    return data[:2] + segment + data[2:]


def _noise(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    tile = Image.effect_noise((512, 512), 90).convert("RGB")
    image = Image.new("RGB", (width, height))
    for left in range(0, width, 512):
        image.paste(tile, (left, 0))
    for top in range(512, height, 512):
        image.paste(image.crop((0, 0, width, min(512, height - top))), (0, top))
    image.save(buffer, "JPEG", quality=30, progressive=True)
    return buffer.getvalue()


def bombs(side: int, part: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Names and makers; of what is repeated, one in ``part`` is there."""
    app = b"\xff\xe1" + struct.pack(">H", 0xFFFF)
    exif = app + b"Exif\0\0" + bytes(0xFFFF - 8)
    profile = (
        b"\xff\xe2" + struct.pack(">H", 0xFFFF) + b"ICC_PROFILE\0\x01\x01" + bytes(0xFFFF - 16)
    )
    yield "large", lambda: _sized(PLAIN, side, side)
    yield "large-progressive", lambda: _sized(PROGRESSIVE, side, side)
    yield "large-cmyk", lambda: _sized(CMYK, side, side)
    yield "huge", lambda: _sized(PLAIN, 65_535, 65_535)
    yield "flat", lambda: _sized(PLAIN, 65_000, 1)
    yield "tall", lambda: _sized(PLAIN, 1, 65_000)
    yield "real-progressive", lambda: _noise(side // 2, side // 2)
    yield "scans", lambda: _scans(PROGRESSIVE, min(side, 10_000), 3000 // part)
    yield "scans-small", lambda: _scans(PROGRESSIVE, 3000, 3000 // part)
    yield "scans-cmyk", lambda: _scans(CMYK, side, 100)
    yield "segments", lambda: _before(b"\xff\xe1\0\x02" * (3_000_000 // part))
    yield "comments", lambda: _before(b"\xff\xfe\0\x03x" * (2_000_000 // part))
    yield "filling", lambda: _before(b"\xff" * (15_000_000 // part))
    yield "exif", lambda: _before(exif * 250)
    yield "profile", lambda: _before(profile * 250)
    yield "tables", lambda: _before(b"\xff\xdb\0\x43\0" + bytes([1] * 64)) * 3
    yield (
        "xmp",
        lambda: _before((app + b"http://ns.adobe.com/xap/1.0/\0").ljust(0x10001, b"<") * 200),
    )
    yield "trailing", lambda: picture(PLAIN)[1] + bytes(20_000_000 // part)
