"""Passwords that were given as options leave the command line, which all users of a machine see."""

import argparse
import os
import sys
from collections.abc import Sequence

from pydantic import SecretStr

from configs.commandline import option_name
from configs.settings import Settings, fields, variable


def hide_secrets(given: argparse.Namespace, settings: Settings) -> None:
    """Start this process again, with the passwords among its options in its environment instead.

    The process keeps its id. Does nothing where no password is among the options, or where there
    is no such thing as starting again (Windows). For a short moment it was to be seen all the same.
    """
    secrets = {key: value for key in vars(given) if (value := _secret(settings, key))}
    if not secrets or os.name != "posix":
        return
    count = len(sys.argv) - 1
    kept = without_options(sys.argv[1:], {option_name(key) for key in secrets})
    values = {variable(key): value for key, value in secrets.items()}
    command = [*sys.orig_argv[: len(sys.orig_argv) - count], *kept]
    os.execve(sys.executable, command, {**os.environ, **values})


def without_options(words: Sequence[str], options: set[str]) -> list[str]:
    """The words of a command line without these options, in any way that argparse takes them, and
    without their values."""
    others = {option_name(key) for key in fields()} - options
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        name, separator, _ = word.partition("=")
        shortened = len(name) > 2 and name not in others
        if name.startswith("--") and shortened and any(o.startswith(name) for o in options):
            if not separator:
                next(rest, None)
        else:
            kept.append(word)
    return kept


def _secret(settings: Settings, key: str) -> str:
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name, None)
    return value.get_secret_value() if isinstance(value, SecretStr) else ""
