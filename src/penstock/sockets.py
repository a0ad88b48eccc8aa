"""The listening sockets: binds them, takes inherited ones, and says who holds an address that is in use.

Knows nothing of HTTP. Every failure is a CannotBind.
"""

import contextlib
import ctypes
import errno
import glob
import os
import socket
import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

from penstock.errors import CannotBind
from penstock.systemd import Passed

# A unix socket has none, and PEP 3333 wants SERVER_PORT never to be empty: Wagtail makes a number of it.
UNIX_PORT = "80"
SO_ATTACH_FILTER = 26  # socket(7); Python has no name for it
# linux/filter.h: load the flags of the TCP header (byte 13); if SYN is among them take no byte, else all.
DROP_SYN = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
TCP_SYN_RECV, TCP_LISTEN = 3, 10  # linux/tcp_states.h, and the column st of proc_net_tcp
IP_MINTTL, IPV6_MINHOPCOUNT = 21, 73  # ip(7), linux/in6.h; Python has no names for them


class Listener(NamedTuple):
    """One bound, listening socket."""

    socket: socket.socket
    kind: str  # "tcp" or "unix"
    host: str  # SERVER_NAME when a request names no host
    port: str  # SERVER_PORT
    path: str  # of a unix socket that we made, to be removed at the end; else ""
    origin: str = ""  # "systemd" when it has passed the socket
    is_ours: bool = True  # nobody who handed it down goes on listening when we have left
    is_uwsgi: bool = False  # a web server speaks the uwsgi protocol here

    @property
    def url(self) -> str:
        """Where a person would look."""
        uwsgi = "uwsgi:" if self.is_uwsgi else ""
        if self.kind == "unix":
            return f"{uwsgi}unix:{self.socket.getsockname()}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{uwsgi or 'http://'}{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Only programs on this machine can connect."""
        return self.kind == "unix" or is_loopback(self.socket.getsockname()[0])

    def hold_off(self) -> None:
        """Lets nobody begin to connect any more. Who has begun will be connected; who waits to be accepted stays.

        Who asks for a TCP connection is not heard, and asks again after a second.
        """
        if self.kind == "unix":
            self.refuse()
            return
        packed = (struct.pack("HBBI", *instruction) for instruction in DROP_SYN)
        instructions = ctypes.create_string_buffer(b"".join(packed))
        program = struct.pack("HL", len(DROP_SYN), ctypes.addressof(instructions))
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        except PermissionError:
            # Linux 6.18 lets only root attach one to TCP. Anybody may drop what did not set out with the highest TTL:
            # common systems begin with 64 or 128. The connections of who has begun inherit that: the engine takes it
            # off them when it stops.
            self.socket.setsockopt(socket.IPPROTO_IP, IP_MINTTL, 255)
            if self.socket.family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT, 255)

    @property
    def is_being_connected_to(self) -> bool:
        """Somebody's TCP connection comes about: its first packet has arrived, and its third has not."""
        return self.kind == "tcp" and any(tcp_sockets(self.socket.getsockname()[1], TCP_SYN_RECV))

    def refuse(self) -> None:
        """Refuses connections from now on, in every process; those that wait to be accepted on TCP are reset."""
        self.socket.shutdown(socket.SHUT_RD)


def listen_all(addresses: list[str], backlog: int, passed: list[Passed]) -> list[Listener]:
    """Binds every address. `passed` are the sockets that systemd hands over, for addresses like fd://NAME."""
    origins = {f"fd://{one.fd}": "systemd" for one in passed}
    found = []
    for address in addresses:
        plain = without_protocol(address)
        for place in places_of(plain, passed):
            listener = listen(place, backlog)
            found.append(listener._replace(origin=origins.get(place, ""), is_uwsgi=plain != address))
    return found


def without_protocol(address: str) -> str:
    """The place that an address names, whatever is spoken there."""
    return address.removeprefix("uwsgi:")


def is_loopback(host: str) -> bool:
    """An address that other machines cannot reach, or come from."""
    return host == "::1" or host.startswith("127.")


def refuse_open_uwsgi(listeners: list[Listener], allowed: list[str]) -> None:
    """CannotBind where other machines could reach the uwsgi protocol, and nobody has said which of them may."""
    are_all_local = all(peer == "unix" or is_loopback(peer) for peer in allowed)
    for listener in listeners:
        if are_all_local and listener.is_uwsgi and not listener.is_local:
            raise CannotBind(
                f"{listener.url} can be reached from other machines, and uwsgi_allow names none of them",
                "listen on 127.0.0.1 or a unix socket, or name your web server's address in uwsgi_allow: "
                "whoever speaks this protocol is believed about the client",
            )


def unnamed(passed: list[Passed], addresses: list[str]) -> list[str]:
    """The places of the sockets that systemd hands over and no address asks for."""
    asked = {without_protocol(address) for address in addresses}
    return [f"fd://{one.fd}" for one in passed if not {f"fd://{one.fd}", f"fd://{one.name}"} & asked]


