"""Debian's nginx in front of Penstock, in a directory of its own; the system's configuration is not read."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from foreign_server import free_port, running

PATH = f"{os.environ['PATH']}:/usr/sbin"
CONFIGURATION = """\
daemon off;
pid {place}/pid;
error_log stderr notice;
{user}
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {place}/bodies;
    proxy_temp_path {place}/answers;
    upstream site {{ server {upstream}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://site;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host "";
            client_max_body_size 0;
            proxy_request_buffering off;
        }}
    }}
}}
"""


@contextmanager
def start(upstream: str) -> Iterator[tuple[str, int]]:
    """Hands everything to `upstream` ("127.0.0.1:8000", "unix:PATH"), as the guide has it; yields where it listens."""
    command = shutil.which("nginx", path=PATH)
    if not command:
        pytest.skip("nginx-light is not installed: `make system-packages` installs it")
    port = free_port()
    with TemporaryDirectory(prefix="nginx-") as place:
        configuration = Path(place, "nginx.conf")
        user = "" if os.geteuid() else "user root;"
        configuration.write_text(CONFIGURATION.format(place=place, upstream=upstream, port=port, user=user))
        with running(
            [command, "-e", "stderr", "-p", place, "-c", configuration], Path(place), "start worker process "
        ):
            yield "127.0.0.1", port
