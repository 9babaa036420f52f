"""Pictures and captions from a file of Karpathy's splits (Flickr8k, Flickr30k, COCO)."""

import contextlib
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from indexer.source import FoundFile
from milvus.int64 import storable_time

# Some of COCO's pictures have six or seven; results are reported over five.
CAPTIONS_USED = 5
# Karpathy's name for COCO's pictures that everybody trains on with the rest.
RESTVAL = "restval"


class CaptionsError(Exception):
    """The captions cannot be used, or their pictures."""


class NotThere(CaptionsError):
    """There is no such file, or no such split in it."""


@dataclass(frozen=True)
class CaptionedPicture:
    """A picture's file and what people wrote of it, at most five captions."""

    file: FoundFile
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """Pictures of one split, as a library for ``index_library``."""

    dataset: str
    """``flickr30k`` or ``coco`` where it is one of these."""
    name: str
    pictures: Sequence[CaptionedPicture]
    # One for all, so that a store that is used again holds this split and nothing else.
    library: str = "evaluate_retrieval"
    nothing: str = "no picture"
    is_marked: bool = False

    def count(self) -> int:
        """How many pictures there are."""
        return len(self.pictures)

    def files(self) -> Iterator[FoundFile]:
        """Their files."""
        return (picture.file for picture in self.pictures)

    def discard(self, file: FoundFile) -> None:
        """The files are only ever read."""


def read_split(captions: Path, images: Path, split: str, limit: int | None = None) -> Split:
    """The first ``limit`` pictures of a split, with their files below the folder ``images``.

    Raises NotThere for a file or split that does not exist, and CaptionsError for a file that is
    not in the expected form, or pictures that are missing.
    """
    read = _read(captions)
    chosen = [entry for entry in read.images if _belongs(entry, split)]
    if not chosen:
        counts = Counter(entry.split for entry in read.images)
        there = ", ".join(f"{name} ({number})" for name, number in sorted(counts.items()))
        raise NotThere(f"{captions}: no picture of split {split!r}; it has: {there or 'none'}")
    chosen = chosen[:limit]
    files = {entry.relative: file for entry in chosen if (file := _file(images, entry))}
    missing = [entry.relative for entry in chosen if entry.relative not in files]
    if missing:
        raise CaptionsError(
            f"{len(missing)} of {len(chosen)} pictures are not in {images}, the first: {missing[0]}"
        )
    if len({file.path for file in files.values()}) < len(chosen):
        raise CaptionsError(f"{captions}: it names a picture of split {split!r} twice")
    pictures = [CaptionedPicture(files[entry.relative], entry.captions) for entry in chosen]
    return Split(read.dataset, split, pictures)


class _Sentence(BaseModel):
    raw: str


class _Entry(BaseModel):
    filename: Annotated[str, Field(min_length=1)]
    filepath: str = ""
    """COCO's folder of the picture."""
    split: str
    sentences: Annotated[list[_Sentence], Field(min_length=1)]

    @property
    def relative(self) -> str:
        return f"{self.filepath}/{self.filename}" if self.filepath else self.filename

    @property
    def captions(self) -> tuple[str, ...]:
        return tuple(sentence.raw for sentence in self.sentences[:CAPTIONS_USED])


class _File(BaseModel):
    images: list[_Entry]
    dataset: str = ""


def _read(captions: Path) -> _File:
    try:
        return _File.model_validate_json(captions.read_bytes())
    except OSError as error:
        raise NotThere(f"{captions}: {(error.strerror or str(error)).lower()}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise CaptionsError(
            f"{captions}: {place + ': ' if place else ''}{first['msg']}; give a file in the form "
            "of Karpathy's splits, such as dataset_flickr30k.json"
        ) from error


def _belongs(entry: _Entry, split: str) -> bool:
    return entry.split == split or (split == "train" and entry.split == RESTVAL)


def _file(images: Path, entry: _Entry) -> FoundFile | None:
    """The picture's file, with or without the folder that COCO names."""
    for path in (images / entry.relative, images / entry.filename):
        with contextlib.suppress(OSError, ValueError):  # the second: no path at all
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                time = storable_time(status.st_mtime_ns)
                return FoundFile(str(path), str(path), "", status.st_size, time)
    return None
