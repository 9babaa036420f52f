"""``image-search tune`` and ``image-search doctor`` as a person runs them."""

import json
import shutil
from pathlib import Path

import pytest
from support import Ran, run


@pytest.fixture
def own(indexed: Path, tmp_path: Path) -> Path:
    """A copy of the data folder with the sample library in it, to spoil."""
    shutil.copytree(indexed, tmp_path / "data")
    return tmp_path / "data"


def doctor(data: Path, *options: str) -> tuple[Ran, dict[str, list[dict[str, str]]]]:
    """The command with its checks by name."""
    ran = run("image-search", "doctor", "--json", *options, data=data)
    checks: dict[str, list[dict[str, str]]] = {}
    for check in json.loads(ran.out)["checks"]:
        checks.setdefault(check["name"], []).append(check)
    return ran, checks


def test_tune_on_a_local_file_tells_its_recall(own: Path) -> None:
    ran = run("image-search", "tune", "--json", "--recall", "0.99", data=own)
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert (told["index_type"], told["knob"]) == ("IVF_FLAT", None)
    assert told["recommended"]["recall"] >= 0.99
    text = run("image-search", "tune", data=own)
    assert (text.code, "nothing to choose" in text.out) == (0, True)
    assert "exact search over" in text.err


def test_another_index_is_built_tuned_told_and_searched(own: Path, library: Path) -> None:
    before = json.loads(run("image-search", "search", "lemon", "--json", data=own).out)["hits"]
    ran = run("image-search", "tune", "--index-type", "HNSW", "--json", data=own)
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert (told["index_type"], told["knob"]) == ("HNSW", "ef")
    assert told["recommended"]["recall"] >= 0.98
    stats = json.loads(run("image-search", "stats", "--json", data=own).out)
    assert stats["index_type"] == "HNSW"
    after = json.loads(run("image-search", "search", "lemon", "--json", data=own).out)["hits"]
    common = {hit["id"] for hit in before} & {hit["id"] for hit in after}
    assert len(common) >= 14
    _, checks = doctor(own)
    assert f"tuned to ef {told['recommended']['effort']}" in checks["index"][0]["said"]
    again = run("index-folder", library, "--model", "sample", "--index-type", "FLAT", data=own)
    assert again.code == 0
    assert "keeps its index HNSW; image-search tune --index-type FLAT changes it" in again.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--recall", "1.5"], "'1.5' is no number above 0"),
        (["--queries", "9"], "'9' is no number from 10 to 1000"),
        (["--index-type", "TREE"], "--index-type: input should be 'IVF_FLAT'"),
    ],
)
def test_wrong_usage_of_tune(arguments: list[str], said: str, data: Path) -> None:
    ran = run("image-search", "tune", *arguments, data=data)
    assert (ran.code, said in ran.line) == (2, True), ran.err


def test_nothing_to_tune(data: Path) -> None:
    ran = run("image-search", "tune", data=data)
    assert (ran.code, "nothing is indexed in" in ran.line) == (1, True)


def test_all_is_well(own: Path) -> None:
    ran, checks = doctor(own, "--load-model")
    assert ran.code == 0, ran.err
    assert set(checks) == {
        "disk", "store", "index", "collection", "flushed", "model", "vectors", "files",
        "thumbnails",
    }  # fmt: skip
    assert {one["level"] for found in checks.values() for one in found} == {"ok"}, checks
    assert "loaded" in checks["model"][0]["said"]
    text = run("image-search", "doctor", data=own)
    assert text.code == 0
    assert len(text.out.splitlines()) == len(checks)
    assert all(line.startswith("OK ") for line in text.out.splitlines())


def test_files_and_rows_that_do_not_belong_together(library: Path, data: Path) -> None:
    some = data.parent / "some"
    shutil.copytree(library / "lemon", some / "lemon")
    assert run("index-folder", some, "--model", "sample", data=data).code == 0
    first, second, *_ = sorted((some / "lemon").iterdir())
    first.unlink()
    for name in ("new.jpg", "newer.jpg", ".hidden.jpg", "notes.txt"):
        shutil.copy(second, some / name)
    ran, checks = doctor(data)
    (files,) = checks["files"]
    assert (ran.code, files["level"]) == (0, "warning")
    assert f"1 pictures without files ({first})" in files["said"]
    assert f"2 files that are not indexed ({some}/new.jpg, {some}/newer.jpg)" in files["said"]
    assert files["remedy"] == f"run: index-folder {some}"
    assert run("index-folder", some, "--model", "sample", data=data).code == 0
    assert doctor(data)[1]["files"][0]["level"] == "ok"
    some.rename(data.parent / "elsewhere")
    assert "is not there" in doctor(data)[1]["files"][0]["said"]


def test_files_that_could_not_be_read_are_no_news(library: Path, data: Path) -> None:
    some = data.parent / "some"
    shutil.copytree(library / "lemon", some)
    (some / "broken.jpg").write_bytes(b"rubbish")
    assert run("index-folder", some, "--model", "sample", data=data).code == 0
    (files,) = doctor(data)[1]["files"]
    assert (files["level"], "1 files skipped by the last run" in files["said"]) == ("ok", True)


def test_stores_that_cannot_be_used(own: Path) -> None:
    for manifest in (own / "milvus.db").rglob("manifest.json*"):
        manifest.write_bytes(b"{")
    ran, checks = doctor(own)
    assert ran.code == 1
    assert (checks["store"][0]["level"], checks["store"][0]["said"]) == (
        "problem",
        "damaged",
    )
    assert "move the store away and index again" in checks["store"][0]["remedy"]
    shutil.rmtree(own / "milvus.db")
    (own / "milvus.db").write_bytes(b"SQLite format 3\0")
    ran, checks = doctor(own)
    assert (ran.code, checks["store"][0]["level"]) == (1, "problem")
    assert "no Milvus Lite store" in checks["store"][0]["remedy"]
    (own / "milvus.db").unlink()
    ran, checks = doctor(own)
    assert (ran.code, "run: index-folder" in checks["store"][0]["remedy"]) == (1, True)


def test_a_server_that_does_not_answer(data: Path) -> None:
    ran, checks = doctor(data, "--milvus-uri", "http://127.0.0.1:9")
    assert (ran.code, "no answer" in checks["store"][0]["remedy"]) == (1, True)
