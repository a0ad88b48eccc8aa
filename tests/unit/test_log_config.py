import json
import logging
import logging.config
import sys

import pytest

from penstock.errors import ConfigurationError
from penstock.log import Journal
from penstock.log_config import LOGGER, hand_over

FILE = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"short": {"format": "%(levelname)s|%(name)s|%(message)s"}},
    "handlers": {"file": {"class": "logging.FileHandler", "filename": "", "formatter": "short"}},
    "loggers": {LOGGER: {"handlers": ["file"]}},
}


@pytest.fixture(autouse=True)
def own_logging():
    """Leaves the logger as it was."""
    yield
    logger = logging.getLogger(LOGGER)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(logging.NOTSET)
    logger.disabled = False


@pytest.fixture
def log(tmp_path):
    """A journal that hands over to a file, which is returned with it."""
    settings = FILE | {"handlers": {"file": FILE["handlers"]["file"] | {"filename": str(tmp_path / "log")}}}
    (tmp_path / "log.json").write_text(json.dumps(settings))
    journal = Journal()
    journal.open("-", "info")
    journal.handover = hand_over(str(tmp_path / "log.json"), "info", str(tmp_path))
    return journal, tmp_path / "log"


def test_lines_go_through_logging_when_it_is_set_up_for_them(log, capfd):
    journal, file = log
    journal.write("warning", "50 % of\nsomething")
    journal.write("debug", "not wanted")
    assert file.read_text() == "WARNING|penstock|50 % of\nsomething\n"
    assert capfd.readouterr().err == ""


def test_a_rotated_file_of_a_handler_is_opened_anew(log):
    journal, file = log
    journal.write("info", "old")
    file.rename(file.with_suffix(".1"))
    journal.reopen()
    journal.write("info", "new")
    assert file.read_text() == "INFO|penstock|new\n"
    assert file.with_suffix(".1").read_text() == "INFO|penstock|old\n"


def test_an_application_that_sets_logging_up_does_not_switch_the_lines_off(log):
    journal, file = log
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
    journal.write("info", "still here")
    assert file.read_text() == "INFO|penstock|still here\n"


def test_toml_and_a_module_are_read_too(tmp_path, monkeypatch):
    (tmp_path / "log.toml").write_text('version = 1\n[loggers.penstock]\nlevel = "ERROR"\n')
    hand_over(str(tmp_path / "log.toml"), "info", str(tmp_path))
    assert logging.getLogger(LOGGER).level == logging.ERROR
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "site_log").mkdir()
    (tmp_path / "site_log/__init__.py").write_text("")
    (tmp_path / "site_log/settings.py").write_text("LOG = {'version': 1, 'loggers': {'penstock': {'level': 'DEBUG'}}}")
    hand_over("site_log.settings:LOG", "info", str(tmp_path))
    assert logging.getLogger(LOGGER).level == logging.DEBUG
    assert not [name for name in sys.modules if name.startswith("site_log")], "a reload would not see it anew"
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize(
    ("source", "text", "message"),
    [
        ("log.json", "{", "Expecting property name"),
        ("log.json", '{"version": 1, "handlers": {"x": {"class": "no.Such"}}}', "Unable to configure handler 'x'"),
        ("log.toml", "version = 2", "Unsupported version: 2"),
        ("log.toml", None, "No such file"),
        ("surely_missing:LOG", None, "No module named 'surely_missing'"),
    ],
)
def test_what_cannot_be_used_is_named_with_the_reason(tmp_path, source, text, message):
    path = source if ":" in source else str(tmp_path / source)
    if text is not None:
        (tmp_path / source).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        hand_over(path, "info", str(tmp_path))
    assert caught.value.message.startswith(f"log_config {path} cannot be used: ")
    assert message in caught.value.message
