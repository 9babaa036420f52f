"""Words for pictures: true, short, and not always the same."""

from __future__ import annotations

from .arrays import Rng

NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
PLURALS = {
    "apple": "apples",
    "apricot": "apricots",
    "banana": "bananas",
    "blueberry": "blueberries",
    "cherry": "cherries",
    "grape": "grapes",
    "lemon": "lemons",
    "litchi": "litchis",
    "mango": "mangoes",
    "orange": "oranges",
}
OPENINGS = ("", "", "", "a photo of ", "a picture of ", "a close photo of ")


def plural(category: str) -> str:
    """Several of a category."""
    return PLURALS[category]


def article(words: str) -> str:
    """The words after "a" or "an"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def coloured(colour: str | None, noun: str) -> str:
    """The noun after its colour, when it has one."""
    return f"{colour} {noun}" if colour else noun


def counted(rng: Rng, category: str, colour: str | None, count: int) -> str:
    """So many fruit, such as "three green apples"; above six nobody counts."""
    if count == 1:
        return article(coloured(colour, category))
    plural = coloured(colour, PLURALS[category])
    if count < len(NUMBERS):
        return f"{NUMBERS[count]} {plural}"
    return f"{rng.choice(['many', 'lots of', 'several'])} {plural}"


def sentence(rng: Rng, subject: str, place: str) -> str:
    """The whole caption: sometimes with an opening such as "a photo of"."""
    opening = str(rng.choice(OPENINGS))
    return f"{opening}{subject} {place}".strip()
