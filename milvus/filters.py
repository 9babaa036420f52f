"""Milvus filter expressions from values that come from outside: escaped, never pasted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# Above every character that a path can hold.
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class ImageFilter:
    """Which images a search looks at; what is left empty does not matter."""

    categories: Sequence[str] = ()
    """Any of these."""
    libraries: Sequence[str] = ()
    labels: Sequence[str] = ()
    path_prefix: str = ""
    after_ns: int | None = None
    """Modified at this time or later, in nanoseconds since 1970."""
    before_ns: int | None = None
    """Modified before this time."""
    min_width: int | None = None
    """Pixels, upright."""
    max_width: int | None = None
    min_height: int | None = None
    max_height: int | None = None
    without_ids: Sequence[int] = ()
    """All but these."""

    def expression(self) -> str:
        """In Milvus's filter language; empty where everything passes."""
        parts = [
            one_of(name, values)
            for name, values in (
                ("category", self.categories),
                ("library", self.libraries),
                ("label", self.labels),
            )
            if values
        ]
        if self.path_prefix:
            # A comparison of strings, since LIKE gives some characters a meaning.
            last = quoted(self.path_prefix + LAST_CHARACTER)
            parts += [f"path >= {quoted(self.path_prefix)}", f"path < {last}"]
        parts += [
            f"{field} {operator} {int(value)}"
            for field, operator, value in (
                ("mtime_ns", ">=", self.after_ns),
                ("mtime_ns", "<", self.before_ns),
                ("width", ">=", self.min_width),
                ("width", "<=", self.max_width),
                ("height", ">=", self.min_height),
                ("height", "<=", self.max_height),
            )
            if value is not None
        ]
        if self.without_ids:
            parts.append(f"m_id not in [{', '.join(str(int(key)) for key in self.without_ids)}]")
        return " and ".join(parts)

    def texts(self) -> Iterator[str]:
        """Every string of it."""
        return iter((*self.categories, *self.libraries, *self.labels, self.path_prefix))

    def sizes(self) -> Iterator[int]:
        """Every number of pixels of it."""
        given = (self.min_width, self.max_width, self.min_height, self.max_height)
        return (size for size in given if size is not None)


EVERYTHING = ImageFilter()


def quoted(value: str) -> str:
    r"""A string literal of Milvus's filter language.

    >>> quoted('say "hi"')
    '"say \\"hi\\""'
    """
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    for character, escape in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        escaped = escaped.replace(character, escape)
    return f'"{escaped}"'


def equals(field: str, value: str) -> str:
    """Rows whose field is exactly this."""
    return f"{field} == {quoted(value)}"


def one_of(field: str, values: Iterable[str]) -> str:
    """Rows whose field is one of these; with none of them, no row."""
    return f"{field} in [{', '.join(quoted(value) for value in values)}]"
