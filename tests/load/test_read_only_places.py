"""A server whose root is read-only, as containers have it, starts, says what it goes without, and answers."""

import subprocess

import pytest
from raw_client import Client
from steady_load import upload_in_chunks

# Only its own processes see it so.
READ_ONLY = (
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount -o remount,bind,ro / && mount -t tmpfs -o ro none /run; exec "$@"',
    "sh",
)


def test_a_server_whose_root_is_read_only_starts_and_says_that_it_has_no_control_socket(serve):
    refused = subprocess.run([*READ_ONLY, "true"], capture_output=True, text=True, check=False).stderr
    if refused:
        pytest.skip(f"a read-only root needs a mount namespace: {refused.strip()}")
    server = serve(wrapper=READ_ONLY, workers=1)
    assert "there is no control socket: " in server.log
    with Client(("127.0.0.1", server.port)) as client:
        assert client.ask("/quick").status == 200
        assert upload_in_chunks(client, "/quick", b"x" * 3_000_000).status == 503
    with Client(("127.0.0.1", server.port)) as client:
        assert client.ask("/quick", method="POST", body=b"x" * 100_000).status == 200
    server.send("TERM")
    assert server.wait_for_end() == 0
