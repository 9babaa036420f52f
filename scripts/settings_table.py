#!/usr/bin/env python3
"""Print the README's table of settings; with --write, put it there."""

import sys
from pathlib import Path

from configs.commandline import option_name
from configs.settings import fields, variable

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- settings: scripts/settings_table.py --write -->", "<!-- /settings -->"


def table() -> str:
    """Markdown: option, variable, default, meaning; one row for each setting."""
    lines = ["| option | environment | default | meaning |", "| --- | --- | --- | --- |"]
    for key, field in fields().items():
        known = field.default not in (None, "", []) and field.default_factory is None
        default = f"`{str(field.default).lower() if field.annotation is bool else field.default}`"
        meaning = field.description.replace("|", "\\|")
        lines.append(
            f"| `{option_name(key)}` | `{variable(key)}` | {default if known else ''} | {meaning} |"
        )
    return "\n".join(lines)


def with_table(text: str) -> str:
    """A README's text with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())
