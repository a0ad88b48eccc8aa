"""The environment of the other servers: benches/.peers, made with venv and pip, the versions of peers.txt.

It has the same Python and the same Django as Penstock's own, or the figures would compare those. A peer that does not
install is remembered with the reason; it is reported as left out, and tried again when peers.txt changes.
"""

import json
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = HERE / ".peers"
RECORD = PLACE / "installed.json"
PYTHON = PLACE / "bin" / "python"


@dataclass(frozen=True)
class Peers:
    """What is installed there: versions by name, and for what is not, why."""

    wanted: list[str]
    versions: dict[str, str]
    failures: dict[str, str]


def wanted() -> list[str]:
    """The requirements, and first the Python they are for."""
    lines = [line.strip() for line in (HERE / "peers.txt").read_text().splitlines()]
    try:
        django = f"Django=={metadata.version('Django')}"
    except metadata.PackageNotFoundError:
        raise SystemExit(
            "error: Django is not installed beside Penstock\n\n"
            "hint: the applications measured are Django projects; install the package's test group"
        ) from None
    return [sys.version.split()[0], django, *(line for line in lines if line and not line.startswith("#"))]


def ensure() -> Peers:
    """Makes the environment unless it is already as wanted. CalledProcessError when not even a venv can be made."""
    requirements = wanted()
    if RECORD.exists() and (peers := Peers(**json.loads(RECORD.read_text()))).wanted == requirements:
        return peers
    print("making benches/.peers, the environment of the other servers (about a minute)", file=sys.stderr)
    shutil.rmtree(PLACE, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", PLACE], check=True)
    failures = {}
    for requirement in requirements[1:]:
        result = subprocess.run(
            [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            failures[requirement.partition("==")[0]] = "not installed: " + result.stderr.strip()[-300:]
    places = sysconfig.get_path("purelib", vars={"base": str(PLACE)})
    versions = {found.name.lower(): found.version for found in metadata.distributions(path=[places])}
    peers = Peers(requirements, versions, failures)
    RECORD.write_text(json.dumps(asdict(peers), indent=1))
    return peers
