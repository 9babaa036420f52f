"""Any bytes have an answer from the readers that get them from others.

``scripts/torture_parsers.py`` tries millions, led by what the code does with them.
"""

import random

import pytest
from hostile_bytes.targets import TARGETS
from hostile_images.mutations import mutated

MUTATIONS = 150


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_read_or_refused_with_a_reason(name: str) -> None:
    target, chance = TARGETS[name], random.Random(3)
    seeds = list(target.seeds())
    for seed in (*seeds, b"", b"\0", b"\xff\xfe"):
        target(seed)
    for _ in range(MUTATIONS):
        target(mutated(chance.choice(seeds), seeds, chance))
