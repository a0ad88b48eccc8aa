"""THE list of what every server is asked, and what it has to answer. HTTP goes in, a few words come out.

Nothing here knows which server answers; behaviour_cells.py says where one of them differs, and why.
"""

import hashlib
import http.client
import io
import json
import re
import socket
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from behaviour_projects import CHECKOUT, NOTES, STYLE
from behaviour_visitor import HOST, PATIENCE, Answer, Visitor, exchange
from PIL import Image

# Larger than what any of the servers keeps in memory, and than Django's limit for fields.
LARGE = bytes(range(256)) * 12 * 1024
# An address of this machine that no server trusts.
STRANGER = "127.0.0.2"
# Seconds in which what has to come at once has come; only servers that differ let them pass.
SHORT = 2
CSRF, PROJECTS_PAGE, NO_LENGTH, TAG = "csrfmiddlewaretoken", "the project's page", "no Content-Length", '"tagged"'


@dataclass(frozen=True)
class Behaviour:
    """One line of the table: `ask` says in a few words what a server answers, and `answer` what is right."""

    id: str
    group: str
    name: str
    answer: str
    ask: Callable[[Visitor], str]
    projects: tuple[str, ...]


TABLE: list[Behaviour] = []


def behaviour(group: str, name: str, answer: str, *projects: str) -> Callable[[Callable[[Visitor], str]], None]:
    """Puts a function into the table; without `projects` it is for all of them."""

    def add(ask: Callable[[Visitor], str]) -> None:
        TABLE.append(Behaviour(ask.__name__, group, name, answer, ask, projects))

    return add


def told(answer: Answer) -> dict[str, object]:
    """The JSON of a probe; nothing when it is another page."""
    try:
        return json.loads(answer.body)
    except ValueError:
        return {}


def environ(visitor: Visitor, name: str, *fields: str, target: str | bytes = "/probe/environ/", **options) -> str:
    """The status, and one value of the environ."""
    answer = visitor.ask(target, *fields, **options)
    value = told(answer).get(name, "absent")
    return f"{answer.status}, {value or 'empty'}" if answer.status == 200 else str(answer.status)


def is_told(whether: bool, what: str) -> str:
    return what if whether else f"not {what}"


@behaviour("Pages", "The front page", "200, text/html; charset=utf-8, whole, with X-Frame-Options")
def front_page(visitor):
    answer = visitor.ask("/")
    whole = visitor.project.welcome in answer.text and answer.text.rstrip().endswith("</html>")
    framing = f"with{'' if answer['X-Frame-Options'] else 'out'} X-Frame-Options"
    return f"{answer.status}, {answer['Content-Type']}, {is_told(whole, 'whole')}, {framing}"


@behaviour("Pages", "`HEAD` of a page", "200, no body, the Content-Length of GET")
def head_of_a_page(visitor):
    get, answer = visitor.ask("/probe/form/"), visitor.ask("/probe/form/", method="HEAD")
    same = answer["Content-Length"] == get["Content-Length"] != ""
    return f"{answer.status}, {'a' if answer.body else 'no'} body, {is_told(same, 'the Content-Length of GET')}"


@behaviour("Pages", "A page that does not exist", "404, the project's page")
def missing_page(visitor):
    answer = visitor.ask("/none/of/this/")
    return f"{answer.status}, {is_told(visitor.project.missing in answer.text, PROJECTS_PAGE)}"


@behaviour("Pages", "A page that fails", "500, a page of Django without the traceback")
def failing_page(visitor):
    answer = visitor.ask("/probe/fail/")
    tells = "with" if "always fails" in answer.text or "Traceback" in answer.text else "without"
    ours = "a page of Django" if answer["Content-Type"].startswith("text/html") else "another page"
    return f"{answer.status}, {ours} {tells} the traceback"


@behaviour("Pages", "A path that lacks its last slash", "301 to /probe/form/")
def missing_slash(visitor):
    answer = visitor.ask("/probe/form")
    return f"{answer.status} to {answer['Location'].removeprefix(f'http://{HOST}')}"


@behaviour("Pages", "204 from a view", "204, no body, no Content-Length")
def no_content(visitor):
    answer = visitor.ask("/probe/nothing/")
    length = answer["Content-Length"]
    return (
        f"{answer.status}, {'a' if answer.body else 'no'} body, {f'Content-Length {length}' if length else NO_LENGTH}"
    )


