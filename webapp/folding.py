"""Near-duplicates of one picture as one result."""

from collections.abc import Sequence
from dataclasses import dataclass, field

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
    for match in matches:
        group = None
        if least is not None:
            group = by_content.get(match.row.content_hash) or _similar(groups, match, least)
        if group is None:
            group = Group(match)
            groups.append(group)
        else:
            group.copies.append(match)
        if match.row.content_hash:
            by_content.setdefault(match.row.content_hash, group)
    return groups


def _similar(groups: Sequence[Group], match: Match, least: float) -> Group | None:
    if least >= EXACT_COPIES or match.embedding is None:
        return None
    for group in groups:
        other = group.best.embedding
        if other is not None and float(other @ match.embedding) >= least:
            return group
    return None
