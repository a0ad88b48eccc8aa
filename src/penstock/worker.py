"""A worker, from inside: the engine and the application in one process, until a signal ends it."""

import fcntl
import gc
import os
import select
import signal
import sys
from typing import TYPE_CHECKING

from penstock import capacity, deadlines, log
from penstock._native import Engine
from penstock.boot import boot_deadline
from penstock.errors import PenstockError, RequestTimeout
from penstock.gateway.compose import guarded_paths
from penstock.processes import keep_large_blocks_apart
from penstock.supervisor.state import sentence

if TYPE_CHECKING:
    from penstock._native import EngineOptions, Front, StaticMount
    from penstock.config import Config
    from penstock.django.lifecycle import DjangoLifecycle
    from penstock.mold import Mold, Site
    from penstock.sockets import Listener

USUAL_SWITCH_INTERVAL = 0.005  # Python's own; an application that has chosen another one keeps it
# A thread whose wait is over gets its turn beside short views within this time (seconds). Beside 140,000 requests a
# second, 16 clients of a view that sleeps 50 ms got 129 answers a second with Python's own, and 137 with this.
SWITCH_INTERVAL = 0.0005


class Worker:
    """One worker of a mold. `workers` is how many serve the same site."""

    def __init__(self, mold: "Mold", number: int, workers: int) -> None:
        self.mold, self.number, self.workers = mold, number, workers

    def run(self) -> int:
        """Serves until TERM (gracefully), QUIT (at once), or the supervisor's end. Returns the exit status."""
        gc.enable()
        keep_large_blocks_apart()
        if sys.getswitchinterval() == USUAL_SWITCH_INTERVAL:
            sys.setswitchinterval(SWITCH_INTERVAL)
        try:
            with boot_deadline(self.mold.config.boot_timeout):
                site = self.mold.site or self.mold.load_site()
                site.hooks.call("post_fork", self.number)
                if site.config.probe:
                    from penstock.probe import probe  # noqa: PLC0415 (only where it is asked for)

                    probe(site.loaded.application, site.config.probe, site.config.probe_host)
                site.hooks.call("on_ready", self.number)
            options = self.options(site)
            lifecycle = lifecycle_of(site)
            engine = Engine(
                site.loaded.application, options, deadlines.tell, RequestTimeout, log.journal.write, lifecycle
            )
        except (PenstockError, ValueError, OSError) as error:
            told = error if isinstance(error, PenstockError) else PenstockError(f"the engine cannot start: {error}")
            self.mold.channel.send({"event": "cannot start", "number": self.number} | told.to_message())
            return told.exit_code
        wakeup = listen_to_signals(engine, site.config.graceful_timeout)
        deadlines.dump_on_signals(self.mold.stacks)
        self.end_with_supervisor()
        self.mold.channel.send({"event": "ready", "number": self.number, "pid": os.getpid()})
        stuck = engine.run(wakeup)
        try:
            site.hooks.call("on_exit", self.number)
        except PenstockError as error:
            log.error(f"worker {self.number} (pid {os.getpid()}): {sentence(error.to_message())}")
        if stuck:
            log.warning(f"worker {self.number} (pid {os.getpid()}) leaves with {stuck} threads inside the application")
            # Python's finalization would break under threads that still run.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        if lifecycle:
            lifecycle.close()
        return 0

    def end_with_supervisor(self) -> None:
        """Asks the kernel for a TERM when the supervisor's end of the pipe closes: no thread need wait for that."""
        # Opened anew: the owner of the signal is a property of the open file, and workers share the inherited one.
        own = os.open(f"/proc/self/fd/{self.mold.lifeline}", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGTERM)
        fcntl.fcntl(own, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        poll = select.poll()
        poll.register(own, 0)  # hang-ups are always told
        if poll.poll(0):
            os.kill(os.getpid(), signal.SIGTERM)

    def options(self, site: "Site") -> "EngineOptions":
        """What the engine is told."""
        options = engine_options(site.config, self.mold.listeners, site.mounts) | {
            "multiprocess": self.workers > 1,
            "scoreboard_fd": self.mold.scoreboard.fileno(),
            "scoreboard_slot": self.number - 1,
        }
        if self.mold.parent:
            self.mold.parent.put_behind_front(options, site.config)
        return options


def listen_to_signals(engine: "Engine | Front", graceful_timeout: float) -> int:
    """Installs the handlers. Returns the descriptor that wakes the engine up to run them."""
    reader, writer = os.pipe()
    for fd in (reader, writer):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    # As Python has it. An application that has changed it would end with the first client that leaves a file unread:
    # sendfile() cannot be told to be quiet.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: engine.stop(graceful_timeout))
    signal.signal(signal.SIGQUIT, lambda *_: engine.stop(0))

    def reopen(*_: object) -> None:
        log.journal.reopen()
        engine.reopen_logs()

    signal.signal(signal.SIGUSR1, reopen)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})  # a new front has held it back
    return reader


def engine_options(config: "Config", listeners: "list[Listener]", mounts: "list[StaticMount]") -> "EngineOptions":
    """What the configuration tells an engine, one that is alone in its process and on no scoreboard."""
    descriptors = capacity.raise_descriptor_limit()
    automatic = capacity.max_connections(descriptors)
    return {
        "listeners": [
            {
                "fd": listener.socket.fileno(),
                "kind": listener.kind,
                "server_name": listener.host,
                "server_port": listener.port,
                "is_uwsgi": listener.is_uwsgi,
            }
            for listener in listeners
        ],
        "threads": capacity.THREADS if config.threads == "auto" else config.threads,
        "multiprocess": False,
        "max_connections": automatic if config.max_connections == "auto" else config.max_connections,
        "max_request_line": config.max_request_line,
        "max_head": config.max_head,
        "max_fields": config.max_fields,
        "max_body": config.max_body,
        "body_memory": config.body_memory,
        "response_memory": config.response_memory,
        "stream_body": config.stream_body,
        "temp_dir": capacity.temporary_directory(config.temp_dir),
        "head_timeout": config.head_timeout,
        "body_timeout": config.body_timeout,
        "min_body_rate": config.min_body_rate,
        "keep_alive_timeout": config.keep_alive_timeout,
        "write_timeout": config.write_timeout,
        "queue_size": config.queue_size,
        "queue_timeout": config.queue_timeout,
        "forwarded_allow": config.forwarded_allow,
        "proxy_protocol": config.proxy_protocol,
        "uwsgi_allow": config.uwsgi_allow,
        "static": mounts,
        "protected": config.protected,
        "guarded": guarded_paths(config),
        "access_log": config.access_log,
        "access_log_format": config.access_log_format,
        "error_log_fd": log.journal.fd,
        "scoreboard_fd": -1,
        "scoreboard_slot": 0,
        "timeout": config.timeout,
        "timeout_grace": config.timeout_grace,
        "slow_request_log": config.slow_request_log,
        "health_path": config.health_path,
        "request_id": config.request_id,
        "dump_signal": int(deadlines.DUMP_SIGNAL),
    }


def lifecycle_of(site: "Site") -> "DjangoLifecycle | None":
    """What Django has to hear of besides its requests; None without Django."""
    if not site.loaded.uses_django:
        return None
    from penstock.django.lifecycle import DjangoLifecycle  # noqa: PLC0415 (only with Django)

    return DjangoLifecycle(site.own)
