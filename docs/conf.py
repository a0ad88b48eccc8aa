"""How Sphinx builds the documentation. The pages say the rest; reference/settings.md is generated."""

import tomllib
from pathlib import Path

with (Path(__file__).parents[1] / "Cargo.toml").open("rb") as file:
    release = tomllib.load(file)["workspace"]["package"]["version"]

project = "Penstock"
project_copyright = "2026, The Penstock authors"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
smartquotes = False  # they make a dash of the two hyphens of a flag
html_theme = "furo"
html_title = f"Penstock {release}"
html_copy_source = False
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
