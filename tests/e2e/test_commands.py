"""The commands as a person runs them, with good input and bad."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from support import BIN, ROOT, Ran, run


@pytest.fixture
def some(library: Path, tmp_path: Path) -> Path:
    """A small library of its own for each test."""
    folder = tmp_path / "some"
    for category in ("lemon", "apple"):
        shutil.copytree(library / category, folder / category)
        for path in sorted((folder / category).iterdir())[6:]:
            path.unlink()
    return folder


def index(folder: Path, data: Path, *options: str) -> dict[str, object]:
    ran = run("index-folder", folder, "--model", "sample", "--json", *options, data=data)
    assert ran.code == 0, ran.err
    report: dict[str, object] = json.loads(ran.out)
    return report


def thumbnails(data: Path) -> list[Path]:
    """Files below the thumbnails' folder."""
    return [path for path in (data / "thumbnails").rglob("*") if path.is_file()]


def test_thumbnails_are_made_but_where_they_are_not_wanted_or_cannot_be_kept(
    some: Path, data: Path
) -> None:
    assert index(some, data, "--no-thumbnails")["added"] == 12
    assert thumbnails(data) == []
    assert run("image-search", "drop", "--yes", data=data).code == 0
    (data / "thumbnails").rmdir()
    (data / "thumbnails").write_bytes(b"")  # a file in the folder's place
    ran = run("index-folder", some, "--model", "sample", data=data)
    assert (ran.code, ran.err.count("thumbnails cannot be kept")) == (0, 1), ran.err
    assert "12 added" in ran.err


def test_index_search_stats_and_drop(some: Path, data: Path) -> None:
    report = index(some, data)
    assert (report["found"], report["added"], report["skipped"]) == (12, 12, [])
    again = index(some, data)
    assert (again["unchanged"], again["added"], again["updated"]) == (12, 0, 0)
    assert again["model_id"] == report["model_id"]

    stats = json.loads(run("image-search", "stats", "--json", data=data).out)
    assert stats["images"] == 12
    assert stats["categories"] == {"apple": 6, "lemon": 6}
    assert stats["libraries"] == {str(some.resolve()): 12}
    assert (stats["dim"], stats["index_type"], stats["metric_type"]) == (768, "IVF_FLAT", "IP")

    found = run("image-search", "search", "a photo of a lemon", "--top-k", "4", "--json", data=data)
    hits = json.loads(found.out)["hits"]
    assert [hit["category"] for hit in hits] == ["lemon"] * 4
    assert all(Path(hit["path"]).is_file() for hit in hits)
    text = run("image-search", "search", "a photo of a lemon", "--top-k", "2", data=data).out
    assert [line.split()[1] for line in text.splitlines()] == ["lemon", "lemon"]

    assert len(thumbnails(data)) == 12
    assert run("image-search", "drop", data=data).code == 2
    assert run("image-search", "drop", "--yes", data=data).code == 0
    assert thumbnails(data) == []
    ran = run("image-search", "stats", data=data)
    assert (ran.code, "nothing is indexed" in ran.line) == (1, True)
    assert len(list(some.rglob("*.jpg"))) == 12


def test_a_changing_folder(some: Path, data: Path) -> None:
    index(some, data)
    first, second, third, *_ = sorted((some / "lemon").iterdir())
    first.rename(some / "moved.jpg")
    second.unlink()
    third.write_bytes(b"rubbish")
    Image.new("RGB", (90, 60), "red").save(some / "apple" / "new.png")
    ran = run("index-folder", some, "--model", "sample", "--json", data=data)
    report = json.loads(ran.out)
    counts = {k: report[k] for k in ("found", "added", "moved", "removed", "unchanged")}
    assert counts == {"found": 12, "added": 1, "moved": 1, "removed": 2, "unchanged": 9}
    assert report["skipped"] == [{"path": str(third), "reason": "not a picture in a known format"}]
    assert "skipped" in ran.err
    stats = json.loads(run("image-search", "stats", "--json", data=data).out)
    assert stats["categories"] == {"": 1, "apple": 7, "lemon": 3}


def test_reading_makes_no_store(data: Path) -> None:
    for command in (["search", "lemon"], ["stats"], ["drop", "--yes"]):
        ran = run("image-search", *command, data=data)
        assert (ran.code, "nothing is indexed in" in ran.line) == (1, True)
    assert not data.exists()


def test_bad_folders(some: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    cases: list[tuple[Path, int, str]] = [
        (tmp_path / "nowhere", 2, "nowhere: no such file or directory"),
        (next(some.rglob("*.jpg")), 2, "is a file; give the folder that holds it"),
        (tmp_path / "empty", 1, "no picture in"),
    ]
    for folder, code, said in cases:
        ran = run("index-folder", folder, "--model", "sample", data=data)
        assert (ran.code, said in ran.line) == (code, True), ran.err


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["index-folder", ".", "--batch-size", "many"], {}, "--batch-size: input should be a"),
        (["index-folder", ".", "--nonsense"], {}, "unrecognized arguments: --nonsense"),
        (["index-folder"], {}, "required: FOLDER"),
        (["index-folder", ".", "--ray", "x"], {}, "--ray: it must be local, auto, HOST:PORT"),
        (["index-folder", "."], {"IMAGE_SEARCH_MODEL__NAM": "x"}, "IMAGE_SEARCH_MODEL__NAM: there"),
        (["index-folder", ".", "--config", "nosuch.toml"], {}, "nosuch.toml: No such file"),
        (["image-search", "search", ""], {}, "type a few words to search for"),
        (["image-search", "search", "x" * 5000], {}, "5,000 characters, and at most 1,000"),
        (["image-search", "search", "a", "--top-k", "0"], {}, "--top-k: input should be greater"),
        (["image-search", "fly"], {}, "invalid choice: 'fly'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], environment: dict[str, str], said: str, data: Path
) -> None:
    ran = run(*arguments, data=data, **environment)
    assert (ran.code, said in ran.line, ran.out) == (2, True, ""), ran.err


