"""What both commands share: options made from the settings, one-line errors, exit codes."""

import argparse
import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NoReturn, get_origin

from configs.settings import Settings, fields, variable
from configs.sources import load_settings

DONE, FAILED, WRONG_USAGE = 0, 1, 2


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage in front."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def option_name(key: str) -> str:
    """The command-line option of a dotted settings key: ``milvus.uri`` → ``--milvus-uri``."""
    extra = fields()[key].json_schema_extra or {}
    name = extra.get("option", "--" + key.replace(".", "-").replace("_", "-"))
    return str(name)


def _metavar(key: str) -> str:
    extra = fields()[key].json_schema_extra or {}
    return str(extra.get("metavar", key.rpartition(".")[2].upper()))


def add_settings(
    parser: argparse.ArgumentParser, *groups: str, without: Collection[str] = ()
) -> None:
    """Add ``--config`` and an option for each setting that is named, in a group that
    is named, or at the top."""
    section = parser.add_argument_group(
        "settings", f"also in a TOML file (--config) or the environment ({variable('milvus.uri')})"
    )
    section.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML file with settings", default=None
    )
    for key, field in fields().items():
        group = key.partition(".")[0]
        if key in without or ("." in key and not {group, key} & set(groups)):
            continue
        kwargs: dict[str, Any] = {"dest": key, "default": argparse.SUPPRESS}
        if field.annotation is bool:
            kwargs["action"] = argparse.BooleanOptionalAction
        else:
            kwargs["metavar"] = _metavar(key)
        alone = (field.json_schema_extra or {}).get("alone")
        if alone is not None:
            kwargs.update(nargs="?", const=alone)
        if get_origin(field.annotation) is list:
            kwargs["action"] = "append"
        kwargs["help"] = f"{field.description}{_default_text(field)}".replace("%", "%%")
        section.add_argument(option_name(key), **kwargs)


def settings_from(arguments: argparse.Namespace) -> Settings:
    """Load the settings with what the command line gave on top. Raises SettingsError."""
    given = {key: value for key, value in vars(arguments).items() if key in fields()}
    names = {key: option_name(key) for key in given}
    return load_settings(given, config=arguments.config, option_names=names)


@contextlib.contextmanager
def one_line_errors(
    program: str, usage: tuple[type[Exception], ...], failures: tuple[type[Exception], ...]
) -> Iterator[None]:
    """Turn expected errors into one line on stderr and an exit code; never a traceback."""
    try:
        yield
    except usage as error:
        _leave(program, error, WRONG_USAGE)
    except failures as error:
        _leave(program, error, FAILED)
    except KeyboardInterrupt:
        _say(f"{program}: stopped")
        leave_now(FAILED)
    except BrokenPipeError:
        # The reader of a pipe (`… | head`) went away: not an error. Python would complain once
        # more when it closes stdout at exit, so stdout is pointed elsewhere first.
        sys.stdout = None
        sys.exit(DONE)


def leave_now(code: int) -> NoReturn:
    """End the process after Ctrl+C without waiting for its threads.

    Python would wait for a batch that is being encoded, and cannot end a thread that is importing
    a model's modules: torch aborts the process when it is torn down under it. Close the store
    before, so that nothing is lost.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def quiet_libraries() -> None:
    """Keep libraries' own log lines off the terminal: errors reach the user as our one line."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its C library tells of every reconnection
    libraries = "grpc pymilvus milvus_lite httpx httpx2 huggingface_hub PIL python_multipart"
    for name in libraries.split():
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # Pillow warns of oddities in files; a file that matters is named in the report.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _leave(program: str, error: Exception, code: int) -> NoReturn:
    _say(f"{program}: " + " ".join(str(error).split()))
    sys.exit(code)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _default_text(field: Any) -> str:
    if field.default is None or field.annotation is bool or field.default_factory is not None:
        return ""
    return f" (default: {field.default})" if field.default not in ("", []) else ""
