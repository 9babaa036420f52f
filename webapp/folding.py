"""Near-duplicates of one picture as one result."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from milvus.entities import Match
from webapp.query import EXACT_COPIES


@dataclass
class Group:
    """A result, and those that it stands for."""

    best: Match
    copies: list[Match] = field(default_factory=list)


def folded(matches: Sequence[Match], least: float | None) -> list[Group]:
    """Matches, best first, in groups: each joins the first group whose best it is a copy of.

    A copy has the same content, or (with ``least`` below 1, for which the matches need their
    embeddings) a cosine of ``least`` or more. None folds nothing.
    """
    groups: list[Group] = []
    by_content: dict[str, Group] = {}
    bests = _Bests(matches) if least is not None and least < EXACT_COPIES else None
    for match in matches:
        group = None
        if least is not None:
            group = by_content.get(match.row.content_hash)
            if group is None and bests is not None:
                place = bests.first_like(match, least)
                group = None if place is None else groups[place]
        if group is None:
            group = Group(match)
            groups.append(group)
            if bests is not None:
                bests.add(match)
        else:
            group.copies.append(match)
        if match.row.content_hash:
            by_content.setdefault(match.row.content_hash, group)
    return groups


class _Bests:
    """The groups' best embeddings, as rows of one matrix: a product for each match, not each
    pair."""

    def __init__(self, matches: Sequence[Match]) -> None:
        dim = next((len(m.embedding) for m in matches if m.embedding is not None), 0)
        self._rows = np.zeros((len(matches), dim), dtype=np.float32)
        self._count = 0

    def add(self, match: Match) -> None:
        if match.embedding is not None:
            self._rows[self._count] = match.embedding
        self._count += 1

    def first_like(self, match: Match, least: float) -> int | None:
        if match.embedding is None or not self._count:
            return None
        like = self._rows[: self._count] @ match.embedding >= least
        place = int(like.argmax())
        return place if like[place] else None
