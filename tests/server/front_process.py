"""One front in a process of its own, for the tests of this folder: `python front_process.py PLAN`, PLAN being JSON.

The plan names inherited descriptors: the listening sockets, the front's end of each site's pair, and the channel to
whoever plays the supervisor. It exits with what the front's role returns.
"""

import json
import os
import resource
import socket
import sys

from penstock.config import load
from penstock.front import FrontProcess
from penstock.processes import Channel
from penstock.sites.front_handle import nobody
from penstock.sockets import Listener

plan = json.loads(sys.argv[1])


def listening(fd):
    end = socket.socket(fileno=fd)
    host, port = ("localhost", "80") if end.family == socket.AF_UNIX else map(str, end.getsockname()[:2])
    return Listener(end, "unix" if end.family == socket.AF_UNIX else "tcp", host, port, "")


if plan["files"]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (plan["files"], plan["files"]))


class Front(FrontProcess):
    """With narrower limits than the settings allow."""

    def options(self):
        return super().options() | plan["options"]


role = Front(
    config=load(plan["settings"], os.environ, os.getcwd()),
    listeners=[listening(fd) for fd in plan["listeners"]],
    sites=[(socket.socket(fileno=fd), None) for fd in plan["sites"]],
    routes=plan["routes"],
    channel=Channel(socket.socket(fileno=plan["channel"])),
    identity=nobody() if plan["files"] and not os.geteuid() else None,
)
sys.exit(role.run())