def test_an_unreachable_server(some: Path, data: Path) -> None:
    address = ("--milvus-uri", "http://127.0.0.1:9")
    for command in (["index-folder", some, "--model", "sample"], ["image-search", "stats"]):
        ran = run(*command, *address, data=data)
        assert (ran.code, "no answer from Milvus at http://127.0.0.1:9" in ran.line) == (1, True)


def test_an_empty_folder_among_others_stops_nothing(some: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    folders = (some / "apple", tmp_path / "empty", some / "lemon")
    ran = run("index-folder", *folders, "--model", "sample", "--json", data=data)
    assert (ran.code, "no picture in" in ran.err) == (1, True)
    assert json.loads(ran.out)["added"] == 12


def test_another_model_is_refused_before_its_weights_are_fetched(some: Path, data: Path) -> None:
    index(some, data)
    ran = run("index-folder", some, data=data)
    assert ran.code == 1
    assert "was indexed with sample/sha256:" in ran.line
    assert "not ViT-L/14@336px; use --model sample" in ran.line
    assert "loading" not in ran.err


def test_another_model_is_refused_and_nothing_is_lost(
    some: Path, data: Path, tmp_path: Path
) -> None:
    index(some, data)
    # The same collection, which now says that it was made with other weights of that name.
    program = (
        "import sys; from milvus.connection import Connection;"
        "c = Connection(sys.argv[1]); c.call(lambda m: m.alter_collection_properties('images',"
        " {'image_search.model_id': 'other/1'})); c.close()"
    )
    subprocess.run([sys.executable, "-c", program, data / "milvus.db"], check=True, cwd=ROOT)
    Image.new("RGB", (90, 60), "red").save(some / "new.png")
    ran = run("index-folder", some, "--model", "sample", data=data)
    assert ran.code == 1
    assert "was indexed with other/1 (768 dimensions), not sample/sha256:" in ran.line
    assert json.loads(run("image-search", "stats", "--json", data=data).out)["images"] == 12


@pytest.mark.skipif(sys.platform == "win32", reason="permissions work otherwise there")
def test_a_data_folder_that_cannot_be_written(some: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:  # root may write anywhere but here
        data = Path("/proc/nowhere/data")
    else:
        data = tmp_path / "read-only"
        data.mkdir(mode=0o500)
    ran = subprocess.run(
        [BIN / "index-folder", some, "--model", "sample", "--data-dir", data],
        capture_output=True,
        text=True,
    )
    line = Ran(ran.returncode, ran.stdout, ran.stderr).line
    assert ran.returncode == 1
    assert "give another --data-dir or --milvus-uri" in line


def test_a_port_in_use(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("image-search", "serve", "--port", str(port), data=data)
    assert ran.code == 1
    assert ran.line.endswith(
        f"cannot listen on 127.0.0.1 port {port}: address already in use; "
        "give another --port or --host"
    )


def test_help_answers_fast_enough_to_be_asked(data: Path) -> None:
    for command in ("index-folder", "image-search"):
        ran = run(command, "--help", data=data)
        assert (ran.code, ran.err) == (0, "")
        assert "usage:" in ran.out


def test_ctrl_c_ends_serving_cleanly(indexed: Path) -> None:
    process = subprocess.Popen(
        [BIN / "image-search", "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(indexed)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with process:
        assert process.stderr is not None
        assert "serving on" in process.stderr.readline()
        time.sleep(2)  # the server is up, and the model is being loaded or is there
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read().strip() == "stopped"


def test_indexing_while_the_page_is_served(
    some: Path, data: Path, serve: Callable[..., str]
) -> None:
    import httpx

    address = serve(data)
    answer = httpx.get(f"{address}/api/search", params={"q": "lemon"})
    assert (answer.status_code, "nothing is indexed" in answer.json()["error"]) == (503, True)
    index(some, data)
    answer = httpx.get(f"{address}/api/search", params={"q": "lemon", "top_k": 4}, timeout=120)
    assert [hit["category"] for hit in answer.json()["hits"]] == ["lemon"] * 4
    for hit in answer.json()["hits"]:
        assert httpx.get(address + hit["thumbnail_url"]).headers["content-type"] == "image/webp"


@pytest.mark.photos
def test_every_real_photo_is_indexed_and_lemons_are_found(photos: Path, data: Path) -> None:
    report = index(photos / "Fruit", data)
    total = len(list((photos / "Fruit").rglob("*.jpg")))
    assert (report["found"], report["added"], report["skipped"]) == (total, total, [])
    hits = json.loads(run("image-search", "search", "lemon", "--json", data=data).out)["hits"]
    assert len(hits) == 16
    assert sum(hit["category"] == "Lemon" for hit in hits) >= 12
