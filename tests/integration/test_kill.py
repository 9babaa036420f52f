"""The indexer killed at random moments on a real store: one more run mends all.

``scripts/torture_kills.py`` does the same many times over.
"""

from pathlib import Path

import pytest
from killing import PICTURES, Scene, heard, killed_rounds, scene

# What a kill costs at most: a batch being written, one that waits, one being gathered (of 50
# each), and two of the encoder's (of 4).
ENCODED_AGAIN = 3 * 50 + 2 * 4


@pytest.fixture
def on_lite(tmp_path: Path) -> Scene:
    return scene(tmp_path, str(tmp_path / "milvus.db"), seed=7)


@pytest.fixture
def on_server(tmp_path: Path, milvus_server: str) -> Scene:
    return scene(tmp_path, milvus_server, seed=11, collection="killed")


def test_killed_at_eight_moments(on_lite: Scene) -> None:
    cut_short = killed_rounds(on_lite, 8)
    assert sum(cut_short) >= 2  # the kills did meet it at work


def test_killed_at_four_moments_beside_a_server(on_server: Scene) -> None:
    cut_short = killed_rounds(on_server, 4)
    assert any(cut_short)
    on_server.forget()


@pytest.mark.parametrize("reached", [4, 100, 200, 280])
def test_a_kill_costs_little_work(on_lite: Scene, reached: int) -> None:
    with on_lite.start() as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "prepared\n"
        before = 0
        while before < reached:
            before += int(victim.stdout.readline().split()[1])
        victim.kill()
        before += heard(victim).encoded  # what it still said
    with on_lite.start() as second:
        after = heard(second)
    assert after.done, on_lite.said()
    assert PICTURES <= before + after.encoded <= PICTURES + ENCODED_AGAIN
    assert on_lite.check() == PICTURES
