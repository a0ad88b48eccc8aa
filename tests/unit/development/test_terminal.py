"""The line that a developer sees for each request."""

from penstock.development.terminal import Request, request_line


def test_a_line_of_the_access_log_is_understood():
    assert Request.parse("200 12345 4100 GET HTTP/1.1 /books/?q=a%20b\n") == Request(
        200, 12345, 4100, "GET", "HTTP/1.1", "/books/?q=a%20b"
    )


def test_a_target_without_a_query_has_no_question_mark():
    assert Request.parse("200 1 2 GET HTTP/1.1 /books/?\n").target == "/books/"


def test_the_line_is_plain_in_a_pipe():
    request = Request(404, 1234, 2_500_000, "DELETE", "HTTP/1.1", "/x")
    assert request_line(request, has_colour=False) == "404    1.2 ms   2.5 MB  DELETE /x\n"


def test_the_status_chooses_the_colour():
    colours = {}
    for status in (200, 304, 404, 500):
        line = request_line(Request(status, 1, 1, "GET", "HTTP/1.1", "/"), has_colour=True)
        colours[status] = line.partition(str(status))[0]
    assert colours == {200: "\x1b[32m", 304: "\x1b[36m", 404: "\x1b[33m", 500: "\x1b[31m"}