@behaviour("Pages", "`If-None-Match` that a view answers", "304, no body, its ETag")
def not_modified_page(visitor):
    answer = visitor.ask("/probe/tagged/", 'If-None-Match: "tagged"')
    return f"{answer.status}, {'a' if answer.body else 'no'} body, {is_told(answer['ETag'] == TAG, 'its ETag')}"


@behaviour("Pages", "`If-None-Match` in two fields, for a view", "304, no body, its ETag")
def not_modified_page_by_the_second_field(visitor):
    answer = visitor.ask("/probe/tagged/", 'If-None-Match: "other"', 'If-None-Match: "tagged"')
    return f"{answer.status}, {'a' if answer.body else 'no'} body, {is_told(answer['ETag'] == TAG, 'its ETag')}"


@behaviour("Pages", "Two cookies set", "one=1 and two=2 in fields of their own")
def two_cookies_set(visitor):
    values = [value.split(";")[0] for value in visitor.ask("/probe/cookies/").all("Set-Cookie")]
    return f"{' and '.join(values)} in fields of their own"


@behaviour("Forms", "Log in", "302 to the admin, a session cookie, HttpOnly; then 200 as editor")
def log_in(visitor):
    answer = visitor.log_in("editor", "correct-horse")
    [session] = [value for value in answer.all("Set-Cookie") if value.startswith("sessionid=")] or [""]
    http_only = "HttpOnly" if "HttpOnly" in session else "for scripts too"
    page = visitor.ask(visitor.project.admin, f"Cookie: {session.split(';')[0]}")
    there = "the admin" if answer["Location"] == visitor.project.admin else answer["Location"]
    return f"{answer.status} to {there}, a session cookie, {http_only}; then {page.status} as {page_of(page)}"


@behaviour("Forms", "Log in with a wrong password", "200, asked again, no session")
def wrong_password(visitor):
    answer = visitor.log_in("editor", "wrong")
    again = "Please enter the correct username and password" in answer.text
    session = "a session" if "sessionid" in answer.cookies() else "no session"
    return f"{answer.status}, {is_told(again, 'asked again')}, {session}"


@behaviour("Forms", "A form without its CSRF token", "403")
def form_without_token(visitor):
    return str(visitor.post("/probe/form/", {"name": "Zoë"}).status)


@behaviour("Forms", "A form with its CSRF token", "200, name Zoë & Ünal")
def form_with_token(visitor):
    token = visitor.ask("/probe/form/").cookies()["csrftoken"]
    form = {"name": "Zoë & Ünal", "csrfmiddlewaretoken": token}
    answer = visitor.post("/probe/form/", form, f"Cookie: csrftoken={token}")
    return f"{answer.status}, name {told(answer).get('name')}"


@behaviour("Forms", "The same on a port of its own, with the `Origin` that browsers send", "200, name Zoë")
def form_on_a_port(visitor):
    host = f"{HOST}:8080"
    token = visitor.ask("/probe/form/", host=host).cookies()["csrftoken"]
    form = {"name": "Zoë", "csrfmiddlewaretoken": token}
    answer = visitor.post("/probe/form/", form, f"Cookie: csrftoken={token}", f"Origin: http://{host}", host=host)
    return f"{answer.status}, name {told(answer)['name']}" if told(answer) else str(answer.status)


@behaviour(
    "Forms", "An upload of 3 MiB, kept and served below /media/", "200, 3145728 bytes; then 200, the same bytes"
)
def upload_and_media(visitor):
    name = f"{visitor.new_name()}.bin"
    answer = upload(visitor, "/probe/form/", {"file": (name, "application/octet-stream", LARGE)})
    kept = told(answer).get("file") or {}
    media = visitor.ask(kept.get("url", "/media/none"))
    same = is_told(media.body == LARGE, "the same bytes")
    return f"{answer.status}, {kept.get('size')} bytes; then {media.status}, {same}"


@behaviour("Forms", "The example's form with a picture", "302 to the book, whose page shows the cover", "library")
def example_form(visitor):
    picture = io.BytesIO()
    Image.new("RGB", (30, 20), "#1f5f5b").save(picture, "PNG")
    book = {"title": "Silas Marner", "author": "George Eliot", "year": "1861"}
    answer = upload(visitor, "/books/add/", {"cover": ("cover.png", "image/png", picture.getvalue())}, book)
    page = visitor.ask(answer["Location"] or "/")
    cover = re.search(r'src="(/media/covers/[^"]+)"', page.text)
    shown = bool(cover) and visitor.ask(cover[1]).body == picture.getvalue()
    there = "the book" if "Silas Marner" in page.text else answer["Location"]
    return f"{answer.status} to {there}, whose page {'shows' if shown else 'does not show'} the cover"


