"""Milvus filter expressions from values that come from outside: escaped, never pasted."""

from collections.abc import Iterable


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
