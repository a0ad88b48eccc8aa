"""A Dockerfile of two stages, and what it must not copy. The image runs as nobody, and knows whether it is well."""

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from penstock.interop.export.container import PORT, USER, health_path, serve_command, state_notes
from penstock.interop.export.deployment import Deployment, Exported

# Never in an image: secrets, state, and what only a developer has.
IGNORED = (
    ".git",
    "**/.env",
    "**/.env.*",
    "!**/.env.example",
    "**/__pycache__",
    "**/*.pyc",
    ".venv",
    "venv",
    "node_modules",
    "**/*.sqlite3*",
    "Dockerfile",
    ".dockerignore",
    "kubernetes*.yaml",
)


def export(deployment: Deployment) -> Exported:
    """The two files, for the directory of manage.py."""
    ignored = [*IGNORED, *own_state(deployment)]
    name = deployment.name
    return Exported(
        {"Dockerfile": "\n".join(dockerfile(deployment)) + "\n", ".dockerignore": "\n".join(ignored) + "\n"},
        notes(deployment),
        [f"docker build -t {name} {deployment.directory}", f"docker run --rm -p 8000:{PORT} --stop-timeout 40 {name}"],
    )


def own_state(deployment: Deployment) -> list[str]:
    """The directories of the project that it writes to, as seen from the project."""
    places = [*deployment.data, *(folder.root for folder in (*deployment.folders, *deployment.guarded))]
    inside = [os.path.relpath(place, deployment.directory) for place in places]
    own = {place for place in inside if not place.startswith(os.pardir) and place != os.curdir}
    return sorted(place for place in own if not any(place.startswith(f"{other}{os.sep}") for other in own))


def dockerfile(deployment: Deployment) -> Iterator[str]:
    """Its lines."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    directory = Path(deployment.directory)
    yield f"FROM python:{version}-slim AS packages"
    yield "ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1"
    yield "RUN python -m venv /venv"
    yield "ENV PATH=/venv/bin:$PATH"
    yield "WORKDIR /site"
    yield from install(directory)
    yield ""
    yield f"FROM python:{version}-slim"
    yield f"RUN useradd --uid {USER} --user-group --no-create-home --home-dir /site site"
    yield "ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1"
    for name, value in deployment.variables.items():
        yield f"ENV {name}={quoted(value)}"
    yield "WORKDIR /site"
    yield "COPY --from=packages /venv /venv"
    yield "COPY . ."
    places = shlex.join(own_state(deployment))
    if deployment.settings:
        unused = "".join(f"{name}=unused-while-the-image-is-built " for name in deployment.secrets)
        yield f"RUN {unused}python manage.py collectstatic --no-input" + (
            f" \\\n && mkdir -p {places} && chown -R site:site {places}" if places else ""
        )
    yield f"USER {USER}"
    yield f"EXPOSE {PORT}"
    check = (
        f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{PORT}{health_path(deployment)}', timeout=3)"
    )
    yield "HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \\"
    yield f"  CMD {json.dumps(['python', '-c', check])}"
    yield f"CMD {json.dumps(serve_command(deployment))}"


def quoted(value: str) -> str:
    """A value of ENV, where $ means a variable."""
    return value if re.fullmatch(r"[\w.,:/@+-]+", value) else '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def install(directory: Path) -> Iterator[str]:
    """How the project's packages get in: by the file that it has for that."""
    if directory.joinpath("requirements.txt").exists():
        yield "COPY requirements.txt ."
        yield "RUN pip install -r requirements.txt penstock"
    elif directory.joinpath("pyproject.toml").exists():
        yield "COPY . ."
        yield "RUN pip install . penstock"
    else:
        yield "# Name your packages here, or in a requirements.txt."
        yield "RUN pip install Django penstock"


def notes(deployment: Deployment) -> list[str]:
    """What a person has to see to."""
    told = state_notes(deployment)
    if deployment.secrets:
        told.append(f"secrets are not in the image: give {', '.join(deployment.secrets)} to `docker run`")
    if not any(Path(deployment.directory, name).exists() for name in ("requirements.txt", "pyproject.toml")):
        told.append("there is neither requirements.txt nor pyproject.toml, so only Django and Penstock are installed")
    return told
