"""An Apache site as a proxy in front of Penstock, by mod_proxy_http: over TCP or a unix socket."""

from collections.abc import Iterator

from penstock.interop.export.deployment import Deployment, Exported
from penstock.interop.export.mod_wsgi import alias, dotfiles, server_names
from penstock.interop.export.nginx import IDLE_SHARE, address, forwarded_notes, patience


def export(deployment: Deployment) -> Exported:
    """The site. Apache passes the request to the first address of the configuration."""
    name = deployment.name
    listen = deployment.wishes.listen or "80"
    host = listen if ":" in listen else f"*:{listen}"
    body = "\n".join(f"    {line}" if line else "" for line in virtual_host(deployment))
    told = forwarded_notes(deployment, "Apache")
    if place(deployment).startswith("fd:"):
        told.append("bind: where systemd's socket is, Apache must be told: write its address into ProxyPass")
    return Exported(
        {f"{name}.conf": f"<VirtualHost {host}>\n{body}\n</VirtualHost>\n"},
        told,
        [
            f"put {name}.conf into /etc/apache2/sites-available",
            f"a2enmod proxy_http headers && a2ensite {name} && apache2ctl -t && systemctl reload apache2",
        ],
    )


def place(deployment: Deployment) -> str:
    """Where Penstock listens."""
    return address(deployment.config.bind[0])


def virtual_host(deployment: Deployment) -> Iterator[str]:
    """Its lines. Each field that Penstock believes is set or cleared; mod_proxy adds X-Forwarded-For itself."""
    config = deployment.config
    yield from server_names(deployment)
    yield f"LimitRequestBody {config.max_body}"
    for folder in deployment.public_folders:
        yield from alias(folder)
    yield from dotfiles(deployment.public_folders)
    yield ""
    # So that a target arrives as the client wrote it: with encoded and doubled slashes.
    yield "AllowEncodedSlashes NoDecode"
    yield "MergeSlashes Off"
    yield "ProxyPreserveHost On"
    yield "RequestHeader set X-Forwarded-Proto expr=%{REQUEST_SCHEME}"
    yield "RequestHeader unset X-Forwarded-Host early"
    yield "RequestHeader unset Forwarded"
    yield "ProxyAddHeaders Off"
    yield "RequestHeader set X-Forwarded-For expr=%{REMOTE_ADDR}"
    for folder in deployment.public_folders:
        yield f'ProxyPass "{folder.url}" !'
    bind = place(deployment)
    target = f"{bind}|http://{deployment.name}/" if bind.startswith("unix:") else f"http://{bind}/"
    # Apache would otherwise reuse a connection that Penstock is about to close.
    ttl = max(1, int(config.keep_alive_timeout * IDLE_SHARE))
    yield f'ProxyPass "/" "{target}" ttl={ttl} timeout={patience(deployment)} nocanon'
