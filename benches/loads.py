"""Load made by wrk, in Lua where a request is more than a GET. Closed loop: each connection waits for its answer."""

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from processes import LOAD_CPUS, start_on

CONNECTIONS = 32

# Latencies are microseconds in wrk. Read errors are not counted: a server without keep-alive causes one per request.
REPORT = """
done = function(summary, latency, requests)
  io.stderr:write(string.format(
    '{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "refused": %d, "bad": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.errors.connect, summary.errors.status))
end
"""


class LoadError(Exception):
    """The load could not be made, or the answers were wrong: a figure would mean nothing."""


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    bad: int  # answered with a status above 399

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.requests - self.bad) / self.seconds


def post(body: bytes, content_type: str) -> str:
    """The Lua that makes wrk send this body, which is read from a file: 20 MB do not fit a literal."""
    file = Path(tempfile.mkdtemp(prefix="penstock-bench-")) / "body"
    file.write_bytes(body)
    return f"""
local file = io.open("{file}", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = "{content_type}"
"""


class Wrk:
    """A run of wrk in the background. `finish()` waits for it and returns what it saw."""

    def __init__(
        self,
        url: str,
        seconds: float,
        connections: int = CONNECTIONS,
        script: str = "",
        cpus: set[int] = LOAD_CPUS,
    ) -> None:
        if not shutil.which("wrk"):
            raise SystemExit("error: wrk is not installed\n\nhint: it makes the load; apt-get install wrk")
        with tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False) as lua:
            lua.write(script + REPORT)
        self.lua = Path(lua.name)
        self.process = start_on(
            cpus,
            [
                "wrk",
                "-t1",
                f"-c{connections}",
                f"-d{max(1, round(seconds))}s",
                "--timeout",
                "10s",
                "-s",
                lua.name,
                url,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, may_fail: bool = False) -> Load:
        """LoadError when nothing was answered or something was wrong, unless `may_fail`."""
        output, report = self.process.communicate()
        self.lua.unlink()
        try:
            load = Load(**json.loads(report.splitlines()[-1].replace("-nan", "0").replace("nan", "0")))
        except (IndexError, ValueError, TypeError):
            raise LoadError(f"wrk gave no figures: {(output + report).strip()[-500:]}") from None
        if not may_fail and (load.bad or load.refused or not load.requests):
            raise LoadError(f"{load.requests} answers, of them {load.bad} with an error; {load.refused} refused")
        return load


def wrk(
    url: str, seconds: float, connections: int = CONNECTIONS, script: str = "", cpus: set[int] = LOAD_CPUS
) -> Load:
    """Runs wrk to its end. LoadError as in Wrk.finish()."""
    return Wrk(url, seconds, connections, script, cpus).finish()
