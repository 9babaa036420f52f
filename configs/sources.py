"""Fill the settings: options over environment over a TOML file over defaults."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from configs.settings import ENV_PREFIX, Settings, fields, variable

CONFIG_VARIABLE = f"{ENV_PREFIX}CONFIG"
# Characters of a value in an error's line.
MOST_SHOWN = 200


class SettingsError(Exception):
    """A setting is unknown or has a bad value; the message names it and where it was given."""


def load_settings(
    options: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    option_names: Mapping[str, str] | None = None,
) -> Settings:
    """Merge all sources into one frozen object.

    ``options`` holds what the command line gave, by dotted key (``{"milvus.uri": …}``);
    ``option_names`` tells how each key is written there, for messages. ``config`` is a TOML
    file; without it the variable ``IMAGE_SEARCH_CONFIG`` may name one.

    Raises SettingsError, with one line that names the setting and its source.
    """
    options = options or {}
    if config is None and os.environ.get(CONFIG_VARIABLE):
        config = Path(os.environ[CONFIG_VARIABLE])
    from_file = _read_toml(config) if config else {}
    _refuse_unknown_variables()

    class WithFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, from_file)

    try:
        return WithFile(**_nested(options))
    except ValidationError as error:
        first = error.errors()[0]
        # Without the place within a list, which has no source of its own.
        key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
        source = _source(key, options, option_names or {}, config)
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            raise SettingsError(f"{source}: there is no such setting") from None
        shown = f" (got {_short(repr(first['input']))})"
        if _is_secret(key) or "@" in shown:  # an address may hold a password
            shown = ""
        raise SettingsError(f"{source}: {message[0].lower()}{_short(message[1:])}{shown}") from None
    except Exception as error:  # pydantic-settings wraps a bad JSON value in its own error
        raise SettingsError(f"the environment ({ENV_PREFIX}…): {error}") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"settings file {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise SettingsError(f"settings file {path} is nested too deep") from error


def _short(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"


def _refuse_unknown_variables() -> None:
    """pydantic-settings passes over variables that name no field; a typo should be told."""
    known = {variable(key) for key in fields()} | {CONFIG_VARIABLE}
    for name in sorted(os.environ):
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in known:
            raise SettingsError(f"environment variable {name}: there is no such setting")


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *groups, leaf = key.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[leaf] = value
    return tree


def _source(
    key: str, options: Mapping[str, Any], option_names: Mapping[str, str], config: Path | None
) -> str:
    if key in options:
        return option_names.get(key, key)
    if variable(key) in (name.upper() for name in os.environ):
        return f"environment variable {variable(key)}"
    return f"{key} in {config}"


def _is_secret(key: str) -> bool:
    field = fields().get(key)
    return field is not None and "SecretStr" in str(field.annotation)