@behaviour("Forms", "Wagtail's upload of an image", "200, listed, its thumbnail is an image/png", "wagtail")
def wagtail_image(visitor):
    session = visitor.log_in("editor", "correct-horse").cookies().get("sessionid", "")
    picture, title = io.BytesIO(), visitor.new_name()
    Image.new("RGB", (300, 200), "#1f5f5b").save(picture, "PNG")
    target, cookie = "/admin/images/add/", f"sessionid={session}"
    files = {"file": ("river.png", "image/png", picture.getvalue())}
    answer = upload(visitor, target, files, {"title": title}, cookie)
    listing = visitor.ask("/admin/images/", f"Cookie: {cookie}")
    thumbnail = re.search(r'src="(/media/images/[^"]+)"', listing.text)
    kind = visitor.ask(thumbnail[1])["Content-Type"] if thumbnail else "missing"
    status = 200 if answer.status == 302 else answer.status
    return f"{status}, {is_told(title in listing.text, 'listed')}, its thumbnail is an {kind}"


@behaviour("Bodies", "A body of 3 MiB", "200, all of it")
def large_body(visitor):
    return sent_whole(visitor, LARGE)


@behaviour("Bodies", "A body in chunks, without a length", "200, all of it")
def chunked_body(visitor):
    return sent_whole(visitor, [LARGE[:1000]] * 5)


@behaviour("Bodies", "`POST` without a body", "200, all of it")
def empty_body(visitor):
    return sent_whole(visitor, b"")


@behaviour("Bodies", "`Expect: 100-continue`", "100 before the body, then 200")
def expect_continue(visitor):
    head = f"POST /probe/body/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(visitor.address, PATIENCE) as connection:
        connection.sendall(head.encode())
        connection.settimeout(SHORT)
        try:
            interim = connection.recv(1000).split(b" ")[1].decode()
        except TimeoutError:
            interim = "nothing"
        connection.settimeout(PATIENCE)
        connection.sendall(b"hello")
        response = http.client.HTTPResponse(connection)
        response.begin()
        return f"{interim} before the body, then {response.status}"


@behaviour("Targets", "A percent-encoded path", "200, café x+y")
def encoded_path(visitor):
    return environ(visitor, "rest", target="/probe/environ/caf%C3%A9%20x+y")


@behaviour("Targets", "UTF-8 in the path, not encoded", "400")
def raw_utf8_path(visitor):
    return environ(visitor, "rest", target="/probe/environ/café".encode())


@behaviour("Targets", "An encoded slash", "200, a/b")
def encoded_slash(visitor):
    return environ(visitor, "rest", target="/probe/environ/a%2Fb")


@behaviour("Targets", "Doubled slashes", "200, a//b")
def doubled_slashes(visitor):
    return environ(visitor, "rest", target="/probe/environ/a//b")


@behaviour("Targets", "Dots in the path", "200, a/../b/./c")
def dots(visitor):
    return environ(visitor, "rest", target="/probe/environ/a/../b/./c")


@behaviour("Targets", "The query, to the letter", "200, a=1&b=%20+&a=2;c=%C3%A9?/")
def query(visitor):
    return environ(visitor, "QUERY_STRING", target="/probe/environ/?a=1&b=%20+&a=2;c=%C3%A9?/")


@behaviour("Targets", "The absolute form, with another `Host`", "200, http://other.example/probe/environ/")
def absolute_form(visitor):
    return environ(visitor, "here", target="http://other.example/probe/environ/")


@behaviour("Fields", "A field given twice", "200, a, b")
def field_twice(visitor):
    return environ(visitor, "HTTP_X_PROBE", "X-Probe: a", "X-Probe: b")


@behaviour("Fields", "`Cookie` given twice", "one=1 and two=2")
def cookies_twice(visitor):
    cookies = told(visitor.ask("/probe/cookies/", "Cookie: one=1", "Cookie: two=2"))
    return " and ".join(f"{name}={value}" for name, value in sorted(cookies.items()))


@behaviour("Fields", "A field with an underscore in its name", "200, absent")
def underscore(visitor):
    return environ(visitor, "HTTP_X_PROBE", "X_Probe: forged")


@behaviour("Fields", "A field without a value", "200, empty")
def empty_field(visitor):
    return environ(visitor, "HTTP_X_PROBE", "X-Probe:")


