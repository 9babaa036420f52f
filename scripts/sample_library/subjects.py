"""What a picture shows: the pieces to draw, and the words for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from .arrays import Rng
from .banana import bunch_of_bananas
from .bunches import cherry_pair, grape_bunch
from .captions import coloured, counted
from .kinds import Draw, Kind


@dataclass(frozen=True)
class Piece:
    """One thing to draw; sizes are in units of the picture's fruit radius."""

    draw: Draw
    drawing: str  # the colour as `draw` knows it
    scale: float = 1.0
    flat: bool = False  # lies on the ground along its whole length
    thick: float = 0.3  # of a flat piece: its height above the ground
    girth: float = 1.0  # of the shadow
    reach: float = 1.0  # from its middle to its end


@dataclass(frozen=True)
class Subject:
    """The pieces, their number and their words; `count_words` words another number of them."""

    pieces: list[Piece]
    words: str
    count: int
    spacing: float
    category: str
    colour: str | None
    rng: Rng = field(repr=False)

    @property
    def reach(self) -> float:
        """The longest piece, from its middle to its end."""
        return max(piece.reach for piece in self.pieces)

    @property
    def bunches(self) -> bool:
        """Whether the pieces are bunches or long fruit, which cannot be heaped one by one."""
        return any(piece.flat for piece in self.pieces)

    def count_words(self, n: int) -> str:
        """The words for n single fruit."""
        return counted(self.rng, self.category, self.colour, n)


def choose(
    rng: Rng,
    category: str,
    kind: Kind,
    drawing: str,
    colour: str | None,
    most: int = 12,
    hanging: bool = False,
) -> Subject:
    """A subject of this kind, with at most `most` pieces; `hanging` ones are whole fruit."""
    single = Piece(kind.draw, drawing)
    spacing = kind.spacing
    if category == "cherry":
        single = Piece(kind.draw, drawing, reach=2.1)
    if category == "banana":
        single = Piece(kind.draw, drawing, flat=True, thick=0.22, reach=1.15)
        if rng.random() < 0.6:
            n = int(rng.integers(3, 7))
            bunch = Piece(
                lambda g, r, light, c: bunch_of_bananas(g, r, light, c, n),
                drawing,
                flat=True,
                thick=0.3,
                reach=1.1,
            )
            words = f"a bunch of {coloured(colour, 'bananas')}"
            return Subject([bunch], words, 1, 1.6, category, colour, rng)
    if category == "grape" and (hanging or most < 12 or rng.random() < 0.75):
        n = 1 if hanging or rng.random() < 0.75 else 2
        bunch = Piece(grape_bunch, drawing, flat=True, thick=0.3, reach=1.1)
        many = "a bunch" if n == 1 else "two bunches"
        words = f"{many} of {coloured(colour, 'grapes')}"
        return Subject([bunch] * n, words, n, 1.5, category, colour, rng)
    if category == "cherry" and not hanging and rng.random() < 0.3:
        pair = Piece(cherry_pair, drawing, flat=True, thick=0.5, reach=2.6)
        words = f"a pair of {coloured(colour, 'cherries')}"
        return Subject([pair], words, 2, 2.0, category, colour, rng)
    if kind.cut is not None and not hanging and rng.random() < 0.35:
        return _with_cut(rng, category, kind, drawing, colour)
    n = _how_many(rng, category, most)
    return Subject(
        [single] * n, counted(rng, category, colour, n), n, spacing, category, colour, rng
    )


def _with_cut(rng: Rng, category: str, kind: Kind, drawing: str, colour: str | None) -> Subject:
    cut = kind.cut
    assert cut is not None
    if category == "lemon" and colour == "green":
        drawing, colour = "yellow", None  # the cut face is a ripe one's
    half = Piece(cut, drawing, flat=True, thick=0.3, scale=0.95)
    wholes = int(rng.integers(0, 4))
    pieces = [Piece(kind.draw, drawing)] * wholes + [half]
    part = kind.cut_words
    words = part if wholes == 0 else f"{counted(rng, category, colour, wholes)} and {part}"
    named = colour if wholes else None
    return Subject(pieces, words, wholes + 1, kind.spacing, category, named, rng)


def _how_many(rng: Rng, category: str, most: int) -> int:
    if category in ("blueberry", "grape"):
        return int(rng.integers(3, 22))
    if category == "banana":
        return int(rng.integers(1, 4))
    weights = [0.30, 0.18, 0.18, 0.11, 0.08, 0.06, 0.03, 0.03, 0.03]
    n = int(rng.choice(len(weights), p=weights)) + 1
    return min(n, most)
