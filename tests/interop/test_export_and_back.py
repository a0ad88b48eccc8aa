"""A new Django project, exported and imported again: what is served is what was served."""

import json
import os
import subprocess

import pytest
from exported import export
from foreign_server import SCRIPTS
from interop_project import new_project

SECRET = {"SECRET_KEY": "a-key-of-production-" * 3}
PRODUCTION = {"DJANGO_ENV": "production", "ALLOWED_HOSTS": "shop.example", **SECRET}
FILES = {
    "gunicorn": ["gunicorn.conf.py"],
    "uwsgi": ["mysite.uwsgi.ini"],
    "mod_wsgi": ["mysite.conf"],
    "procfile": ["Procfile"],
    "docker": ["Dockerfile"],
    "systemd": ["mysite.service", "mysite.socket"],
}
GUARD = json.dumps({"path": "/admin", "groups": ["staff"], "users": ["ann"], "deny": ["10.0.0.0/8"]})


@pytest.fixture(scope="module")
def project():
    with new_project() as directory:
        # All that a project says itself would be found again anyway.
        directory.joinpath("penstock.toml").unlink()
        yield directory


def explained(project, variables, *arguments):
    """What `penstock explain` says: of the application, and of each setting."""
    command = [SCRIPTS / "penstock", "explain", "--json", *arguments]
    done = subprocess.run(
        command, cwd=project, env=os.environ | variables, capture_output=True, check=True, timeout=60
    )
    told = json.loads(done.stdout)
    return told["application"], {setting["name"]: setting["value"] for setting in told["settings"]}


@pytest.mark.parametrize("kind", FILES)
def test_the_same_project_is_found_with_the_same_settings(project, kind):
    guard = [f"--auth={GUARD}"] if kind == "mod_wsgi" else []
    arguments = ["--workers=2", "--threads=3", "--bind=127.0.0.1:8123", *guard]
    export(project, kind, *arguments, "--listen=8123", "--force", to=project, **PRODUCTION)
    output = project / "back.toml"
    output.unlink(missing_ok=True)
    command = [SCRIPTS / "penstock", "import", *FILES[kind], "--output", output]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=60)
    before, wanted = explained(project, PRODUCTION, *arguments)
    after, found = explained(project, SECRET, f"--config={output}")
    for name in ("settings_module", "directory"):
        assert after[name] == before[name]
    assert (found["workers"], found["threads"], found["auth"]) == (
        wanted["workers"],
        wanted["threads"],
        wanted["auth"],
    )
    assert found["env"] == wanted["env"] == "production"
    assert "a-key-of-production" not in output.read_text()
