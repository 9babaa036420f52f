import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embeddings.images import ImageTransform, open_for, open_square
from embeddings.leftovers import Leftovers
from embeddings.thumbnails import MAX_BYTES, SIDE, ThumbnailFolder, encoded, thumbnail_of
from indexer.prepare import Prepared, prepare
from indexer.source import FoundFile
from indexer.thumbnailing import Thumbnailing


def jpeg(size: tuple[int, int], orientation: int = 1) -> bytes:
    """A picture that is red on its left and blue on its right."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_they_are_upright(tmp_path: Path, orientation: int) -> None:
    data = jpeg((1200, 800), orientation)
    thumbnail = thumbnail_of(data, open_for(data, ImageTransform((224, 224)), 10**7), 10**7)
    with Image.open(io.BytesIO(thumbnail)) as image:
        assert image.size == ((384, 256) if orientation < 5 else (256, 384))
        assert not image.getexif()
        upright = np.asarray(image.convert("RGB"), dtype=int)
    # Where red is when the camera's left is where EXIF says.
    middle = (upright.shape[0] // 2, upright.shape[1] // 2)
    ends = {
        "left": upright[middle[0], 9], "right": upright[middle[0], -9],
        "top": upright[9, middle[1]], "bottom": upright[-9, middle[1]],
    }  # fmt: skip
    expected = ["left", "right", "right", "left", "top", "top", "bottom", "bottom"]
    red = ends[expected[orientation - 1]]
    assert red[0] > 200
    assert red[2] < 60


@pytest.mark.parametrize(
    ("size", "square", "expected"),
    [
        ((4000, 3000), 336, (384, 288)),
        ((1024, 1024), 128, (384, 384)),  # decoded at 256 for the model
        ((3000, 300), 8, (384, 38)),  # at 16 pixels high
        ((100, 50), 336, (100, 50)),
        ((2, 300), 8, (2, 300)),
    ],
)
def test_a_decoding_that_is_too_small_is_not_enlarged(
    size: tuple[int, int], square: int, expected: tuple[int, int]
) -> None:
    data = jpeg(size)
    opened = open_for(data, ImageTransform((square, square)), 10**8)
    with Image.open(io.BytesIO(thumbnail_of(data, opened, 10**8))) as image:
        assert image.size == expected


@pytest.mark.parametrize("size", [(4000, 3000), (1024, 1024), (348, 348), (64, 64), (40, 7000)])
def test_the_model_sees_the_same_pixels_with_and_without(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).resize(size)
    path = tmp_path / "a.jpg"
    noise.save(path)
    transform = ImageTransform((64, 64))
    thumbnails = ThumbnailFolder(tmp_path / "thumbnails")
    making = Thumbnailing(thumbnails, Leftovers(thumbnails, "store"))
    file = FoundFile(str(path), "a.jpg", "", 1, 1)
    prepared = prepare(file, transform, lambda key: False, 10**8, 10**8, making)
    assert isinstance(prepared, Prepared)
    assert prepared.image is not None
    assert thumbnails.path(prepared.content_hash).exists()
    plain = open_square(path.read_bytes(), transform, 10**8).image
    assert prepared.image.tobytes() == plain.tobytes()


def test_busy_pictures_are_made_small_as_well() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (500, 500, 3), dtype=np.uint8)
    dots = (rng.integers(0, 2, (500, 500, 1)) * 255).astype(np.uint8).repeat(3, axis=2)
    waves = np.kron(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
    for pixels in (noise, dots, waves, np.zeros((500, 500, 3), np.uint8)):
        content = encoded(Image.fromarray(pixels))
        assert len(content) <= MAX_BYTES
        with Image.open(io.BytesIO(content)) as image:
            assert max(image.size) in (SIDE, SIDE // 2)
