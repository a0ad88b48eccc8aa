"""PEP 3333, "Optional Platform-Specific File Handling": wsgi.file_wrapper around real files and around others."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "apps"))
from files import TEXT

APP = "files"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("real", TEXT),
        ("without_block_size", TEXT),
        ("unbuffered", TEXT),
        ("memory", TEXT),
        ("pipe", b"through a pipe"),
        ("at_the_end", b""),
        ("from_position", TEXT[70_000:]),
        ("after_a_buffered_read", TEXT[len(b"line 0\n") :]),
        ("shorter", TEXT[:1000]),
        ("part", TEXT[5000:6000]),
        ("memory_with_length", TEXT[:1000]),
        ("unpacked", TEXT),
        ("unpacked_with_buffer", TEXT),
        ("by_middleware", TEXT.upper()),
        ("first_piece", TEXT[:100]),
        ("after_write", b"written " + TEXT),
    ],
)
def test_a_file_is_sent_from_its_position_to_its_end_or_to_the_content_length(engine, name, body):
    with engine.connect() as client:
        response = client.ask(f"/{name}")
        assert response.status == 200
        assert response.body == body
        # Nothing is left over that would be read as the next response.
        assert client.ask("/pipe").body == b"through a pipe"


@pytest.mark.parametrize("name", ["real", "shorter", "memory", "pipe"])
def test_head_gets_no_part_of_a_file(engine, name):
    with engine.connect() as client:
        assert client.ask(f"/{name}", method="HEAD").status == 200
        assert client.ask("/pipe").body == b"through a pipe"


def test_the_length_of_a_real_file_is_known(engine):
    assert engine.get("/from_position")["Content-Length"] == str(len(TEXT) - 70_000)


def test_a_real_file_leaves_without_python_after_the_application_has_closed_it(engine):
    with engine.connect() as client:
        client.send_request("/large")
        engine.tester.hears("closed")
        assert any("penstock-large" in name for name in engine.open_files())
        assert client.response().body == bytes(50_000_000)


def test_a_file_like_is_read_with_the_block_size(engine):
    assert engine.get("/only_read").body == b"one two three"
    for _ in range(4):
        engine.tester.hears("4321")


def test_a_file_shorter_than_its_content_length_is_an_error_in_the_log(engine):
    assert engine.get("/longer").status == 500
    assert "Content-Length is 10000000" in engine.logged()


def test_a_file_that_cannot_be_read_is_500(engine):
    assert engine.get("/fails").status == 500
    assert "OSError: the disk is gone" in engine.logged()


def test_the_wrapper_closes_the_file(engine):
    before = len(engine.open_files())
    for _ in range(20):
        engine.get("/real")
    assert len(engine.open_files()) < before + 20
