"""One engine in a process of its own, for the tests of this folder: `python engine_process.py PLAN`, PLAN being JSON.

Tells on the descriptor `plan["channel"]`, a JSON line each, when it is ready, when its logs are reopened and, with its
counters, that it has ended. SIGTERM stops it within `plan["graceful"]` seconds, SIGQUIT at once. It exits with the
number of requests that were abandoned, so 0 is a clean end.
"""

import json
import os
import resource
import signal
import socket
import sys
from importlib import import_module

from penstock._native import Engine

plan = json.loads(sys.argv[1])


def application_of(target):
    """`module:attribute`, or `module`: then the first part of each request's path names the attribute."""
    name, _, attribute = target.partition(":")
    module = import_module(name)
    if attribute:
        return getattr(module, attribute)
    return lambda environ, start_response: getattr(module, environ["PATH_INFO"].split("/")[1])(environ, start_response)


def listen(address):
    """A listening socket for `host:port` written as a list, or for a path; uwsgi: may stand before the host."""
    if is_uwsgi(address):
        return listen([address[0].removeprefix("uwsgi:"), address[1]])
    if isinstance(address, str):
        listener = socket.socket(socket.AF_UNIX)
    else:
        listener = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    listener.bind(address if isinstance(address, str) else tuple(address))
    listener.listen(256)
    return listener


def is_uwsgi(address):
    return not isinstance(address, str) and address[0].startswith("uwsgi:")


def described(listener):
    if listener.family == socket.AF_UNIX:
        return {"fd": listener.fileno(), "kind": "unix", "server_name": "localhost", "server_port": "80"}
    host, port = listener.getsockname()[:2]
    return {"fd": listener.fileno(), "kind": "tcp", "server_name": host, "server_port": str(port)}


def tell(**what):
    os.write(plan["channel"], json.dumps(what).encode() + b"\n")


def reopen(*_):
    engine.reopen_logs()
    tell(reopened=True)


sys.path.insert(0, plan["apps"])
listeners = [listen(address) for address in plan["bind"]]
for name, limit in plan["limits"].items():
    resource.setrlimit(getattr(resource, name), (limit, limit))
told = [
    described(listener) | {"is_uwsgi": is_uwsgi(address)}
    for listener, address in zip(listeners, plan["bind"], strict=True)
]
engine = Engine(application_of(plan["app"]), {"listeners": told} | plan["options"])
wakes, woken = socket.socketpair()
for end in (wakes, woken):
    end.setblocking(False)
signal.set_wakeup_fd(woken.fileno())
signal.signal(signal.SIGTERM, lambda *_: engine.stop(plan["graceful"]))
signal.signal(signal.SIGQUIT, lambda *_: engine.stop(0))
signal.signal(signal.SIGUSR1, reopen)
tell(addresses=[listener.getsockname() for listener in listeners])
abandoned = engine.run(wakes.fileno())
tell(stats=engine.stats())
sys.stderr.flush()
# Without finalizing Python: an abandoned request may never come back.
os._exit(abandoned)
