"""What this process makes of the answers of workers elsewhere; Ray itself is not here."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEncoder

from indexer.jobs import TRIES, Job, Run
from indexer.on_ray import _taken
from indexer.prepare import Unreadable
from indexer.remote_worker import Processed, RemoteWorker, origin_keys
from indexer.source import FoundFile
from indexer.workers import Encoded

FILES = tuple(FoundFile(f"/l/{name}", name, "", 1, 1) for name in "abc")


def test_a_file_that_only_the_worker_misses_is_not_gone(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    here, gone = (replace(FILES[0], path=str(tmp_path / name)) for name in ("here", "gone"))
    said = [Unreadable(file, "it vanished", vanished=True) for file in (here, gone)]
    first, second = _taken(Processed(said, {}, "box"), None)
    assert isinstance(first, Unreadable)
    assert (first.vanished, first.is_damaged) == (False, False)
    assert "no such file on box" in first.reason
    assert second == said[1]


def test_files_that_may_end_a_worker_are_tried_alone_and_not_for_ever() -> None:
    run = Run(iter([FILES]))
    tried = []
    given_up = []
    under_way = 0
    while job := run.next(under_way):
        tried.append((len(job.files), job.alone))
        if job.alone:
            assert run.next(under_way=1) is None
        if job.files[0] is FILES[0] and not run.failed(job):
            given_up.append(job.files)
    assert tried == [(3, False)] * TRIES + [(1, True)] * TRIES + [(1, True)] * 2
    assert given_up == [(FILES[0],)]


def test_what_is_under_way_ends_before_a_file_is_alone() -> None:
    run = Run(iter([FILES[:1], FILES[1:]]))
    run.suspects.append(Job(FILES[:1], alone=True))
    assert [run.next(0), run.next(1), run.next(2)] == [Job(FILES[:1]), Job(FILES[1:]), None]
    assert run.next(0) == Job(FILES[:1], alone=True)


@pytest.mark.parametrize("makes_thumbnails", [True, False])
def test_a_worker_reads_decodes_and_encodes_what_is_new(
    paint: object, tmp_path: Path, makes_thumbnails: bool
) -> None:
    files = []
    for colour in ("red", "blue"):
        path = paint(f"{colour}.png", colour)  # type: ignore[operator]
        files.append(FoundFile(str(path), path.name, "", path.stat().st_size, 1))
    encoder = FakeEncoder()
    worker = RemoteWorker(lambda: encoder, threads=2, max_pixels=10**6, max_bytes=10**7)
    assert worker.load().model_id == encoder.model_id
    nothing = origin_keys([])
    red, blue = worker.process(files, nothing, makes_thumbnails).results
    assert isinstance(red, Encoded)
    assert isinstance(blue, Encoded)
    assert encoder.batches == [2]
    assert red.embedding is not None
    assert np.argmax(red.embedding[:3]) == 0
    assert (red.width, red.height) == (40, 30)
    known = origin_keys([(red.content_hash, ""), ("another", "")])
    again = worker.process(files, known, makes_thumbnails)
    assert [getattr(result, "embedding", 0) is None for result in again.results] == [True, False]
    assert set(again.thumbnails) == ({blue.content_hash} if makes_thumbnails else set())
