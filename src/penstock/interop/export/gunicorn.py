"""gunicorn.conf.py. Gunicorn serves the application and no files; a deadline of one request is nothing it knows."""

import json
import math
import os
import re
from typing import Any

from penstock.app import is_script
from penstock.errors import PenstockError
from penstock.interop.export.deployment import Deployment, Exported, is_chosen, is_uwsgi, rounded, site_notes, unsaid

NAME = "gunicorn.conf.py"
# Its own limit; ours may be larger.
LONGEST_LINE = 8190
# What it counts in whole seconds.
SECONDS = ("timeout", "graceful_timeout", "keep_alive_timeout")
# The settings that it carries over, or has a note for.
SAID = """
bind backlog workers threads timeout graceful_timeout max_requests max_requests_jitter max_connections
keep_alive_timeout max_request_line max_fields forwarded_allow proxy_protocol access_log access_log_format
error_log log_level pid_file statsd statsd_prefix user group umask preload python_path reload temp_dir
uwsgi_allow
"""


def export(deployment: Deployment) -> Exported:
    """The file, which names the application too: `gunicorn` in its directory needs nothing else."""
    config = deployment.config
    if is_script(deployment.module):
        name = os.path.basename(deployment.module)
        raise PenstockError(
            f"Gunicorn imports modules, and {name} is a script",
            f"`ln -s {name} {re.sub('[^A-Za-z0-9]', '_', name)}.py` beside it makes it one: name that as TARGET",
        )
    low, high = deployment.workers
    peers = ",".join(peer for peer in config.forwarded_allow if peer != "unix")
    script_name = {"SCRIPT_NAME": config.path} if config.path != "/" else {}
    # One protocol for all addresses.
    speaks_uwsgi = all(is_uwsgi(one) for one in config.bind)
    lines = ["", ""]
    if config.workers == "auto":
        lines += ["import os", ""]
    settings: dict[str, Any] = {
        "wsgi_app": deployment.target,
        "chdir": deployment.directory,
        "bind": [one.removeprefix("uwsgi:") for one in config.bind],
        "protocol": "uwsgi" if speaks_uwsgi else None,
        "uwsgi_allow_ips": ",".join(peer for peer in config.uwsgi_allow if peer != "unix") if speaks_uwsgi else None,
        "backlog": config.backlog,
        "workers": high,
        "worker_class": "gthread",
        "threads": deployment.threads,
        "timeout": math.ceil(config.timeout),
        "graceful_timeout": math.ceil(config.graceful_timeout),
        "keepalive": math.ceil(config.keep_alive_timeout),
        "limit_request_line": min(config.max_request_line, LONGEST_LINE),
        "limit_request_fields": config.max_fields,
        "forwarded_allow_ips": peers,
        "preload_app": None if config.preload == "auto" else config.preload == "always",
        "reload": config.reload or None,
        "max_requests": config.max_requests or None,
        "max_requests_jitter": config.max_requests_jitter or None,
        "worker_connections": None if config.max_connections == "auto" else config.max_connections,
        "tmp_upload_dir": config.temp_dir or None,
        "proxy_protocol": "auto" if config.proxy_protocol else None,
        "proxy_allow_ips": peers if config.proxy_protocol else None,
        "accesslog": config.access_log or None,
        "access_log_format": None if config.access_log_format in ("combined", "json") else config.access_log_format,
        "errorlog": config.error_log,
        "loglevel": config.log_level,
        "pidfile": config.pid_file or None,
        "user": config.user or None,
        "group": config.group or None,
        "statsd_host": config.statsd or None,
        "statsd_prefix": config.statsd_prefix if config.statsd or is_chosen(config, "statsd_prefix") else None,
        "pythonpath": ",".join(config.python_path) or None,
        "raw_env": [f"{name}={value}" for name, value in {**deployment.variables, **script_name}.items()],
    }
    for name, value in settings.items():
        if name == "workers" and config.workers == "auto":
            lines.append("workers = len(os.sched_getaffinity(0))")
        elif value is not None:
            lines.append(f"{name} = {value if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)}")
    if config.umask:
        lines.append(f"umask = 0o{config.umask}")
    # One of several lies beside the others.
    file = f"{deployment.name}.{NAME}" if config.site else NAME
    lines[0] = f"# gunicorn --config {file}"
    return Exported(
        {file: "\n".join(lines) + "\n"},
        [*notes(deployment, low, high), *rounded(deployment, SECONDS), *unsaid(deployment, SAID.split(), "Gunicorn")],
        [f"gunicorn --config {file}"],
    )


def notes(deployment: Deployment, low: int, high: int) -> list[str]:
    """What means something else there."""
    config = deployment.config
    told = site_notes(deployment, "Gunicorn")
    served = [folder.url for folder in (*deployment.folders, *deployment.guarded)]
    if served:
        told.append(
            f"Gunicorn serves no files: {', '.join(served)} need nginx (`penstock export nginx`) or WhiteNoise"
        )
    if config.timeout:
        told.append("timeout: Gunicorn watches the worker's own loop, so a view that hangs in a thread is not ended")
    if low != high and config.workers != "auto":
        told.append(f"workers: Gunicorn has a fixed number, so the most of {config.workers} is taken")
    if config.max_request_line > LONGEST_LINE:
        told.append(f"max_request_line: Gunicorn reads lines of {LONGEST_LINE} bytes at most")
    if any(map(is_uwsgi, config.bind)) and not all(map(is_uwsgi, config.bind)):
        told.append("bind: Gunicorn speaks one protocol on all addresses, and here it is HTTP")
    if is_chosen(config, "uwsgi_allow") and not all(map(is_uwsgi, config.bind)):
        told.append("uwsgi_allow: Gunicorn speaks HTTP here")
    if "unix" not in config.forwarded_allow:
        told.append("forwarded_allow: Gunicorn believes whoever comes by a unix socket")
    if any(one.startswith("fd://") and not one[5:].isdigit() for one in config.bind):
        told.append("bind: Gunicorn knows sockets from systemd by number only, as in fd://3")
    if config.access_log and config.access_log_format == "json":
        told.append(
            "access_log_format: Gunicorn writes JSON with a logger_class of your own; combined lines are written"
        )
    if deployment.secrets:
        told.append(f"secrets are not written: set {', '.join(deployment.secrets)} where Gunicorn is started")
    return told
