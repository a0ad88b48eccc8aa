"""An .ini file of uWSGI: the application and the public files, over HTTP or, behind a proxy, the uwsgi protocol."""

import math
import re
import sys
from collections.abc import Iterator

from penstock.app import is_script
from penstock.interop.export.deployment import Deployment, Exported, is_chosen, is_uwsgi, rounded, site_notes, unsaid

# Its largest; it has room for a whole head in one piece.
LARGEST_BUFFER = 65535
# The settings that it carries over, or has a note for.
SAID = """
bind backlog workers threads timeout graceful_timeout max_requests max_requests_jitter max_lifetime max_memory
max_memory_hard max_head max_body body_memory access_log access_log_format error_log pid_file user group umask
preload python_path static static_max_age mounts forwarded_allow venv limit_memory limit_files
"""
# What it counts in whole seconds, and in megabytes.
SECONDS = ("timeout", "graceful_timeout", "max_lifetime")
MEGABYTES = ("max_memory", "max_memory_hard", "limit_memory")
# What it takes for the name of a variable, or of a file, and lets nobody write otherwise.
FILLED_IN = r"[$@]\("
# Requests as other servers write them; combined, as Apache calls it.
COMBINED = '%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(rsize) "%(referer)" "%(uagent)"'


def export(deployment: Deployment) -> Exported:
    """The file. `uwsgi --ini` with it is the whole command."""
    config = deployment.config
    _, high = deployment.workers
    pairs: list[tuple[str, object]] = [
        ("strict", "true"),
        ("master", "true"),
        ("need-app", "true"),
        ("die-on-term", "true"),
        ("vacuum", "true"),
        ("single-interpreter", "true"),
        ("enable-threads", "true"),
        ("chdir", deployment.directory),
        ("virtualenv", config.venv or (sys.prefix if sys.prefix != sys.base_prefix else "")),
        *(("pythonpath", path) for path in dict.fromkeys(deployment.modules) if path),
        *(
            ("env", f"{name}={value.replace('%', '%%')}")
            for name, value in deployment.variables.items()
            if not re.search(FILLED_IN, value)
        ),
        *applications(deployment),
        *socket_lines(deployment),
        ("listen", config.backlog),
        ("processes", "%k" if config.workers == "auto" else high),
        ("threads", deployment.threads),
        ("buffer-size", min(config.max_head, LARGEST_BUFFER)),
        ("limit-post", max(1, config.max_body)),  # 0 is no limit there
        ("post-buffering", max(1, config.body_memory)),
        ("worker-reload-mercy", math.ceil(config.graceful_timeout)),
        ("harakiri", str(math.ceil(config.timeout))),
        ("max-requests", config.max_requests),
        ("max-requests-delta", config.max_requests_jitter),
        ("max-worker-lifetime", math.ceil(config.max_lifetime)),
        ("reload-on-rss", megabytes(config.max_memory)),
        ("evil-reload-on-rss", megabytes(config.max_memory_hard)),
        ("lazy-apps", {"never": "true", "always": "false"}.get(config.preload, "")),
        ("limit-as", megabytes(config.limit_memory)),
        ("max-fd", config.limit_files),
        ("uid", config.user),
        ("gid", config.group),
        ("umask", config.umask),
        ("pidfile", config.pid_file),
        ("logto", config.error_log.removeprefix("-")),
        *access_log(config.access_log),
        *([("honour-range", "true")] if deployment.folders else []),
        # It forgets a map whose directory is not there yet.
        *(("exec-asap", f"mkdir -p '{folder.root}'") for folder in deployment.folders),
        *(("static-map", f"{folder.url.rstrip('/')}={folder.root}") for folder in deployment.folders),
    ]
    name = f"{deployment.name}.uwsgi.ini"
    lines = [f"# uwsgi --ini {name}", "[uwsgi]", *(f"{key} = {value}" for key, value in pairs if value not in ("", 0))]
    return Exported(
        {name: "\n".join(lines) + "\n"},
        [
            *notes(deployment),
            *rounded(deployment, SECONDS),
            *rounded(deployment, MEGABYTES, 2**20, "megabytes"),
            *unsaid(deployment, SAID.split(), "uWSGI"),
        ],
        [f"uwsgi --ini {name}"],
    )


def socket_lines(deployment: Deployment) -> Iterator[tuple[str, object]]:
    """Where it listens, and what is spoken there."""
    for one in deployment.config.bind:
        speaks_uwsgi = is_uwsgi(one) or deployment.wishes.protocol == "uwsgi"
        yield "socket" if speaks_uwsgi else "http-socket", one.removeprefix("uwsgi:").removeprefix("unix:")


def access_log(path: str) -> list[tuple[str, object]]:
    """A line for each request, or none."""
    if not path:
        return [("disable-logging", "true")]
    return [("req-logger", "stdio" if path == "-" else f"file:{path}"), ("log-format", COMBINED)]


def applications(deployment: Deployment) -> list[tuple[str, object]]:
    """The application, and those below a URL of their own."""
    config = deployment.config
    if config.path == "/" and not config.mounts:
        if is_script(deployment.module):
            return [("wsgi-file", deployment.module), ("callable", deployment.attribute)]
        return [("module", deployment.target)]
    above = config.path.rstrip("/")
    mounts = {config.path: deployment.target, **{above + url: target for url, target in config.mounts.items()}}
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
    told = site_notes(deployment, "uWSGI")
    if deployment.folders or is_chosen(config, "static_max_age"):
        told.append("static_max_age: uWSGI sends files without Cache-Control, those with a hash in their name too")
    speaks_http = deployment.wishes.protocol == "http" and not all(map(is_uwsgi, config.bind))
    if is_chosen(config, "access_log_format"):
        told.append("access_log_format: the format combined is written; uWSGI's log-format has names of its own")
    if not config.max_body:
        told.append("max_body: uWSGI takes bodies of one byte at least")
    if speaks_http:
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
    if config.forwarded_allow and speaks_http:
        told.append(
            "forwarded_allow: uWSGI believes no forwarded field, so behind one Django needs SECURE_PROXY_SSL_HEADER"
        )
    told += [
        f"{name} is not written: uWSGI would fill in what is in its brackets; set it where uWSGI is started"
        for name, value in deployment.variables.items()
        if re.search(FILLED_IN, value)
    ]
    told += [
        f"{folder.url} is not served: its files are guarded, and uWSGI would show them to all"
        for folder in deployment.guarded
    ]
    if deployment.secrets:
        told.append(f"secrets are not written: set {', '.join(deployment.secrets)} where uWSGI is started")
    if any(one.startswith("fd://") for one in config.bind):
        told.append("bind: uWSGI takes sockets from systemd when it is given none; remove the line with fd://")
    return told
