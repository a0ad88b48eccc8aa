"""An .ini file of uWSGI: the application and the public files, over HTTP or, behind a proxy, the uwsgi protocol."""

import math
import sys

from penstock.interop.export.deployment import Deployment, Exported, unsaid

# Its largest; it has room for a whole head in one piece.
LARGEST_BUFFER = 65535
# The settings that it carries over, or has a note for.
SAID = """
bind backlog workers threads timeout graceful_timeout max_requests max_requests_jitter max_lifetime max_memory
max_memory_hard max_head max_body body_memory access_log access_log_format error_log pid_file user group umask
preload python_path static static_max_age django_static mounts forwarded_allow
"""


def export(deployment: Deployment) -> Exported:
    """The file. `uwsgi --ini` with it is the whole command."""
    config = deployment.config
    _, high = deployment.workers
    socket = "socket" if deployment.wishes.protocol == "uwsgi" else "http-socket"
    pairs: list[tuple[str, object]] = [
        ("strict", "true"),
        ("master", "true"),
        ("need-app", "true"),
        ("die-on-term", "true"),
        ("vacuum", "true"),
        ("single-interpreter", "true"),
        ("enable-threads", "true"),
        ("chdir", deployment.directory),
        ("virtualenv", sys.prefix if sys.prefix != sys.base_prefix else ""),
        *(("pythonpath", path) for path in dict.fromkeys(deployment.modules) if path),
        *(("env", f"{name}={value.replace('%', '%%')}") for name, value in deployment.variables.items()),
        *applications(deployment),
        *((socket, one.removeprefix("unix:")) for one in config.bind),
        ("listen", config.backlog),
        ("processes", "%k" if config.workers == "auto" else high),
        ("threads", deployment.threads),
        ("buffer-size", min(config.max_head, LARGEST_BUFFER)),
        ("limit-post", config.max_body),
        ("post-buffering", max(1, config.body_memory)),
        ("worker-reload-mercy", math.ceil(config.graceful_timeout)),
        ("harakiri", math.ceil(config.timeout)),
        ("max-requests", config.max_requests),
        ("max-requests-delta", config.max_requests_jitter),
        ("max-worker-lifetime", math.ceil(config.max_lifetime)),
        ("reload-on-rss", megabytes(config.max_memory)),
        ("evil-reload-on-rss", megabytes(config.max_memory_hard)),
        ("lazy-apps", "true" if config.preload == "never" else ""),
        ("uid", config.user),
        ("gid", config.group),
        ("umask", config.umask),
        ("pidfile", config.pid_file),
        ("logto", config.error_log.removeprefix("-")),
        *([] if config.access_log else [("disable-logging", "true")]),
        *([("honour-range", "true")] if deployment.folders else []),
        # It forgets a map whose directory is not there yet.
        *(("exec-asap", f"mkdir -p '{folder.root}'") for folder in deployment.folders),
        *(("static-map", f"{folder.url.rstrip('/')}={folder.root}") for folder in deployment.folders),
    ]
    name = f"{deployment.name}.uwsgi.ini"
    lines = [f"# uwsgi --ini {name}", "[uwsgi]", *(f"{key} = {value}" for key, value in pairs if value not in ("", 0))]
    return Exported(
        {name: "\n".join(lines) + "\n"},
        [*notes(deployment), *unsaid(deployment, SAID.split(), "uWSGI")],
        [f"uwsgi --ini {name}"],
    )


def applications(deployment: Deployment) -> list[tuple[str, object]]:
    """The application, and those below a URL of their own."""
    if not deployment.config.mounts:
        return [("module", deployment.target)]
    mounts = {"/": deployment.target, **deployment.config.mounts}
    return [
        ("manage-script-name", "true"),
        *(
            ("mount", f"{url}={target if ':' in target else f'{target}:application'}")
            for url, target in mounts.items()
        ),
    ]


def megabytes(size: int) -> int:
    """Its unit, and never less than what was meant."""
    return math.ceil(size / 2**20)


def notes(deployment: Deployment) -> list[str]:
    """What means something else there."""
    config = deployment.config
    told = []
    if deployment.folders:
        told.append("static_max_age: uWSGI sends files without Cache-Control, those with a hash in their name too")
    if deployment.wishes.protocol == "http":
        told.append("uWSGI has no CONTENT_LENGTH for bodies in chunks, so Django reads none: keep a proxy in front")
        told.append(
            "keep_alive_timeout: uWSGI's http-socket closes after each response; behind nginx use --protocol uwsgi"
        )
    if config.timeout:
        told.append("timeout: uWSGI's harakiri kills the whole worker, and with it the requests of its other threads")
    if config.backlog > 128:
        told.append(f"backlog: uWSGI does not start where net.core.somaxconn is below {config.backlog}")
    if ".." in str(config.workers):
        told.append(f"workers: the most of {config.workers} is taken; uWSGI's cheaper settings can follow the load")
    if config.max_head > LARGEST_BUFFER:
        told.append(f"max_head: uWSGI reads heads of {LARGEST_BUFFER} bytes at most")
    if config.forwarded_allow and deployment.wishes.protocol == "http":
        told.append(
            "forwarded_allow: uWSGI believes no forwarded field, so behind one Django needs SECURE_PROXY_SSL_HEADER"
        )
    told += [
        f"{folder.url} is not served: its files are guarded, and uWSGI would show them to all"
        for folder in deployment.guarded
    ]
    if deployment.secrets:
        told.append(f"secrets are not written: set {', '.join(deployment.secrets)} where uWSGI is started")
    if any(one.startswith("fd://") for one in config.bind):
        told.append("bind: uWSGI takes sockets from systemd when it is given none; remove the line with fd://")
    return told
