"""``image-search password`` and ``models``: what needs neither a store nor a model."""

import json
import sys
from dataclasses import asdict

from configs.commandline import DONE, FAILED
from webapp.commands.parts import PROGRAM


def password(user: str) -> int:
    """A user's line for --auth-file."""
    from getpass import getpass

    from webapp.accounts import account_line

    if sys.stdin.isatty():
        try:
            password, again = getpass(f"password for {user}: "), getpass("the same again: ")
        except EOFError:
            password = again = ""
        if again != password:
            print(f"{PROGRAM}: the two passwords are not the same", file=sys.stderr)
            return FAILED
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        print(f"{PROGRAM}: an empty password guards nothing", file=sys.stderr)
        return FAILED
    print(account_line(user, password))
    return DONE


def models(as_json: bool) -> int:
    """The models that are known by name."""
    from embeddings.models import KNOWN_MODELS

    if as_json:
        print(json.dumps([asdict(model) for model in KNOWN_MODELS]))
        return DONE
    print(f"{'model':<16} {'dimensions':>10} {'pixels':>7} {'parameters':>11} {'download':>9}")
    for model in KNOWN_MODELS:
        size = f"{model.download} MB" if model.download else "shipped"
        print(
            f"{model.name:<16} {model.dim:>10} {model.image_size:>7} "
            f"{f'{model.parameters} M':>11} {size:>9}"
        )
    print("Any other open_clip model works too: --model NAME --pretrained TAG-OR-FILE")
    return DONE