@behaviour("Fields", "`Proxy`, which is HTTP_PROXY in the environ", "200, http://192.0.2.1/")
def httpoxy(visitor):
    return environ(visitor, "HTTP_PROXY", "Proxy: http://192.0.2.1/")


@behaviour("Who and where", "SCRIPT_NAME of the site itself", "200, empty")
def script_name(visitor):
    return environ(visitor, "SCRIPT_NAME")


@behaviour("Who and where", "The address of a client that comes by itself", f"200, {STRANGER}")
def own_address(visitor):
    return environ(visitor, "REMOTE_ADDR", source=STRANGER)


@behaviour("Who and where", "`X-Forwarded-For` from a stranger", f"200, {STRANGER}")
def forged_address(visitor):
    return environ(visitor, "REMOTE_ADDR", "X-Forwarded-For: 203.0.113.7", source=STRANGER)


@behaviour("Who and where", "`X-Forwarded-For` from a trusted proxy", "200, 203.0.113.7")
def forwarded_address(visitor):
    return environ(visitor, "REMOTE_ADDR", "X-Forwarded-For: 203.0.113.7")


@behaviour("Who and where", "`X-Forwarded-Proto: https` from a stranger", "200, http")
def forged_scheme(visitor):
    return environ(visitor, "wsgi.url_scheme", "X-Forwarded-Proto: https", source=STRANGER)


@behaviour("Who and where", "`X-Forwarded-Proto: https` from a trusted proxy", "200, https")
def forwarded_scheme(visitor):
    return environ(visitor, "wsgi.url_scheme", "X-Forwarded-Proto: https")


