"""Who may come in by where they come from: networks, and functions that look at the request. Asks for no password.

An address that is not known (a client of a unix socket whose proxy says nothing) is `unix`, and in no network.
"""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from penstock.gateway.scripts import load_function

Environ = Mapping[str, Any]
Address = IPv4Address | IPv6Address

# Verdicts that are remembered: as many clients as a busy site has in a minute, for half a megabyte.
MOST_REMEMBERED = 4096

MAPPED = IPv6Network("::ffff:0:0/96")


def address_of(text: str) -> Address | None:
    """The address of a client; an IPv4 one also when it comes by way of an IPv6 socket."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class Peers:
    """A list of `allow` or `deny`."""

    def __init__(self, items: Sequence[str], origin: str) -> None:
        """`origin` is who named them. AppNotFound or AppFailed when one of the functions cannot be had."""
        self.has_unix = "unix" in items
        self.networks = []
        self.functions: list[Callable[[Environ, str], object]] = []
        self.remembered: dict[str, bool] = {}
        for item in items:
            try:
                network = ip_network(item)
            except ValueError:
                if item != "unix":
                    self.functions.append(load_function(item, "allow_access", origin))
                continue
            if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
                network = ip_network(f"{address_of(str(network.network_address))}/{network.prefixlen - 96}")
            self.networks.append(network)

    def include(self, environ: Environ) -> bool:
        """Whether the client of a request is among them; a function says so with a true value."""
        text = environ.get("REMOTE_ADDR", "")
        known = self.remembered.get(text)
        if known is None:
            known = self.look(text)
            if len(self.remembered) >= MOST_REMEMBERED:
                self.remembered.clear()
            self.remembered[text] = known
        return known or any(function(environ, text) for function in self.functions)

    def look(self, text: str) -> bool:
        """Whether an address is in one of the networks."""
        address = address_of(text)
        return self.has_unix if address is None else any(address in network for network in self.networks)


class Access:
    """Both lists: `deny` wins, and where there is an `allow` nobody else comes in."""

    def __init__(self, allow: Sequence[str], deny: Sequence[str], origin: str) -> None:
        self.allow = Peers(allow, origin) if allow else None
        self.deny = Peers(deny, origin) if deny else None

    def admits(self, environ: Environ) -> bool:
        """Whether the client of a request may come in."""
        if self.deny and self.deny.include(environ):
            return False
        return not self.allow or self.allow.include(environ)
