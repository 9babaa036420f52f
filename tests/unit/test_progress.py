import json

import pytest

import indexer.progress
from indexer.progress import JsonProgress
from indexer.report import IndexReport
from indexer.source import Skipped


def test_progress_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(indexer.progress.time, "monotonic", lambda: clock[0])
    report = IndexReport()
    with JsonProgress("/l", 100) as progress:
        for _ in range(98):
            clock[0] += 0.01
            report.added += 1
            progress(report)
        report.skipped.append(Skipped("/l/bad.jpg", "damaged"))
        progress(report)
        report.removed = 2  # told of by nobody
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["done"] for line in lines[:3]] == [0, 20, 40]
    assert len(lines) <= 2 + 0.99 * 5
    assert lines[-1] == {
        "library": "/l", "total": 100, "done": 99, "added": 98, "updated": 0, "moved": 0,
        "removed": 2, "unchanged": 0, "skipped": 1,
    }  # fmt: skip


def test_nobody_who_reads_it_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(text: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("sys.stdout.write", gone)
    progress = JsonProgress("/l", 1)
    with pytest.raises(BrokenPipeError):
        progress(IndexReport())
    progress.__exit__(BrokenPipeError, BrokenPipeError(), None)  # tries no second time
