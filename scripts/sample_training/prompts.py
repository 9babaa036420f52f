"""The texts of training, and which pictures each text is true of.

A text is compared with every picture of a batch, not only with the one that it was written for:
"a photo of an apple" is as true of the next apple. So a prompt carries the facts that it states,
a picture carries the facts that are known of it, and a prompt fits when none contradict.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sample_training.words import COLOURS, KIND_MEMBERS, KINDS, NOUNS, SETTINGS, Noun

_TEMPLATES = (
    "a photo of {a}",  # first: the form that most searches and all figures use
    "a photo of {many}",
    "a photo of {one}",
    "{one}",
    "{many}",
    "{a}",
    "a picture of {a}",
    "a picture of {many}",
    "photo of {many}",
    "an image of {many}",
    "a close-up photo of {a}",
    "some {many}",
    "fresh {many}",
    "the {one}",
    "a photo of the {many}",
    "{many} in a store",
    "{many} on a shelf",
    "{many} for sale",
    "lots of {many}",
    "{a} in a hand",
)
_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


class Level(StrEnum):
    """What a prompt tells apart; each level is a choice of its own in the loss."""

    CATEGORY = "category"
    VARIETY = "variety"
    COLOUR = "colour"
    KIND = "kind"
    SETTING = "setting"
    COUNT = "count"
    CAPTION = "caption"


@dataclass(frozen=True)
class Facts:
    """What is known of a picture; None and the empty set mean unknown."""

    kind: str
    category: str
    variety: str | None = None
    colours: frozenset[str] = frozenset()
    setting: str | None = None
    count: int | None = None
    caption: str | None = None


@dataclass(frozen=True)
class Prompt:
    """Several wordings of one statement; None leaves a fact open."""

    level: Level
    phrases: tuple[str, ...]
    categories: frozenset[str]
    variety: str | None = None
    colour: str | None = None
    setting: str | None = None
    count: int | None = None

    def fits(self, facts: Facts) -> bool:
        """Whether the statement is true of a picture, as far as is known.

        A photo's setting and count are unknown and contradict nothing: "lemons in a basket" is to
        find lemons on a shelf before it finds limes. A colour must be known to be right.
        """
        return (
            facts.category in self.categories
            and (self.variety is None or self.variety == facts.variety)
            and (self.colour is None or self.colour in facts.colours)
            and (self.setting is None or facts.setting in (None, self.setting))
            and (self.count is None or facts.count in (None, self.count))
        )


def colours_of(category: str, variety: str | None) -> frozenset[str]:
    return frozenset(COLOURS.get(variety or category, ()))


def noun_of(name: str) -> Noun:
    """The noun of a category, or one made from its name where the table has none."""
    return NOUNS.get(name, Noun(name, name if name.endswith("s") else name + "s"))


def prompts_for(pictures: Iterable[Facts]) -> list[Prompt]:
    """Every prompt that fits some picture, in a stable order."""
    facts = sorted(set(pictures), key=repr)
    categories = sorted({fact.category for fact in facts})
    prompts = [_category(name) for name in categories]
    prompts += [_kind(kind, facts) for kind in KINDS]
    for category, variety in sorted({(f.category, f.variety) for f in facts if f.variety}):
        prompts.append(_variety(category, variety or ""))
    for category, colour in sorted({(f.category, c) for f in facts for c in f.colours}):
        prompts.append(_coloured(category, colour))
    for category, setting in sorted({(f.category, f.setting) for f in facts if f.setting}):
        prompts.append(_set(category, setting or ""))
    for category, count in sorted({(f.category, f.count) for f in facts if f.count}):
        if count in _NUMBERS:
            prompts.append(_counted(category, count or 0))
    for fact in facts:
        if fact.caption:
            prompts.append(_captioned(fact))
    return [prompt for prompt in prompts if prompt.categories]


def _category(name: str) -> Prompt:
    noun = noun_of(name)
    names = (f"a photo of a {name}", f"a photo of {name}", name)
    return Prompt(
        Level.CATEGORY, (*_wordings(noun), *names, *_other_names(noun)), frozenset({name})
    )


def _kind(kind: str, facts: Iterable[Facts]) -> Prompt:
    members = KIND_MEMBERS.get(kind) or frozenset(f.category for f in facts if f.kind == kind)
    phrases = tuple(p for n in KINDS[kind] for p in (f"a photo of {n}", n, f"{n} in a store"))
    return Prompt(Level.KIND, phrases, members)


def _variety(category: str, variety: str) -> Prompt:
    noun = noun_of(category)
    noun = Noun(variety, variety if variety.endswith("s") else f"{variety}s")
    phrases = _wordings(noun)
    # "granny smith" names an apple, "red bell pepper" says pepper already
    if category.rstrip("s") not in variety:
        parent = noun_of(category)
        phrases += _wordings(Noun(f"{variety} {parent.one}", f"{variety} {parent.many}"))
    return Prompt(Level.VARIETY, phrases, frozenset({category}), variety=variety)


def _coloured(category: str, colour: str) -> Prompt:
    noun = noun_of(category)
    phrases = _wordings(Noun(f"{colour} {noun.one}", f"{colour} {noun.many}"))
    phrases += (f"{noun.many} that are {colour}", f"{colour} {noun.many} in a basket")
    return Prompt(Level.COLOUR, phrases, frozenset({category}), colour=colour)


def _set(category: str, setting: str) -> Prompt:
    noun = noun_of(category)
    names = (f"a photo of {_article(noun.one)}", noun.many, f"a photo of {noun.many}", noun.one)
    places = SETTINGS.get(setting, (f"in a {setting}",))
    phrases = tuple(f"{name} {place}" for place in places for name in names)
    return Prompt(Level.SETTING, phrases, frozenset({category}), setting=setting)


def _counted(category: str, count: int) -> Prompt:
    noun = noun_of(category)
    name = f"{_NUMBERS[count]} {noun.one if count == 1 else noun.many}"
    phrases = [f"a photo of {name}", name, f"a picture of {name}"]
    if count == 1:
        phrases += [f"a single {noun.one}", f"a photo of a single {noun.one}"]
    return Prompt(Level.COUNT, tuple(phrases), frozenset({category}), count=count)


def _captioned(fact: Facts) -> Prompt:
    caption = fact.caption or ""
    said = [colour for colour in fact.colours if f"{colour} " in caption]
    colour = max(said, key=len, default=None)
    return Prompt(
        Level.CAPTION,
        (caption,),
        frozenset({fact.category}),
        colour=colour,
        setting=fact.setting,
        count=fact.count,
    )


def _wordings(noun: Noun) -> tuple[str, ...]:
    return tuple(t.format(a=_article(noun.one), one=noun.one, many=noun.many) for t in _TEMPLATES)


def _other_names(noun: Noun) -> tuple[str, ...]:
    return tuple(p for other in noun.others for p in (other, f"a photo of {other}"))


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
