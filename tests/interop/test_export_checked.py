"""The exported files before the programs that read them: each has a way to check a file without starting anything."""

import json
import os
import shutil
import subprocess

import apache_server
import haproxy_server
import kubernetes_validate
import nginx_server
import pytest
import yaml
from exported import export
from foreign_server import SCRIPTS, free_port
from interop_project import new_project

PRODUCTION = {"DJANGO_ENV": "production", "SECRET_KEY": "a-key-of-production-" * 3, "ALLOWED_HOSTS": "shop.example"}
# The oldest that Kubernetes' own preStop sleep is in, one in between, and the newest that the schemas are for.
RELEASES = ("1.30", "1.33", kubernetes_validate.latest_version())


@pytest.fixture(scope="module")
def project():
    with new_project() as directory:
        yield directory


@pytest.fixture
def exported(project, tmp_path):
    """Exports a kind of the new project as in production; the directory with its files."""

    def make(kind, *arguments):
        tmp_path.chmod(0o755)
        export(project, kind, *arguments, to=tmp_path, **PRODUCTION)
        return tmp_path

    return make


@pytest.mark.parametrize("files", ["penstock", "proxy"])
@pytest.mark.parametrize("protocol", ["http", "uwsgi"])
def test_nginx_takes_the_site(exported, files, protocol):
    place = exported("nginx", f"--files={files}", f"--protocol={protocol}", "--bind=unix:/run/mysite.sock")
    nginx_server.check(place / "mysite.nginx.conf")
    assert "server_name shop.example;" in (place / "mysite.nginx.conf").read_text()


@pytest.mark.parametrize("kind", ["apache", "mod_wsgi"])
def test_apache_takes_the_site(exported, kind):
    port = free_port()
    guard = json.dumps({"path": "/admin", "groups": ["staff"], "users": ["ann"], "deny": ["10.0.0.0/8"]})
    place = exported(kind, f"--listen=127.0.0.1:{port}", f"--auth={guard}", "--allow=192.0.2.0/24", "--files=proxy")
    apache_server.check_site(place / "mysite.conf", port)


def test_haproxy_takes_the_file(exported):
    haproxy_server.check(exported("haproxy", "--listen=8080", "--proxy-protocol") / "haproxy.cfg")


def test_gunicorn_takes_the_file(exported):
    place = exported("gunicorn", "--access-log=-", "--max-requests=500", "--statsd=127.0.0.1:8125", "--umask=027")
    subprocess.run(
        [SCRIPTS / "gunicorn", "--config", "gunicorn.conf.py", "--check-config"],
        cwd=place,
        env=os.environ | PRODUCTION,
        check=True,
        timeout=60,
    )


def test_uwsgi_knows_each_line_of_the_file(exported):
    place = exported("uwsgi", "--max-requests=500", "--max-memory=300MiB", "--mounts=/blog=blog:app", "--umask=027")
    shown = subprocess.run(
        [SCRIPTS / "uwsgi", "--ini", "mysite.uwsgi.ini", "--show-config", "--no-server", "--need-app=false"],
        cwd=place,
        env=os.environ | PRODUCTION,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    ).stderr
    assert "max-requests = 500" in shown
    assert "unknown config directive" not in shown


def test_systemd_takes_the_units(exported):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed: `make system-packages` installs it")
    place = exported("systemd", "--user=www-data", "--workers=2")
    units = [str(place / name) for name in ("mysite.service", "mysite.socket")]
    verified = subprocess.run(
        ["systemd-analyze", "verify", *units], check=True, capture_output=True, text=True, timeout=60
    )
    assert [line for line in verified.stderr.splitlines() if "mysite" in line] == []


def test_a_linter_finds_nothing_in_the_dockerfile(exported):
    place = exported("docker")
    linted = subprocess.run(
        [SCRIPTS / "hadolint", place / "Dockerfile"], check=False, capture_output=True, text=True, timeout=60
    )
    assert (linted.returncode, linted.stdout) == (0, "")
    assert "SECRET_KEY=a-key" not in (place / "Dockerfile").read_text()


@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_takes_the_manifests(exported, release):
    place = exported("kubernetes", "--image=registry.example/shop:1")
    documents = [
        document
        for name in ("kubernetes.yaml", "kubernetes-secret.yaml")
        for document in yaml.safe_load_all((place / name).read_text())
    ]
    for document in documents:
        kubernetes_validate.validate(document, release, strict=True)
    kinds = {document["kind"]: document for document in documents}
    assert set(kinds) == {
        *("ConfigMap", "Secret", "Deployment", "Service"),
        *("Ingress", "HorizontalPodAutoscaler", "PodDisruptionBudget"),
    }
    assert kinds["ConfigMap"]["data"]["DJANGO_ENV"] == "production"
    assert list(kinds["Secret"]["stringData"]) == ["SECRET_KEY"]
    assert kinds["Ingress"]["spec"]["rules"][0]["host"] == "shop.example"


def test_no_secret_is_in_any_file(exported):
    for kind in ("gunicorn", "uwsgi", "mod_wsgi", "nginx", "systemd", "docker", "procfile", "kubernetes"):
        place = exported(kind, "--force")
        assert not [path for path in place.iterdir() if "a-key-of-production" in path.read_text()]
