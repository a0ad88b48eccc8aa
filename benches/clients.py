"""The clients that wrk cannot be: many that idle, that trickle a request, read slowly, discard, or do not wait.

`python clients.py KIND PORT …` prints "ready" when all are in place (for `flood`: when the last has been sent), and
one JSON object at the end. One process, one thread; it times nothing that it does not say.
"""

import asyncio
import collections
import contextlib
import errno
import json
import selectors
import socket
import sys
import time

HOST = "127.0.0.1"
GET = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n"


def say(word: object) -> None:
    print(word, flush=True)


def connected(port: int, receive_buffer: int = 0) -> socket.socket:
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(10)
    client.connect((HOST, port))
    return client


def idle(port: int, count: int) -> dict[str, int]:
    """Opens connections, makes one request on each, and holds them until standard input ends."""
    clients = []
    for _ in range(count):
        client = connected(port)
        client.sendall(GET % (b"/", b""))
        if not client.recv(65_536):
            raise SystemExit("a connection was closed without an answer")
        clients.append(client)
    say("ready")
    sys.stdin.read()
    still_open = 0
    for client in clients:
        client.setblocking(False)
        try:
            # More of the first answer may lie here; an empty read is the end.
            while client.recv(65_536):
                pass
        except BlockingIOError:
            still_open += 1
        except OSError:
            pass
    return {"open": still_open}


async def outcome(reader: asyncio.StreamReader) -> str:
    """How a connection ended: the status of an answer, or a close."""
    try:
        line = await reader.readline()
    except OSError:
        return "closed"
    return line.split()[1].decode() if line.startswith(b"HTTP/") else "closed"


async def trickle(port: int, count: int, seconds: float, start: bytes) -> dict[str, int]:
    """Sends `start`, then a byte each second, until there is an answer, a close, or `seconds` are over."""
    until = time.monotonic() + seconds

    async def one(in_place: asyncio.Semaphore) -> str:
        try:
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(start)
        except OSError:
            in_place.release()
            return "refused"
        in_place.release()
        ended = asyncio.ensure_future(outcome(reader))
        while time.monotonic() < until:
            done, _ = await asyncio.wait([ended], timeout=1)
            if done:
                writer.close()
                return ended.result()
            writer.write(b"x")
        ended.cancel()
        writer.close()
        return "open"

    in_place = asyncio.Semaphore(0)
    tasks = [asyncio.ensure_future(one(in_place)) for _ in range(count)]
    for _ in range(count):
        await in_place.acquire()
    say("ready")
    return dict(collections.Counter(await asyncio.gather(*tasks)))


async def read_slowly(port: int, count: int, seconds: float) -> dict[str, int]:
    """Asks for 5 MB on each connection and reads 16 KiB of it twice a second."""
    until = time.monotonic() + seconds
    loop = asyncio.get_running_loop()
    reading, all_reading = 0, asyncio.Event()

    async def one() -> str:
        nonlocal reading
        client = connected(port, receive_buffer=16_384)
        client.setblocking(False)
        await loop.sock_sendall(client, GET % (b"/large", b"Connection: close\r\n"))
        status = ""
        while time.monotonic() < until:
            try:
                piece = await asyncio.wait_for(loop.sock_recv(client, 16_384), until - time.monotonic())
            except TimeoutError:
                break
            except OSError:
                return f"{status} closed".strip()
            if not piece:
                return f"{status} ended".strip()
            if not status:
                status = piece.split(None, 2)[1].decode()
                reading += 1
                if reading == count:
                    all_reading.set()
            await asyncio.sleep(0.5)
        client.close()
        return f"{status} reading" if status else "waiting"

    tasks = [asyncio.ensure_future(one()) for _ in range(count)]
    # A server that answers only some of them never gets there; five seconds are enough to make the others wait.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(all_reading.wait(), 5)
    say("ready")
    return dict(collections.Counter(await asyncio.gather(*tasks)))


class Fetch:
    """One connection of those that fetch a large answer again and again, and throw its bytes away in the kernel."""

    def __init__(self, port: int, path: str) -> None:
        self.port, self.request = port, GET % (path.encode(), b"")
        self.latencies: list[float] = []
        self.connect()

    def connect(self) -> None:
        self.socket = connected(self.port)
        self.ask()

    def ask(self) -> None:
        self.head, self.left, self.tail, self.asked = b"", 0, b"", time.monotonic()
        self.socket.sendall(self.request)

    def advance(self, buffer: bytearray) -> None:
        """Takes what has arrived. SystemExit when it is not what was asked for."""
        try:
            if self.take(buffer):
                self.latencies.append(time.monotonic() - self.asked)
                self.ask()
        except ConnectionError:
            # A server may close between two requests, also one that has been sent already.
            if self.head:
                sys.exit("an answer was cut")
            self.connect()

    def take(self, buffer: bytearray) -> bool:
        """True when the answer is complete."""
        if not self.left and not self.tail:
            return self.take_head()
        if self.left:
            # For TCP, MSG_TRUNC takes bytes from the queue without copying them: tcp(7).
            count = self.socket.recv_into(buffer, self.left, socket.MSG_TRUNC)
            self.left -= count
        else:
            # Chunked. The content is random: that a piece of it ends like the last chunk will not happen.
            count = self.socket.recv_into(buffer)
            self.tail = (self.tail + bytes(buffer[max(0, count - 5) : count]))[-5:]
        if not count:
            raise ConnectionResetError
        return self.tail == b"0\r\n\r\n" if self.tail else not self.left

    def take_head(self) -> bool:
        """Reads up to the content and finds out how long that is. True when there is none left."""
        piece = self.socket.recv(4096)
        if not piece:
            raise ConnectionResetError
        self.head += piece
        head, end, content = self.head.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"the answer began with {head[:60]!r}")
        length = head.lower().partition(b"\r\ncontent-length:")[2].split(None, 1)
        if length:
            self.left = int(length[0]) - len(content)
        else:
            self.tail = (b"-" + content)[-5:]
        return bool(length) and not self.left


