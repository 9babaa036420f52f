"""An index that moves to a server, and one that takes another's place, by the real commands."""

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from milvus_process import MilvusProcess
from support import run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with MilvusProcess(tmp_path_factory.mktemp("milvus") / "data").running() as process:
        yield process.address


@pytest.fixture(scope="module")
def pictures(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the sample library, in a folder that nothing else changes."""
    folder = tmp_path_factory.mktemp("some") / "pictures"
    for category in ("lemon", "apple"):
        shutil.copytree(library / category, folder / category)
    return folder


def result(*command: object, data: Path) -> dict[str, Any]:
    ran = run(*command, "--json", data=data)
    assert ran.code == 0, ran.err
    parsed: dict[str, Any] = json.loads(ran.out)
    return parsed


def best(*options: object, data: Path) -> list[str]:
    found = result("image-search", "search", "a lemon", *options, data=data)
    return [hit["id"] for hit in found["hits"]]


def test_an_index_moves_to_a_server_and_back(
    pictures: Path, data: Path, server: str, tmp_path: Path
) -> None:
    assert result("index-folder", pictures, "--model", "sample", data=data)["added"] == 60
    copied = result("image-search", "copy", "--to", server, "--to-db", "moved", data=data)
    assert (copied["copied"], copied["images"], copied["agreement"]) == (60, 60, 1.0)
    there = ("--milvus-uri", server, "--milvus-db", "moved")
    ran = run("index-folder", pictures, "--model", "sample", "--json", *there, data=data)
    assert (ran.code, json.loads(ran.out)["unchanged"]) == (0, 60), ran.err
    assert "loading" not in ran.err  # no model was needed
    assert best(*there, data=data) == best(data=data)
    again = result("image-search", "copy", "--to", server, "--to-db", "moved", data=data)
    assert (again["copied"], again["already_there"]) == (0, 60)
    file = tmp_path / "back.db"
    back = result("image-search", "copy", *there, "--to", file, data=data)
    assert back["copied"] == 60
    stats = result("image-search", "stats", "--milvus-uri", file, data=data)
    assert stats["categories"] == {"apple": 30, "lemon": 30}


def test_an_index_moves_by_bulk_import(
    pictures: Path, data: Path, server: str, tmp_path: Path
) -> None:
    result("index-folder", pictures, "--model", "sample", data=data)
    to = ("image-search", "copy", "--to", server, "--to-collection", "imported")
    ran = run(*to, "--bulk-folder", tmp_path / "none", data=data)
    assert (ran.code, "there is no such folder" in ran.err) == (1, True)
    folder = tmp_path / "for the server"
    folder.mkdir()
    copied = result(*to, "--bulk-folder", folder, data=data)
    assert (copied["copied"], copied["images"], copied["agreement"]) == (60, 60, 1.0)
    assert list(folder.iterdir()) == []
    there = ("--milvus-uri", server, "--milvus-collection", "imported")
    assert best(*there, data=data) == best(data=data)
    ran = run("index-folder", pictures, "--json", "--model", "sample", *there, data=data)
    assert (ran.code, json.loads(ran.out)["unchanged"]) == (0, 60), ran.err
    ran = run(*to, "--bulk-folder", folder, data=data)
    assert (ran.code, "leave out the --bulk options" in ran.err) == (2, True)
    ran = run(*to, "--bulk-folder", folder, "--bulk-endpoint", "localhost:9000", data=data)
    assert (ran.code, "not to both" in ran.line) == (2, True)


def test_what_cannot_be_copied_is_said_in_one_line(pictures: Path, data: Path) -> None:
    ran = run("image-search", "copy", data=data)
    assert (ran.code, "--to URI" in ran.line) == (2, True)
    ran = run("image-search", "copy", "--to", data / "other.db", data=data)
    assert (ran.code, "nothing is indexed" in ran.line) == (1, True)
    assert not (data / "other.db").exists()
    assert result("index-folder", pictures, "--model", "sample", data=data)["added"] == 60
    ran = run("image-search", "copy", "--to", "http://127.0.0.1:1", data=data)
    assert (ran.code, "no answer from Milvus" in ran.line) == (1, True)
    ran = run("image-search", "copy", "--to", data / "milvus.db", data=data)
    assert (ran.code, "is where the pictures are" in ran.line) == (2, True)


def test_a_page_searches_the_other_collection_from_one_moment_on(
    pictures: Path, data: Path, serve: Callable[..., str]
) -> None:
    indexing = ("--model", "sample", "--milvus-collection")
    result("index-folder", pictures / "apple", *indexing, "images_a", data=data)
    ran = run("image-search", "switch", "images_a", data=data)
    assert ran.code == 0, ran.err
    address = serve(data)

    def searched() -> int:
        with urllib.request.urlopen(f"{address}/api/search?q=lemon&top_k=50") as answer:
            return len(json.load(answer)["hits"])

    assert searched() == 30
    result("index-folder", pictures, *indexing, "images_b", data=data)
    assert searched() == 30
    ran = run("image-search", "switch", "images_b", data=data)
    assert (ran.code, "images_a is still there" in ran.err) == (0, True)
    assert searched() == 50
    with urllib.request.urlopen(f"{address}/api/stats") as answer:
        assert json.load(answer)["images"] == 60
    ran = run("image-search", "drop", "--yes", "--milvus-collection", "images_b", data=data)
    assert (ran.code, "is in use as images" in ran.line) == (1, True)
    ran = run("image-search", "drop", "--yes", "--milvus-collection", "images_a", data=data)
    assert ran.code == 0, ran.err
    # Thumbnails that the other collection needs are kept.
    assert len(list((data / "thumbnails").rglob("*.webp"))) == 60
    assert searched() == 50


def test_a_switch_that_cannot_be_is_said_in_one_line(pictures: Path, data: Path) -> None:
    for name in ("images", "images_b"):
        result(
            *("index-folder", pictures / "apple", "--model", "sample"),
            *("--milvus-collection", name),
            data=data,
        )
    ran = run("image-search", "switch", "images_c", data=data)
    assert (ran.code, "nothing is indexed" in ran.line) == (1, True)
    ran = run("image-search", "switch", "images_b", data=data)
    assert (ran.code, "--keep-as NAME" in ran.line) == (1, True)
    ran = run("image-search", "switch", "images_b", "--keep-as", "images_a", data=data)
    assert (ran.code, "images_a is still there" in ran.err) == (0, True)
    assert result("image-search", "stats", data=data)["images"] == 30
