"""Follows a guide of the documentation as a reader does. Run as a program, it writes the reports in them anew.

A page has three kinds of blocks. A fence with a caption is a file: given to the reader when it is not there yet, and
else what a command has made. An indented block holds commands, and a fence of `text` below it what they print. Any
other block, and a command that is not known here, is refused: nothing of a page may go untried.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import apache_server
import nginx_server
import penstock_server
from foreign_server import SCRIPTS, free_port, running
from interop_project import manage

PAGES = Path(__file__).parents[2] / "docs/guides"
# Each page, and what the project is called that it speaks of.
GUIDES = {
    "from-gunicorn": "shop",
    "from-uwsgi": "shop",
    "from-apache-and-mod-wsgi": "shop",
    "from-mod-wsgi-daemons": "shop",
    "from-uwsgi-emperor": "shop",
    "behind-nginx": "mysite",
    "behind-apache": "mysite",
    "in-a-container": "mysite",
    "on-kubernetes": "mysite",
    "going-back": "mysite",
}
HOST = "mysite.example"
VARIABLES = {
    "ALLOWED_HOSTS": HOST,
    "DJANGO_ENV": "production",
    "SECRET_KEY": "a-key-of-production-" * 3,
    "COLUMNS": "84",
}
# A page is looked at without TLS.
SERVED = VARIABLES | {"USE_HTTPS": "0"}
# The directory of the pages' projects, and that of their Python.
PLACE, PYTHON = "/srv", "/srv/venv"
BLOCK = re.compile(
    r"^```(?:\{code-block\} )?(?P<language>\w+)\n(?::caption: (?P<name>\S+)\n\n)?(?P<fenced>.*?)^```$"
    r"|(?<=\n\n)(?P<commands>(?: {4}\S[^\n]*\n|\n(?= {4}))+)",
    re.MULTILINE | re.DOTALL,
)


class UntriedError(AssertionError):
    """Something of a page that nobody knows how to try."""


class Reader:
    """Somebody at a shell, in the directory of a project."""

    def __init__(self, place: Path, name: str) -> None:
        self.place, self.directory = place, place / name
        self.printed = ""
        self.fails = False

    def follow(self, page: str) -> str:
        """The page as it should be: what commands print and make replaces what stands there."""
        followed = BLOCK.sub(self.try_block, page)
        assert not self.fails, self.printed
        return followed

    def try_block(self, block: re.Match[str]) -> str:
        if block["commands"]:
            assert not self.fails, self.printed
            self.printed = "".join(self.run(line.strip()) for line in block["commands"].splitlines() if line.strip())
            return block[0]
        is_output = block["language"] == "text" and not block["name"]
        self.fails = self.fails and not is_output  # a page may show what goes wrong
        made = self.printed if is_output else self.file(block["name"], block["fenced"])
        start, end = (place - block.start() for place in block.span("fenced"))
        return block[0][:start] + made + block[0][end:]

    def file(self, name: str | None, text: str) -> str:
        """What is in a file now; it is written when there is none."""
        if not name:
            raise UntriedError(f"a block has no caption, and is no output of a command:\n{text}")
        path = self.directory / name
        if not path.exists() or name == f"{self.directory.name}/wsgi.py":
            path.write_text(text)
        now = self.as_on_the_page(path.read_text())
        # Remarks in what is imported are for its owner; on a page they would be the longest lines.
        return re.sub(r"(?m)^#.*\n+|  # .*$", "", now) if name.endswith(".toml") else now

    def run(self, line: str) -> str:
        """What a command prints."""
        command = line.partition("  #")[0].strip()
        for beginning, act in COMMANDS.items():
            if re.match(beginning, command):
                return self.as_on_the_page(act(self, shlex.split(command)) or "")
        raise UntriedError(f"nobody knows how to try `{line}`")

    def as_on_the_page(self, text: str) -> str:
        """With the places of the page in the place of those of this machine."""
        image = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
        for here, there in ((str(self.place), PLACE), (sys.prefix, PYTHON), (image, "python:3.13-slim")):
            text = text.replace(here, there)
        return text

    def penstock(self, words: list[str]) -> str:
        done = subprocess.run(
            [SCRIPTS / "penstock", *words[1:]],
            cwd=self.directory,
            env=os.environ | VARIABLES,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        self.fails = self.fails or done.returncode != 0
        return done.stdout

    def check(self, words: list[str]) -> str:
        self.move_in()
        return self.penstock(words)

    def serve(self, words: list[str]) -> None:
        """Serves on a port of its own, and looks at the first page."""
        self.move_in()
        arguments = words[2:]
        if "--bind" in arguments:
            place = arguments.index("--bind")
            del arguments[place : place + 2]
        with penstock_server.start(self.directory, *arguments, **SERVED) as address:
            look(address)

    def move_in(self) -> None:
        """Where the page's configuration speaks of /srv, the project is elsewhere here."""
        path = self.directory / "penstock.toml"
        path.write_text(re.sub(rf'"{PLACE}/', f'"{self.place}/', path.read_text()))

    def gunicorn(self, words: list[str]) -> None:
        command = [SCRIPTS / "gunicorn", *words[1:], "--bind=127.0.0.1:0", "--no-control-socket"]
        with running(command, self.directory, r"Listening at: (http://\S+)", SERVED) as ready:
            look(ready[1])

    def uwsgi(self, words: list[str]) -> None:
        file = self.directory / words[-1]
        elsewhere = file.with_suffix(".test.ini")
        text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", file.read_text())
        elsewhere.write_text(text.replace(f"{PLACE}/", f"{self.place}/"))
        command = [SCRIPTS / "uwsgi", "--ini", elsewhere, f"--virtualenv={sys.prefix}", "--die-on-term"]
        with running(command, self.directory, r"bound to TCP address (127[.0-9]+:[0-9]+)", SERVED) as ready:
            look(f"http://{ready[1]}")

    def check_nginx(self, _: list[str]) -> None:
        nginx_server.check(self.directory / f"{self.directory.name}.nginx.conf")

    def check_apache(self, _: list[str]) -> None:
        apache_server.check_site(self.directory / f"{self.directory.name}.conf", free_port())

    def has_files(self, words: list[str]) -> None:
        """For what only another machine, or root, can do: the files that are named are there."""
        for word in words:
            if re.search(r"\.(conf|wsgi|yaml)$", word):
                assert (self.directory / word).exists(), f"{word} is not there"


