"""Where a host is, told within a time, and whether an address is on the public internet."""

import ipaddress
import socket
import threading
from concurrent.futures import Future


def look_up(host: str, port: int, seconds: float) -> list[str]:
    """A host's IP addresses. Raises OSError, TimeoutError among them, and ValueError for no name.

    The system's look-up knows no limit, and may ask servers that say nothing for minutes; the
    thread that waits for it is left alone then.
    """
    answer: Future[list[str]] = Future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.set_result(list(dict.fromkeys(str(address[0]) for *_, address in found)))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name="name-lookup", daemon=True).start()
    return answer.result(seconds)


def is_public(address: str) -> bool:
    """Whether an IP address leads neither to this machine nor into a network of its owner's."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # Some ranges of IPv6 lead to an IPv4 address.
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        # Beyond, there are older ways to write local and IPv4 addresses.
        if ip not in _UNICAST or ip in _DOCUMENTATION:
            return False
    return ip.is_global and not ip.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")