def places_of(address: str, passed: list[Passed]) -> list[str]:
    """An address as it is, or fd://N for each socket that has its name."""
    name = address.removeprefix("fd://")
    if name == address or name.isdecimal():
        return [address]
    places = [f"fd://{one.fd}" for one in passed if one.name == name]
    if not places:
        names = ", ".join(one.name for one in passed if one.name)
        raise CannotBind(
            f"cannot listen on {address}: systemd has passed no socket of that name",
            f"it has passed {names}" if names else "FileDescriptorName= in the .socket unit gives it one",
        )
    return places


def listen(address: str, backlog: int) -> Listener:
    """Binds one address of the forms that settings allow."""
    if address.startswith("fd://"):
        return adopt(int(address[5:]), backlog)
    if address.startswith("unix:"):
        return listen_unix(address[5:], backlog)
    host, _, port = address.rpartition(":")
    return listen_tcp(host.strip("[]"), int(port), backlog)


def listen_tcp(host: str, port: int, backlog: int) -> Listener:
    """A TCP socket for one address of one family: `[::]` is every IPv6 address, and IPv4 is asked for beside it."""
    try:
        family, place = resolve(host, port)
    except OSError as error:
        raise CannotBind(f"cannot listen on {host}:{port}: the name is not known ({error.strerror})") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart must not wait for the old connections' TIME_WAIT.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(place)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise refusal(error, f"{host}:{port}", port) from error
    return Listener(listener, "tcp", host, str(listener.getsockname()[1]), "")


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """The family and place of a host; only names are looked up."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, host)
            return family, (host, port)
    family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return family, (str(place[0]), int(place[1]))


def listen_unix(path: str, backlog: int) -> Listener:
    """A unix socket. One that a dead process left is replaced; anything else in its place is left alone."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.lexists(path):
            remove_dead(path)
        listener.bind(path)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise refusal(error, f"unix:{path}", 0) from error
    return Listener(listener, "unix", "localhost", UNIX_PORT, path)


def remove_dead(path: str) -> None:
    """Removes a unix socket that nobody listens on; raises CannotBind for everything else."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise CannotBind(f"cannot listen on unix:{path}: there is a file that is no socket", "choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError as error:
            raise refusal(error, f"unix:{path}", 0) from error
    raise CannotBind(f"cannot listen on unix:{path}: another process does", "stop it, or choose another path")


def adopt(fd: int, backlog: int) -> Listener:
    """A socket that the parent process opened: bound, perhaps not yet listening."""
    try:
        os.set_inheritable(fd, False)
        listener = socket.socket(fileno=fd)
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listener.listen(backlog)
        name = listener.getsockname()
    except OSError as error:
        raise CannotBind(
            f"cannot listen on fd://{fd}: {error.strerror}",
            "the process that starts Penstock must pass a bound socket",
        ) from error
    if listener.family == socket.AF_UNIX:
        return Listener(listener, "unix", "localhost", UNIX_PORT, "", is_ours=False)
    return Listener(listener, "tcp", name[0], str(name[1]), "", is_ours=False)


def refusal(error: OSError, address: str, port: int) -> CannotBind:
    """The system's refusal as a sentence with its cause."""
    message = f"cannot listen on {address}: {(error.strerror or str(error)).lower()}"
    hint = ""
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port) if port else ""
        message = f"cannot listen on {address}: the address is in use" + (f" by {holder}" if holder else "")
        hint = "stop that process, or choose another address with --bind"
    elif error.errno == errno.EACCES and 0 < port < 1024:
        hint = (
            "ports below 1024 are for root: choose a higher one and put a proxy in front, "
            "let systemd pass the socket, or allow it with `sysctl net.ipv4.ip_unprivileged_port_start=80`"
        )
    elif error.errno == errno.EADDRNOTAVAIL:
        hint = "no interface of this machine has that address; `ip address` lists them"
    elif error.errno in (errno.EACCES, errno.EPERM):
        hint = "the directory must be writable for the user who starts Penstock"
    elif error.errno == errno.ENOENT:
        hint = "the directory must exist"
    return CannotBind(message, hint)


def tcp_sockets(port: int, state: int) -> Iterator[str]:
    """The inodes of this machine's sockets with a local port that are in a state; "0" where there is none yet."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as file:
            for fields in (line.split() for line in file.readlines()[1:]):
                if int(fields[3], 16) == state and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def holder_of(port: int) -> str:
    """`pid N (command)` of a process that listens on a TCP port, as far as this user may see; else ""."""
    inodes = {f"socket:[{inode}]" for inode in tcp_sockets(port, TCP_LISTEN)}
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(link) in inodes:
                pid = link.split("/")[2]
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().decode(errors="replace").split("\0")
                command = " ".join(os.path.basename(word) if word.startswith("/") else word for word in words).strip()
                return f"pid {pid} ({command[:60]})"
    return ""
