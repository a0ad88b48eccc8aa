"""30 MB in pieces, and a word to the test when all of them have been handed over."""

from tester import tell


def many(environ, start_response):
    start_response("200 OK", [])
    try:
        for number in range(30):
            yield bytes([97 + number % 26]) * 1_000_000
    finally:
        tell("closed")


def few(environ, start_response):
    start_response("200 OK", [])
    return [b"few"]
