"""A client whose handshake takes as long as a test wants, for stops that come in the middle of it. Only for root."""

import ctypes
import os
import socket
import struct

import pytest
from raw_client import PATIENCE, Client

from penstock.sockets import TCP_SYN_RECV, tcp_sockets

DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # linux/filter.h: BPF_RET | BPF_K, take no byte
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # socket(7); Python has no names for them

for_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may attach a filter to a client's socket")


class FarClient(Client):
    """One that does not hear the server's part of the handshake before hear() is called.

    The server says it again one second after the first time (RFC 6298 2.1).
    """

    def __init__(self, port: int) -> None:
        self.socket, self.received = socket.socket(), b""
        self.socket.setblocking(False)
        # A server without rights holds others off by their TTL. Who connects meanwhile repeats its request: too late
        # where the handshake has taken a second. tests/server/test_stopping.py has that with a quick client.
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
        program = ctypes.create_string_buffer(DROP_ALL)
        place = struct.pack("HL", 1, ctypes.addressof(program))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, place)
        self.socket.connect_ex(("127.0.0.1", port))
        while not any(tcp_sockets(port, TCP_SYN_RECV)):
            pass

    def hear(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        self.socket.settimeout(PATIENCE)
