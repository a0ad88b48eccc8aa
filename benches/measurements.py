"""What is measured of a server: each function starts it for one piece of work and returns figures by name.

Nothing is judged here. Every server is asked for the same; a wrong answer is a LoadError, never a figure.
"""

import hashlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loads import CONNECTIONS, LoadError, Wrk, post, wrk
from processes import LOAD_CPUS, SERVER_CPUS, busy_seconds, cpu_seconds, memory_bytes, peak_memory, start_on
from servers import APPS, HERE, SERVERS, Running, Server, Setup

MIB = 1024 * 1024
Sample = dict[str, float]


@dataclass(frozen=True)
class Options:
    """How long to measure, and where the files of this run are."""

    seconds: float
    scratch: Path


Measurement = Callable[[Server, Options], Sample]


def load_sample(
    server: Running, options: Options, path: str = "/", connections: int = CONNECTIONS, script: str = ""
) -> Sample:
    """A warm-up, then the load: requests a second, latencies, and what it cost."""
    url = server.url(path)
    wrk(url, options.seconds / 4, connections, script)
    before = cpu_seconds(server.pid), busy_seconds(SERVER_CPUS), time.monotonic()
    load = wrk(url, options.seconds, connections, script)
    costs = cost(server, before, load.requests, load.seconds)
    return {"rate": load.rate, "p50_ms": load.p50_ms, "p99_ms": load.p99_ms, **costs}


def cost(server: Running, before: tuple[float, float, float], requests: float, seconds: float) -> Sample:
    """CPU time a request; what part of its CPU the server had, and what part other programs took from it."""
    cpu, busy = cpu_seconds(server.pid) - before[0], busy_seconds(SERVER_CPUS) - before[1]
    others = max(0.0, busy - cpu) / (time.monotonic() - before[2])
    return {"cpu_us": cpu / requests * 1e6, "cpu_share": cpu / seconds, "others_share": others}


def large(setup: Setup, path: str, connections: int = CONNECTIONS) -> Measurement:
    """As load_sample(), with clients that throw the answers away unread: wrk, 8 KiB at a time, is too slow."""

    def measure(server: Server, options: Options) -> Sample:
        with server.running(setup) as running:
            return large_sample(running, options, path, connections)

    return measure


def large_sample(server: Running, options: Options, path: str, connections: int) -> Sample:
    """The same of a server that runs."""
    Client("fetch", server.port, path, connections, options.seconds / 4).finish()
    before = cpu_seconds(server.pid), busy_seconds(SERVER_CPUS), time.monotonic()
    seen = Client("fetch", server.port, path, connections, options.seconds).finish()
    return {**seen, **cost(server, before, seen["rate"] * options.seconds, options.seconds)}


def plain(
    setup: Setup, path: str = "/", connections: int = CONNECTIONS, body: bytes = b"", kind: str = ""
) -> Measurement:
    """The measurement of a row that is only a load."""

    def measure(server: Server, options: Options) -> Sample:
        script = post(body, kind) if body else ""
        with server.running(setup) as running:
            return load_sample(running, options, path, connections, script)

    return measure


def with_password(server: Server, options: Options) -> Sample:
    """The minimal view as it is, and behind a password that is remembered; in turns, for a machine that drifts."""
    rule = json.dumps({"path": "/", "provider": "members", "groups": ["staff"], "cache": "1h"})
    script = f'wrk.headers["Authorization"] = "Basic {b64encode(b"ann:river").decode()}"'
    costs: dict[bool, list[float]] = {False: [], True: []}
    part = Options(options.seconds / 2, options.scratch)
    for _ in range(3):
        for is_guarded, samples in costs.items():
            setup = Setup("django_minimal", arguments=("--auth", rule) if is_guarded else ())
            with server.running(setup) as running:
                samples.append(load_sample(running, part, script=script)["cpu_us"])
    open_us, guarded_us = (statistics.median(samples) for samples in costs.values())
    return {"cpu_us": guarded_us, "open_cpu_us": open_us, "more_us": guarded_us - open_us}


# wrk does not say which connection a request is for: each has an even chance to change the site, as in a proxy's pool.
FRONT_LOADS = {
    "kept": "",
    "new": 'wrk.headers["Connection"] = "close"',
    "alternating": """
local hosts = {}
init = function()
  for number, host in ipairs({"one.test", "two.test"}) do
    hosts[number] = wrk.format("GET", "/", {["Host"] = host})
  end
end
request = function() return hosts[math.random(2)] end
""",
}


