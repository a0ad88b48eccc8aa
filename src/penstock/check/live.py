"""Asks the running site what visitors ask, and explains wrong answers. Sends nothing but GETs and one empty POST."""

import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from penstock.app import own_frames
from penstock.check.files import source_files
from penstock.check.findings import Finding, finding
from penstock.check.private_site import Answer, NotReady, PrivateSite, Serving, private_site
from penstock.check.project import Project
from penstock.django.discovery import discover, url_path
from penstock.errors import AppFailed
from penstock.probe import host_of_django, probe

# Nobody has such names: .invalid is reserved for that (RFC 2606 2).
STRANGE_HOST = "penstock-check.invalid"
STRANGE_PATH = "/penstock-check/this-page-does-not-exist/"
MOST_REDIRECTS = 5
MOST_REFERENCES = 30  # files of one page that are asked for
SHOWN = 3  # of them
FRAMES = 4  # of the project, the ones next to the mistake


def check(project: Project, serving: Serving) -> Iterator[Finding]:
    """Starts the site, and ends it."""
    try:
        with private_site(project.config, serving) as site:
            yield from visit(project, site)
    except NotReady as error:
        yield finding("E701", detail=str(error))


def visit(project: Project, site: PrivateSite) -> Iterator[Finding]:
    """Everything that is asked."""
    host = host_of_django()
    path, home = follow(site, host)
    yield from judge_home(project, path, home, host)
    yield from judge_missing(project, site.ask(STRANGE_PATH, host), home)
    if not project.settings:
        return
    if home.status == 200:
        yield from judge_form(path, site.ask(path, host, "POST"))
        if site.ask(path, STRANGE_HOST).status == 200:
            yield finding("W710", f"{path} was answered to a visitor who asked for {STRANGE_HOST}", object=path)
        yield from judge_references(project, site, path, home, host)
    url = static_example(project)
    if url:
        answer = site.ask(url, host)
        if answer.status != 200:
            yield finding("E706", f"{url} is answered with {answer.status}", object=url)


def follow(site: PrivateSite, host: str) -> tuple[str, Answer]:
    """The page that / leads to, with its path. An endless redirect stays a redirect."""
    path = "/"
    for _ in range(MOST_REDIRECTS):
        answer = site.ask(path, host)
        target = target_of(path, answer, host)
        if not answer.is_redirect or target.netloc != host:
            break
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    return path, answer


def target_of(path: str, answer: Answer, host: str) -> SplitResult:
    """Where a redirect leads to; to nowhere when its address is none."""
    try:
        return urlsplit(urljoin(f"https://{host}{path}", answer.location))
    except ValueError:
        return urlsplit("")


def judge_home(project: Project, path: str, answer: Answer, host: str) -> Iterator[Finding]:
    """What visitors see first."""
    if answer.status == 400 and project.settings:
        yield finding("E702", f"{path} is answered with 400 for the Host {host}", object=path)
    elif answer.status == 0 or answer.status >= 500:
        yield broken(path, answer, why(project, path, answer))
    elif answer.status == 404:
        yield finding("I704", f"{path} is answered with 404", object=path)
    elif answer.is_redirect and target_of(path, answer, host).netloc == host:
        yield finding("E705", f"{path} leads to {answer.location}, which leads there again", object=path)


def judge_missing(project: Project, answer: Answer, home: Answer) -> Iterator[Finding]:
    """A path that the application cannot know. When everything is an error, it has been said for / already."""
    if re.search(r"DEBUG\s*=\s*True", answer.body) and answer.status >= 400:
        yield finding("E707", f"{STRANGE_PATH} shows it", object=STRANGE_PATH)
    if answer.status == 200 or answer.status >= 500 > home.status:
        detail = why(project, STRANGE_PATH, answer) if answer.status >= 500 else ""
        message = f"a page that does not exist is answered with {answer.status}"
        yield finding("W708", message, object=STRANGE_PATH, detail=detail)


