"""Which files are decoded in a thread, by their headers alone."""

import io
import struct

import pytest
from PIL import Image

from embeddings.decoding.ordinary import MOST_PARTS, is_ordinary
from embeddings.errors import ImageError
from embeddings.images import open_image


def file(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or Image.effect_noise((64, 48), 90)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_photos_are(kind: str, mode: str) -> None:
    assert is_ordinary(file(kind, Image.effect_noise((640, 480), 90).convert(mode)))


def test_what_cameras_and_phones_write_is() -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 30_000
    photo = Image.effect_noise((400, 300), 90).convert("RGB")
    assert is_ordinary(file("JPEG", photo, exif=exif, icc_profile=bytes(200_000)))
    assert is_ordinary(file("JPEG", photo, progressive=True, exif=exif))
    assert is_ordinary(file("WEBP", photo, lossless=True, exif=exif))
    assert is_ordinary(file("MPO", photo, save_all=True, append_images=[photo]))


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "JPEG2000"])
def test_other_formats_are_not(kind: str) -> None:
    assert not is_ordinary(file(kind))


def test_what_claims_many_pixels_is_not() -> None:
    wide = struct.pack(">HH", 9000, 9000)
    jpeg = file("JPEG")
    assert not is_ordinary(jpeg.replace(struct.pack(">HH", 48, 64), wide, 1))
    png = file("PNG")
    assert not is_ordinary(png.replace(struct.pack(">II", 64, 48), struct.pack(">II", 9000, 9000)))
    gif = file("GIF")
    assert not is_ordinary(gif[:6] + struct.pack("<HH", 9000, 9000) + gif[10:])
    at = gif.index(b"\x2c" + bytes(4)) + 5
    assert not is_ordinary(gif[:at] + struct.pack("<HH", 9000, 9000) + gif[at + 4 :])
    bmp = file("BMP")
    assert not is_ordinary(bmp[:18] + struct.pack("<ii", 9000, -9000) + bmp[26:])
    webp = bytearray(file("WEBP", lossless=True, icc_profile=b"x" * 20))
    webp[24:30] = b"\xff\x1f\x00" * 2
    assert not is_ordinary(bytes(webp))


def test_what_has_many_parts_is_not() -> None:
    jpeg = file("JPEG")
    assert not is_ordinary(jpeg[:2] + b"\xff\xe1\x00\x02" * MOST_PARTS + jpeg[2:])
    assert not is_ordinary(jpeg[:2] + b"\xff" * MOST_PARTS + jpeg[2:])
    png = file("PNG")
    assert not is_ordinary(png[:33] + struct.pack(">I4sI", 0, b"teXt", 0) * 2000 + png[33:])
    gif = file("GIF", Image.effect_noise((64, 48), 90), comment=b"hello")
    at = gif.index(b"\x21\xfe") + 2
    assert is_ordinary(gif)
    assert not is_ordinary(gif[:at] + b"\x01x" * MOST_PARTS + gif[at:])


def test_a_progressive_jpeg_of_many_scans_is_not() -> None:
    photo = Image.effect_noise((4000, 3000), 90).convert("RGB")
    jpeg = file("JPEG", photo, progressive=True, quality=20)
    assert is_ordinary(jpeg)
    assert not is_ordinary(jpeg[:-2] + jpeg[jpeg.rindex(b"\xff\xda") :] * 40)


def test_scans_after_one_that_has_it_all_are_not_decoded() -> None:
    jpeg = file("JPEG", Image.effect_noise((900, 700), 90).convert("RGB"))
    more = jpeg[:-2] + jpeg[jpeg.rindex(b"\xff\xda") : -2] * 50 + jpeg[-2:]
    assert is_ordinary(more)
    with pytest.raises(ImageError, match="damaged picture"):
        open_image(more)


def test_damaged_headers_are_not() -> None:
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP"):
        whole = file(kind)
        assert not any(is_ordinary(whole[:length]) for length in range(4, 20))
    assert is_ordinary(b"")
    assert not is_ordinary(b"something else")
