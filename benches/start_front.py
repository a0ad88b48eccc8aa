"""A front with two sites of the same application, one worker each: `start_front.py MODULE PORT THREADS`.

Nobody supervises: the difference to start_engine.py is what the front costs. "two.test" is the second site, and any
other host the first.
"""

import importlib
import os
import signal
import socket
import sys

from penstock._native import Engine
from penstock.config import load
from penstock.errors import RequestTimeout
from penstock.front import FrontProcess
from penstock.processes import Channel, end_with_parent
from penstock.sockets import listen
from penstock.worker import SWITCH_INTERVAL, engine_options, listen_to_signals

module, port, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
config = load({"bind": [f"127.0.0.1:{port}"], "threads": threads}, os.environ, os.getcwd())
listeners = [listen(address, config.backlog) for address in config.bind]
pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
routes = [{"hosts": [host], "path": "/", "site": site} for site, host in enumerate(("", "two.test"))]
for site, (_, end) in enumerate(pairs):
    if not os.fork():
        end_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        options = engine_options(config, listeners, []) | {
            "front_fd": end.fileno(),
            "routes": routes,
            "own_site": site,
        }
        sys.setswitchinterval(SWITCH_INTERVAL)
        engine = Engine(importlib.import_module(module).application, options, None, RequestTimeout)
        engine.run(listen_to_signals(engine, 0))
        os._exit(0)
kept, told = Channel.pair()
role = FrontProcess(
    config=config, listeners=listeners, sites=[(front, None) for front, _ in pairs], routes=routes, channel=told
)
sys.exit(role.run())
