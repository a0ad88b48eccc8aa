"""Penstock and its peers: how each is started for a piece of work, waited for, and ended.

Every server gets the same application file, the same number of threads and the same CPUs. Options go beyond a
server's defaults only where it would otherwise refuse the work (more connections, larger files), write a log line
for each request, which the others do not, or be slower than its own manual advises.
"""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import peers
from processes import SERVER_CPUS, end, start_on

HERE = Path(__file__).resolve().parent
APPS = HERE / "apps"
READY_SECONDS = 30.0


class ServerError(Exception):
    """A server did not start or did not stay; the message ends with its own last lines."""


@dataclass(frozen=True)
class Setup:
    """What a server is asked to run, and with how much."""

    app: str  # "" for what a configuration among the arguments names
    workers: int = 1
    threads: int = 8
    connections: int = 1000  # that it must be able to hold; some refuse more than a hundred or a thousand
    static: Path | None = None
    arguments: tuple[str, ...] = ()  # for Penstock alone
    cpus: set[int] = field(default_factory=lambda: SERVER_CPUS)


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    process: subprocess.Popen[str]
    port: int
    ready_seconds: float  # from exec to the first whole answer

    @property
    def pid(self) -> int:
        return self.process.pid

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def penstock(setup: Setup, port: int) -> list[str]:
    static = [f"--static=/static/={setup.static}"] if setup.static else []
    target = [f"{setup.app}:application"] if setup.app else []
    return [
        *(str(Path(sys.executable).with_name("penstock")), "serve", *target),
        *("--bind", f"127.0.0.1:{port}", "--workers", str(setup.workers), "--threads", str(setup.threads), *static),
        *setup.arguments,
    ]


def gunicorn(setup: Setup, port: int) -> list[str]:
    return [
        *(str(peers.PYTHON), "-m", "gunicorn", f"{setup.app}:application", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--workers", str(setup.workers), "--threads", str(setup.threads)),
        *(
            "--worker-connections",
            str(setup.connections),
            "--keep-alive",
            "75",
            "--log-level",
            "error",
            "--no-control-socket",
        ),
    ]


def uwsgi(setup: Setup, port: int, listen: tuple[str, ...] = ("--http-socket",)) -> list[str]:
    static = [f"--static-map=/static={setup.static}", "--offload-threads=1"] if setup.static else []
    return [
        *(str(peers.PYTHON.with_name("uwsgi")), *listen, f"127.0.0.1:{port}", f"--module={setup.app}:application"),
        *("--master", "--need-app", "--single-interpreter", "--die-on-term", "--disable-logging", "--listen=1024"),
        *(f"--processes={setup.workers}", f"--threads={setup.threads}", *static),
    ]


def uwsgi_router(setup: Setup, port: int) -> list[str]:
    return uwsgi(setup, port, ("--http-keepalive=1", "--http-auto-chunked", "--http"))


def granian(setup: Setup, port: int) -> list[str]:
    static = ["--static-path-route=/static", f"--static-path-mount={setup.static}"] if setup.static else []
    return [
        *(str(peers.PYTHON.with_name("granian")), "--interface=wsgi", "--http=1", "--no-ws", "--log-level=error"),
        *("--host=127.0.0.1", f"--port={port}", f"--workers={setup.workers}", f"--blocking-threads={setup.threads}"),
        *(f"--backlog={setup.connections}", *static, f"{setup.app}:application"),
    ]


def own_starter(name: str) -> Callable[[Setup, int], list[str]]:
    return lambda setup, port: [
        *(str(peers.PYTHON), str(HERE / "start_peer.py"), name, setup.app, str(port), str(setup.workers))
    ]


def engine(setup: Setup, port: int) -> list[str]:
    return [sys.executable, str(HERE / "start_engine.py"), setup.app, str(port), str(setup.threads)]


def engine_and_bridge(setup: Setup, port: int) -> list[str]:
    return [*engine(setup, port), "bridge"]


def front(setup: Setup, port: int) -> list[str]:
    return [sys.executable, str(HERE / "start_front.py"), setup.app, str(port), str(setup.threads)]


def waitress(setup: Setup, port: int) -> list[str]:
    return [
        *(str(peers.PYTHON.with_name("waitress-serve")), f"--listen=127.0.0.1:{port}", f"--threads={setup.threads}"),
        *(f"--connection-limit={setup.connections}", "--asyncore-use-poll", f"{setup.app}:application"),
    ]


def nginx(setup: Setup, port: int) -> list[str]:
    place = Path(tempfile.mkdtemp(prefix="nginx-"))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (place / "nginx.conf").write_text(
        f"worker_processes {setup.workers};\nworker_rlimit_nofile 10000;\npid {place}/pid;\ndaemon off;\n"
        # Started by root it would become a user who may not read the files.
        + ("user root;\n" if os.geteuid() == 0 else "")
        + "events { worker_connections 4096; }\n"
        "http {\n access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;\n"
        + "".join(f" {kind}_temp_path {place}/{kind};\n" for kind in kinds)
        + f" server {{ listen 127.0.0.1:{port}; location /static/ {{ alias {setup.static}/; }} }}\n}}\n"
    )
    return ["nginx", "-e", "stderr", "-p", str(place), "-c", str(place / "nginx.conf")]


@dataclass(frozen=True)
class Server:
    """One that can be started."""

    name: str
    command: Callable[[Setup, int], list[str]]

    @contextmanager
    def running(self, setup: Setup) -> Iterator[Running]:
        """Starts it, waits until it answers, and ends it. ServerError when it fails or goes away."""
        port = free_port()
        with tempfile.NamedTemporaryFile("w+", prefix=f"{self.name}-", suffix=".log", delete=False) as log:
            started = time.perf_counter()
            try:
                process = start_on(
                    setup.cpus,
                    self.command(setup, port),
                    cwd=APPS,
                    env={**os.environ, "PYTHONPATH": str(APPS)},
                    text=True,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            except FileNotFoundError as error:
                raise ServerError(f"{error.filename} is not installed") from None
            try:
                wait_until_answered(process, port)
                yield Running(process, port, time.perf_counter() - started)
                if process.poll() is not None:
                    raise ServerError(f"it ended with status {process.returncode} while it was measured")
            except Exception as error:
                log.seek(0)
                raise ServerError(f"{type(error).__name__}: {error}; its last lines: {log.read()[-600:]}") from error
            finally:
                end(process)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until_answered(process: subprocess.Popen[str], port: int) -> None:
    """Polls until the server answers. ServerError when it ends before, takes too long, or answers with a 5xx."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        if process.poll() is not None:
            raise ServerError(f"it ended with status {process.returncode} before it answered")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise ServerError(f"it did not answer within {READY_SECONDS:g} s") from None
            time.sleep(0.001)
        else:
            if response.status >= 500:
                raise ServerError(f"its first answer was {response.status}")
            return
        finally:
            connection.close()


SERVERS = {
    server.name: server
    for server in (
        Server("penstock", penstock),
        Server("engine", engine),
        Server("engine-and-bridge", engine_and_bridge),
        Server("front", front),
        Server("fastwsgi", own_starter("fastwsgi")),
        Server("bjoern", own_starter("bjoern")),
        Server("granian", granian),
        Server("uwsgi", uwsgi),
        Server("uwsgi-router", uwsgi_router),
        Server("gunicorn", gunicorn),
        Server("waitress", waitress),
        Server("nginx", nginx),
    )
}
