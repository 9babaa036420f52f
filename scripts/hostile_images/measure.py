"""Decode hostile files one after the other as indexing does, and tell what each cost.

Runs as a process of its own (``python measure.py SEED FILES SIDE FIRST LAST``), so that a
decoder that crashes takes nothing else with it. Prints a line of JSON for each file.
"""

import contextlib
import json
import os
import resource
import sys
import time
from pathlib import Path

from configs.commandline import quiet_libraries
from embeddings.decoding.decode import decode
from embeddings.errors import ImageError
from embeddings.images import ImageTransform
from hostile_images.corpus import corpus

TRANSFORM = ImageTransform((336, 336))


def family() -> list[int]:
    """This process and its workers."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [os.getpid(), *map(int, children.split())]


def reset_peaks() -> None:
    """From now on the most memory that is held is counted anew (Linux)."""
    for process in family():
        with contextlib.suppress(OSError):
            Path(f"/proc/{process}/clear_refs").write_text("5")


def peak_mib(ended_before: int) -> float:
    """Of the process that held the most, which may have ended since."""
    peaks = []
    for process in family():
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{process}/status").read_text().splitlines()
            peaks += [int(line.split()[1]) for line in status if line.startswith("VmHWM:")]
    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max([*peaks, ended if ended > ended_before else 0]) / 1024


def processor_s() -> float:
    """Seconds of processor time, of this process, its workers, and those that ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    for process in family()[1:]:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return total


def main() -> None:
    """Measure files FIRST to LAST."""
    seed, files, side, first, last = map(int, sys.argv[1:6])
    quiet_libraries()
    for number, file in enumerate(corpus(files, seed, side)[first:last], start=first):
        data = file.make()
        reset_peaks()
        ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        started, used = time.monotonic(), processor_s()
        try:
            decoded = decode(data, transform=TRANSFORM, with_thumbnail=True)
            whole = decoded.square is not None and decoded.square.size == (336, 336)
            reason = "" if whole else "no square"
        except ImageError as error:
            reason = str(error) or "no reason"
        told = {
            "number": number,
            "name": file.name,
            "bytes": len(data),
            "reason": reason,
            "seconds": processor_s() - used,
            "clock": time.monotonic() - started,
            "mib": peak_mib(ended),
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