@behaviour("Streams and ends", "The first line of a stream comes before the next one is made", "one; one two three")
def stream(visitor):
    name = visitor.new_name()
    with socket.create_connection(visitor.address, PATIENCE) as connection:
        connection.sendall(f"GET /probe/stream/?{name} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        connection.settimeout(SHORT)
        response = http.client.HTTPResponse(connection)
        try:
            response.begin()
            first = response.readline().decode().strip()
        except TimeoutError:
            return "nothing before the last line"
        connection.settimeout(PATIENCE)
        visitor.ask(f"/probe/go/?{name}")
        return f"{first}; {' '.join([first, *response.read().decode().split()])}"


@behaviour("Streams and ends", "A response's `close()`, and `request_finished`", "closed 1, finished 1")
def closed_once(visitor):
    name = visitor.new_name()
    visitor.ask(f"/probe/close/?{name}")
    return counts(visitor, name)


@behaviour("Streams and ends", "The same when the client leaves an endless stream", "closed 1, finished 1")
def abandoned_stream(visitor):
    name = visitor.new_name()
    with socket.create_connection(visitor.address, PATIENCE) as connection:
        connection.sendall(f"GET /probe/endless/?{name} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        connection.recv(10)
    return counts(visitor, name)


@behaviour("Streams and ends", "A second request on the same connection", "200 and 200")
def kept_connection(visitor):
    connection = visitor.connect()
    first = exchange(connection, "/probe/tagged/")
    try:
        second = exchange(connection, "/probe/tagged/").status
    except (OSError, http.client.HTTPException):
        second = "no answer"
    connection.close()
    return f"{first.status} and {second}"


@behaviour("Static files", "A static file", "200, the file")
def static_file(visitor):
    answer = visitor.ask("/static/probe.css")
    return f"{answer.status}, {is_told(answer.body == STYLE, 'the file')}"


@behaviour("Static files", "Its type", "text/css; charset=utf-8")
def static_type(visitor):
    return visitor.ask("/static/probe.css")["Content-Type"]


@behaviour("Static files", "`HEAD`", f"200, no body, Content-Length {len(STYLE)}")
def static_head(visitor):
    answer = visitor.ask("/static/probe.css", method="HEAD")
    return f"{answer.status}, {'a' if answer.body else 'no'} body, Content-Length {answer['Content-Length']}"


@behaviour("Static files", "`If-Modified-Since`", "304")
def static_by_date(visitor):
    modified = visitor.ask("/static/probe.css")["Last-Modified"]
    return str(visitor.ask("/static/probe.css", f"If-Modified-Since: {modified}").status)


@behaviour("Static files", "`If-None-Match`", "304")
def static_by_tag(visitor):
    tag = visitor.ask("/static/probe.css")["ETag"]
    return str(visitor.ask("/static/probe.css", f"If-None-Match: {tag}").status)


@behaviour("Static files", "`If-None-Match` in two fields", "304")
def static_by_the_second_tag(visitor):
    tag = visitor.ask("/static/probe.css")["ETag"]
    return str(visitor.ask("/static/probe.css", 'If-None-Match: "other"', f"If-None-Match: {tag}").status)


@behaviour("Static files", "A range", f"206, bytes 5-9/{len(STYLE)}, those bytes")
def static_range(visitor):
    return of_range(visitor.ask("/static/probe.css", "Range: bytes=5-9"), STYLE)


@behaviour("Static files", "A range past the end", "416")
def static_range_past_the_end(visitor):
    return str(visitor.ask("/static/probe.css", "Range: bytes=99999-").status)


@behaviour("Static files", "A name with a hash", "may be kept for ever")
def static_hashed(visitor):
    name = f"/static/probe.{hashlib.md5(STYLE).hexdigest()[:12]}.css"
    return "may be kept for ever" if "immutable" in visitor.ask(name)["Cache-Control"] else "has to be asked for again"


@behaviour("Static files", "A name that begins with a dot", "404")
def static_hidden(visitor):
    return str(visitor.ask("/static/.hidden").status)


@behaviour("Static files", "A file outside, by way of dots", "not shown")
def static_outside(visitor):
    answers = [visitor.ask(f"/static/{dots}manage.py") for dots in ("../../", "..%2F..%2F", "%2e%2e/%2e%2e/", "../")]
    return "shown" if any("execute_from_command_line" in answer.text for answer in answers) else "not shown"


@behaviour("Static files", "A file that does not exist", "404")
def static_missing(visitor):
    return str(visitor.ask("/static/none.css").status)


@behaviour("Static files", "`POST` to a file", "405")
def static_post(visitor):
    return str(visitor.post("/static/probe.css", {}).status)


@behaviour("Protected files", "A download that a view allows", "200, attachment, the file")
def protected_file(visitor):
    answer = visitor.ask("/probe/protected/")
    attached = answer["Content-Disposition"].split(";")[0]
    return f"{answer.status}, {attached}, {is_told(answer.body == NOTES, 'the file')}"


@behaviour("Protected files", "A range of it", f"206, bytes 5-9/{len(NOTES)}, those bytes")
def protected_range(visitor):
    return of_range(visitor.ask("/probe/protected/", "Range: bytes=5-9"), NOTES)


@behaviour("Protected files", "Where it lies", "not told")
def protected_place(visitor):
    return is_told(bool(visitor.ask("/probe/protected/")["X-Accel-Redirect"]), "told")


@behaviour("Protected files", "The same file without the view", "404")
def protected_directly(visitor):
    return str(visitor.ask("/protected/notes.txt").status)


@behaviour("Protected files", "The example's reading notes", "302 to the form; then 200, the notes", "library")
def example_notes(visitor):
    stranger = visitor.ask("/books/3/notes/")
    session = visitor.log_in("editor", "correct-horse").cookies().get("sessionid", "")
    member = visitor.ask("/books/3/notes/", f"Cookie: sessionid={session}")
    notes = CHECKOUT.joinpath("examples/library/notes/middlemarch.txt").read_bytes()
    there = "the form" if stranger["Location"].startswith("/accounts/login/") else stranger["Location"]
    return f"{stranger.status} to {there}; then {member.status}, {is_told(member.body == notes, 'the notes')}"


@behaviour("Passwords", "HTTP Basic without a password", "401, Basic")
def basic_without_password(visitor):
    answer = visitor.ask("/probe/members/")
    return f"{answer.status}, {answer['WWW-Authenticate'].split(' ')[0]}"


@behaviour("Passwords", "With a wrong password", "401, Basic")
def basic_with_wrong_password(visitor):
    answer = visitor.ask("/probe/members/", credentials("editor", "wrong"))
    return f"{answer.status}, {answer['WWW-Authenticate'].split(' ')[0]}"


@behaviour("Passwords", "A member of the group, in Django's users", "200, for editor")
def basic_for_a_member(visitor):
    answer = visitor.ask("/probe/members/", credentials("editor", "correct-horse"))
    return f"{answer.status}, {answer.text}" if answer.status == 200 else str(answer.status)


@behaviour("Passwords", "The right password of somebody outside the group", "403")
def basic_for_others(visitor):
    return str(visitor.ask("/probe/members/", credentials("guest", "correct-horse")).status)


@behaviour("Mounts", "A Flask application at /guests: SCRIPT_NAME and PATH_INFO", "200, /guests and /")
def mounted(visitor):
    answer = visitor.ask("/guests/")
    return f"{answer.status}, {told(answer)['SCRIPT_NAME']} and {told(answer)['PATH_INFO']}" if told(answer) else "404"


@behaviour("Mounts", "Where it redirects to", "302 to /guests/")
def mounted_redirect(visitor):
    answer = visitor.post("/guests/sign", {})
    return f"{answer.status} to {answer['Location'].removeprefix(f'http://{HOST}')}"


@behaviour("Wrong requests", "Two different lengths", "400")
def two_lengths(visitor):
    return refused(visitor, b"POST /probe/body/ HTTP/1.1", b"Content-Length: 1", b"Content-Length: 2")


@behaviour("Wrong requests", "A length, and chunks", "400")
def length_and_chunks(visitor):
    return refused(visitor, b"POST /probe/body/ HTTP/1.1", b"Content-Length: 5", b"Transfer-Encoding: chunked")


@behaviour("Wrong requests", "A coding that nobody knows", "501 or 400")
def unknown_coding(visitor):
    status = refused(visitor, b"POST /probe/body/ HTTP/1.1", b"Transfer-Encoding: unknown")
    return "501 or 400" if status in ("501", "400") else status


@behaviour("Wrong requests", "White space ahead of the colon", "400")
def space_before_colon(visitor):
    return refused(visitor, b"GET /probe/tagged/ HTTP/1.1", b"X-Probe : a")


@behaviour("Wrong requests", "Two `Host` fields", "400")
def two_hosts(visitor):
    return refused(visitor, b"GET /probe/tagged/ HTTP/1.1", b"Host: other.example")


@behaviour("Wrong requests", "No `Host` field", "400")
def no_host(visitor):
    return str(visitor.raw(b"GET /probe/tagged/ HTTP/1.1\r\n\r\n").status)


@behaviour("Wrong requests", "A `Host` that the project does not know", "400")
def unknown_host(visitor):
    return str(visitor.ask("/probe/form/", host="unknown.example").status)


def page_of(answer: Answer) -> str:
    """Who sees a page of the admin."""
    return "editor" if answer.status == 200 and "editor" in answer.text else "nobody"


def sent_whole(visitor: Visitor, body: bytes | list[bytes]) -> str:
    """What the application could read of a body."""
    answer = visitor.ask("/probe/body/", method="POST", body=body)
    whole = body if isinstance(body, bytes) else b"".join(body)
    if told(answer).get("hash") == hashlib.sha256(whole).hexdigest():
        return f"{answer.status}, all of it"
    return f"{answer.status}, {told(answer)['length']} bytes" if told(answer) else str(answer.status)


def upload(visitor, target, files, fields=None, cookie="") -> Answer:
    """A form with files, with the CSRF token of its page."""
    page = visitor.ask(target, *([f"Cookie: {cookie}"] if cookie else []))
    token = page.cookies().get("csrftoken", "")
    parts = [(name, None, None, text.encode()) for name, text in {**(fields or {}), CSRF: token}.items()]
    parts += [(name, *file) for name, file in files.items()]
    body = b""
    for name, filename, kind, content in parts:
        named = f'; filename="{filename}"\r\nContent-Type: {kind}' if filename else ""
        body += f'--edge\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"
    cookies = "; ".join(filter(None, [cookie, f"csrftoken={token}"]))
    lines = ("Content-Type: multipart/form-data; boundary=edge", f"Cookie: {cookies}")
    return visitor.ask(target, *lines, method="POST", body=body + b"--edge--\r\n")


def counts(visitor: Visitor, name: str) -> str:
    """How often a response was closed, and a request finished."""
    return ", ".join(f"{what} {number}" for what, number in told(visitor.ask(f"/probe/counts/{name}/")).items())


def of_range(answer: Answer, whole: bytes) -> str:
    """The status, and whether the bytes from 5 to 9 came."""
    if answer.status != 206:
        return str(answer.status)
    return f"206, {answer['Content-Range']}, {is_told(answer.body == whole[5:10], 'those bytes')}"


def credentials(name: str, password: str) -> str:
    return f"Authorization: Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


def refused(visitor: Visitor, *lines: bytes) -> str:
    """The status of a request that is sent as it stands, with a body of one empty chunk."""
    request, *fields = lines
    return str(visitor.raw(b"\r\n".join([request, f"Host: {HOST}".encode(), *fields, b"", b"0\r\n\r\n"])).status)
