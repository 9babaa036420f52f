"""The values that go into the store and come out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Embedding: TypeAlias = NDArray[np.float32]
"""One row: float32, shape ``(dim,)``, L2-normalised."""


def image_id(library: str, relative_path: str) -> int:
    """The primary key of an image: 63 bits that follow from where it is, equal on every run.

    A hash rather than a counter, so that writing an image twice is an upsert and two machines
    agree without asking. With ten million images, two share a key with probability 5e-6.
    """
    # NUL cannot be in a path, so no two pairs are written alike.
    text = f"{library}\0{relative_path}".encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 1


@dataclass(frozen=True)
class ModelRecord:
    """The model of a collection, as the collection records it."""

    model_id: str
    dim: int
    name: str
    """What ``--model`` was, so that searching can load the same."""
    pretrained: str | None
    """What ``--pretrained`` was."""


@dataclass(frozen=True)
class ImageRow:
    """What is stored of an image, but for its embedding."""

    m_id: int
    path: str
    """Absolute path of the file."""
    library: str
    """Absolute path of the indexed folder."""
    category: str
    """First folder below the library; empty for files at its root."""
    mtime_ns: int
    size: int
    """Bytes."""
    content_hash: str
    width: int
    """Pixels, upright."""
    height: int
    extras: Mapping[str, Any] = field(default_factory=dict)
    """Captions and other columns: Milvus's dynamic fields."""


@dataclass(frozen=True)
class Match:
    """One result of a search."""

    row: ImageRow
    score: float
    """Cosine similarity, -1 to 1."""
    embedding: Embedding | None = None
    """Where it was asked for."""


def printable(path: str) -> str:
    """A path that any terminal and any JSON reader takes, with what is not Unicode escaped."""
    text = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
