"""The documents say what the program does."""

import argparse
import re
from pathlib import Path

import settings_table

from configs.commandline import option_name
from configs.settings import fields
from indexer.command.options import parser as parser_of_indexer
from webapp.commands.options import parser as parser_of_commands

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()


def test_the_table_of_settings_is_current() -> None:
    assert settings_table.with_table(README) == README, "run scripts/settings_table.py --write"


def test_every_command_is_in_the_readme() -> None:
    parser = parser_of_commands()
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for name in commands.choices:
        assert f"`image-search {name}" in README


def test_every_setting_is_an_option_somewhere() -> None:
    parser = parser_of_commands()
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    text = "".join(p.format_help() for p in [parser_of_indexer(), *commands.choices.values()])
    assert [key for key in fields() if f"{option_name(key)} " not in text] == []


def test_every_file_of_the_rooms_is_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for package in ("configs", "embeddings", "indexer", "milvus", "webapp"):
        for path in (ROOT / package).rglob("*.py"):
            assert path.name == "__init__.py" or f"`{path.name}`" in text, path


def test_links_lead_somewhere() -> None:
    for name in ("README.md", "ARCHITECTURE.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / name).read_text()):
            assert (ROOT / target).exists(), f"{name}: {target}"
