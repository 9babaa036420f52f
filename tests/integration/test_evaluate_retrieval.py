"""Recall over captioned pictures is what can be counted by hand, through the real store."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import evaluate_retrieval
import make_sample_library
import numpy as np
import pytest
from caption_retrieval.captions import Split, read_split
from caption_retrieval.recall import image_to_text, measure
from fakes import RECORD, FakeEncoder
from support import ROOT

from configs.settings import Settings
from milvus.collection import MilvusCollection
from milvus.connection import Connection

SCRIPT = ROOT / "scripts" / "evaluate_retrieval.py"
Paint = Callable[..., Path]
ENTRY = {"filename": "here.png", "split": "test", "sentences": [{"raw": "red"}]}
TWICE = json.dumps({"images": [ENTRY, ENTRY]})


def write_captions(
    folder: Path, captions: Mapping[str, Sequence[str]], split: str = "test", **more: str
) -> Path:
    """A file as Karpathy's, beside the folder of pictures."""
    images = [
        {"filename": name, "imgid": i, "split": split, "sentences": [{"raw": t} for t in texts]}
        for i, (name, texts) in enumerate(captions.items())
    ]
    path = folder / "dataset.json"
    path.write_text(json.dumps({"images": [{**image, **more} for image in images]}))
    return path


@pytest.fixture
def graded(tmp_path: Path, paint: Paint) -> Split:
    """Twelve pictures from red to green, with captions that all but say red.

    The angles of picture i and caption i both grow with i, the captions' ending before half the
    angle of picture 1.
    """
    captions = {}
    for i in range(12):
        red, green = round(255 * (11 - i) / 11), round(255 * i / 11)
        paint(f"{i:02}.png", f"rgb({red},{green},0)")
        captions[f"{i:02}.png"] = ["red " * 300 + "green " * i]
    return read_split(write_captions(tmp_path, captions), tmp_path / "library", "test")


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[MilvusCollection]:
    with closing(MilvusCollection(Connection(str(tmp_path / "milvus.db"), timeout=30))) as store:
        store.prepare(RECORD)
        yield store


def test_recalls_are_those_counted_by_hand(
    graded: Split, lite: MilvusCollection, encoder: FakeEncoder
) -> None:
    evaluate_retrieval.index(graded, encoder, lite, Settings())
    text_to_image, images_to_text = measure(graded, encoder, lite)
    # To every caption picture 0 is nearest and picture 11 farthest: picture i has place i.
    assert text_to_image == pytest.approx({1: 1 / 12, 5: 5 / 12, 10: 10 / 12})
    # To picture 0 caption 0 is nearest. To every other caption 11 is, and its own has place 11 - i.
    assert images_to_text == pytest.approx({1: 2 / 12, 5: 6 / 12, 10: 11 / 12})


def test_any_of_a_pictures_captions_will_do() -> None:
    captions = np.array([[0, 1, 0], [1, 0, 0], [0, 0.9, 0], [0, 0, 0.5], [0, 0, 0.6]], np.float32)
    owners = np.array([0, 0, 1, 1, 2])
    # Picture 0: its second caption is best. 1: the first of picture 0 is. 2: its own is.
    found = image_to_text(np.eye(3, dtype=np.float32), captions, owners)
    assert found == pytest.approx({1: 2 / 3, 5: 1, 10: 1})


def test_embeddings_that_are_all_equal_find_no_more_than_chance() -> None:
    same = np.tile(np.float32(0.5), (30, 4))
    found = image_to_text(same, same, np.arange(30))
    assert found == pytest.approx({1: 1 / 30, 5: 1 / 6, 10: 1 / 3})


def test_the_prompt_stands_around_each_caption(
    tmp_path: Path, paint: Paint, lite: MilvusCollection, encoder: FakeEncoder
) -> None:
    for colour in ("red", "green", "blue"):
        paint(f"{colour}.png", colour)
    captions = {"red.png": ["red"], "green.png": ["green"], "blue.png": ["red red blue"]}
    path = write_captions(tmp_path, captions)
    split = read_split(path, tmp_path / "library", "test")
    evaluate_retrieval.index(split, encoder, lite, Settings())
    plain, _ = measure(split, encoder, lite)
    all_blue, _ = measure(split, encoder, lite, "blue blue blue {}")
    assert plain[1] == pytest.approx(2 / 3)
    assert all_blue[1] == pytest.approx(1 / 3)


