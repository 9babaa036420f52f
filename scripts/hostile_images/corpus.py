"""All hostile files of one run: the bombs, then damaged pictures, by seed."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hostile_images.bombs import bombs
from hostile_images.mutations import mutated
from hostile_images.pictures import KINDS, picture

# The most pixels that are read by default, and what is quick.
LARGEST = 14_142
QUICK, QUICK_PART = 2_000, 20


@dataclass(frozen=True)
class HostileFile:
    """A file by name; its bytes are made when they are needed."""

    name: str
    make: Callable[[], bytes]


def corpus(files: int, seed: int, side: int = LARGEST) -> list[HostileFile]:
    """So many damaged pictures, after every bomb with pictures of ``side``; up to ``QUICK``, each
    bomb takes a fraction of a second."""
    part = 1 if side > QUICK else QUICK_PART
    found = [HostileFile(name, make) for name, make in bombs(side, part)]
    kinds = list(KINDS)
    for number in range(files):
        kind = kinds[number % len(kinds)]
        name = f"{number:05}-{kind}.{KINDS[kind][0]}"
        found.append(HostileFile(name, partial(_damaged, kind, f"{seed}-{number}")))
    return found


def _damaged(kind: str, seed: str) -> bytes:
    others = [picture(other)[1] for other in KINDS]
    return mutated(picture(kind)[1], others, random.Random(seed))
