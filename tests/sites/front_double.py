"""A front for tests of the parent: carries bytes instead of connections, so it needs nothing of the engine.

Run as `python front_double.py serve …` in the place of `python -m penstock serve …`.
"""

import json, os, re, select, signal, socket, sys, threading, types

from penstock.sites import inbox
from penstock.sockets import Listener


class Inbox(inbox.Inbox):
    @classmethod
    def make(cls, site):
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind("")
        listening.listen(256)
        return cls(listening.dup(), Listener(listening, "unix", site, "80", "", is_ours=False))


class Front:
    def __init__(self, *, config, listeners, sites, inboxes, shut, returned, rules, lifeline, channel):
        self.listeners, self.sites, self.rules, self.channel = listeners, sites, rules, channel
        self.inboxes = dict(zip(sites, inboxes))
        self.shut = set(shut)
        self.open = 0
        self.lifeline = lifeline

    def run(self):
        import ctypes
        ctypes.CDLL(None).prctl(1, 15, 0, 0, 0)
        stop_r, stop_w = os.pipe()
        signal.signal(signal.SIGTERM, lambda *_: os.write(stop_w, b"x"))
        poll = select.poll()
        for one in self.listeners:
            one.socket.setblocking(False)
            poll.register(one.socket, select.POLLIN)
        poll.register(stop_r, select.POLLIN)
        poll.register(self.channel.end, select.POLLIN)
        self.channel.send({"event": "ready"})
        stopping = False
        while not stopping or self.open:
            for fd, _ in poll.poll(100 if stopping else None):
                if fd == stop_r:
                    stopping = True
                    for one in self.listeners:
                        try: poll.unregister(one.socket)
                        except KeyError: pass
                    poll.unregister(stop_r)
                elif fd == self.channel.end.fileno():
                    message = self.channel.receive()
                    if message is None:
                        poll.unregister(self.channel.end); continue
                    (self.shut.discard if message["state"] == "up" else self.shut.add)(message["site"])
                else:
                    for one in self.listeners:
                        if one.socket.fileno() == fd:
                            try: client, _ = one.socket.accept()
                            except BlockingIOError: continue
                            self.open += 1
                            threading.Thread(target=self.serve, args=(client,), daemon=True).start()
        return 0

    def serve(self, client):
        try:
            client.setblocking(True)
            self.carry(client)
        except OSError:
            pass
        finally:
            self.open -= 1
            client.close()

    def carry(self, client):
        from penstock.sites.routing import owner_of
        data = b""
        while b"\r\n\r\n" not in data:
            got = client.recv(65536)
            if not got: return
            data += got
        path = data.split(b" ")[1].decode()
        host = re.search(rb"(?i)\r\nhost: *([^:\r]*)", data)[1].decode()
        site = owner_of([*self.rules], host, path)
        if not site or site in self.shut:
            status = "503 Service Unavailable\r\nRetry-After: 5" if site else "421 Misdirected Request"
            client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(self.inboxes[site].getsockname())
            server.sendall(data)
            while True:
                for one in select.select([client, server], [], [])[0]:
                    got = one.recv(65536)
                    if not got: return
                    (server if one is client else client).sendall(got)


if __name__ == "__main__":
    sys.path[0] = ""
    front = types.ModuleType("penstock.front")
    front.Front = Front
    sys.modules["penstock.front"] = front
    inbox.Inbox = Inbox
    from penstock.cli import main
    sys.exit(main(sys.argv[1:]))