def test_a_store_that_is_used_again_holds_the_new_split_alone(
    graded: Split, tmp_path: Path, lite: MilvusCollection, encoder: FakeEncoder
) -> None:
    first = read_split(tmp_path / "dataset.json", tmp_path / "library", "test", limit=3)
    evaluate_retrieval.index(graded, encoder, lite, Settings())
    encoder.batches.clear()
    evaluate_retrieval.index(first, encoder, lite, Settings())
    assert sorted(row.path for row in lite.rows()) == [file.path for file in first.files()]
    assert encoder.batches == []


def test_five_captions_and_cocos_folders_and_restval(tmp_path: Path, paint: Paint) -> None:
    paint("val2014/a.png")
    paint("b.png")
    texts = list("1234567")
    path = write_captions(
        tmp_path, {"a.png": texts, "b.png": texts}, split="restval", filepath="val2014"
    )
    split = read_split(path, tmp_path / "library", "train")
    assert [Path(file.path).name for file in split.files()] == ["a.png", "b.png"]
    assert [picture.captions for picture in split.pictures] == [("1", "2", "3", "4", "5")] * 2


@pytest.mark.parametrize(
    ("content", "options", "code", "said"),
    [
        (None, [], 2, "dataset.json: no such file or directory"),
        ("{", [], 1, "dataset.json: Invalid JSON"),
        ('{"images": [{"split": "test"}]}', [], 1, "images.0.filename: Field required"),
        (TWICE, [], 1, "it names a picture of split 'test' twice"),
        ('{"images": []}', [], 2, "no picture of split 'test'; it has: none"),
        ("made", ["--split", "val"], 2, "no picture of split 'val'; it has: test (2)"),
        ("made", [], 1, "1 of 2 pictures are not in"),
        ("made", ["--limit", "0"], 2, "'0' is not a whole number from 1"),
        ("made", ["--prompt", "a photo of"], 2, "has no {} for the caption"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(
    content: str | None,
    options: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    paint: Paint,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paint("here.png")
    path = write_captions(tmp_path, {"here.png": ["red"], "missing.png": ["red"]})
    if content is None:
        path.unlink()
    elif content != "made":
        path.write_text(content)
    with pytest.raises(SystemExit) as left:
        evaluate_retrieval.main([str(tmp_path / "library"), str(path), *options])
    (line,) = capsys.readouterr().err.splitlines()
    assert left.value.code == code
    assert line.startswith("evaluate_retrieval: ")
    assert said in line


def test_a_picture_that_cannot_be_read_is_named(
    graded: Split, tmp_path: Path, lite: MilvusCollection, encoder: FakeEncoder
) -> None:
    (tmp_path / "library" / "03.png").write_bytes(b"no picture")
    split = read_split(tmp_path / "dataset.json", tmp_path / "library", "test")
    with pytest.raises(evaluate_retrieval.CaptionsError, match=r"1 of 12 .*03\.png: "):
        evaluate_retrieval.index(split, encoder, lite, Settings())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Twenty drawn pictures, and a file of their captions that names Flickr30k."""
    library = tmp_path_factory.mktemp("drawn")
    assert make_sample_library.main([str(library), "--per-category", "2", "--size", "128"]) == 0
    with (library / "captions.csv").open(newline="") as table:
        captions = {row["path"]: [row["caption"], row["caption"]] for row in csv.DictReader(table)}
    path = write_captions(library, captions)
    path.write_text(json.dumps({**json.loads(path.read_text()), "dataset": "flickr30k"}))
    return library, path


def test_the_script_measures_the_sample_encoder(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    def ran(*options: str) -> str:
        command = [sys.executable, SCRIPT, *drawn, "--model", "sample", "--device", "cpu", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    measured: dict[str, Any] = json.loads(ran("--json", "--store", str(tmp_path / "store")))
    assert (measured["pictures"], measured["captions"]) == (20, 40)
    assert measured["model_id"].startswith("sample/sha256:")
    assert measured["paper"]["text_to_image"] == {"R@1": 68.7, "R@5": 90.6, "R@10": 95.2}
    for way in ("text_to_image", "image_to_text"):
        r1, r5, r10 = measured[way].values()
        assert 30 <= r1 <= r5 <= r10 <= 100, measured
        assert r10 >= 90, measured
    text = ran("--store", str(tmp_path / "store"), "--limit", "4")
    assert "4 pictures, 8 captions" in text
    assert text.count("CLIP's paper") == 3
    assert len(list((tmp_path / "store").glob("*.db"))) == 1
