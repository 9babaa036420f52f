"""Run the measurements in batches, and say which files broke their bounds."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hostile_images.corpus import LARGEST, corpus

ROOT = Path(__file__).parent.parent.parent
MEASURE = Path(__file__).with_name("measure.py")
BATCH = 700
SECONDS, MIB = 5.0, 1024.0
# The system looks at processor time, and ends who has taken too much, at each tick of its clock; to
# be ended takes some, too.
TICKS_S = 0.05
# After so long without a word the process is ended. On a busy machine all takes longer.
SILENCE_S = 700.0


@dataclass
class Verdict:
    """What became of all files."""

    files: int = 0
    indexed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    """Seconds of processor time: time on the clock depends on what else the machine does."""
    latest: tuple[float, str] = (0.0, "")
    """Seconds on the clock."""
    largest: tuple[float, str] = (0.0, "")
    """Mebibytes of the process that decoded it."""
    breaches: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        """For people."""
        lines = [f"{self.files} files: {self.indexed} indexed, {self.skipped.total()} skipped"]
        lines += [f"  {count:6}  {reason}" for reason, count in self.skipped.most_common(40)]
        lines.append("slowest: {:.2f} s of processor time, {}".format(*self.slowest))
        lines.append("slowest on the clock: {:.2f} s, {}".format(*self.latest))
        lines.append("largest: {:.0f} MiB, {}".format(*self.largest))
        return "\n".join([*lines, *(f"BREACH {breach}" for breach in self.breaches)])


def judge(
    files: int, seed: int, side: int = LARGEST, seconds: float = SECONDS, mib: float = MIB
) -> Verdict:
    """Decode the whole corpus; no file may take longer, or more memory, or end the process."""
    verdict = Verdict()
    names = [file.name for file in corpus(files, seed, side)]
    at = 0
    while at < len(names):
        last = min(at + BATCH, len(names))
        for told in _measured(verdict, seed, files, side, at, last):
            at = told["number"] + 1
            _count(verdict, told, seconds, mib)
        if at < last:
            verdict.files += 1
            verdict.breaches.append(f"{names[at]}: the process ended or hung")
            at += 1
    return verdict


def _count(verdict: Verdict, told: dict[str, object], seconds: float, mib: float) -> None:
    name, reason = str(told["name"]), str(told["reason"])
    took, held = float(str(told["seconds"])), float(str(told["mib"]))
    verdict.files += 1
    if reason:
        verdict.skipped[_kind(reason)] += 1
    else:
        verdict.indexed += 1
    verdict.slowest = max(verdict.slowest, (took, name))
    verdict.latest = max(verdict.latest, (float(str(told["clock"])), name))
    verdict.largest = max(verdict.largest, (held, name))
    for is_over, what in (
        (took > seconds + TICKS_S, f"{took:.2f} s"),
        (held > mib, f"{held:.0f} MiB"),
    ):
        if is_over:
            verdict.breaches.append(f"{name}: {what} ({reason or 'indexed'})")
    if "\n" in reason or len(reason) > 400:
        verdict.breaches.append(f"{name}: a reason of more than a line: {reason[:100]!r}")
    if "crashed" in reason:
        verdict.breaches.append(f"{name}: {reason}")


def _measured(
    verdict: Verdict, seed: int, files: int, side: int, first: int, last: int
) -> Iterator[dict[str, object]]:
    words = [str(number) for number in (seed, files, side, first, last)]
    paths = [str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, MEASURE, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr or ()))
    reader.start()
    with process:
        assert process.stdout
        while True:
            watch = threading.Timer(SILENCE_S, process.kill)
            watch.start()
            try:
                line = process.stdout.readline()
            finally:
                watch.cancel()
            if not line:
                break
            yield json.loads(line)
        with contextlib.suppress(RuntimeError):
            reader.join()
    verdict.breaches += [f"on stderr: {line.rstrip()}" for line in said]


def _kind(reason: str) -> str:
    """A reason without its numbers."""
    return "".join("#" if character.isdigit() else character for character in reason[:90])
