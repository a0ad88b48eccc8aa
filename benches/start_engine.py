"""The engine and an application in one process: `start_engine.py MODULE PORT THREADS [bridge]`.

With "bridge" also what `penstock serve` puts between the two for Django, as it is when nothing is configured. The
difference is what that costs.
"""

import importlib
import os
import signal
import sys

from penstock._native import Engine, Scoreboard
from penstock.config import load
from penstock.django.lifecycle import DjangoLifecycle
from penstock.errors import RequestTimeout
from penstock.gateway.compose import compose
from penstock.sockets import listen
from penstock.worker import SWITCH_INTERVAL, engine_options

module, port, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
config = load({"bind": [f"127.0.0.1:{port}"], "threads": threads}, os.environ, os.getcwd())
board = Scoreboard(1, threads)
listeners = [listen(address, config.backlog) for address in config.bind]
options = engine_options(config, listeners, []) | {"scoreboard_fd": board.fileno()}
sys.setswitchinterval(SWITCH_INTERVAL)
application = importlib.import_module(module).application
lifecycle = None
if sys.argv[4:] == ["bridge"]:
    application, lifecycle = compose(application, config), DjangoLifecycle(application)
engine = Engine(application, options, None, RequestTimeout, None, lifecycle)
signal.signal(signal.SIGTERM, lambda *_: engine.stop(0))
reader, writer = os.pipe()
for descriptor in (reader, writer):
    os.set_blocking(descriptor, False)
signal.set_wakeup_fd(writer)
engine.run(reader)
