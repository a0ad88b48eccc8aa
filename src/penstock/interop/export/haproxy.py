"""haproxy.cfg: a proxy in front that hands the client's address over by forwarded fields, or by the PROXY protocol."""

from penstock.errors import UsageError
from penstock.interop.export.deployment import Deployment, Exported
from penstock.interop.export.nginx import address, behind, forwarded_notes, one_word, patience, speaks_uwsgi


def export(deployment: Deployment) -> Exported:
    """The whole file. HAProxy serves no files, so Penstock does."""
    config = deployment.config
    lines = [
        "defaults",
        *(through(deployment) if config.proxy_protocol else requests(deployment)),
        "",
        f"frontend {deployment.name}",
        f"    bind {listen(deployment)}",
        *([] if config.proxy_protocol else [HTTPS]),
        f"    default_backend {deployment.name}-penstock",
        "",
        f"backend {deployment.name}-penstock",
        *([] if config.proxy_protocol else forwarded()),
        *([f"    option httpchk GET {config.health_path}"] if config.health_path else []),
        *(
            f"    server web{number} {server(one)}{' send-proxy-v2' if config.proxy_protocol else ''}"
            f"{' check' if config.health_path else ''}"
            for number, one in enumerate(behind(deployment), 1)
        ),
    ]
    told = forwarded_notes(deployment, "HAProxy")
    if not behind(deployment):
        told.append("bind: where systemd's sockets are, HAProxy must be told: add a server line")
    if speaks_uwsgi(deployment):
        raise UsageError(
            "HAProxy does not speak the uwsgi protocol, and nothing else is spoken at this address",
            "add an address without uwsgi: to bind",
        )
    if config.proxy_protocol:
        told.append(
            "proxy_protocol: it tells the client's address and not its scheme, so for HTTPS switch it off: HAProxy "
            "sets X-Forwarded-Proto then"
        )
    return Exported({"haproxy.cfg": "\n".join(lines) + "\n"}, told, ["haproxy -c -f haproxy.cfg"])


HTTPS = "    # For HTTPS: bind :443 ssl crt /etc/ssl/… , and http-request redirect scheme https unless { ssl_fc }"


def requests(deployment: Deployment) -> list[str]:
    """HAProxy reads each request."""
    config = deployment.config
    return [
        "    mode http",
        "    timeout connect 5s",
        f"    timeout client {int(config.body_timeout) + 5}s",
        f"    timeout server {patience(deployment)}s",
        f"    timeout http-request {int(config.head_timeout) + 5}s",
        "    timeout http-keep-alive 60s",
    ]


def through(deployment: Deployment) -> list[str]:
    """HAProxy passes bytes through: whatever a client writes reaches Penstock to the letter."""
    config = deployment.config
    longest = max(patience(deployment), int(config.keep_alive_timeout) + 5, int(config.write_timeout) + 5)
    return [
        "    mode tcp",
        "    timeout connect 5s",
        f"    timeout client {longest}s",
        f"    timeout server {longest}s",
    ]


def listen(deployment: Deployment) -> str:
    """An address of the form host:port."""
    place = deployment.wishes.listen or "80"
    return place if ":" in place else f":{place}"


def forwarded() -> list[str]:
    """Each field that Penstock believes is set or deleted here."""
    return [
        "    http-request set-header X-Forwarded-For %[src]",
        "    http-request set-header X-Forwarded-Proto https if { ssl_fc }",
        "    http-request set-header X-Forwarded-Proto http unless { ssl_fc }",
        "    http-request del-header X-Forwarded-Host",
        "    http-request del-header Forwarded",
    ]


def server(bind: str) -> str:
    """Where Penstock listens."""
    return one_word(bind.replace("unix:", "unix@", 1) if bind.startswith("unix:") else address(bind))
