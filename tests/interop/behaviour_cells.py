"""Where a server answers otherwise than behaviours.py has it, and why. A cell that is not named here is the same.

What one says here is tested like all the others, so that it cannot become untrue unseen.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Absent:
    """The server does not offer this, or not without other software."""

    why: str


@dataclass(frozen=True)
class Different:
    """It answers something else. `why` says who is right by which standard, or that both are."""

    answer: str
    why: str


def same(cell: Absent | Different, *behaviours: str) -> dict[str, Absent | Different]:
    """The same cell for several behaviours."""
    return dict.fromkeys(behaviours, cell)


NO_RANGES = Absent("it sends what the view gives it: ranges are the view's own work there")
NO_PASSWORDS = Absent("passwords are the application's there: the page is shown to everybody, or Django asks")
PASSED_ON = (
    "the field is for nginx; a server that does not know it passes it on, and clients learn where the file lies"
)
NO_TRUST = Absent("the address is the proxy's there; a middleware of the project has to read the field")
NO_PEER = Different(
    "200, empty",
    "who comes by a unix socket has no address there; a middleware of the project has to read X-Forwarded-For",
)
ONE_APPLICATION = Absent("it serves one application")
IGNORED_CHUNKS = Different(
    "200, 0 bytes",
    "chunks have no CONTENT_LENGTH there, and Django reads only as much as that says: the body is lost. Penstock has "
    "read the body by then, and says its length",
)
LENGTH_REQUIRED = Different(
    "411",
    "RFC 9112 6.3 allows to ask for a length, and nothing is lost; WSGIChunkedRequest would give Django an empty body",
)
ANY_BYTES = Different(
    "200, café", "RFC 3986 has ASCII only, and RFC 9112 3.2 asks to refuse such a target; it takes it for UTF-8"
)
DOTS_RESOLVED = Different(
    "200, b/c", "both are allowed: RFC 3986 6.2.2.3 lets who reads a path resolve them, or leave it"
)
COMMA_BETWEEN_COOKIES = Different(
    "one=1, two=2",
    "clients send one field (RFC 6265 5.4); it joins two with a comma, which Django takes for part of the value; "
    "Penstock with a semicolon, as RFC 9113 8.2.3 does",
)
CHUNKS_WIN = Different(
    "200", "RFC 9112 6.3 allows both: to refuse it, or to believe the chunks and close; who sends it may be smuggling"
)
WITHOUT_CHARSET = Different("text/css", "both are right; without a charset, browsers go by that of the page")
NOT_HASHED = Absent("it does not know names with a hash; its configuration can add fields")
DOTS_SHOWN = Different("200", "both are right; Penstock never serves such names, as they are .git and .env")
OUTERMOST = "it is outermost in this test: it says what it saw itself, and drops what the client says"
OUTERMOST_SAYS = Different("200, http", OUTERMOST)
OUTERMOST_IS_ASKED = Different("200, 127.0.0.1", OUTERMOST)
SENT_TWICE = "RFC 9110 5.3: fields of a list may be parted; nginx refuses this one when it comes twice"

GUNICORN = {
    **same(
        Absent("it serves no files; WhiteNoise or a proxy has to"),
        *("upload_and_media", "example_form", "wagtail_image", "static_file", "static_type", "static_head"),
        *("static_by_date", "static_by_tag", "static_by_the_second_tag", "static_range", "static_range_past_the_end"),
        *("static_hashed", "static_post"),
    ),
    "protected_range": NO_RANGES,
    "protected_place": Different("told", PASSED_ON),
    **same(
        NO_PASSWORDS, "basic_without_password", "basic_with_wrong_password", "basic_for_a_member", "basic_for_others"
    ),
    **same(ONE_APPLICATION, "mounted", "mounted_redirect"),
    "forwarded_address": NO_TRUST,
    "chunked_body": IGNORED_CHUNKS,
    "absolute_form": Different(
        "200, http://site.example/probe/environ/",
        "RFC 9112 3.2.2: the host in the target counts, and the field Host has to be ignored",
    ),
    "field_twice": Different("200, a,b", "both are right: RFC 9110 5.3 has white space after the comma as an option"),
    "cookies_twice": Different("one=1,two=2", COMMA_BETWEEN_COOKIES.why),
    "no_host": Different("200", "RFC 9112 3.2: a request of HTTP/1.1 without Host has to be refused with 400"),
}

UWSGI = {
    "protected_range": NO_RANGES,
    "protected_place": Different("told", PASSED_ON),
    **same(
        NO_PASSWORDS, "basic_without_password", "basic_with_wrong_password", "basic_for_a_member", "basic_for_others"
    ),
    "forwarded_address": NO_TRUST,
    "forged_scheme": Different(
        "200, https", "it believes the field from everybody: only a proxy in front may reach it"
    ),
    "chunked_body": IGNORED_CHUNKS,
    "expect_continue": Different(
        "nothing before the body, then 200",
        "RFC 9110 10.1.1: a server answers 100 or a final status at once; clients wait in vain, mostly for a second",
    ),
    "no_content": Different(
        "204, no body, Content-Length 0", "RFC 9110 8.6: no Content-Length with 204; Django's own field goes through"
    ),
    "raw_utf8_path": ANY_BYTES,
    "dots": DOTS_RESOLVED,
    "absolute_form": Different("404", "RFC 9112 3.2.2: a server has to accept it; the whole of it becomes the path"),
    "cookies_twice": COMMA_BETWEEN_COOKIES,
    "underscore": Different(
        "200, forged",
        "both names become HTTP_X_PROBE, so that a client can forge what a proxy sets; Penstock drops such fields, as "
        "nginx and Apache do",
    ),
    "kept_connection": Different("200 and no answer", "its plain HTTP socket closes after each response, unannounced"),
    "static_type": WITHOUT_CHARSET,
    **same(Absent("its files have no ETag"), "static_by_tag", "static_by_the_second_tag"),
    "static_hashed": NOT_HASHED,
    "static_hidden": DOTS_SHOWN,
    "static_post": Different(
        "404", "RFC 9110 15.5.6 has 405 for it; here the application is asked, which has no such page"
    ),
    **same(
        Different("200", "RFC 9112 6.3 and 5.1: it has to be refused, because two servers may read it in two ways"),
        *("two_lengths", "length_and_chunks", "unknown_coding", "space_before_colon"),
    ),
}

MOD_WSGI = {
    "protected_range": NO_RANGES,
    "protected_place": Different("told", PASSED_ON),
    **same(LENGTH_REQUIRED, "chunked_body", "length_and_chunks"),
    "raw_utf8_path": ANY_BYTES,
    "dots": DOTS_RESOLVED,
    "doubled_slashes": Different(
        "200, a/b", "to RFC 3986 these are two paths; mod_wsgi folds them for SCRIPT_NAME, Penstock changes nothing"
    ),
    "cookies_twice": COMMA_BETWEEN_COOKIES,
    "httpoxy": Different(
        "200, absent",
        "both are right: a CGI program would take it for its own proxy (httpoxy), so that Apache drops it; an environ "
        "of WSGI is not the environment of a process",
    ),
    "static_type": WITHOUT_CHARSET,
    "static_hidden": Different("403", "both are right: all such names are refused, whether there is a file or not"),
    "static_post": Different("200", "RFC 9110 15.5.6 has 405 for a method that a file does not know"),
}

NGINX = {
    "not_modified_page_by_the_second_field": Different("400, a body, not its ETag", SENT_TWICE),
    "static_by_the_second_tag": Different("400", SENT_TWICE),
    "absolute_form": Different(
        "200, http://site.example/probe/environ/",
        "RFC 9112 3.2.2: the host in the target counts; nginx has it in $host, but there without the port, which CSRF "
        "needs, so $http_host is exported; no browser sends such a target",
    ),
    "forwarded_scheme": OUTERMOST_SAYS,
}
NGINX_WITH_FILES = NGINX | {"static_type": WITHOUT_CHARSET}
NGINX_AND_GUNICORN = NGINX_WITH_FILES | {
    name: GUNICORN[name]
    for name in (
        *("basic_without_password", "basic_with_wrong_password", "basic_for_a_member", "basic_for_others"),
        *("mounted", "mounted_redirect", "field_twice", "cookies_twice"),
    )
}
NGINX_AND_GUNICORN |= same(NO_PEER, "own_address", "forged_address", "forwarded_address")
NGINX_AND_UWSGI = (
    NGINX
    | {
        name: UWSGI[name]
        for name in (
            *("basic_without_password", "basic_with_wrong_password", "basic_for_a_member", "basic_for_others"),
            *("forwarded_address", "no_content", "raw_utf8_path", "dots", "static_type"),
        )
    }
    | {
        "field_twice": Different(
            "200, b", "RFC 9110 5.3: they are one list; nginx hands over both, and uWSGI keeps the last"
        ),
        "cookies_twice": Different("two=2", "clients send one field (RFC 6265 5.4); of two, uWSGI keeps the last"),
    }
)

APACHE_PROXY = {
    "forwarded_address": OUTERMOST_IS_ASKED,
    "forwarded_scheme": OUTERMOST_SAYS,
    "cookies_twice": COMMA_BETWEEN_COOKIES,
    "length_and_chunks": CHUNKS_WIN,
}

NGINX_BY_UWSGI = NGINX | {"dots": DOTS_RESOLVED}
APACHE_BY_UWSGI = APACHE_PROXY | {
    "dots": DOTS_RESOLVED,
    "httpoxy": MOD_WSGI["httpoxy"],
    **same(LENGTH_REQUIRED, "chunked_body", "length_and_chunks"),
    "absolute_form": Different(
        "400",
        "RFC 9112 3.2.2: the host in the target counts; Apache hands the whole target over as REQUEST_URI, where "
        "Penstock takes a path; no browser sends such a target",
    ),
}

HAPROXY = {
    "forwarded_address": OUTERMOST_IS_ASKED,
    "forwarded_scheme": OUTERMOST_SAYS,
    "absolute_form": Different(
        "400",
        "RFC 9112 3.2.2: the host in the target counts; HAProxy refuses a request whose field Host says another one",
    ),
    "length_and_chunks": CHUNKS_WIN,
}
