"""A server that has few descriptors, or no room on its disk, goes on; and so it does after two hundred thousand
requests.
"""

import socket
import subprocess

import pytest
from raw_client import Client
from steady_load import upload_in_chunks

from penstock.processes import memory_of

TARGET = "/quick?a=b"
PIPELINED = 500
# The disk is full before the server begins; only its processes see it.
ON_A_FULL_DISK = ("unshare", "--mount", "sh", "-c")
FILL_IT = 'mount -t tmpfs -o size=1m none full; head -c 2M /dev/zero > full/filler; exec "$@"'


def test_two_hundred_thousand_requests_take_no_memory(serve):
    server = serve("--access-log", "access.log", "--request-id", workers=1)
    with Client(("127.0.0.1", server.port)) as client:
        ask_often(client, 20_000)
        before = memory_of(server.pids[0])
        ask_often(client, 200_000)
        growth = memory_of(server.pids[0]) - before
    print(f"{before >> 10} KiB before, {growth >> 10} KiB more after 200,000 requests")
    assert growth < 2**20


def ask_often(client, times):
    """So many requests, without waiting for each answer."""
    client.send_request(TARGET)
    client.receive()
    length = len(client.take(len(client.received)))
    for _ in range(times // PIPELINED):
        client.send(f"GET {TARGET} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * PIPELINED)
        assert client.take_many(length * PIPELINED).count(b"HTTP/1.1 200 OK\r\n") == PIPELINED


def test_with_few_descriptors_more_clients_than_there_are_of_them_are_served(serve, load):
    server = serve(wrapper=("prlimit", "--nofile=128:128"))
    with load(server) as clients:
        idle = [Client(("127.0.0.1", server.port)) for _ in range(300)]
        for client in idle:
            client.send_request("/waits")
        for client in idle:
            assert client.response().status == 200
            client.socket.close()
        clients.go_on()
        assert server.command("reload") == ("generation 2 serves\n", "", 0)
        clients.go_on()
    clients.check()


def test_with_a_full_disk_for_bodies_and_logs_all_but_large_bodies_are_served(launch, load, tmp_path):
    refused = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False).stderr
    if refused:
        pytest.skip(f"a full disk needs a mount namespace: {refused.strip()}")
    tmp_path.joinpath("full").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = ("--bind", f"fd://{listening.fileno()}", "--temp-dir", "full")
        logs = ("--access-log", "full/access.log", "--error-log", "full/error.log")
        inherits = [listening.fileno()]
        server = launch("under_load", *place, *logs, inherits=inherits, wrapper=(*ON_A_FULL_DISK, FILL_IT, "sh"))
        server.port = listening.getsockname()[1]
    with load(server) as clients, Client(("127.0.0.1", server.port)) as client:
        assert client.ask("/recurses").status == 500
        assert upload_in_chunks(client, "/quick", b"x" * 3_000_000).status == 503
        clients.go_on()
        server.send("USR1")
        server.send("HUP")
        clients.go_on(100)
    clients.check()
    server.send("TERM")
    assert server.wait_for_end() == 0
