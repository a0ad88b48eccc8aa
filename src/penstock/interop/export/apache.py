"""An Apache site as a proxy in front of Penstock, by mod_proxy_http or mod_proxy_uwsgi: over TCP or a unix socket."""

from collections.abc import Iterator

from penstock.interop.export.deployment import Deployment, Exported
from penstock.interop.export.mod_wsgi import alias, dotfiles, server_names
from penstock.interop.export.nginx import IDLE_SHARE, address, behind, forwarded_notes, patience, speaks_uwsgi


def export(deployment: Deployment) -> Exported:
    """The site. Apache passes the request to the first address of the configuration."""
    name = deployment.name
    listen = deployment.wishes.listen or "80"
    host = listen if ":" in listen else f"*:{listen}"
    body = "\n".join(f"    {line}" if line else "" for line in virtual_host(deployment))
    module = "proxy_uwsgi" if speaks_uwsgi(deployment) else "proxy_http"
    told = forwarded_notes(deployment, "Apache")
    if not behind(deployment):
        told.append("bind: where systemd's socket is, Apache must be told: write its address into ProxyPass")
    return Exported(
        {f"{name}.conf": f"<VirtualHost {host}>\n{body}\n</VirtualHost>\n"},
        told,
        [
            f"put {name}.conf into /etc/apache2/sites-available",
            f"a2enmod {module} headers && a2ensite {name} && apache2ctl -t && systemctl reload apache2",
        ],
    )


def target(deployment: Deployment) -> str:
    """Where Penstock listens, and what it speaks there."""
    scheme = "uwsgi" if speaks_uwsgi(deployment) else "http"
    place = address((behind(deployment) or deployment.config.bind)[0])
    return f"{place}|{scheme}://{deployment.name}/" if place.startswith("unix:") else f"{scheme}://{place}/"


def virtual_host(deployment: Deployment) -> Iterator[str]:
    """Its lines. Each field that Penstock believes is set or cleared; mod_proxy adds X-Forwarded-For itself."""
    config = deployment.config
    yield from server_names(deployment)
    yield f"LimitRequestBody {max(1, config.max_body)}"  # 0 is no limit there
    for folder in deployment.public_folders:
        yield from alias(folder)
    yield from dotfiles(deployment.public_folders)
    yield ""
    # So that a target arrives as the client wrote it: with encoded and doubled slashes.
    yield f"AllowEncodedSlashes {'On' if speaks_uwsgi(deployment) else 'NoDecode'}"
    yield "MergeSlashes Off"
    yield "ProxyPreserveHost On"
    yield "RequestHeader set X-Forwarded-Proto expr=%{REQUEST_SCHEME}"
    yield "RequestHeader unset X-Forwarded-Host early"
    yield "RequestHeader unset Forwarded"
    yield "ProxyAddHeaders Off"
    yield "RequestHeader set X-Forwarded-For expr=%{REMOTE_ADDR}"
    for folder in deployment.public_folders:
        yield f'ProxyPass "{folder.url}" !'
    if speaks_uwsgi(deployment):
        yield f'ProxyPass "/" "{target(deployment)}" timeout={patience(deployment)}'
        return
    # Apache would otherwise reuse a connection that Penstock is about to close.
    ttl = max(1, int(config.keep_alive_timeout * IDLE_SHARE))
    yield f'ProxyPass "/" "{target(deployment)}" ttl={ttl} timeout={patience(deployment)} nocanon'
