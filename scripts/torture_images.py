"""Attack the decoding of pictures: ``scripts/torture_images.py --files 2000 --seed 1``.

Damaged pictures of every format, and bombs of 200 million pixels. Each must be decoded or refused
with a reason, within 5 s of processor time and 1 GiB of memory, without a crash or a word on
stderr. Exit code 1 where one was not. For Linux, which tells what a process takes.
"""

import argparse
import sys
import time

from hostile_images.corpus import LARGEST
from hostile_images.judge import MIB, SECONDS, judge


def main() -> int:
    """Run it and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000, help="damaged pictures beside the bombs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side", type=int, default=LARGEST, help="of the bombs, in pixels")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for one file")
    parser.add_argument("--mib", type=float, default=MIB, help="for one file")
    options = parser.parse_args()
    started = time.monotonic()
    verdict = judge(options.files, options.seed, options.side, options.seconds, options.mib)
    print(verdict.as_text())
    print(f"{time.monotonic() - started:.0f} s in all")
    return 1 if verdict.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
