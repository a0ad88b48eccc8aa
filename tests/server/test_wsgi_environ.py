"""PEP 3333, "environ Variables": each sentence a test. The application of tests/apps/echo.py shows what it got."""

import json

import pytest

APP = "echo:application"


def environ_of(engine, target="/", *fields, **request):
    return json.loads(engine.get(target, *fields, **request).body)["environ"]


@pytest.fixture(scope="module")
def plain(shared_engine):
    """A request with nothing but what HTTP/1.1 asks for."""
    return json.loads(shared_engine.get("/").body)


def test_the_environ_is_a_builtin_dictionary(plain):
    assert plain["type"] == "dict"


def test_the_application_may_change_the_environ_without_the_next_one_noticing(engine):
    with engine.connect() as client:
        first, second = (json.loads(client.ask("/").body)["types"] for _ in range(2))
    assert first == second


def test_names_and_cgi_variables_are_native_strings(plain):
    assert plain["key_types"] == ["str"]
    assert {kind for name, kind in plain["types"].items() if "." not in name} == {"str"}


def test_every_variable_that_the_pep_demands_is_there(plain):
    demanded = {"REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT"}
    demanded |= {"SERVER_PROTOCOL", "wsgi.version", "wsgi.url_scheme", "wsgi.input", "wsgi.errors"}
    demanded |= {"wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once"}
    assert demanded <= plain["environ"].keys()


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PROPFIND", "m-search"])
def test_the_method_is_as_sent(engine, method):
    assert environ_of(engine, method=method)["REQUEST_METHOD"] == method


def test_the_script_name_is_empty_at_the_root(plain):
    assert plain["environ"]["SCRIPT_NAME"] == ""


@pytest.mark.parametrize(
    ("path", "decoded"),
    [
        ("/", "/"),
        ("/a%20b", "/a b"),
        ("/%41%2f%2F", "/A//"),
        ("/caf%C3%A9", "/caf\xc3\xa9"),
        ("/%e9", "/\xe9"),
        ("/%00%0d%0a", "/\0\r\n"),
        ("/100%", "/100%"),
        ("/%zz%4", "/%zz%4"),
        ("/%2541", "/%41"),
        ("/a+b;c=d", "/a+b;c=d"),
        ("//two//", "//two//"),
        ("/../up/.", "/../up/."),
    ],
)
def test_the_path_is_decoded_once_to_one_character_for_each_byte(engine, path, decoded):
    environ = environ_of(engine, path + "?q=%41")
    assert environ["PATH_INFO"] == decoded
    assert environ["REQUEST_URI"] == path + "?q=%41"


@pytest.mark.parametrize(("target", "query"), [("/a", ""), ("/a?", ""), ("/a?b=%20+&?c", "b=%20+&?c")])
def test_the_query_is_not_decoded_and_empty_when_there_is_none(engine, target, query):
    assert environ_of(engine, target)["QUERY_STRING"] == query


def test_content_type_and_length_are_there_only_when_sent(engine, plain):
    assert {"CONTENT_TYPE", "CONTENT_LENGTH"}.isdisjoint(plain["environ"])
    environ = environ_of(engine, "/", "Content-Type: text/x; a=b", method="POST", body=b"12345")
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("text/x; a=b", "5")
    assert {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}.isdisjoint(environ)


def test_a_length_of_zero_is_shown(engine):
    assert environ_of(engine, "/", "Content-Length: 0", method="POST")["CONTENT_LENGTH"] == "0"


def test_a_chunked_request_has_the_length_of_its_decoded_body(engine):
    with engine.connect() as client:
        client.send_request("/", "Transfer-Encoding: chunked", method="POST")
        client.send(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
        request = json.loads(client.response().body)
    assert request["environ"]["CONTENT_LENGTH"] == "5"
    assert request["body"] == "abcde"


def test_server_name_and_port_are_never_empty_and_name_the_listener(engine, plain):
    host, port = engine.addresses[0]
    assert (plain["environ"]["SERVER_NAME"], plain["environ"]["SERVER_PORT"]) == (host, str(port))


def test_the_protocol_is_that_of_the_request(engine, plain):
    assert plain["environ"]["SERVER_PROTOCOL"] == "HTTP/1.1"
    with engine.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert json.loads(client.response().body)["environ"]["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_the_remote_address_and_port_are_those_of_the_client(engine):
    with engine.connect() as client:
        environ = json.loads(client.ask("/").body)["environ"]
        assert (environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"])) == client.socket.getsockname()


def test_fields_become_variables_in_upper_case_with_underscores(engine):
    environ = environ_of(engine, "/", "X-One-two: 3", "aCCEPT:  text/html ", "Empty:")
    assert (environ["HTTP_X_ONE_TWO"], environ["HTTP_ACCEPT"], environ["HTTP_EMPTY"]) == ("3", "text/html", "")
    assert environ["HTTP_HOST"] == "example.test"


def test_field_values_are_one_character_for_each_byte(engine):
    assert environ_of(engine, "/", "X-Name: caf\xc3\xa9 \xff")["HTTP_X_NAME"] == "caf\xc3\xa9 \xff"


def test_equal_fields_are_joined_with_commas_and_cookies_with_semicolons(engine):
    fields = ["X-A: 1", "x-a: 2", "X-A: 3", "Cookie: a=1", "COOKIE: b=2", "Accept: a", "accept: b"]
    environ = environ_of(engine, "/", *fields)
    assert environ["HTTP_X_A"] == "1, 2, 3"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_ACCEPT"] == "a, b"


def test_equal_content_types_are_joined_like_other_fields(engine):
    assert environ_of(engine, "/", "Content-Type: a/b", "Content-Type: c/d")["CONTENT_TYPE"] == "a/b, c/d"


def test_fields_with_an_underscore_are_dropped(engine):
    environ = environ_of(engine, "/", "X_Forwarded_For: 192.0.2.1", "X_A: 1", "Content_Length: 7", "X-A: 2")
    assert environ["HTTP_X_A"] == "2"
    assert {"HTTP_X_FORWARDED_FOR", "HTTP_CONTENT_LENGTH", "CONTENT_LENGTH"}.isdisjoint(environ)


def test_the_version_is_a_tuple_of_one_and_zero(plain):
    assert plain["environ"]["wsgi.version"] == "(1, 0)"
    assert plain["types"]["wsgi.version"] == "tuple"


def test_the_scheme_is_http_without_a_proxy(plain):
    assert plain["environ"]["wsgi.url_scheme"] == "http"


def test_an_engine_with_threads_says_so_and_is_called_more_than_once(plain):
    environ = plain["environ"]
    assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"], environ["wsgi.run_once"]) == (
        True,
        False,
        False,
    )


def test_an_engine_with_one_thread_among_several_processes_says_so(start):
    environ = environ_of(start(APP, threads=1, multiprocess=True))
    assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"]) == (False, True)


def test_the_input_says_that_it_ends_by_itself(plain):
    assert plain["environ"]["wsgi.input_terminated"] is True


def test_extensions_of_the_server_have_names_of_their_own(plain):
    own = {name for name in plain["environ"] if "." in name and not name.startswith("wsgi.")}
    assert {name.partition(".")[0] for name in own} <= {"penstock"}


def test_what_is_written_to_the_error_stream_is_in_the_log(start):
    engine = start("inputs")
    assert engine.get("/complain").status == 200
    assert engine.logged() == "one\ntwo\nthree\n"
