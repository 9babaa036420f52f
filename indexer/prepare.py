"""What happens to one file in a decoding thread: read, hash, decode, shrink."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from embeddings.errors import ImageError
from embeddings.images import ImageTransform, OpenedImage, open_for, squared
from indexer.source import FoundFile

OnDecoded: TypeAlias = Callable[[str, bytes, OpenedImage], None]
"""Gets the content's hash, the file's bytes and the picture, decoded as large as the model asks
for."""


@dataclass(frozen=True)
class Prepared:
    """A file that was read, and its picture as the model wants it."""

    file: FoundFile
    content_hash: str
    image: Image.Image | None
    """None where the content is known already and need not be encoded."""
    width: int = 0
    """Pixels, upright."""
    height: int = 0


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be turned into a picture."""

    file: FoundFile
    reason: str
    vanished: bool = False
    """Whether the file went away between the walk and the reading."""
    is_damaged: bool = False
    """Whether its bytes were read, and are no picture."""


def prepare(
    file: FoundFile,
    transform: ImageTransform,
    is_known: Callable[[str], bool],
    max_pixels: int,
    on_decoded: OnDecoded | None = None,
) -> Prepared | Unreadable:
    """Read a file once; decode it unless ``is_known`` says that its hash has an embedding."""
    try:
        data = Path(file.path).read_bytes()
    except FileNotFoundError:
        return Unreadable(file, "it vanished while the folder was read", vanished=True)
    except OSError as error:
        return Unreadable(file, f"cannot be read: {error.strerror or error}")
    except MemoryError:
        return Unreadable(file, "too large for this machine's memory")
    content_hash = blake2b(data, digest_size=16).hexdigest()
    if is_known(content_hash):
        return Prepared(file, content_hash, None)
    try:
        opened = open_for(data, transform, max_pixels)
        square = squared(opened, transform)
    except ImageError as error:
        return Unreadable(file, str(error), is_damaged=True)
    if on_decoded is not None:
        on_decoded(content_hash, data, opened)
    return Prepared(file, content_hash, square.image, square.width, square.height)
