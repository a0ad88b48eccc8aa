import string

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from imports import import_text

from penstock.config import load
from penstock.errors import ConfigurationError
from penstock.interop.importing.apache import import_files as import_apache
from penstock.interop.importing.commands import import_dockerfile, import_procfile, import_unit
from penstock.interop.importing.draft import Draft
from penstock.interop.importing.penstock_file import write
from penstock.interop.importing.uwsgi import import_files as import_uwsgi

WORDS = {
    "apache": "WSGIScriptAlias WSGIDaemonProcess processes=3 <Location / > </Location> <VirtualHost *:80> "
    "</VirtualHost> Require user all ip denied not 10. AuthType Basic AuthBasicProvider AuthUserFile Alias /a /b "
    '${A} Define Listen \\ " <RequireAny> </RequireAny> Order Deny from <IfVersion < 2.4> </IfVersion> home=/x '
    "WSGIProcessGroup ServerName",
    "uwsgi": "[uwsgi] module = cheaper workers for endfor if-env endif %(a) %(_) %d $(A) @(x) mount static-map / "
    "= : true "
    '- uwsgi: <uwsgi> </uwsgi> {"uwsgi": [ ] { } 1 ini socket include \\',
    "procfile": "web: gunicorn uwsgi -w -b --bind= -c $PORT ${A:-b} && ; | ' \" exec A=B -e --preload --umask x "
    "3 -m python penstock serve --no-refresh --auth [{}] --workers --config",
    "systemd": '[Service] ExecStart= Environment= EnvironmentFile= WorkingDirectory= gunicorn -w 3 A=B \\ ~ - % " = [',
    "dockerfile": 'FROM ENV CMD ENTRYPOINT RUN [ ] " , gunicorn A=B \\ <<EOF EOF -c sh -w3 USER',
}
IMPORTERS = {
    "apache": import_apache,
    "uwsgi": import_uwsgi,
    "procfile": lambda paths, draft, read: import_procfile(paths[0], draft, draft.site("site"), read),
    "systemd": lambda paths, draft, read: import_unit(paths[0], draft, draft.site("site"), read),
    "dockerfile": lambda paths, draft, read: import_dockerfile(paths[0], draft, draft.site("site"), read),
}
NAMES = {"uwsgi": ["u.ini", "u.yaml", "u.json", "u.xml"]}


def texts(kind):
    word = st.sampled_from(WORDS[kind].split()) | st.text(string.printable, max_size=4) | st.text(max_size=2)
    line = st.lists(word, max_size=6).map(" ".join)
    return st.lists(line, max_size=10).map("\n".join)


@pytest.mark.parametrize("kind", IMPORTERS)
def test_any_text_is_imported_or_refused_with_a_sentence(kind, tmp_path):
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(texts(kind), st.sampled_from(NAMES.get(kind, ["file"])))
    @example("", NAMES.get(kind, ["file"])[0])
    def check(text, name):
        draft = Draft({"A": "1"})
        try:
            IMPORTERS[kind]([str(tmp_path / name)], draft, lambda _: text)
        except ConfigurationError as refused:
            assert name in refused.message
            return
        # What was written can be read, unless it is of several sites.
        written = write(draft, [name], str(tmp_path))
        if "[sites." not in written:
            (tmp_path / "penstock.toml").write_text(written)
            site = load({"config": str(tmp_path / "penstock.toml")}, {}, str(tmp_path))
            assert site.file

    check()


def test_a_long_line_and_many_empty_ones_are_read_once(capsys, tmp_path):
    """Looked through from each of their characters, they would take longer than anybody waits."""
    value = "a" * 100_000
    imported = import_text(
        capsys, tmp_path, "long", "\n" * 100_000 + f"[uwsgi]\nenv = LONG={value}\nenv = API_KEY={value}\n"
    )
    assert f"env = LONG={value}" in imported.verdicts
    assert f"env = API_KEY={value}" not in imported.verdicts
    assert imported.config().environment == {"LONG": value, "API_KEY": value}
