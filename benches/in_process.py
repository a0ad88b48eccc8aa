"""How often an application can be called in a loop with no server and no network: the bound for every server.

`python in_process.py MODULE SECONDS` prints one JSON object. The environ is made anew for each call and has what a
server would put in for wrk's request; the response is read whole and closed, as PEP 3333 asks. It refuses to report
an application that answers anything but 200.
"""

import importlib
import io
import json
import sys
import time
from collections.abc import Callable
from typing import Any

TEMPLATE = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "127.0.0.1:8000",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
BATCH = 50


def call(application: Callable[..., Any]) -> None:
    """Makes one request. AssertionError when it is not answered with 200."""
    statuses: list[str] = []

    def start_response(status: str, *_: object) -> None:
        statuses.append(status)

    response = application({**TEMPLATE, "wsgi.input": io.BytesIO()}, start_response)
    try:
        b"".join(response)
    finally:
        if close := getattr(response, "close", None):
            close()
    assert statuses == ["200 OK"], statuses


def measure(application: Callable[..., Any], seconds: float) -> dict[str, float]:
    """Calls it for `seconds` and returns calls a second and microseconds of CPU time a call."""
    calls = 0
    started, cpu_started = time.perf_counter(), time.process_time()
    while time.perf_counter() - started < seconds:
        for _ in range(BATCH):
            call(application)
        calls += BATCH
    return {
        "rate": calls / (time.perf_counter() - started),
        "cpu_us": (time.process_time() - cpu_started) / calls * 1e6,
    }


if __name__ == "__main__":
    module, seconds = sys.argv[1], float(sys.argv[2])
    application = importlib.import_module(module).application
    measure(application, seconds / 4)  # warm-up
    print(json.dumps(measure(application, seconds)))
