"""Rows against files, and what the doctor says of it."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fakes import MemoryStore

from embeddings.thumbnails import ThumbnailFolder
from indexer.scan import scan
from indexer.source import FoundFile
from milvus.entities import ImageRow, ModelRecord, image_id
from webapp.doctor import Check, check_text, checks_json, is_well, weights_at
from webapp.file_checks import compare, pictures

VECTOR = [1.0, 0.0, 0.0, 0.0]


def row(root: Path, path: str) -> ImageRow:
    name = str(root)
    return ImageRow(image_id(name, path), f"{root}/{path}", name, "", 1, 1, "ab" * 16, 4, 3)


def test_the_walk_finds_what_the_indexer_finds(tmp_path: Path) -> None:
    names = ["a.jpg", "b/c.PNG", "b/.d.jpg", ".e/f.jpg", "@eaDir/g.jpg", "b/h.txt", "i.webp/j.jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.jpg")
    expected = [one.relative for one in scan(tmp_path) if isinstance(one, FoundFile)]
    assert list(pictures(str(tmp_path))) == expected
    assert sorted(expected) == ["a.jpg", "b/c.PNG", "i.webp/j.jpg"]


def test_rows_and_files_are_compared(paint: Callable[..., Path], tmp_path: Path) -> None:
    root = paint("there.jpg").parent
    paint("new/one.jpg")
    store = MemoryStore()
    rows = [row(root, "there.jpg"), row(root, "gone.jpg"), row(root, "gone too.jpg")]
    store.held = {one.m_id: (one, VECTOR) for one in rows}  # type: ignore[misc]
    thumbnails = ThumbnailFolder(tmp_path / "thumbnails")
    library = compare(store, thumbnails).libraries[str(root)]
    assert (library.rows, library.gone.count, library.new.count) == (3, 2, 1)
    assert set(library.gone.names) == {f"{root}/gone.jpg", f"{root}/gone too.jpg"}
    assert library.new.names == [f"{root}/new/one.jpg"]
    assert compare(store, thumbnails).without_thumbnail == 3
    thumbnails.write("ab" * 16, b"webp")
    assert compare(store, thumbnails).without_thumbnail == 0


def test_names_told_are_few(tmp_path: Path) -> None:
    store = MemoryStore()
    rows = [row(tmp_path, f"{n}.jpg") for n in range(2500)]
    store.held = {one.m_id: (one, VECTOR) for one in rows}  # type: ignore[misc]
    gone = compare(store, ThumbnailFolder(tmp_path)).libraries[str(tmp_path)].gone
    assert (gone.count, len(gone.names)) == (2500, 3)


def test_a_line_says_what_to_do() -> None:
    well = Check("store", "ok", "answers")
    warned = Check("files", "warning", "one\nis gone", "run: index-folder x")
    ill = replace(warned, level="problem")
    assert check_text(well) == "OK      store: answers"
    assert check_text(warned) == "WARNING files: one is gone; run: index-folder x"
    assert (is_well([well, warned]), is_well([well, warned, ill])) == (True, False)
    assert checks_json([ill])["well"] is False


def test_weights_are_found_without_loading_them(tmp_path: Path) -> None:
    assert weights_at(ModelRecord("s", 768, "sample", None), tmp_path) == "shipped"
    record = ModelRecord("m", 4, "An-Architecture", "a_tag")
    assert weights_at(record, tmp_path) is None
    file = tmp_path / "An-Architecture-a_tag.safetensors"
    file.write_bytes(b"")
    assert weights_at(record, tmp_path) == str(file)
    assert weights_at(replace(record, pretrained=str(file)), tmp_path / "other") == str(file)
    openai = tmp_path / "ViT-L-14-336px.pt"
    openai.write_bytes(b"")
    assert weights_at(ModelRecord("m", 768, "ViT-L/14@336px", None), tmp_path) == str(openai)
