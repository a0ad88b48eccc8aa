"""The smallest site: it says a word, and which process says it."""

import textwrap

HELLO = """
    import os

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{WORD} from {os.getpid()}".encode()]
"""


def hello(word):
    return f"WORD = {word!r}\n{textwrap.dedent(HELLO)}"
