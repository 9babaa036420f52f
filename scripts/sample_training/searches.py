"""Searches in words, with what a right picture is, for measuring the finished encoder."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sample_training.prompts import Facts


@dataclass(frozen=True)
class Search:
    """`right` says of a picture whether the words are true of it."""

    text: str
    right: Callable[[Facts], bool]


def category_search(category: str) -> Search:
    article = "an" if category[0] in "aeiou" else "a"
    return Search(f"a photo of {article} {category}", lambda facts: facts.category == category)


def category_searches(pictures: Iterable[Facts]) -> list[tuple[str, Search]]:
    """One search for each category that occurs, by name."""
    names = sorted({facts.category for facts in pictures})
    return [(name, category_search(name)) for name in names]


def _coloured(category: str, colour: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.category == category and colour in facts.colours


def _of(category: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.category == category


def _placed(category: str, setting: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.category == category and facts.setting in (None, setting)


def _variety(variety: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.variety == variety


# A search with too few right pictures in a library is left out there.
SEARCHES = (
    Search("red apples", _coloured("apple", "red")),
    Search("green apples", _coloured("apple", "green")),
    Search("a photo of green apples", _coloured("apple", "green")),
    Search("lemon", _of("lemon")),
    Search("lemons", _of("lemon")),
    Search("oranges", _of("orange")),
    Search("bananas", _of("banana")),
    Search("apples", _of("apple")),
    Search("lemons in a basket", _placed("lemon", "basket")),
    Search("apples in a bowl", _placed("apple", "bowl")),
    Search("oranges on a branch", _placed("orange", "branch")),
    Search("purple grapes", _coloured("grape", "purple")),
    Search("granny smith apple", _variety("granny smith")),
    Search("red bell pepper", _variety("red bell pepper")),
    Search("yellow peppers", _coloured("pepper", "yellow")),
    Search("tomatoes", _of("tomato")),
    Search("watermelon", _variety("watermelon")),
    Search("mushrooms", _of("brown cap mushroom")),
    Search("vegetables", lambda facts: facts.kind == "vegetables"),
    Search("fruit", lambda facts: facts.kind == "fruit"),
    Search("a photo of a milk carton", lambda facts: "milk" in facts.category),
)
