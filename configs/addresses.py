"""Addresses of services in settings: what is in them is shown, so no password may be."""

import re
from urllib.parse import urlsplit


def checked_address(value: str, secret: str) -> str:
    """An address, or a path, as it was given; ``secret`` names the setting for a password.

    Raises ValueError with a reason that does not show the value.
    """
    if "://" not in value:
        # A file's name may hold an @, and does not end in a port.
        if re.match(r"[^/]*@[^/]*:\d+(/|$)", value):
            raise ValueError(f"write http://HOST:PORT, and user and password as {secret}")
        return value
    if "@" in value:
        raise ValueError(f"give user and password as {secret}, not in the address")
    try:
        if urlsplit(value).port == 0:
            raise ValueError
    except ValueError:
        raise ValueError("its port is no number from 1 to 65535, or its host is none") from None
    return value
