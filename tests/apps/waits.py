"""Views that wait for the test, in each way in which a view can wait. See tester.py."""

import ctypes
import os
import socket
from contextlib import suppress
from threading import Thread

from tester import hold, report, tell

IP_MINTTL = 21  # ip(7)


def answer(start_response, text):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]


def fast(environ, start_response):
    return answer(start_response, environ["PATH_INFO"])


def held(environ, start_response):
    """Waits until the test releases it, and has let go of the GIL meanwhile."""
    hold(environ["PATH_INFO"])
    return answer(start_response, environ["PATH_INFO"])


def extends(environ, start_response):
    """The same, with more time than the engine would give it."""
    environ["penstock.extend_timeout"](1000)
    return held(environ, start_response)


def told(environ, start_response):
    """Tells the test that it was called, and answers."""
    tell(environ["PATH_INFO"])
    return answer(start_response, environ["PATH_INFO"])


def holds_off(environ, start_response):
    """Does to the engine's listener what a stopping supervisor without rights does: see hold_off() in sockets.py."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError), socket.socket(fileno=os.dup(fd)) as found:
            if found.family == socket.AF_INET and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.setsockopt(socket.IPPROTO_IP, IP_MINTTL, 255)
    return answer(start_response, environ["PATH_INFO"])


def reads(environ, start_response):
    """Tells what it has read of a body that is still on its way."""
    hold("called")
    hold(environ["wsgi.input"].read(3).decode())
    return answer(start_response, environ["wsgi.input"].read(3).decode())


computing = True


def computes(environ, start_response):
    """Pure Python that ends only when another request says so."""
    tell("computes")
    rounds = 0
    while computing:
        rounds += 1
    return answer(start_response, "computed")


def enough(environ, start_response):
    global computing  # noqa: PLW0603 the state that two requests share is the whole point
    computing = False
    return answer(start_response, "enough")


def grips(environ, start_response):
    """Waits in C without letting go of the GIL, as a bad extension module does."""
    connection = report("grips")
    ctypes.PyDLL(None).recv(connection.fileno(), ctypes.create_string_buffer(1), 1, 0)
    connection.close()
    return answer(start_response, "gripped")


def reads_elsewhere(environ, start_response):
    """Answers while a thread of its own still reads the body."""
    Thread(target=read_on, args=[environ["wsgi.input"]], daemon=True).start()
    hold("answers")
    return answer(start_response, environ["PATH_INFO"])


def read_on(body):
    tell(body.read(3).decode())
    try:
        body.read()
    except OSError:
        tell("given up")
