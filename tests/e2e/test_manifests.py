"""Manifests as a person indexes them: files and URLs, good and bad."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from picture_server import PictureServer, serving
from support import run


@pytest.fixture
def server() -> Iterator[PictureServer]:
    with serving() as server:
        yield server


@pytest.fixture
def fruit(library: Path, tmp_path: Path) -> Path:
    """A folder with two lemons and two apples, named by what they are."""
    for name in ("lemon", "apple"):
        (tmp_path / "fruit" / name).mkdir(parents=True)
        for number, path in enumerate(sorted((library / name).iterdir())[:2]):
            shutil.copy(path, tmp_path / "fruit" / name / f"{number}{path.suffix}")
    return tmp_path / "fruit"


def index(data: Path, *arguments: object) -> dict[str, Any]:
    ran = run("index-folder", *arguments, "--model", "sample", "--json", data=data)
    assert ran.code == 0, ran.err
    report: dict[str, Any] = json.loads(ran.out)
    return report


def hits(data: Path, query: str) -> list[dict[str, Any]]:
    ran = run("image-search", "search", query, "--json", data=data)
    found: list[dict[str, Any]] = json.loads(ran.out)["hits"]
    return found


def test_captions_are_stored_shown_and_mixed(fruit: Path, data: Path) -> None:
    suffix = next((fruit / "lemon").iterdir()).suffix
    table = f"""\
path,caption,category,year
lemon/0{suffix},a photo of a red apple,,2019
lemon/1{suffix},,,2020
{fruit}/apple/0{suffix},,orchard,2021
nowhere.png,gone,,2022
"""
    manifest = fruit / "photos.csv"
    manifest.write_text(table)
    report = index(data, "--manifest", manifest, fruit / "apple")
    assert (report["found"], report["added"]) == (6, 5)
    (skipped,) = report["skipped"]
    assert skipped == {"path": str(fruit / "nowhere.png"), "reason": "line 5: no such file"}

    stats = json.loads(run("image-search", "stats", "--json", data=data).out)
    assert stats["libraries"] == {str(manifest): 3, str(fruit / "apple"): 2}
    assert stats["categories"] == {"": 2, "lemon": 2, "orchard": 1}
    before = {hit["path"]: hit for hit in hits(data, "a photo of a red apple")}
    lemon = str(fruit / "lemon" / f"0{suffix}")
    assert before[lemon]["caption"] == "a photo of a red apple"

    assert index(data, "--manifest", manifest)["unchanged"] == 3
    weights = ("--caption-weight", "0.5", "--image-weight", "0.5")
    report = index(data, "--manifest", manifest, *weights)
    assert (report["updated"], report["unchanged"]) == (1, 2)
    after = {hit["path"]: hit for hit in hits(data, "a photo of a red apple")}
    assert after[lemon]["score"] > before[lemon]["score"] + 0.1
    assert index(data, "--manifest", manifest, *weights)["unchanged"] == 3

    manifest.write_text(table.replace("2019", "2018"))
    assert index(data, "--manifest", manifest, *weights)["updated"] == 1
    ran = run("image-search", "drop", "--library", manifest, "--yes", data=data)
    assert ran.code == 0, ran.err
    stats = json.loads(run("image-search", "stats", "--json", data=data).out)
    assert stats["libraries"] == {str(fruit / "apple"): 2}


def test_urls(server: PictureServer, tmp_path: Path, data: Path, serve: Callable[..., str]) -> None:
    import httpx

    good = ["picture/red", "busy/503", "to/localhost/picture/blue"]
    bad = {
        "huge": "line 5: it is larger than 100000 bytes (--download-max-bytes)",
        "slow": "line 6: it took longer than 4 seconds (--download-timeout)",
        "status/404": "line 7: the server answered 404 Not Found",
        "page": "not a picture in a known format",
    }
    manifest = tmp_path / "photos.csv"
    manifest.write_text(
        "url,caption\n" + "".join(f"{server.url(path)},of {path}\n" for path in [*good, *bad])
    )
    limits = ("--download-max-bytes", "100000", "--download-timeout", "4", "--allow-private-urls")
    report = index(data, "--manifest", manifest, *limits)
    assert (report["found"], report["added"]) == (7, 3)
    skipped = {row["path"]: row["reason"] for row in report["skipped"]}
    assert skipped == {server.url(path): reason for path, reason in bad.items()}
    assert server.asked["/busy/503"] == 3

    # What is there already is not fetched again, and not refused either.
    server.asked.clear()
    report = index(data, "--manifest", manifest)
    assert (report["unchanged"], report["removed"]) == (3, 0)
    reasons = [row["reason"] for row in report["skipped"]]
    assert len(reasons) == 4
    assert all("not on the public internet (--allow-private-urls" in reason for reason in reasons)
    assert not server.asked

    address = serve(data)
    found = httpx.get(f"{address}/api/search", params={"q": "red"}, timeout=120).json()["hits"]
    assert {hit["caption"] for hit in found} == {f"of {path}" for path in good}
    for hit in found:
        assert httpx.get(address + hit["image_url"]).headers["content-type"] == "image/png"
        assert httpx.get(address + hit["thumbnail_url"]).status_code == 200


@pytest.mark.parametrize(
    ("name", "content", "options", "code", "said"),
    [
        ("m.csv", "path\na\n\n", ("--watch",), 2, "--watch follows folders; leave it out"),
        ("m.txt", "path\n", (), 2, "m.txt: a manifest's name ends in .csv, .jsonl"),
        ("m.csv", "path,width\n", (), 2, "m.csv: a column cannot be named 'width'"),
        ("m.csv", "file\n", (), 2, "m.csv has neither a column 'path' nor 'url', but 'file'"),
        ("m.jsonl", '{"path": 1}\n{', (), 2, "m.jsonl line 2: broken JSON"),
        ("m.csv", "path\n", (), 1, "no row in"),
        ("m.csv", "path\n", ("--caption-weight", "nan"), 2, "--caption-weight: input should be"),
        ("m.csv", "path\n", ("--caption-weight", "-1"), 2, "--caption-weight: input should be"),
        ("m.csv", "path\n", ("--image-weight", "inf"), 2, "--image-weight: input should be"),
        ("m.csv", "path\n", ("--image-weight", "0"), 2, "--image-weight: it and --caption-weight"),
    ],
)
def test_what_is_wrong_as_a_whole_is_one_line(
    tmp_path: Path, data: Path, name: str, content: str, options: tuple[str], code: int, said: str
) -> None:
    (tmp_path / name).write_text(content)
    manifest = ("--manifest", tmp_path / name, "--model", "sample")
    ran = run("index-folder", *manifest, *options, data=data)
    assert (ran.code, said in ran.line) == (code, True), ran.err
