"""haproxy.cfg: a proxy in front that hands the client's address over by forwarded fields, or by the PROXY protocol."""

from penstock.interop.export.deployment import Deployment, Exported
from penstock.interop.export.nginx import address, forwarded_notes, patience


def export(deployment: Deployment) -> Exported:
    """The whole file. HAProxy serves no files, so Penstock does."""
    config = deployment.config
    lines = [
        "defaults",
        "    mode http",
        "    timeout connect 5s",
        f"    timeout client {int(config.body_timeout) + 5}s",
        f"    timeout server {patience(deployment)}s",
        f"    timeout http-request {int(config.head_timeout) + 5}s",
        "    timeout http-keep-alive 60s",
        "",
        f"frontend {deployment.name}",
        f"    bind {listen(deployment)}",
        "    # For HTTPS: bind :443 ssl crt /etc/ssl/… , and http-request redirect scheme https unless { ssl_fc }",
        f"    default_backend {deployment.name}-penstock",
        "",
        f"backend {deployment.name}-penstock",
        *forwarded(),
        *([f"    option httpchk GET {config.health_path}"] if config.health_path else []),
        *(
            f"    server web{number} {server(one)}{' send-proxy-v2' if config.proxy_protocol else ''}"
            f"{' check' if config.health_path else ''}"
            for number, one in enumerate(config.bind, 1)
            if not one.startswith("fd://")
        ),
    ]
    told = forwarded_notes(deployment, "HAProxy")
    if any(one.startswith("fd://") for one in config.bind):
        told.append("bind: where systemd's sockets are, HAProxy must be told: add a server line")
    return Exported({"haproxy.cfg": "\n".join(lines) + "\n"}, told, ["haproxy -c -f haproxy.cfg"])


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
    return bind.replace("unix:", "unix@", 1) if bind.startswith("unix:") else address(bind)
