"""How an application reports to the test that runs it (the unix socket TESTER), and waits for it. No other channel:
what a test has heard in this order has happened in this order.
"""

import os
import socket


def hold(word):
    """Reports, and waits until the test releases it."""
    with report(word) as connection:
        connection.recv(1)


def tell(word):
    """Reports, and goes on."""
    report(word).close()


def report(word):
    """Reports on a connection of its own, which the test may answer with a byte."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ["TESTER"])
    connection.sendall(word.encode() + b"\n")
    return connection