def fetch(port: int, path: str, count: int, seconds: float) -> dict[str, float]:
    """Answers a second and latencies of `count` connections, each of which asks again when it was answered."""
    buffer = bytearray(32 * 1024 * 1024)
    started = time.monotonic()
    selector = selectors.DefaultSelector()
    fetches = [Fetch(port, path) for _ in range(count)]
    for each in fetches:
        selector.register(each.socket, selectors.EVENT_READ, each)
    while time.monotonic() - started < seconds:
        for key, _ in selector.select(0.1):
            before = key.data.socket
            key.data.advance(buffer)
            if key.data.socket is not before:
                selector.unregister(before)
                selector.register(key.data.socket, selectors.EVENT_READ, key.data)
    latencies = sorted(latency for each in fetches for latency in each.latencies) or sys.exit("nothing was answered")
    return {
        "rate": len(latencies) / (time.monotonic() - started),
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
    }


class Flood:
    """Requests at a fixed rate, each on its own connection, whether earlier ones are answered or not."""

    patience = 5.0  # seconds; as long as somebody waits, and few enough open connections

    def __init__(self, port: int, path: str, rate: float, seconds: float) -> None:
        self.port, self.rate, self.total = port, rate, round(rate * seconds)
        self.request = GET % (path.encode(), b"Connection: close\r\n")
        self.selector = selectors.DefaultSelector()
        self.waiting: dict[socket.socket, float] = {}  # since when, in the order of starting
        self.answers: list[tuple[str, float]] = []
        self.lag = 0.0  # how late the latest request started, at worst; a large one makes the run worthless

    def start(self, now: float) -> None:
        client = socket.socket()
        client.setblocking(False)
        status = client.connect_ex((HOST, self.port))
        if status not in (0, errno.EINPROGRESS):
            client.close()
            self.answers.append(("refused", 0.0))
            return
        self.waiting[client] = now
        self.selector.register(client, selectors.EVENT_WRITE)

    def finish(self, client: socket.socket, outcome: str) -> None:
        self.selector.unregister(client)
        self.answers.append((outcome, time.monotonic() - self.waiting.pop(client)))
        client.close()

    def advance(self, client: socket.socket, events: int) -> None:
        """Sends the request on a connection that opened; takes the status from one that answers."""
        try:
            if events & selectors.EVENT_WRITE:
                client.send(self.request)
                self.selector.modify(client, selectors.EVENT_READ)
                return
            head = client.recv(262_144)
        except OSError:
            self.finish(client, "reset")
        else:
            self.finish(client, head.split(None, 2)[1].decode() if head.startswith(b"HTTP/") else "closed")

    def run(self) -> dict[str, float]:
        """The number of requests, and for each outcome its share and latencies in seconds."""
        started, sent = time.monotonic(), 0
        while sent < self.total or self.waiting:
            now = time.monotonic()
            while sent < self.total and started + sent / self.rate <= now:
                self.lag = max(self.lag, now - started - sent / self.rate)
                self.start(now)
                sent += 1
                if sent == self.total:
                    say("ready")
            while self.waiting and now - next(iter(self.waiting.values())) > self.patience:
                self.finish(next(iter(self.waiting)), "timeout")
            for key, events in self.selector.select(0.001):
                self.advance(key.fileobj, events)  # type: ignore[arg-type]
        figures = {"requests": float(self.total), "client_lag_s": self.lag}
        for outcome in {outcome for outcome, _ in self.answers}:
            latencies = sorted(latency for other, latency in self.answers if other == outcome)
            figures[f"{outcome}_share"] = len(latencies) / self.total
            figures[f"{outcome}_p50_s"] = latencies[len(latencies) // 2]
            figures[f"{outcome}_p99_s"] = latencies[len(latencies) * 99 // 100]
        return figures


if __name__ == "__main__":
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "fetch":
        result: object = fetch(port, sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
    elif kind == "idle":
        result = idle(port, int(sys.argv[3]))
    elif kind == "flood":
        result = Flood(port, sys.argv[3], float(sys.argv[4]), float(sys.argv[5])).run()
    elif kind == "read":
        result = asyncio.run(read_slowly(port, int(sys.argv[3]), float(sys.argv[4])))
    else:
        head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
        body = b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"
        start = {"head": head, "body": body}[kind]
        result = asyncio.run(trickle(port, int(sys.argv[3]), float(sys.argv[4]), start))
    say(json.dumps(result))
