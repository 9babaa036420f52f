"""Where the server is, said on the terminal, and who else can come."""

import contextlib
import io
import socket
import sys

import segno

ALL_ADDRESSES = "0.0.0.0"
QR_BORDER = 2  # modules of quiet zone: phones read it, and it takes less of the terminal


def say(line: str) -> None:
    """One line for the person at the terminal."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def shown_address(listener: socket.socket) -> str:
    """``http://HOST:PORT`` as this machine can open it."""
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host == ALL_ADDRESSES else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def is_local(listener: socket.socket) -> bool:
    """Whether only this machine reaches it."""
    host = str(listener.getsockname()[0])
    return host.startswith("127.") or host == "::1"


def lan_address() -> str:
    """This machine's address on the local network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation, RFC 5737
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def say_qr(address: str) -> None:
    """An address as a QR code, where there is a terminal that can show one."""
    if sys.stderr.isatty():
        with contextlib.suppress(UnicodeEncodeError):  # an old terminal without block characters
            say(qr_code(address))


def qr_code(address: str) -> str:
    """Two rows of modules a line, in half blocks; light on dark, as terminals mostly are."""
    drawn = io.StringIO()
    segno.make(address, error="l", micro=False).terminal(drawn, border=QR_BORDER, compact=True)
    return drawn.getvalue().rstrip("\n")
