"""Small whole pictures of every format and kind, to be damaged."""

import functools
import io
import random
from typing import Any

from PIL import Image
from pillow_heif import register_heif_opener

SIZE = (64, 48)

# Name → suffix, mode, and what Pillow is told.
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("jpg", "RGB", {"quality": 80}),
    "jpeg-progressive": ("jpg", "RGB", {"progressive": True}),
    "jpeg-grey": ("jpg", "L", {}),
    "jpeg-cmyk": ("jpg", "CMYK", {"progressive": True}),
    "jpeg-exif": ("jpg", "RGB", {"exif": True, "icc_profile": bytes(3000), "comment": b"x" * 99}),
    "mpo": ("mpo", "RGB", {"frames": 3}),
    "png": ("png", "RGB", {}),
    "png-alpha": ("png", "RGBA", {"exif": True}),
    "png-palette": ("png", "P", {"transparency": 0}),
    "png-deep": ("png", "I;16", {}),
    "png-bit": ("png", "1", {}),
    "apng": ("png", "RGBA", {"frames": 5}),
    "webp": ("webp", "RGB", {"quality": 80}),
    "webp-lossless": ("webp", "RGBA", {"lossless": True, "exif": True}),
    "webp-animated": ("webp", "RGB", {"frames": 5}),
    "gif": ("gif", "P", {}),
    "gif-animated": ("gif", "P", {"frames": 5, "comment": b"hello" * 30}),
    "bmp": ("bmp", "RGB", {}),
    "bmp-palette": ("bmp", "P", {}),
    "tiff": ("tif", "RGB", {}),
    "tiff-lzw": ("tif", "RGB", {"compression": "tiff_lzw"}),
    "tiff-deflate": ("tif", "RGBA", {"compression": "tiff_adobe_deflate"}),
    "tiff-jpeg": ("tif", "RGB", {"compression": "jpeg"}),
    "tiff-fax": ("tif", "1", {"compression": "group4"}),
    "tiff-float": ("tif", "F", {"compression": "packbits"}),
    "tiff-pages": ("tif", "L", {"frames": 4}),
    "tiff-big": ("tif", "I;16", {"big_tiff": True}),
    "avif": ("avif", "RGB", {"quality": 60, "speed": 10}),
    "avif-alpha": ("avif", "RGBA", {"speed": 10, "exif": True}),
    "avif-animated": ("avif", "RGB", {"frames": 3, "speed": 10}),
    "heif": ("heic", "RGB", {"quality": 60, "exif": True}),
    "heif-frames": ("heic", "RGBA", {"frames": 2}),
}
FORMATS = {"jpg": "JPEG", "tif": "TIFF", "heic": "HEIF"}


@functools.cache
def picture(kind: str) -> tuple[str, bytes]:
    """Suffix and bytes of a whole picture of a kind."""
    register_heif_opener()
    suffix, mode, given = KINDS[kind]
    options = dict(given)
    noise = random.Random(kind)
    frames = [_noise(noise, mode) for _ in range(options.pop("frames", 1))]
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:]}
    if options.get("exif"):
        exif = Image.Exif()
        exif[0x0112] = 6
        exif[0x010E] = "a description"
        options["exif"] = exif
    buffer = io.BytesIO()
    frames[0].save(buffer, FORMATS.get(suffix, suffix.upper()), **options)
    return suffix, buffer.getvalue()


def _noise(noise: random.Random, mode: str) -> Image.Image:
    colours = Image.frombytes("RGB", (8, 6), noise.randbytes(3 * 8 * 6)).resize(SIZE)
    if mode in ("I;16", "F"):
        return colours.convert("L").convert("I" if mode == "I;16" else mode).convert(mode)
    return colours.convert(mode)