def look(address: str) -> None:
    """AssertionError when the first page is not shown."""
    with closing(HTTPConnection(urlsplit(address).netloc, timeout=60)) as connection:
        connection.request("GET", "/", headers={"Host": HOST})
        assert b"It works" in connection.getresponse().read()


COMMANDS: dict[str, Callable[[Reader, list[str]], str | None]] = {
    "penstock (import|export) ": Reader.penstock,
    "penstock check": Reader.check,
    "penstock serve": Reader.serve,
    "gunicorn --config gunicorn.conf.py$": Reader.gunicorn,
    "uwsgi --ini ": Reader.uwsgi,
    "nginx -t && systemctl reload nginx$": Reader.check_nginx,
    "apache2ctl -t && systemctl reload apache2$": Reader.check_apache,
    "(cp|a2enmod|a2ensite|docker|kubectl) ": Reader.has_files,
}


@contextmanager
def reader_of(guide: str) -> Iterator[Reader]:
    """In a new project that is ready to be served, without a configuration of Penstock where the guide makes one."""
    with TemporaryDirectory(prefix="guide-") as place:
        os.chmod(place, 0o755)
        reader = Reader(Path(place), GUIDES[guide])
        subprocess.run(
            [SCRIPTS / "penstock", "startproject", reader.directory.name],
            cwd=place,
            check=True,
            capture_output=True,
            timeout=60,
        )
        manage(reader.directory, "migrate", "--no-input", **VARIABLES)
        manage(reader.directory, "collectstatic", "--no-input", **VARIABLES)
        if guide.startswith("from-"):
            (reader.directory / "penstock.toml").unlink()
        yield reader


def as_it_should_be(guide: str) -> str:
    """A page, after somebody has followed it."""
    with reader_of(guide) as reader:
        return reader.follow((PAGES / f"{guide}.md").read_text())


if __name__ == "__main__":
    for guide in sys.argv[1:] or GUIDES:
        (PAGES / f"{guide}.md").write_text(as_it_should_be(guide))
