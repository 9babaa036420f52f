import os
from pathlib import Path

import pytest

from indexer.errors import NotAFolder
from indexer.scan import check_root, scan
from indexer.source import FoundFile, Skipped


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def relative(root: Path) -> list[str]:
    return [item.relative for item in scan(root) if isinstance(item, FoundFile)]


def test_pictures_are_found_sorted_with_their_category(tmp_path: Path) -> None:
    touch(tmp_path, "b/two.PNG", "a/deep/er/one.jpg", "root.webp", "a/notes.txt", "b/no-suffix")
    found = [item for item in scan(tmp_path) if isinstance(item, FoundFile)]
    assert [(f.relative, f.category) for f in found] == [
        ("a/deep/er/one.jpg", "a"),
        ("b/two.PNG", "b"),
        ("root.webp", ""),
    ]
    assert found[0].size == 1
    assert found[0].mtime_ns == (tmp_path / "a/deep/er/one.jpg").stat().st_mtime_ns


def test_hidden_and_system_folders_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, ".hidden.jpg", ".git/a.jpg", "@eaDir/a.jpg", "__MACOSX/a.jpg", "kept/a.jpg")
    assert relative(tmp_path) == ["kept/a.jpg"]


def test_odd_names(tmp_path: Path) -> None:
    names = ['it\'s "q".jpg', "new\nline.jpg", "emoji 🍋.jpg", "back\\slash.jpg", "ü {x} %s.jpg"]
    touch(tmp_path, *names)
    assert sorted(relative(tmp_path)) == sorted(names)


@pytest.mark.skipif(os.name != "posix", reason="only here are names bytes")
def test_names_that_are_not_unicode_are_told(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.jpg"))).write_bytes(b"x")
    (item,) = scan(tmp_path)
    assert isinstance(item, Skipped)
    assert "not valid Unicode" in item.reason


def test_links_are_followed_once_and_loops_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.jpg")
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    items = list(scan(tmp_path))
    assert [i.relative for i in items if isinstance(i, FoundFile)] == ["alias/a.jpg", "real/a.jpg"]
    reasons = sorted(i.reason for i in items if isinstance(i, Skipped))
    assert [reason.split(" that ")[1] for reason in reasons] == [
        "leads back to a folder above it",
        "leads back to a folder above it",
        "leads nowhere",
    ]


def test_a_date_that_milvus_cannot_hold_is_its_last_one(tmp_path: Path) -> None:
    touch(tmp_path, "future.jpg")
    os.utime(tmp_path / "future.jpg", (2**34, 2**34))
    (item,) = scan(tmp_path)
    assert isinstance(item, FoundFile)
    assert item.mtime_ns == 2**63 - 1


def test_what_is_no_regular_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (item,) = scan(tmp_path)
    assert isinstance(item, Skipped)
    assert item.reason == "not a regular file"


def test_roots_that_cannot_be_indexed(tmp_path: Path) -> None:
    touch(tmp_path, "file.jpg")
    with pytest.raises(NotAFolder, match="no such file or directory"):
        check_root(tmp_path / "nowhere")
    with pytest.raises(NotAFolder, match="is a file; give the folder"):
        check_root(tmp_path / "file.jpg")
    (tmp_path / "link").symlink_to(tmp_path)
    assert check_root(tmp_path / "link") == tmp_path.resolve()
