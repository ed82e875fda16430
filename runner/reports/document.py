"""JSON documents as every verb's --json writes them."""

import json
from collections.abc import Mapping
from typing import Any, TextIO

from runner.reports.plain import encodable


def write(document: Mapping[str, Any], stream: TextIO) -> None:
    """Write the document with a newline at its end. Bytes that are no text become replacement characters."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    stream.write(encodable(text.encode("utf-8", "replace").decode("utf-8") + "\n", stream))