def behind_front(kind: str) -> Measurement:
    """The minimal view in an engine alone, and behind a front; in turns, for a machine that drifts."""

    def measure(_server: Server, options: Options) -> Sample:
        samples: dict[str, list[Sample]] = {"engine": [], "front": []}
        part = Options(options.seconds / 2, options.scratch)
        for _ in range(3):
            for name, found in samples.items():
                with SERVERS[name].running(Setup("django_minimal")) as running:
                    found.append(load_sample(running, part, script=FRONT_LOADS[kind]))
        alone, behind = (statistics.median(sample["rate"] for sample in found) for found in samples.values())
        cpu = [statistics.median(sample["cpu_us"] for sample in found) for found in samples.values()]
        return {"rate": behind, "alone": alone, "kept": behind / alone, "cpu_us": cpu[1], "alone_cpu_us": cpu[0]}

    return measure


def in_process(app: str, options: Options) -> Sample:
    """The same application called in a loop, on the servers' CPU."""
    process = start_on(
        SERVER_CPUS,
        [sys.executable, str(HERE / "in_process.py"), app, str(options.seconds)],
        cwd=APPS,
        env={**os.environ, "PYTHONPATH": str(APPS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    output, _ = process.communicate()
    if process.returncode:
        raise LoadError(f"{app} failed in a loop without a server")
    sample: Sample = json.loads(output)
    return sample


def beside_sleepers(sleepers: int) -> Measurement:
    def measure(server: Server, options: Options) -> Sample:
        with server.running(Setup("django_mixed")) as running:
            # Alone both before and after, so that a drift of the machine does not look like a loss.
            before = load_sample(running, options)["rate"]
            slow = Wrk(running.url("/sleep"), options.seconds + 1, sleepers)
            time.sleep(0.5)
            fast = Wrk(running.url(), options.seconds).finish(may_fail=True)
            slow_load = slow.finish(may_fail=True)
            alone = statistics.mean([before, wrk(running.url(), options.seconds).rate])
        return {
            "alone_rate": alone,
            "rate": fast.rate,
            "kept": fast.rate / alone,
            "p50_ms": fast.p50_ms,
            "p99_ms": fast.p99_ms,
            "slow_rate": slow_load.rate,
        }

    return measure


def static_file(size: int, connections: int = CONNECTIONS) -> Measurement:
    def measure(server: Server, options: Options) -> Sample:
        root = options.scratch / "static"
        root.mkdir(exist_ok=True)
        file = root / f"{size}.bin"
        if not file.exists():
            file.write_bytes(os.urandom(size))
        with server.running(Setup("hello", static=root)) as running:
            faults = static_faults(running.port, f"/static/{size}.bin", file.read_bytes())
            if faults:
                print(f"    {server.name}: {'; '.join(faults)}", file=sys.stderr)
            take = large_sample if size >= MIB else load_sample
            sample = take(running, options, f"/static/{size}.bin", connections)
        return {**sample, "faults": len(faults)}

    return measure


def static_faults(port: int, path: str, content: bytes) -> list[str]:
    """What of RFC 9110's conditional and range requests it does not do. LoadError when the file itself is wrong."""

    def ask(method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, content

    whole, body = ask()
    if whole.status != 200 or hashlib.sha256(body).digest() != hashlib.sha256(content).digest():
        raise LoadError(f"{path} was answered with status {whole.status} and {len(body)} bytes, not with the file")
    etag, modified = whole.getheader("ETag", ""), whole.getheader("Last-Modified", "")
    head, head_body = ask("HEAD")
    part, part_body = ask(Range="bytes=10-19")
    suffix, suffix_body = ask(Range="bytes=-5")
    beyond, _ = ask(Range=f"bytes={len(content)}-")
    unlike, unlike_body = ask(Range="bytes=10-19", If_Range='"another"')
    checks = {
        "no ETag": bool(etag),
        "no Last-Modified": bool(modified),
        "no 304 for If-None-Match": bool(etag) and ask(If_None_Match=etag)[0].status == 304,
        "no 304 for If-Modified-Since": bool(modified) and ask(If_Modified_Since=modified)[0].status == 304,
        "an other ETag must get 200": ask(If_None_Match='"another"')[0].status == 200,
        "HEAD is wrong": head.status == 200
        and not head_body
        and head.getheader("Content-Length") == str(len(content)),
        "no 206 for a range": part.status == 206 and part_body == content[10:20],
        "no Content-Range": part.getheader("Content-Range") == f"bytes 10-19/{len(content)}",
        "no 206 for a suffix range": suffix.status == 206 and suffix_body == content[-5:],
        "no 416 beyond the end": beyond.status == 416,
        "If-Range is not obeyed": unlike.status == 200 and unlike_body == content,
    }
    return [fault for fault, right in checks.items() if not right]


class Client:
    """A run of clients.py in the background, in place when this returns."""

    def __init__(self, kind: str, port: int, *arguments: float | str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "clients.py"), kind, str(port), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        """LoadError when it cannot get there."""
        assert self.process.stdout and self.process.stderr
        if self.process.stdout.readline() != "ready\n":
            raise LoadError(f"the clients failed: {self.process.stderr.read().strip()[-300:]}")

    def finish(self) -> Sample:
        """Lets it end and returns what it saw. LoadError when it failed."""
        output, errors = self.process.communicate()
        if self.process.returncode:
            raise LoadError(f"the clients failed: {errors.strip()[-300:]}")
        sample: Sample = json.loads(output.splitlines()[-1])
        return sample


@contextmanager
def clients(kind: str, port: int, *arguments: float | str) -> Iterator[Client]:
    """Starts them, waits until they are in place, and leaves none behind."""
    client = Client(kind, port, *arguments)
    try:
        client.wait_until_ready()
        yield client
    finally:
        if client.process.poll() is None:
            client.process.kill()
            client.process.communicate()


def settled_memory(pid: int) -> int:
    """The tree's memory when it has stayed within 1 % for a second; the last figure after ten."""
    seen = [memory_bytes(pid)]
    while len(seen) < 40:
        time.sleep(0.25)
        seen.append(memory_bytes(pid))
        if len(seen) > 4 and max(seen[-5:]) <= min(seen[-5:]) * 1.01:
            break
    return seen[-1]


IDLE = 2000


def with_idle_connections(server: Server, options: Options) -> Sample:
    with server.running(Setup("hello", connections=2 * IDLE)) as running:
        before = load_sample(running, options)["rate"]
        memory = settled_memory(running.pid)
        with clients("idle", running.port, IDLE) as crowd:
            each = (settled_memory(running.pid) - memory) / IDLE
            rate = wrk(running.url(), options.seconds).rate
            still_open = crowd.finish()["open"]
        alone = statistics.mean([before, wrk(running.url(), options.seconds).rate])
    return {"bytes_each": each, "alone_rate": alone, "rate": rate, "kept": rate / alone, "still_open": still_open}


def with_two_workers(server: Server, options: Options) -> Sample:
    rates = []
    for workers in (1, 2):
        with server.running(Setup("django_page", workers=workers, cpus=SERVER_CPUS | LOAD_CPUS)) as running:
            wrk(running.url(), options.seconds / 4)
            rates.append(wrk(running.url(), options.seconds, cpus=SERVER_CPUS | LOAD_CPUS).rate)
    return {"one_rate": rates[0], "rate": rates[1], "speedup": rates[1] / rates[0]}


def at_rest(server: Server, _options: Options) -> Sample:
    sample = {}
    for workers in (1, 4):
        # Waitress has only ever one process.
        if server.name == "waitress" and workers > 1:
            continue
        with server.running(Setup("django_minimal", workers=workers)) as running:
            settled_memory(running.pid)
            wrk(running.url(), 1, 8)
            sample[f"mb_{workers}"] = settled_memory(running.pid) / 1e6
    return sample


IDLE_SITES, RUNNING_SITES = 100, 20
SITE = """
[sites.s{number}]
app = "django_minimal:application"
chdir = "{apps}"
hosts = ["s{number}.test"]
on_demand = true
"""


def many_sites(server: Server, options: Options) -> Sample:
    """What all processes of many sites have: of those that nobody asks for, and of those that have answered."""
    sample = {}
    file = options.scratch / "sites.toml"
    for kind, count in (("idle", IDLE_SITES), ("running", RUNNING_SITES)):
        file.write_text("".join(SITE.format(number=number, apps=APPS) for number in range(count)))
        with server.running(Setup("", arguments=("--config", str(file)))) as running:
            if kind == "running":
                for number in range(count):
                    exchange(running.port, "GET", "/", host=f"s{number}.test")
            sample[f"{kind}_mib"] = settled_memory(running.pid) / MIB
    sample["each_mib"] = sample["running_mib"] / RUNNING_SITES
    return sample


TRANSFER = 50_000_000


def transfers(server: Server, _options: Options) -> Sample:
    with server.running(Setup("transfers")) as running:
        exchange(running.port, "POST", "/", 1000)
        for _ in range(20):
            exchange(running.port, "GET", "/1000")
        rest = settled_memory(running.pid)
        with peak_memory(running.pid) as up:
            exchange(running.port, "POST", "/", TRANSFER)
        with peak_memory(running.pid) as down:
            exchange(running.port, "GET", f"/{TRANSFER}")
        kept = settled_memory(running.pid)
    return {
        "up_peak_mib": (up.bytes - rest) / MIB,
        "down_peak_mib": (down.bytes - rest) / MIB,
        "kept_mib": (kept - rest) / MIB,
    }


def exchange(port: int, method: str, path: str, size: int = 0, host: str = "127.0.0.1") -> None:
    """One request with a body of `size`, its answer read in pieces. LoadError unless it is 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, b"x" * size if size else None, {"Host": host})
    response = connection.getresponse()
    while response.read(65_536):
        pass
    connection.close()
    if response.status != 200:
        raise LoadError(f"{method} {path} with {size} bytes was answered with {response.status}")


def first_response(server: Server, _options: Options) -> Sample:
    times = []
    for _ in range(5):
        with server.running(Setup("django_minimal")) as running:
            times.append(running.ready_seconds)
    return {"seconds": statistics.median(times)}


SLOW_SECONDS = 40.0
HONEST_SECONDS = 8.0


def attacked(kind: str, count: int) -> Measurement:
    """Honest clients beside slow ones, and alone right before and after: the machine is not the same all the time."""

    def measure(server: Server, options: Options) -> Sample:
        def alone() -> float:
            return Wrk(running.url(), HONEST_SECONDS / 2, 8).finish(may_fail=True).rate

        with server.running(Setup("django_mixed", threads=4, connections=2 * count)) as running:
            wrk(running.url(), options.seconds / 4, 8)
            before = alone()
            rest = memory_bytes(running.pid)
            with (
                peak_memory(running.pid, 0.5) as peak,
                clients(kind, running.port, count, SLOW_SECONDS) as slow,
            ):
                honest = Wrk(running.url(), HONEST_SECONDS, 8).finish(may_fail=True)
                # Those that trickle must all end, so that "none is open" has to be said; those that read need not.
                ends = ({} if kind == "read" else {"open": 0}) | slow.finish()
            # Some have not recovered yet: 0 is not their rate.
            alone_rate = statistics.mean(rate for rate in (before, alone()) if rate)
        return {
            "alone_rate": alone_rate,
            "rate": honest.rate,
            "kept": honest.rate / alone_rate,
            "memory_mb": (peak.bytes - rest) / 1e6,
            **{f"slow: {end}": number for end, number in sorted(ends.items())},
        }

    return measure


def overloaded(server: Server, options: Options) -> Sample:
    with server.running(Setup("django_page")) as running:
        capacity = load_sample(running, options, "/long")["rate"]
        with clients("flood", running.port, "/long", 4 * capacity, 10) as flood:
            recovered = seconds_until_normal(running.port)
            seen = flood.finish()
    if seen["client_lag_s"] > 1:
        raise LoadError(f"the load was {seen['client_lag_s']:.1f} s late: the machine is too busy to make it")
    good = seen.get("200_share", 0.0)
    return {
        "capacity": capacity,
        "answered": good + seen.get("503_share", 0.0),
        "goodput": good * 4,
        "recovery_s": recovered,
        **seen,
    }


def seconds_until_normal(port: int, give_up: float = 60.0) -> float:
    """Until five requests in turn are answered with 200 within 50 ms each; from now to the first of them."""
    started, since, in_turn = time.monotonic(), 0.0, 0
    while in_turn < 5 and time.monotonic() - started < give_up:
        asked = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            good = connection.getresponse().status == 200 and time.monotonic() - asked < 0.05
        except (OSError, http.client.HTTPException):
            good = False
        finally:
            connection.close()
        since = asked - started if in_turn == 0 else since
        in_turn = in_turn + 1 if good else 0
        time.sleep(0.02)
    return since if in_turn == 5 else give_up
