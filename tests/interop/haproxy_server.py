"""Debian's HAProxy in front of Penstock, which learns the client's address from the PROXY protocol."""

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
global
    log stderr format raw local0 notice
defaults
    mode {mode}
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen site
    bind 127.0.0.1:{port}
    server penstock {upstream} {send}
"""


@contextmanager
def start(upstream: str, version: int, mode: str = "tcp") -> Iterator[tuple[str, int]]:
    """Hands each connection to `upstream` with a PROXY header of this version (1, 2); yields where it listens."""
    command = shutil.which("haproxy", path=PATH)
    if not command:
        pytest.skip("haproxy is not installed: `make system-packages` installs it")
    port = free_port()
    with TemporaryDirectory(prefix="haproxy-") as place:
        configuration = Path(place, "haproxy.cfg")
        send = "send-proxy" if version == 1 else "send-proxy-v2"
        configuration.write_text(CONFIGURATION.format(mode=mode, port=port, upstream=upstream, send=send))
        # -W: a master process, which says when its worker is ready, and waits for it.
        with running([command, "-W", "-f", configuration], Path(place), "Loading success"):
            yield "127.0.0.1", port
