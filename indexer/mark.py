"""The mark of an entity that a manifest made: what tells the next run whether its row changed.

A folder's entities have none. It is one text among the extras, so that it needs no field of its
own in the store.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias

from indexer.caption import Caption

MARK = "_manifest"
"""The extra that holds it."""

Cell: TypeAlias = str | int | float | bool
"""What a column may hold."""


@dataclass(frozen=True)
class Mark:
    """Follows from a manifest's row."""

    stamp: int = 0
    """Another number where anything of the row is another: 63 bits."""
    mix: str = ""
    """Another text where the vector is another though the picture is the same; empty where the
    vector is the picture's alone."""
    columns: tuple[str, ...] = ()
    """Names of the extras that the manifest gave; others wrote the rest."""

    @classmethod
    def of(cls, category: str, extras: Mapping[str, Cell], caption: Caption | None) -> "Mark":
        """The mark of a row."""
        mix = f"{_hash([caption.text, round(caption.share, 9)]):016x}" if caption else ""
        return cls(_hash([category, sorted(extras.items()), mix]), mix, tuple(sorted(extras)))

    @classmethod
    def kept_in(cls, extras: Mapping[str, Any]) -> "Mark":
        """The mark among stored extras; NO_MARK where there is none, or none that is ours."""
        stamp, _, rest = str(extras.get(MARK, "")).partition(" ")
        mix, *columns = rest.split(" ")
        try:
            return cls(int(stamp, 16), mix, tuple(columns))
        except ValueError:
            return NO_MARK

    def among(self, extras: Mapping[str, Cell]) -> dict[str, Cell]:
        """Extras as they are stored, with this mark."""
        if self == NO_MARK:
            return dict(extras)
        return {**extras, MARK: " ".join([f"{self.stamp:x}", self.mix, *self.columns])}


NO_MARK = Mark()


def of_others(extras: Mapping[str, Any]) -> dict[str, Any]:
    """The stored extras that no manifest wrote, such as labels: they stay with an embedding."""
    own = {MARK, *Mark.kept_in(extras).columns}
    return {name: value for name, value in extras.items() if name not in own}


def _hash(values: list[Any]) -> int:
    digest = blake2b(json.dumps(values).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
