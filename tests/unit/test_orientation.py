"""Pictures are turned as their EXIF data says, whatever else that holds."""

import io
import struct
import time

import numpy as np
import pytest
from PIL import Image, ImageOps

from embeddings.images import open_image
from embeddings.orientation import orientation


def file(value: object, kind: str = "JPEG") -> bytes:
    image = Image.effect_noise((40, 24), 90).convert("RGB")
    exif = Image.Exif()
    exif[0x010E] = "described before"
    exif[0x0112] = value
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("value", range(1, 9))
def test_as_pillow_turns_them(kind: str, value: int) -> None:
    data = file(value, kind)
    opened = open_image(data)
    with Image.open(io.BytesIO(data)) as image:
        expected = ImageOps.exif_transpose(image)
    assert (opened.width, opened.height) == opened.image.size == expected.size
    assert np.array_equal(np.asarray(opened.image), np.asarray(expected.convert("RGB")))


@pytest.mark.parametrize("value", [0, 9, 255, 65_535])
def test_what_makes_no_sense_is_upright(value: int) -> None:
    assert open_image(file(value)).image.size == (40, 24)


def test_any_exif_data_gives_a_number() -> None:
    image = Image.new("RGB", (9, 9))
    whole = Image.Exif()
    whole[0x0112] = 6
    for order in (b"II*\0", b"MM\0*"):
        data = order + whole.tobytes()[10:]
        for length in range(len(data)):
            image.info["exif"] = data[:length]
            assert isinstance(orientation(image), int)


def test_tags_that_point_at_much_cost_nothing() -> None:
    entries = b"".join(struct.pack(">HHII", n, 2, 4_000_000, 26) for n in range(65_535))
    image = Image.new("RGB", (9, 9))
    image.info["exif"] = b"MM\0*\0\0\0\x08" + struct.pack(">H", 65_535) + entries + bytes(4_000_000)
    started = time.process_time()
    assert orientation(image) == 1
    assert time.process_time() - started < 2
    del image.info["exif"]
    image.info["Raw profile type exif"] = "\nexif\n 9\n" + "00" * 500_000
    assert orientation(image) == 1
