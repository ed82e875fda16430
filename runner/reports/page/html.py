"""The page as one file: its data, one script and one style sheet, and nothing that is fetched from anywhere.

The data cannot leave its element: every `<` in it is written as an escape. The script writes texts as texts only, and the page's
own policy forbids any script but that one, whatever a symbol is called.
"""

import base64
import hashlib
import html
import json
from importlib.resources import files
from typing import Any, BinaryIO

from runner.errors import ErrorKind, LeakrunError

_HINT = "it is built by `make setup`, with access to npm's packages; -f svg and -f text need nothing of it"
_POLICY = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<noscript>This report is drawn by a script within this file; here scripts are switched off.</noscript>
<div id="page"></div>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def write(document: dict[str, Any], title: str, stream: BinaryIO) -> None:
    """Write the page. Raises LeakrunError(UNMEASURED) where its script was not built."""
    script, style, licences = (_part(name) for name in ("page.js", "page.css", "licences.txt"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = _PAGE.format(
        policy=f"default-src 'none'; script-src 'sha256-{digest}'; {_POLICY}",
        title=html.escape(title),
        style=style,
        data=escaped({**document, "licences": licences}),
        script=script,
    )
    stream.write(text.encode("utf-8", "replace"))


def escaped(document: dict[str, Any]) -> str:
    """JSON that is the same JSON, and in which no tag can begin or end."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _part(name: str) -> str:
    """A file of the bundle."""
    try:
        return files(__package__).joinpath("bundle", name).read_text(encoding="utf-8")
    except OSError:
        raise LeakrunError(
            ErrorKind.UNMEASURED, "the script of the report page is missing from this installation", _HINT
        ) from None
