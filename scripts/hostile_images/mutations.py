"""Ways to damage a file's bytes: seldom so that it is refused at once, often so that it is not."""

import random
from collections.abc import Callable, Sequence

# Sizes, counts and offsets that programs stumble over.
EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 2**32 - 1)
# Headers are mostly here.
HEAD = 400


def mutated(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """The file with one to three kinds of damage; ``others`` lend their blocks."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        chance.choice(WAYS)(damaged, others, chance)
    return bytes(damaged)


def _place(damaged: bytearray, chance: random.Random) -> int:
    end = len(damaged) if chance.random() < 0.5 else min(len(damaged), HEAD)
    return chance.randrange(end) if end else 0


def _flip(damaged: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 8, 40))):
        if damaged:
            damaged[_place(damaged, chance)] ^= 1 << chance.randrange(8)


def _set(damaged: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        if damaged:
            damaged[_place(damaged, chance)] = chance.choice((0, 0xFF, chance.randrange(256)))


def _number(damaged: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    """A size, a count or an offset becomes an extreme one."""
    for _ in range(chance.randint(1, 3)):
        width = chance.choice((2, 4))
        number = chance.choice(EXTREMES) & (1 << 8 * width) - 1
        at = _place(damaged, chance)
        damaged[at : at + width] = number.to_bytes(width, chance.choice(("big", "little")))


def _cut(damaged: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    del damaged[_place(damaged, chance) :]


def _remove(damaged: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    at = _place(damaged, chance)
    del damaged[at : at + chance.randint(1, 64)]


def _splice(damaged: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    """A block of another file, over ours or between."""
    other = chance.choice(others)
    start = chance.randrange(len(other))
    block = other[start : start + chance.choice((4, 16, 200, 5000))]
    at = _place(damaged, chance)
    damaged[at : at + chance.choice((0, len(block)))] = block


def _repeat(damaged: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    """A block of its own, many times."""
    at = _place(damaged, chance)
    block = bytes(damaged[at : at + chance.choice((1, 2, 12, 100))])
    damaged[at:at] = block * chance.choice((1, 10, 1000, 20_000))


def _blank(damaged: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    at = _place(damaged, chance)
    length = min(chance.choice((4, 64, 1000)), len(damaged) - at)
    damaged[at : at + length] = bytes([chance.choice((0, 0xFF))]) * length


def _append(damaged: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    damaged += chance.choice((chance.choice(others), chance.randbytes(300), bytes(100_000)))


Way = Callable[[bytearray, Sequence[bytes], random.Random], None]
WAYS: tuple[Way, ...] = (
    _flip, _flip, _set, _number, _number, _cut, _remove, _splice, _repeat, _blank, _append
)  # fmt: skip
