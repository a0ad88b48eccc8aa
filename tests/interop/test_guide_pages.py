"""The guides of moving, of proxies and of containers: each is followed, and says what one really sees."""

import re

import apache_server
import pytest
from foreign_server import free_port
from guide_pages import BLOCK, GUIDES, PAGES, PLACE, SERVED, Reader, UntriedError, as_it_should_be, look, reader_of
from interop_project import give_away


@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_shows_is_what_a_reader_gets(guide):
    page = (PAGES / f"{guide}.md").read_text()
    assert page == as_it_should_be(guide), (
        f"run `python tests/interop/guide_pages.py {guide}`, and look at the changes"
    )


def under_gunicorn(reader: Reader, text: str) -> None:
    # But for the certificate, which nobody here has.
    reader.file("gunicorn.conf.py", re.sub(r"(?m)^certfile = .*\n", "", text))
    reader.gunicorn(["gunicorn"])


def under_uwsgi(reader: Reader, text: str) -> None:
    reader.file("uwsgi.ini", text)
    reader.uwsgi(["uwsgi", "uwsgi.ini"])


def under_apache(reader: Reader, text: str) -> None:
    port = free_port()
    text = re.sub(r"^Listen 8080\n", "", text).replace("*:8080", f"127.0.0.1:{port}")
    text = text.replace(f"{PLACE}/", f"{reader.place}/")
    # Apache's Python is Debian's; the packages of the project are with ours.
    paths = f"python-path={reader.directory}:{apache_server.PACKAGES}"
    reader.file(
        "shop.conf",
        f"{text.replace(' home=', f' {paths} home=', 1)}<Directory />\nRequire all granted\n</Directory>\n",
    )
    give_away(reader.directory)
    with apache_server.start_site(reader.directory / "shop.conf", port, **SERVED):
        look(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("guide", "start"),
    [("from-gunicorn", under_gunicorn), ("from-uwsgi", under_uwsgi), ("from-apache-and-mod-wsgi", under_apache)],
)
def test_what_a_guide_starts_from_is_a_site_that_works(guide, start):
    [first, *_] = (block for block in BLOCK.finditer((PAGES / f"{guide}.md").read_text()) if block["name"])
    with reader_of(guide) as reader:
        start(reader, first["fenced"])


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_has_a_configuration_a_command_and_a_report(guide):
    blocks = list(BLOCK.finditer((PAGES / f"{guide}.md").read_text()))
    assert any(block["name"] for block in blocks)
    assert any("penstock " in (block["commands"] or "") for block in blocks)
    assert any(block["language"] == "text" for block in blocks)


def test_every_guide_that_imports_or_exports_is_followed():
    pages = (page for page in PAGES.glob("*.md") if re.search(r"(?m)^    penstock (im|ex)port ", page.read_text()))
    assert {page.stem for page in pages} == set(GUIDES)


def test_what_nobody_knows_how_to_try_is_refused():
    with reader_of("behind-nginx") as reader:
        for page in ("\n\n    reboot now\n", "```nginx\nlisten 80;\n```\n"):
            with pytest.raises(UntriedError):
                reader.follow(page)
