"""How much memory a process and those that it started hold (Linux)."""

import os
from pathlib import Path


def resident_mib(pid: int | None = None) -> float:
    """Resident memory in MiB of a process and all below it; of this one without ``pid``."""
    total, waiting = 0.0, [pid or os.getpid()]
    while waiting:
        process = waiting.pop()
        try:
            status = Path(f"/proc/{process}/status").read_text()
            children = Path(f"/proc/{process}/task/{process}/children").read_text()
        except OSError:  # it ended
            continue
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) / 1024
        waiting += [int(child) for child in children.split()]
    return total
