"""What is packed for others to install. Everything else is tested in the checkout, where no file can be missing."""

import shutil
import subprocess
import sysconfig
import tarfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PACKAGE = CHECKOUT / "src/penstock"


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> set[str]:
    """The names of the files in the source distribution, without its own directory."""
    if not shutil.which("cargo"):
        pytest.skip("cargo is not on PATH")
    directory = tmp_path_factory.mktemp("sdist")
    maturin = Path(sysconfig.get_path("scripts"), "maturin")
    subprocess.run([maturin, "sdist", "--out", directory], cwd=CHECKOUT, check=True, timeout=120)
    (archive,) = directory.iterdir()
    with tarfile.open(archive) as opened:
        return {name.partition("/")[2] for name in opened.getnames()}


def test_every_file_of_the_package_is_packed_also_those_with_a_dot_first(packed):
    made = {"__pycache__", *(path.name for path in PACKAGE.glob("_native*.so"))}
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and not made & set(path.parts)}
    assert {str(path.relative_to(CHECKOUT)) for path in files} - packed == set()


def test_the_licence_and_the_mark_of_types_are_packed(packed):
    assert {"LICENSE", "README.md", "src/penstock/py.typed"} <= packed
