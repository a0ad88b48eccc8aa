"""Who is believed about the scheme and the client's address. Knows the configuration, not the proxies."""

from collections.abc import Iterator

from penstock.check.findings import Finding, finding
from penstock.check.project import Project
from penstock.check.security import is_local
from penstock.check.source import place_of

# The fields that Penstock drops when a stranger sends them.
GOVERNED = ("HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED")
# After which nginx, and the load balancers of the large clouds, let an idle connection go.
PROXY_KEEP_ALIVE = 60.0


def check(project: Project) -> Iterator[Finding]:
    """forwarded_allow, bind and Django's SECURE_ settings against each other."""
    config = project.config
    if "*" in config.forwarded_allow and is_public(config.bind):
        yield finding("E301", f"forwarded_allow is *, and {', '.join(config.bind)} can be reached by clients")
    gateways = [one.removeprefix("uwsgi:") for one in config.bind if one.startswith("uwsgi:")]
    if "*" in config.uwsgi_allow and is_public(gateways):
        yield finding("E301", f"uwsgi_allow is *, and {', '.join(gateways)} can be reached by clients")
    if 0 < config.keep_alive_timeout <= PROXY_KEEP_ALIVE and config.origin("keep_alive_timeout") != "default":
        yield finding("W305", object=config.origin("keep_alive_timeout"))
    if project.settings:
        yield from secure_header(project)
        yield from redirects(project)


def secure_header(project: Project) -> Iterator[Finding]:
    """SECURE_PROXY_SSL_HEADER: not needed at best."""
    header = project.settings.SECURE_PROXY_SSL_HEADER
    place = place_of(project.module, "SECURE_PROXY_SSL_HEADER")
    # What is no pair of texts, Django itself refuses with the first request.
    if header and header[0] in GOVERNED:
        yield finding("I306", object=place)
    elif header and is_public(project.config.bind):
        yield finding("E302", f"SECURE_PROXY_SSL_HEADER trusts {header[0]}, which every client can send", object=place)


def redirects(project: Project) -> Iterator[Finding]:
    """SECURE_SSL_REDIRECT, which needs somebody who says that a request came by https."""
    config = project.config
    if not project.settings.SECURE_SSL_REDIRECT:
        return
    place = place_of(project.module, "SECURE_SSL_REDIRECT")
    if not config.forwarded_allow:
        yield finding("E303", object=place)
    elif is_public(config.bind) and all(peer == "unix" or is_local(peer) for peer in config.forwarded_allow):
        yield finding("W304", object=place)


def is_public(addresses: list[str]) -> bool:
    """Whether others than programs on this machine can connect."""
    return any(
        not address.startswith(("unix:", "fd://", "uwsgi:")) and not is_local(address.rpartition(":")[0].strip("[]"))
        for address in addresses
    )
