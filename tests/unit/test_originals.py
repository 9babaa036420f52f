"""Files are given out while they are what was indexed, whatever stands in their place."""

import os
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import pytest

from milvus.entities import ImageRow
from webapp.errors import ImageGone
from webapp.media import Thumbnails
from webapp.originals import open_original, original

Paint = Callable[..., Path]


def row_of(path: Path) -> ImageRow:
    status = path.stat()
    content_hash = blake2b(path.read_bytes(), digest_size=16).hexdigest()
    return ImageRow(
        1, str(path), str(path.parent), "", status.st_mtime_ns, status.st_size, content_hash, 40, 30
    )


def disguised(path: Path, like: ImageRow) -> Path:
    """Another file with the size and time of a picture."""
    path.write_bytes(b"secret".ljust(like.size, b"!"))
    os.utime(path, ns=(like.mtime_ns, like.mtime_ns))
    return path


def test_what_was_indexed_is_opened_every_time(paint: Paint) -> None:
    picture = paint("a.png")
    row = row_of(picture)
    for _ in range(3):
        with open_original(row) as file:
            assert file.read() == picture.read_bytes()


def test_an_open_file_stays_the_one_that_was_looked_at(paint: Paint, tmp_path: Path) -> None:
    picture = paint("a.png")
    row, content = row_of(picture), picture.read_bytes()
    with open_original(row) as file:
        picture.unlink()
        picture.symlink_to(disguised(tmp_path / "secret", row))
        assert file.read() == content


@pytest.mark.parametrize("known", [False, True])
def test_a_link_to_what_looks_the_same_is_not_followed(
    paint: Paint, tmp_path: Path, known: bool
) -> None:
    picture = paint("a.png")
    row = row_of(picture)
    if known:
        open_original(row).close()
    picture.unlink()
    picture.symlink_to(disguised(tmp_path / "secret", row))
    assert original(row) == picture  # size and time say nothing
    with pytest.raises(ImageGone, match="has changed since it was indexed"):
        open_original(row)
    with pytest.raises(ImageGone, match="has changed since it was indexed"):
        Thumbnails(tmp_path / "thumbnails", 10**6).made(row)


def test_a_file_that_is_written_over_in_place_is_looked_at_again(paint: Paint) -> None:
    picture = paint("a.png")
    row = row_of(picture)
    open_original(row).close()
    disguised(picture, row)
    with pytest.raises(ImageGone):
        open_original(row)


def test_a_link_that_was_indexed_is_followed_until_its_target_changes(
    paint: Paint, tmp_path: Path
) -> None:
    target = shutil.copy(paint("a.png"), tmp_path / "elsewhere.png")
    link = tmp_path / "library" / "link.png"
    link.symlink_to(target)
    row = row_of(link)
    with open_original(row) as file:
        assert file.read() == Path(target).read_bytes()
    link.unlink()
    link.symlink_to(disguised(tmp_path / "secret", row))
    with pytest.raises(ImageGone):
        open_original(row)


@pytest.mark.parametrize("kind", ["nothing", "folder", "pipe", "device"])
def test_what_is_no_file_is_gone(paint: Paint, kind: str) -> None:
    picture = paint("a.png")
    row = row_of(picture)
    picture.unlink()
    if kind == "folder":
        picture.mkdir()
    elif kind == "pipe":
        os.mkfifo(picture)
    elif kind == "device":
        picture.symlink_to("/dev/zero")
    with pytest.raises(ImageGone):
        open_original(row)
    with pytest.raises(ImageGone):
        original(row)


def test_a_kept_thumbnail_is_a_file_of_its_folder(paint: Paint, tmp_path: Path) -> None:
    row = row_of(paint("a.png"))
    thumbnails = Thumbnails(tmp_path / "thumbnails", 10**6)
    content = thumbnails.kept(row) or thumbnails.made(row)
    assert content.startswith(b"RIFF")
    (made,) = (tmp_path / "thumbnails").rglob("*.webp")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    made.unlink()
    made.symlink_to(secret)
    assert (thumbnails.kept(row) or thumbnails.made(row)) == content
    assert (made.is_symlink(), secret.read_text()) == (False, "secret")
    # A whole folder elsewhere, with a file of that name in it.
    moved = made.parent.rename(tmp_path / "elsewhere")
    (moved / made.name).write_text("secret")
    made.parent.symlink_to(moved)
    assert (thumbnails.kept(row) or thumbnails.made(row)) == content
    assert (moved / made.name).read_text() == "secret"
