"""A site of nginx in front: with HTTP or the uwsgi protocol to Penstock, or with the latter to uWSGI.

Nothing of a client's own forwarded fields gets through, and no file that only some may see is served by nginx.
"""

from collections.abc import Iterator

from penstock.interop.export.deployment import HASHED, Deployment, Exported, Folder, is_uwsgi

# Below Penstock's own, so that nginx closes an idle connection first.
IDLE_SHARE = 0.8

# Not those of uwsgi_params: Debian's hand over a Host without the port, by which Django tells its own forms.
UWSGI_PARAMETERS = {
    "REQUEST_METHOD": "$request_method",
    "REQUEST_URI": "$request_uri",
    "REQUEST_SCHEME": "$scheme",
    "PATH_INFO": "$document_uri",
    "QUERY_STRING": "$query_string",
    "CONTENT_TYPE": "$content_type",
    "CONTENT_LENGTH": "$content_length",
    "SERVER_PROTOCOL": "$server_protocol",
    "SERVER_NAME": "$server_name",
    "SERVER_PORT": "$server_port",
    "REMOTE_ADDR": "$remote_addr",
    "REMOTE_PORT": "$remote_port",
    "HTTPS": "$https if_not_empty",
    "HTTP_X_FORWARDED_FOR": "$proxy_add_x_forwarded_for",
    "HTTP_X_FORWARDED_PROTO": "$scheme",
    "HTTP_X_FORWARDED_HOST": '"" if_not_empty',
    "HTTP_FORWARDED": '"" if_not_empty',
}


def export(deployment: Deployment) -> Exported:
    """The file, for sites-enabled or conf.d."""
    name = f"{deployment.name}.nginx.conf"
    body = "\n".join(f"    {line}" if line else "" for line in server(deployment))
    text = f"{upstream(deployment)}\nserver {{\n{body}\n}}\n"
    return Exported({name: text}, notes(deployment), ["nginx -t", "systemctl reload nginx"])


def upstream(deployment: Deployment) -> str:
    """Where the site itself listens."""
    config = deployment.config
    servers = "".join(f"    server {one_word(address(one))};\n" for one in behind(deployment))
    keep_alive = ""
    if not speaks_uwsgi(deployment) and config.keep_alive_timeout:
        keep_alive = (
            f"    keepalive 16;\n    keepalive_timeout {max(1, int(config.keep_alive_timeout * IDLE_SHARE))}s;\n"
        )
    return f"upstream {deployment.name} {{\n{servers}{keep_alive}}}\n"


def speaks_uwsgi(deployment: Deployment) -> bool:
    """Whether requests are passed on by the uwsgi protocol: to uWSGI, or where nothing else is spoken."""
    return deployment.wishes.protocol == "uwsgi" or all(map(is_uwsgi, deployment.config.bind))


def behind(deployment: Deployment) -> list[str]:
    """The addresses that requests are passed to; those of systemd's sockets are not known."""
    others = () if speaks_uwsgi(deployment) else ("uwsgi:",)
    binds = [one for one in deployment.config.bind if not one.startswith(others)]
    return [one for one in binds if not address(one).startswith("fd://")]


def address(bind: str) -> str:
    """Where a server on the same machine finds what listens there."""
    bind = bind.removeprefix("uwsgi:")
    return bind.replace("0.0.0.0:", "127.0.0.1:", 1).replace("[::]:", "[::1]:", 1)


def one_word(place: str) -> str:
    """An address as nginx, and HAProxy, read it: a path may have spaces in it."""
    return f'"{place}"' if " " in place else place


def server(deployment: Deployment) -> Iterator[str]:
    """The lines of the server block."""
    config = deployment.config
    yield f"listen {deployment.wishes.listen or '80'};"
    if not deployment.wishes.listen:
        yield "# For HTTPS, and a server for port 80 that redirects here:"
        yield "# listen 443 ssl;"
        yield f"# ssl_certificate     /etc/ssl/{deployment.name}.pem;"
        yield f"# ssl_certificate_key /etc/ssl/{deployment.name}.key;"
    names = deployment.hosts
    yield f"server_name {' '.join(names)};" if names else "server_name _;  # no public host is named"
    yield ""
    yield f"client_max_body_size {max(1, config.max_body)};"  # 0 is no limit there
    if speaks_uwsgi(deployment):
        # PATH_INFO is nginx's own reading of the target, and keeps the slashes that way.
        yield "merge_slashes off;"
    if deployment.wishes.files == "proxy":
        for folder in deployment.folders:
            yield from location(folder)
        for folder in deployment.protected:
            yield from protected(folder)
    yield ""
    yield "location / {"
    for line in uwsgi(deployment) if speaks_uwsgi(deployment) else http(deployment):
        yield f"    {line}"
    yield "}"


