"""The settings as environment variables, for a program of ours that another one starts.

So a password is on no command line, which everybody on the machine can read.
"""

import os

from pydantic import BaseModel, SecretStr

from configs.settings import ENV_PREFIX, Settings, variable


def environment_of(settings: Settings, *groups: str) -> dict[str, str]:
    """This process's environment, with what was set in ``groups`` and at the top, from whatever
    source it came, in place of all variables of ours.

    What was left at its default stays so there.
    """
    kept = {name: v for name, v in os.environ.items() if not name.upper().startswith(ENV_PREFIX)}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if not isinstance(value, BaseModel):
            kept[variable(name)] = _text(value)
        elif name in groups:
            for leaf in value.model_fields_set:
                if getattr(value, leaf) is not None:
                    kept[variable(f"{name}.{leaf}")] = _text(getattr(value, leaf))
    return kept


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
