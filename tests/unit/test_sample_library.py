"""The drawn sample library: its pictures, and the command that writes them."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import make_sample_library
import numpy as np
import pytest
from sample_library import CATEGORIES, draw_picture
from sample_library.captions import plural

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def draw(category: str, seed: int = 0, size: int = 96) -> bytes:
    return draw_picture(category, np.random.default_rng(seed), size).image.tobytes()


def test_the_same_seed_gives_the_same_picture() -> None:
    assert draw("apple", seed=3) == draw("apple", seed=3)
    assert draw("apple", seed=3) != draw("apple", seed=4)


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_draws_and_its_caption_tells_what_is_there(category: str) -> None:
    for seed in range(5):
        picture = draw_picture(category, np.random.default_rng(seed), 96)
        assert picture.category == category
        assert category in picture.caption or plural(category) in picture.caption
        assert picture.colour is None or picture.colour in picture.caption
        assert picture.count >= 1
        assert picture.image.mode == "RGB"
        pixels = np.asarray(picture.image)
        assert pixels.std() > 8  # something is on it


def test_every_setting_of_every_category_draws(recwarn: pytest.WarningsRecorder) -> None:
    seen = {draw_picture("lemon", np.random.default_rng(s), 64).setting for s in range(60)}
    assert {"white plate", "basket", "bowl", "crate", "branch", "grass", "wooden table"} <= seen
    assert not list(recwarn)


@pytest.mark.parametrize("size", [64, 200])
def test_the_longer_side_has_the_size(size: int) -> None:
    for seed in range(6):
        assert max(draw_picture("mango", np.random.default_rng(seed), size).image.size) == size


def test_unknown_category_and_tiny_size_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown category 'pear'"):
        draw("pear")
    with pytest.raises(ValueError, match="at least"):
        draw("apple", size=8)


def test_the_command_writes_folders_and_captions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "library"
    options = [str(folder), "--per-category", "1", "--size", "64"]
    assert make_sample_library.main(options) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    with (folder / "captions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [f"{c}/{c}_001.jpg" for c in CATEGORIES]
    assert all((folder / row["path"]).is_file() and row["caption"] for row in rows)

    # A second run leaves the files alone, except one that had changed.
    (folder / "apple" / "apple_001.jpg").write_bytes(b"damaged")
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    assert make_sample_library.main(options) == 0
    changed = [p.name for p, mtime in before.items() if p.stat().st_mtime_ns != mtime]
    assert changed == ["apple_001.jpg"]


@pytest.mark.parametrize(
    "options",
    [
        ["--per-category", "0"],
        ["--per-category", "many"],
        ["--size", "3"],
        ["--seed", "-1"],
        ["--wrong"],
    ],
)
def test_wrong_usage_is_one_line(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_code:
        make_sample_library.main([str(tmp_path), *options])
    assert exit_code.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_file_in_the_way_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "make_sample_library.py"), str(taken)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(taken) in done.stderr
