"""Reads the body in the way that a test asks for: the query is a list of calls, `read,3;readline;readlines,9;rest`."""


def replay(environ, start_response):
    results = results_of(environ["wsgi.input"], environ["QUERY_STRING"])
    start_response("200 OK", [])
    return [repr(results).encode()]


def results_of(stream, calls):
    """What the calls on this stream return. `rest` iterates."""
    results = []
    for call in calls.split(";"):
        name, *arguments = call.split(",")
        if name == "rest":
            results.append(list(stream))
        else:
            values = [None if one == "None" else int(one) for one in arguments]
            results.append(getattr(stream, name)(*values))
    return results


def unread(environ, start_response):
    """Leaves the body alone."""
    start_response("200 OK", [])
    return [b"unread"]


def complain(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("one\n")
    errors.writelines(["two\n", "three\n"])
    errors.flush()
    start_response("200 OK", [])
    return [b""]


def length(environ, start_response):
    """How long the body is, read piece by piece."""
    total = 0
    while piece := environ["wsgi.input"].read(65536):
        total += len(piece)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['CONTENT_LENGTH']} {total}".encode()]
