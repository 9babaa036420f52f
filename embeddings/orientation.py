"""How a picture is to be turned, by its EXIF data.

Pillow reads all tags to tell one, and keeps a copy of what each points to: a megabyte of tags that
all point to the same half of it would take tens of gigabytes.
"""

import struct

from PIL import Image

ORIENTATION = 0x0112
UPRIGHT = 1
PREFIX = b"Exif\0\0"
# PNGs of some programs have EXIF data as text, which Pillow reads. Photos have a few kilobytes.
RAW, MOST_RAW = "Raw profile type exif", 200_000
# Types of numbers in a tag, which stand in its first bytes.
NUMBERS = {1: "B", 3: "H", 4: "I"}


def orientation(image: Image.Image) -> int:
    """The value of the EXIF tag: 1 to 8, where 1 is upright, or something that makes no sense."""
    if image.format == "TIFF":  # turned by Pillow as it is decoded, and has that size before
        return UPRIGHT
    exif = image.info.get("exif")
    if isinstance(exif, bytes) and exif:
        return _in_exif(exif.removeprefix(PREFIX))
    if len(image.info.get(RAW, "")) > MOST_RAW:
        return UPRIGHT
    value = image.getexif().get(ORIENTATION, UPRIGHT)  # from XMP, where there is nothing else
    return value if isinstance(value, int) else UPRIGHT


def _in_exif(exif: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return UPRIGHT
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _ = struct.unpack_from(f"{order}HHI", exif, at)
            if tag == ORIENTATION and kind in NUMBERS:
                (value,) = struct.unpack_from(f"{order}{NUMBERS[kind]}", exif, at + 8)
                return int(value)
    except struct.error:  # cut short
        pass
    return UPRIGHT