def judge_form(path: str, answer: Answer) -> Iterator[Finding]:
    """A form that another site has sent. A view that takes no forms says 405, after the token was looked for."""
    if answer.status >= 500 or answer.status == 0:
        yield broken(f"a POST to {path}", answer, answer.log)
    elif answer.status < 400:
        yield finding("W709", f"a POST to {path} without a token is answered with {answer.status}", object=path)


def judge_references(project: Project, site: PrivateSite, path: str, home: Answer, host: str) -> Iterator[Finding]:
    """The static files that the page refers to."""
    prefix = url_path(project.settings.STATIC_URL)
    if not prefix or prefix == "/":
        return
    urls = re.findall(rf"""(?:src|href)=["']?({re.escape(prefix)}[^"'?#\s>]+)""", home.body)
    lost = [url for url in list(dict.fromkeys(urls))[:MOST_REFERENCES] if site.ask(url, host).status != 200]
    if lost:
        shown = ", ".join(lost[:SHOWN]) + (", …" if len(lost) > SHOWN else "")
        yield finding("E711", f"{path} refers to {len(lost)} that are not served: {shown}", object=path)


def broken(path: str, answer: Answer, detail: str) -> Finding:
    """A page that is an error, and why."""
    state = f"is answered with {answer.status}" if answer.status else f"is not answered ({answer.body})"
    hint = "" if detail else "serve it with DEBUG or with LOGGING to the console, and ask for the page"
    return finding("E703", f"{path} {state}", hint=hint, detail=detail)


def why(project: Project, path: str, answer: Answer) -> str:
    """The traceback behind an error, or what the site has written about it."""
    return (raised_by(project, path) if project.settings else "") or answer.log


def raised_by(project: Project, path: str) -> str:
    """The traceback that the same request ends with in this process; "" when it does well here.

    With DEBUG off, Django's own logging shows it nowhere but in mails to ADMINS: so it sends none now.
    """
    from django.core.signals import got_request_exception  # noqa: PLC0415 (only with Django)

    caught: list[BaseException] = []

    def remember(**_: Any) -> None:
        caught.extend(error for error in sys.exc_info() if isinstance(error, BaseException))

    got_request_exception.connect(remember)
    before = logging.root.manager.disable
    logging.disable()
    try:
        probe(project.application, path, "", "https")
    except AppFailed as error:
        return traceback_in(project.directory, caught[-1]) if caught else error.detail
    finally:
        logging.disable(before)
        got_request_exception.disconnect(remember)
    return ""


def traceback_in(directory: str, error: BaseException) -> str:
    """The project's own part of a traceback: between its frames stand those of Django, and below them a driver's."""
    frames = own_frames(error)
    own = [frame for frame in frames if is_own(frame.filename, directory)]
    shown = own[-FRAMES:] or frames[-1:]
    return "".join([*traceback.format_list(shown), *traceback.format_exception_only(error)])


def is_own(path: str, directory: str) -> bool:
    """Whether a file is the project's: the virtual environment may lie in its directory too."""
    return path.startswith(directory.rstrip(os.sep) + os.sep) and f"{os.sep}site-packages{os.sep}" not in path


def static_example(project: Project) -> str:
    """The URL of a static file that should be served; "" when files are not this server's."""
    settings = project.settings
    prefix = url_path(settings.STATIC_URL)
    if "django.contrib.staticfiles" not in settings.INSTALLED_APPS or not prefix or prefix == "/":
        return ""
    for mount in discover(settings, 0).mounts:
        if mount["prefix"].startswith(prefix):
            for root in mount["roots"]:
                for directory, _, names in os.walk(root):
                    visible = sorted(name for name in names if not name.startswith("."))
                    if visible:
                        name = os.path.relpath(os.path.join(directory, visible[0]), root)
                        return mount["prefix"] + quote(name)
    return next((prefix + quote(name) for name, _ in source_files()), "")
