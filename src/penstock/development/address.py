"""The address of a development server: read as Django's runserver reads it, and listened on. Knows nothing of HTTP."""

import contextlib
import re
import socket
from typing import NamedTuple

from penstock.errors import CannotBind, UsageError
from penstock.sockets import Listener, refusal

FORM = re.compile(
    r"(?:(?P<host>(?P<v4>\d{1,3}(?:\.\d{1,3}){3})|\[(?P<v6>[a-fA-F0-9:]+)\]|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*):)?"
    r"(?P<port>\d+)"
)
BACKLOG = 128  # a browser opens six connections, and a page may ask for many files


class Address(NamedTuple):
    """Where to listen; `has_ipv6` chooses the family of a name."""

    host: str
    port: int
    has_ipv6: bool


def parse(text: str, has_ipv6: bool) -> Address:
    """Django's forms: nothing, PORT, HOST:PORT, [V6]:PORT. Raises UsageError."""
    match = FORM.fullmatch(text or "8000")
    if not match or int(match["port"]) > 65535:
        raise UsageError(
            f"{text!r} is not a port number or an address with a port",
            "write it as 8000, 0.0.0.0:8000, [::1]:8000 or name:8000",
        )
    if match["v4"] and has_ipv6:
        raise UsageError(f"{match['v4']!r} is not an IPv6 address", "leave out -6, or write it as in [::1]:8000")
    has_ipv6 = has_ipv6 or bool(match["v6"])
    host = match["v6"] or match["host"] or ("::1" if has_ipv6 else "127.0.0.1")
    return Address(host, int(match["port"]), has_ipv6)


def listen(address: Address, command: str = "runserver") -> Listener:
    """A listening socket. CannotBind says who holds the address; `command` is what the hint tells to write."""
    family = socket.AF_INET6 if address.has_ipv6 else socket.AF_INET
    shown = f"[{address.host}]" if ":" in address.host else address.host
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.has_ipv6:
            # As Django's own: [::] is every IPv4 address too.
            with contextlib.suppress(OSError):
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except socket.gaierror as error:
        listener.close()
        raise CannotBind(f"cannot listen on {shown}: the name is not known ({error.strerror})") from error
    except OSError as error:
        listener.close()
        refused = refusal(error, f"{shown}:{address.port}", address.port)
        if "--bind" in refused.hint:
            refused.hint = f"stop that process, or choose another port: {command} {address.port + 1}"
        raise refused from error
    return Listener(listener, "tcp", address.host, str(listener.getsockname()[1]), "")
