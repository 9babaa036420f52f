import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from embeddings import images
from embeddings.errors import ImageError
from embeddings.images import ImageTransform, OpenedImage, open_image, to_rgb

RED = (200, 30, 40)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def centre(image: Image.Image) -> np.ndarray:
    return np.asarray(image)[image.height // 2, image.width // 2].astype(int)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"])
def test_formats(kind: str) -> None:
    image = open_image(encoded(Image.new("RGB", (30, 20), RED), kind)).image
    assert (image.mode, image.size) == ("RGB", (30, 20))
    assert np.abs(centre(image) - RED).max() < 12


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 90, (90, 90, 90)),
        ("P", 0, RED),
        ("LA", (90, 255), (90, 90, 90)),
        ("LA", (90, 0), (255, 255, 255)),
        ("RGBA", (*RED, 255), RED),
        ("RGBA", (*RED, 0), (255, 255, 255)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("I;16", 0x8000, (128, 128, 128)),
        ("I", 0x8000, (128, 128, 128)),
    ],
)
def test_modes_become_rgb(mode: str, colour: object, expected: tuple[int, int, int]) -> None:
    image = Image.new(mode, (8, 8), colour)
    if mode == "P":
        image.putpalette(list(RED) + [0] * 765)
    converted = to_rgb(image)
    assert converted.mode == "RGB"
    assert np.abs(centre(converted) - expected).max() <= 1


def test_sixteen_bit_png_is_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    image = open_image(encoded(Image.fromarray(ramp), "PNG")).image
    grey = np.asarray(image)[..., 0].ravel()
    assert (grey[0], grey[-1]) == (0, 255)
    assert (np.diff(grey.astype(int)) > 0).all()


def test_a_transparent_palette_turns_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette(list(RED) + [0] * 765)
    assert centre(open_image(encoded(image, "PNG", transparency=0)).image).tolist() == [
        255,
        255,
        255,
    ]


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (40, 20), RED)
    image.paste((0, 0, 255), (0, 0, 10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    opened = open_image(encoded(image, "JPEG", exif=exif, quality=95))
    upright = opened.image
    assert upright.size == (opened.width, opened.height) == (20, 40)
    assert np.asarray(upright)[3, 10, 2] > 200  # the left edge is now the top


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert centre(open_image(data).image).tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_decoded_at_a_fraction_and_knows_its_size(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.effect_noise((1600, 1200), 90), "JPEG", exif=exif)
    opened = open_image(data, at_least=300)
    expected = ((400, 300), (1600, 1200)) if orientation == 1 else ((300, 400), (1200, 1600))
    assert (opened.image.size, (opened.width, opened.height)) == expected
    assert open_image(data, at_least=301).image.width > 400
    assert open_image(data).image.size == expected[1]


def _png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"no picture at all", "not a picture in a known format"),
        (b"%PDF-1.4 hello", "not a picture in a known format"),
        (encoded(Image.effect_noise((64, 64), 90), "JPEG")[:700], "damaged picture"),
        (encoded(Image.effect_noise((64, 64), 90), "PNG")[:900], "damaged picture"),
        (_png_header(30_000, 30_000), "30000 x 30000 pixels are more than the limit"),
    ],
)
def test_what_is_no_picture_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        open_image(data)


def test_the_pixel_limit_can_be_set() -> None:
    data = encoded(Image.new("RGB", (30, 20)), "PNG")
    assert open_image(data, max_pixels=600).image.size == (30, 20)
    with pytest.raises(ImageError, match="limit of 599"):
        open_image(data, max_pixels=599)


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize(
    "size", [(500, 375), (31, 800), (800, 31), (224, 224), (1, 1), (7, 9), (1, 200)]
)
def test_the_transform_gives_its_size_and_changes_nothing_twice(
    mode: str, size: tuple[int, int]
) -> None:
    transform = ImageTransform((56, 56), resize_mode=mode)  # type: ignore[arg-type]
    once = transform(Image.effect_noise(size, 90))
    assert (once.mode, once.size) == ("RGB", (56, 56))
    assert transform(once).tobytes() == once.tobytes()


def test_mutated_files_are_read_or_refused_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    noise = Image.effect_noise((48, 48), 90).convert("RGB")
    originals = [encoded(noise, kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")]
    read = 0
    for number in range(240):
        data = bytearray(originals[number % len(originals)])
        for _ in range(int(rng.integers(1, 20))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        if number % 3 == 0:
            del data[int(rng.integers(1, len(data))) :]
        read += _is_read(lambda data=data: open_image(bytes(data), max_pixels=1_000_000))
    assert 0 < read < 240


def _is_read(attempt: Callable[[], OpenedImage]) -> bool:
    try:
        return attempt().image.mode == "RGB"
    except ImageError:
        return False


@pytest.mark.parametrize("size", [(1, 40_000), (40_000, 1)])
def test_a_strip_is_refused_before_it_takes_gigabytes(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="too thin a strip"):
        ImageTransform((336, 336))(Image.new("L", size))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "1", "CMYK", "I;16", "I", "F"])
def test_a_large_picture_is_shrunk_in_strips_to_what_it_is(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = Image.effect_noise((403, 301), 90)
    if mode in ("I;16", "I", "F"):
        image = Image.fromarray(np.asarray(noise, dtype=np.int32) * 257).convert(mode)
    else:
        image = noise.convert("RGB").convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(noise.rotate(180))
    data = encoded(image, "TIFF" if mode in ("CMYK", "F", "I") else "PNG")
    whole = to_rgb(image)
    monkeypatch.setattr(images, "LARGE", 100_000)
    monkeypatch.setattr(images, "STRIP", 5_000)
    shrunk = open_image(data, at_least=50)
    assert (shrunk.width, shrunk.height, shrunk.image.size) == (403, 301, (135, 101))
    assert np.array_equal(np.asarray(shrunk.image), np.asarray(whole.reduce(3)))
    same = open_image(data, at_least=100)  # a side of 301 is less than twice of twice that
    assert np.array_equal(np.asarray(same.image), np.asarray(whole))


def test_numbers_without_an_end_are_grey_all_the_same() -> None:
    values = np.array([[np.inf, -np.inf, np.nan, 0.0]], dtype=np.float32).repeat(4, axis=0)
    grey = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")).image)[0, :, 0]
    assert grey.tolist() == [255, 0, 128, 128]


def test_a_picture_within_a_heif_is_not_taken_for_it() -> None:
    inner = Image.new("RGB", (640, 480), "red")
    images.prepare_pillow()
    data = encoded(inner, "HEIF", thumbnails=[128])
    assert open_image(data, at_least=32).image.size == (640, 480)
