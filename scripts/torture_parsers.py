"""Attack our own readers of bytes: ``scripts/torture_parsers.py --seconds 60 --seed 1``.

Each target of ``hostile_bytes`` is given as many inputs as the time allows, led by which branches
of the code they reach (Atheris; ``pip install -e '.[fuzz]'``, Linux). None may raise what is not
meant, take 5 s of processor time or 1 GB more than it began with. Exit code 1 where one did; the
input is kept.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hostile_bytes.targets import SECONDS, TARGETS

ROOT = Path(__file__).parent.parent
# The program itself holds torch, some 600 MB.
RSS_MIB = 1700
# On the clock, where the machine is busy; a target itself looks at its processor time.
CLOCK_S = 60


@dataclass(frozen=True)
class Fuzzed:
    """What came of one target."""

    inputs: int
    slowest_s: int
    """On the clock, in whole seconds."""
    peak_mib: int
    failure: str
    """The last words where a bound was broken, with the place of the input."""


def fuzz(name: str, seconds: int, seed: int, kept: Path) -> Fuzzed:
    """Run one target for so long."""
    corpus = kept / name
    corpus.mkdir(parents=True, exist_ok=True)
    paths = [str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]
    ran = subprocess.run(
        [
            sys.executable, "-m", "hostile_bytes.fuzz", name, corpus, f"-seed={seed}",
            f"-max_total_time={seconds}", f"-timeout={CLOCK_S}", f"-rss_limit_mb={RSS_MIB}",
            "-max_len=65536", "-print_final_stats=1", f"-artifact_prefix={kept}/{name}-",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )  # fmt: skip

    def stat(key: str) -> int:
        found = re.search(rf"stat::{key}:\s+(\d+)", ran.stderr)
        return int(found[1]) if found else 0

    said = ran.stdout + ran.stderr
    failure = "\n".join(said.splitlines()[-40:]) if ran.returncode else ""
    return Fuzzed(
        stat("number_of_executed_units"),
        stat("slowest_unit_time_sec"),
        stat("peak_rss_mb"),
        failure,
    )


def main() -> int:
    """Run all and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS, nargs="*", default=list(TARGETS))
    options = parser.parse_args()
    kept = Path(tempfile.mkdtemp(prefix="torture-parsers-"))
    failed, inputs = 0, 0
    for name in options.target:
        found = fuzz(name, options.seconds, options.seed, kept)
        inputs += found.inputs
        print(
            f"{name:16} {found.inputs:9,} inputs, slowest {found.slowest_s} s, "
            f"{found.peak_mib} MiB{', FAILED' if found.failure else ''}",
            flush=True,
        )
        if found.failure:
            failed += 1
            print(f"{found.failure}\nthe input is kept in {kept}", flush=True)
    print(
        f"{inputs:,} inputs to {len(options.target)} readers, {failed} broke a bound ({SECONDS} s)"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
