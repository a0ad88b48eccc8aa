"""Runs `penstock import` for a test, and reads what came of it."""

import json
import os
from pathlib import Path

from penstock.cli import main
from penstock.config import load

SAMPLES = Path(__file__).parents[1] / "interop" / "import_samples"


class Import:
    """What an import said, by directive, and the configuration that it wrote."""

    def __init__(self, report, output):
        self.report = json.loads(report)
        self.text = self.report["configuration"]
        self.output = output
        self.verdicts = {one["directive"]: one["verdict"] for one in self.report["directives"]}
        self.notes = {one["directive"]: one["note"] for one in self.report["directives"]}
        self.lines = {(os.path.basename(one["file"]), one["line"]) for one in self.report["directives"]}

    def config(self):
        """The file as `penstock serve` reads it."""
        return load({"config": str(self.output)}, {}, str(self.output.parent))


def run_import(capsys, directory, *words):
    """Imports into `directory`."""
    output = Path(directory, "penstock.toml")
    assert main(["import", *map(str, words), "--output", str(output), "--json"]) == 0
    return Import(capsys.readouterr().out, output)


def import_text(capsys, directory, name, text, *words):
    """Imports a file of this name and text."""
    source = Path(directory, name)
    source.write_text(text)
    return run_import(capsys, directory, source, *words)


def significant_lines(path, remarks="#"):
    """The numbers of the lines of a sample that say something, but for those that continue another."""
    found, continued = set(), False
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        if line.strip() and not continued and not line.strip().startswith(tuple(remarks)):
            found.add(number)
        continued = line.rstrip().endswith("\\")
    return found
