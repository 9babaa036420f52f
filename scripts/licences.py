#!/usr/bin/env python3
"""List the packages of ``constraints.txt`` with the versions and licences that are installed.

Prints them as Markdown; with --write, into docs/licences.md.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILE = ROOT / "docs" / "licences.md"
LONGEST = 60
HEAD = """# Licences of the packages that are installed with it

As each package declares it. Written by `scripts/licences.py --write`; the versions are those of
`constraints.txt`.

| package | version | licence |
| --- | --- | --- |
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = HEAD + "".join(
        f"| {name} | {version} | {licence_of(name)} |\n" for name, version in pinned()
    )
    if options.write:
        FILE.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


def pinned() -> Iterator[tuple[str, str]]:
    """Names and versions in ``constraints.txt``."""
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        name, separator, version = line.partition("==")
        if separator:
            yield name.strip(), version.split(";")[0].strip()


def licence_of(name: str) -> str:
    """The licence that an installed package declares, in a few words."""
    try:
        found = metadata(name)
    except PackageNotFoundError:
        return "(not installed here)"
    if expression := found.get("License-Expression"):
        return str(expression)
    prefix = "License :: "
    classes = [line for line in found.get_all("Classifier") or [] if line.startswith(prefix)]
    short = [line.rpartition(" :: ")[2] for line in classes if line != f"{prefix}OSI Approved"]
    if short:
        return ", ".join(sorted(set(short)))
    # Some packages put the whole text there.
    words = re.sub(r"\s+", " ", found.get("License") or "").strip()
    return words if 0 < len(words) <= LONGEST else "see the package"


if __name__ == "__main__":
    sys.exit(main())
