"""A picture file as the model looks at it, and its thumbnail: the one way to decode files.

What its header shows to be an ordinary photo is decoded right here. A decoder that runs long or
takes memory cannot be stopped in a thread; all else goes to a worker process, which can.
"""

import atexit
import functools
import json
import os
from dataclasses import dataclass

from PIL import Image

from embeddings.decoding.ordinary import is_ordinary
from embeddings.decoding.pool import Pool
from embeddings.errors import ImageError
from embeddings.images import DEFAULT_MAX_PIXELS, ImageTransform, open_for, open_image, squared
from embeddings.thumbnails import SIDE, thumbnail_of

# Worker processes at most; each holds up to a gigabyte while it decodes the largest of pictures.
MOST_WORKERS = 4


@dataclass(frozen=True)
class Decoded:
    """What was asked for of a picture file, and the size of the whole."""

    width: int
    """Pixels of the original, upright."""
    height: int
    square: Image.Image | None = None
    """As the model looks at it."""
    thumbnail: bytes | None = None
    """WebP."""


def decode_square(data: bytes, transform: ImageTransform, max_pixels: int) -> Image.Image:
    """A file's picture as the model looks at it. Raises ImageError with the reason."""
    square = decode(data, max_pixels, transform=transform).square
    assert square is not None
    return square


def decode(
    data: bytes,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    *,
    transform: ImageTransform | None = None,
    with_thumbnail: bool = False,
) -> Decoded:
    """Decode a file's bytes: with ``transform`` its square, ``with_thumbnail`` its thumbnail.

    A picture that has a square and can have no thumbnail comes without. Raises ImageError with the
    reason where the bytes are no picture, or cost more time or memory than one may.
    """
    if is_ordinary(data):
        return decode_here(data, max_pixels, transform, with_thumbnail)
    asked = {
        "max_pixels": max_pixels,
        "transform": vars(transform) if transform else None,
        "with_thumbnail": with_thumbnail,
    }
    answer, content = _pool().ask(json.dumps(asked).encode(), data)
    return _decoded(json.loads(answer), content, transform)


def decode_here(
    data: bytes, max_pixels: int, transform: ImageTransform | None, with_thumbnail: bool
) -> Decoded:
    """The same in this thread, however long it takes. Raises ImageError."""
    if transform is None:
        opened = open_image(data, max_pixels=max_pixels, at_least=SIDE)
        thumbnail = thumbnail_of(data, opened, max_pixels) if with_thumbnail else None
        return Decoded(opened.width, opened.height, thumbnail=thumbnail)
    opened = open_for(data, transform, max_pixels)
    square = squared(opened, transform).image
    try:
        thumbnail = thumbnail_of(data, opened, max_pixels) if with_thumbnail else None
    except ImageError:  # the model could look at it all the same
        thumbnail = None
    return Decoded(opened.width, opened.height, square, thumbnail)


@functools.cache
def _pool() -> Pool:
    """Shared by the whole program; a process is started when the first file needs it."""
    pool = Pool(min(MOST_WORKERS, os.cpu_count() or 1))
    atexit.register(pool.close)
    return pool


def _decoded(
    answer: dict[str, object], content: bytes, transform: ImageTransform | None
) -> Decoded:
    if "error" in answer:
        raise ImageError(str(answer["error"]))
    width, height = int(str(answer["width"])), int(str(answer["height"]))
    if transform is None:
        return Decoded(width, height, thumbnail=content or None)
    size = (transform.size[1], transform.size[0])
    length = 3 * size[0] * size[1]
    square = Image.frombytes("RGB", size, content[:length])
    return Decoded(width, height, square, content[length:] or None)
