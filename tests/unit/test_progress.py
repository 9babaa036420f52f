import contextlib
import json

import pytest

from configs import progress as bars
from indexer.command import progress as progress_module
from indexer.command.progress import JsonProgress, Progress
from indexer.report import IndexReport
from indexer.source import Skipped
from webapp.commands.copy_progress import CopyProgress


def test_progress_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: clock[0])
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


def test_without_a_terminal_a_line_is_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: clock[0])
    with Progress("/of/pictures", 90) as progress:
        for seconds in range(40):
            clock[0] = 100.0 + seconds
            progress(IndexReport(added=seconds))
    assert capsys.readouterr().err.splitlines() == ["pictures: 15 of 90", "pictures: 30 of 90"]
    with CopyProgress(bulk=True) as copied:
        copied(10, 90)
        clock[0] += bars.QUIET_INTERVAL_S
        copied(50, 90)
        copied.importing(3)
        copied.importing(4)
        clock[0] += bars.QUIET_INTERVAL_S
        copied.importing(5)
    said = ["copy: 50 of 90", "import: 3 %", "import: 5 %"]
    assert capsys.readouterr().err.splitlines() == said


@pytest.mark.parametrize(
    ("bulk", "said"),
    [
        (False, "copied 1,200 of 9,000; the same command goes on from there\n"),
        (True, "the copy is not complete; the same command completes it\n"),
    ],
)
def test_a_copy_that_was_stopped_says_how_it_goes_on(
    capsys: pytest.CaptureFixture[str], bulk: bool, said: str
) -> None:
    with contextlib.suppress(KeyboardInterrupt), CopyProgress(bulk=bulk) as copied:
        copied(1200, 9000)
        raise KeyboardInterrupt
    assert capsys.readouterr().err == said
