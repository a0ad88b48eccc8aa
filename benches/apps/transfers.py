"""Large bodies in both directions, by an application that itself holds no more than a piece of them.

GET /COUNT answers COUNT bytes: to 1 MB as one piece, beyond that as a generator of pieces. POST reads and counts.
"""

PIECE = b"x" * 65_536
ONE_PIECE_BYTES = 1_000_000
ONE_PIECE = b"x" * ONE_PIECE_BYTES


def pieces(size):
    for start in range(0, size, len(PIECE)):
        yield PIECE[: size - start]


def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        left = int(environ["CONTENT_LENGTH"])
        while left and (piece := environ["wsgi.input"].read(min(left, len(PIECE)))):
            left -= len(piece)
        # Content that does not arrive must not look like an upload that went well.
        status, body = ("400 Bad Request", [b"short"]) if left else ("200 OK", [b"whole"])
        size = 5
    else:
        size = int(environ["PATH_INFO"][1:] or 0)
        status, body = "200 OK", [ONE_PIECE] if size == ONE_PIECE_BYTES else pieces(size)
    start_response(status, [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
    return body
