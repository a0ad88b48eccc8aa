"""The site of the tests under load: repeats what it was asked, and does to its own process what a test asks for."""

import ctypes
import os
import resource
import sys
import time

WORD = "one"


def waits():
    """Long enough for its thread to be taken over."""
    time.sleep(0.02)


def sleeps():
    time.sleep(3600)


def loops():
    while True:
        pass


def grips():
    """Waits in C without letting go of the GIL, as a bad extension module does."""
    ctypes.PyDLL(None).sleep(3600)


def crashes():
    ctypes.string_at(0)


def exits():
    os._exit(7)


def recurses():
    return recurses()


class Endless:
    def __repr__(self):
        return repr(self)


def overflows():
    """Recursion through C, which Python's own limit would have ended in time."""
    sys.setrecursionlimit(2**30)
    repr(Endless())


def devours():
    """Takes memory up to the limit of the process, which is set to a little more than it has now."""
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 64 * 2**20, before[1]))
    try:
        kept = []
        while True:
            kept.append(bytearray(2**20))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


ACTIONS = (waits, sleeps, loops, grips, crashes, exits, recurses, overflows, devours)
BY_PATH = {f"/{action.__name__}": action for action in ACTIONS}


def application(environ, start_response):
    BY_PATH.get(environ["PATH_INFO"], str)()
    body = environ["wsgi.input"].read().decode()
    answer = f"{WORD} {os.getpid()} {environ['PATH_INFO']}?{environ['QUERY_STRING']} {body}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]