def location(folder: Folder) -> Iterator[str]:
    """Files that everybody may see."""
    yield ""
    yield f"location {folder.url} {{"
    yield f'    alias "{folder.root}/";'
    yield f"    expires {folder.max_age}s;"
    yield "    location ~ /\\. { return 404; }"
    if folder.has_hashes:
        yield f'    location ~ "^{folder.url}(?<file>.*{HASHED}.*)$" {{'
        yield f'        alias "{folder.root}/$file";'
        yield '        add_header Cache-Control "public, max-age=31536000, immutable";'
        yield "    }"
    yield "}"


def protected(folder: Folder) -> Iterator[str]:
    """Files that only the application sends, with X-Accel-Redirect."""
    yield ""
    yield f"location {folder.url} {{"
    yield "    internal;"
    yield f'    alias "{folder.root}/";'
    yield "}"


def http(deployment: Deployment) -> Iterator[str]:
    """To Penstock. Each field that it believes is set or cleared here."""
    yield f"proxy_pass http://{deployment.name};"
    yield "proxy_http_version 1.1;"
    yield 'proxy_set_header Connection "";'
    yield "proxy_set_header Host $http_host;"
    yield "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    yield "proxy_set_header X-Forwarded-Proto $scheme;"
    yield 'proxy_set_header X-Forwarded-Host "";'
    yield 'proxy_set_header Forwarded "";'
    yield f"proxy_read_timeout {patience(deployment)}s;"


def uwsgi(deployment: Deployment) -> Iterator[str]:
    """By the uwsgi protocol. Fields of the client come along, so each that may be believed is set here."""
    yield f"uwsgi_pass {deployment.name};"
    for name, value in UWSGI_PARAMETERS.items():
        yield f"uwsgi_param {name} {value};"
    yield f"uwsgi_read_timeout {patience(deployment)}s;"


def patience(deployment: Deployment) -> int:
    """Longer than the site's own deadline, so that its 504 is heard. A day, where it has none."""
    config = deployment.config
    return int(config.timeout + config.queue_timeout + config.timeout_grace) + 5 if config.timeout else 86400


def notes(deployment: Deployment) -> list[str]:
    """What must fit on the other side."""
    config, wishes = deployment.config, deployment.wishes
    told = forwarded_notes(deployment, "nginx")
    if config.proxy_protocol and not speaks_uwsgi(deployment):
        told.append(
            "proxy_protocol: nginx speaks no PROXY protocol to HTTP servers, so switch it off, or take haproxy"
        )
    if wishes.files == "proxy":
        told += [
            f"{folder.url} is left to what is behind: only some may see its files" for folder in deployment.guarded
        ]
    if any(address(one).startswith("fd://") for one in config.bind):
        told.append("bind: where systemd's sockets are, nginx must be told: write an address into upstream")
    return told


def forwarded_notes(deployment: Deployment, who: str) -> list[str]:
    """What to do when a server in front, on this machine, would not be believed."""
    if deployment.wishes.protocol == "uwsgi":
        return []
    setting = "uwsgi_allow" if speaks_uwsgi(deployment) else "forwarded_allow"
    trusted = set(deployment.config.values[setting].value)
    kinds = {
        "unix" if one.startswith("unix:") else one.rpartition(":")[0].strip("[]")
        for one in map(address, behind(deployment))
    }
    missing = sorted(kind for kind in kinds if not trusted & {kind, "*", f"{kind}/32", f"{kind}/128"} and kind != "fd")
    lost = "nobody answers it" if setting == "uwsgi_allow" else "its fields are dropped"
    return [f"{setting} does not name {one}: where {who} comes from there, {lost}; add its address" for one in missing]
