"""Makes page.html, DVC's plots page with its drawing scripts inside, so that curves appear without a network.

The scripts are not of the versions that DVC's own page loads, which are of 2021 and have known faults, but current
ones, which draw DVC's plots as well. After a change of the versions below, run this where npm is:
`python .dvc/plots/make_page.py`.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

PAGE = Path(__file__).with_name("page.html")
SCRIPTS = (("vega", "6.4.0"), ("vega-lite", "6.5.0"), ("vega-embed", "7.3.0"))
COMMAND_LINE = {
    "yargs",
    "commander",
}  # packages that only the libraries' programs use, so that they are not in their builds
FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh_tag}
<title>Plots</title>
<style>
  body { margin: 0 auto; max-width: 1400px; padding: 1rem; font-family: system-ui, sans-serif; }
  body { background: #fff; color: #222; }
  main { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
  main > div { max-width: 100%; overflow-x: auto; }
  main > div[style] { flex: 1 1 100%; text-align: left !important; }
  main > div[style] { border: 0 !important; border-top: 1px solid #ccc !important; }
  main > div[style] > div { border: 0 !important; margin: 0 1rem 0 0 !important; }
  main p { margin: .5rem 0 .25rem; }
  main img { min-height: 128px; }
  .vega-bindings { font-size: .75rem; }
  details { margin-top: 2rem; color: #666; }
  pre { overflow-x: auto; font-size: .75rem; }
</style>
SCRIPT_TAGS
</head>
<body>
<main>
{plot_divs}
</main>
<details>
<summary>Licences of the drawing scripts in this page</summary>
<pre>LICENCES</pre>
</details>
</body>
</html>
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        packages = [f"{name}@{version}" for name, version in SCRIPTS]
        options = ["--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps"]
        subprocess.run(["npm", "install", *options, *packages], check=True)
        modules = Path(folder) / "node_modules"
        tags = [script_tag(modules, name, version) for name, version in SCRIPTS]
        page = FRAME.replace("LICENCES", html.escape(licences(modules)))
    PAGE.write_text(page.replace("SCRIPT_TAGS", "\n".join(tags)), encoding="utf-8")
    print(f"{PAGE}: {PAGE.stat().st_size:,} bytes, {', '.join(packages)}")


def build(modules: Path, name: str) -> Path:
    return modules / name / "build" / f"{name}.min.js"


def script_tag(modules: Path, name: str, version: str) -> str:
    """One library as an inline script. Raises SystemExit where its text cannot stand in a template of DVC's."""
    text = build(modules, name).read_text(encoding="utf-8")
    for forbidden in ("</script", "{scripts}", "{plot_divs}", "{refresh_tag}"):
        if forbidden in text:
            sys.exit(f"{name}@{version} holds {forbidden!r}, so it cannot be put into the page as it is")
    text = re.sub(r"\n//# sourceMappingURL=.*", "", text)
    return f"<script>/* {name}@{version}, licence at the end of this page */\n{text.strip()}\n</script>"


def licences(modules: Path) -> str:
    """The licences of the libraries and of all that they need, which may be built in; each text once."""
    holders: dict[str, set[str]] = defaultdict(set)
    for package in needed(modules):
        files = sorted(file for file in (modules / package).iterdir() if file.stem.upper() in ("LICENSE", "LICENCE"))
        if not files:
            sys.exit(f"{package} has no file with its licence: see whether it may stand in the page")
        holders[files[0].read_text(encoding="utf-8").strip()].add(package)
    by_names = sorted((sorted(packages), text) for text, packages in holders.items())
    return "\n\n\n".join(f"{', '.join(packages)}\n\n{text}" for packages, text in by_names)


def needed(modules: Path) -> set[str]:
    """The names of the libraries and of the packages that they depend on, at any remove."""
    found: set[str] = set()
    waiting = [name for name, _ in SCRIPTS]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            about = json.loads((modules / name / "package.json").read_text(encoding="utf-8"))
            waiting += set(about.get("dependencies", {})) - COMMAND_LINE
    return found


if __name__ == "__main__":
    main()
