"""What happens to one file in a decoding thread: read, hash, decode, shrink."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from PIL import Image

from embeddings.decoding.decode import decode
from embeddings.errors import ImageError
from embeddings.images import ImageTransform
from indexer.source import FoundFile

# Files of more bytes are read one at a time: each may be as large as the settings allow.
LARGE = 32_000_000
_large_files = threading.Lock()


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


class Thumbnailer(Protocol):
    """What is done about thumbnails in the decoding threads."""

    def is_wanted(self, content_hash: str) -> bool:
        """Whether the thumbnail of this content is to be made."""

    def keep(self, content_hash: str, thumbnail: bytes) -> None:
        """Told of one that was made."""


def prepare(
    file: FoundFile,
    transform: ImageTransform,
    is_known: Callable[[str], bool],
    max_pixels: int,
    max_bytes: int = 300_000_000,
    thumbnails: Thumbnailer | None = None,
) -> Prepared | Unreadable:
    """Read a file once; decode it unless ``is_known`` says that its hash has an embedding."""
    with _large_files if file.size > LARGE else contextlib.nullcontext():
        return _prepared(file, transform, is_known, max_pixels, max_bytes, thumbnails)


def _prepared(
    file: FoundFile,
    transform: ImageTransform,
    is_known: Callable[[str], bool],
    max_pixels: int,
    max_bytes: int,
    thumbnails: Thumbnailer | None,
) -> Prepared | Unreadable:
    try:
        size = Path(file.path).stat().st_size
        data = Path(file.path).read_bytes() if size <= max_bytes else b""
    except FileNotFoundError:
        return Unreadable(file, "it vanished while the folder was read", vanished=True)
    except OSError as error:
        return Unreadable(file, f"cannot be read: {error.strerror or error}")
    except MemoryError:
        return Unreadable(file, "too large for this machine's memory")
    if size > max_bytes:
        reason = f"the file is larger than {max_bytes / 1e6:g} MB (setting max_file_mb)"
        return Unreadable(file, reason, is_damaged=True)
    content_hash = blake2b(data, digest_size=16).hexdigest()
    if is_known(content_hash):
        return Prepared(file, content_hash, None)
    wanted = thumbnails is not None and thumbnails.is_wanted(content_hash)
    try:
        decoded = decode(data, max_pixels, transform=transform, with_thumbnail=wanted)
    except ImageError as error:
        return Unreadable(file, str(error), is_damaged=True)
    if thumbnails and decoded.thumbnail:
        thumbnails.keep(content_hash, decoded.thumbnail)
    return Prepared(file, content_hash, decoded.square, decoded.width, decoded.height)
