"""The options of ``image-search search``, and a Query from them."""

import argparse
from pathlib import Path

from milvus.filters import ImageFilter
from webapp.errors import BadQuery
from webapp.query import Move, Query, Term, least_score
from webapp.query_body import moment_ns

DEFAULT_FORCE = 0.5
# Ids have 63 bits.
MAX_DIGITS = 19


def add_query_options(parser: argparse.ArgumentParser) -> None:
    """What can be asked, beside the settings."""
    parser.add_argument("words", metavar="WORDS", nargs="?", default="", help="in quotes")
    parts = parser.add_argument_group("more to look for", "each may be repeated; weight: 'red:0.5'")
    _add_lists(
        parts,
        {
            "--plus": ("WORDS[:WEIGHT]", "look for this as well"),
            "--minus": ("WORDS[:WEIGHT]", "lead away from this"),
            "--like": ("FILE|ID[:WEIGHT]", "be similar to a picture file, or an indexed picture"),
            "--unlike": ("FILE|ID[:WEIGHT]", "lead away from a picture"),
            "--move-to": ("WORDS|ID", "move the query towards this"),
            "--move-away-from": ("WORDS|ID", "move the query away from this"),
        },
    )
    for name in ("--move-to-force", "--move-away-force"):
        parts.add_argument(
            name, type=float, default=DEFAULT_FORCE, metavar="F", help="0 to 1 (default: 0.5)"
        )
    limits = parser.add_argument_group("which pictures")
    _add_lists(
        limits,
        {
            "--category": ("NAME", "only this category; may be repeated"),
            "--library": ("FOLDER", "only this library; may be repeated"),
            "--label": ("NAME", "only what image-search label found to be this; may be repeated"),
        },
    )
    limits.add_argument("--path-prefix", metavar="PATH", default="", help="paths that begin so")
    limits.add_argument("--after", metavar="DATE", help="modified then or later: 2026-01-31")
    limits.add_argument("--before", metavar="DATE", help="modified before that")
    for name in ("--min-width", "--max-width", "--min-height", "--max-height"):
        limits.add_argument(name, type=int, metavar="PIXELS")
    limits.add_argument("--min-score", type=float, metavar="COSINE", help="least cosine")
    limits.add_argument("--certainty", type=float, metavar="C", help="least (1 + cosine) / 2")
    limits.add_argument("--distance", type=float, metavar="D", help="largest 1 - cosine")
    limits.add_argument("--offset", type=int, default=0, metavar="N", help="pass over N results")
    limits.add_argument(
        "--fold",
        type=float,
        default=1.0,
        metavar="COSINE",
        help="show pictures this similar as one; 1: equal files (default), 0: nothing",
    )


def query_from(arguments: argparse.Namespace, top_k: int, max_chars: int) -> Query:
    """The query that the options ask. Raises BadQuery."""
    terms = [Term(arguments.words)] if arguments.words or not _has_parts(arguments) else []
    terms += [_text_term(text, 1) for text in arguments.plus]
    terms += [_text_term(text, -1) for text in arguments.minus]
    terms += [_picture_term(name, 1) for name in arguments.like]
    terms += [_picture_term(name, -1) for name in arguments.unlike]
    return Query(
        terms=tuple(terms),
        top_k=top_k,
        offset=arguments.offset,
        move_to=_move(arguments.move_to, arguments.move_to_force),
        move_away_from=_move(arguments.move_away_from, arguments.move_away_force),
        min_score=least_score(arguments.min_score, arguments.certainty, arguments.distance),
        filter=ImageFilter(
            categories=tuple(arguments.category),
            libraries=tuple(str(Path(name).resolve()) for name in arguments.library),
            labels=tuple(arguments.label),
            path_prefix=arguments.path_prefix,
            after_ns=moment_ns(arguments.after, "--after"),
            before_ns=moment_ns(arguments.before, "--before"),
            min_width=arguments.min_width,
            max_width=arguments.max_width,
            min_height=arguments.min_height,
            max_height=arguments.max_height,
        ),
        fold=arguments.fold or None,
        max_chars=max_chars,
    )


def _add_lists(group: "argparse._ArgumentGroup", options: dict[str, tuple[str, str]]) -> None:
    for name, (metavar, text) in options.items():
        group.add_argument(name, action="append", default=[], metavar=metavar, help=text)


def _has_parts(arguments: argparse.Namespace) -> bool:
    return bool(arguments.plus or arguments.minus or arguments.like or arguments.unlike)


def _weighted(text: str) -> tuple[str, float]:
    """``red apple:0.5`` → ``("red apple", 0.5)``; without a number behind a colon, the weight 1."""
    head, colon, tail = text.rpartition(":")
    try:
        return (head, float(tail)) if colon and head else (text, 1.0)
    except ValueError:
        return text, 1.0


def _text_term(given: str, sign: int) -> Term:
    text, weight = _weighted(given)
    return Term(text, weight=sign * weight)


def _picture_term(given: str, sign: int) -> Term:
    name, weight = (given, 1.0) if _is_file(given) else _weighted(given)
    if _is_id(name) and not _is_file(name):
        return Term(id=int(name), weight=sign * weight)
    try:
        return Term(image=Path(name).read_bytes(), weight=sign * weight)
    except OSError as error:
        raise BadQuery(
            f"{name}: {error.strerror or error}; give a picture file or an indexed picture's id"
        ) from error


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # longer than a name can be
        return False


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS


def _move(targets: list[str], force: float) -> Move | None:
    if not targets:
        return None
    ids = [target for target in targets if _is_id(target)]
    concepts = [target for target in targets if target not in ids]
    return Move(force, tuple(concepts), tuple(map(int, ids)))
