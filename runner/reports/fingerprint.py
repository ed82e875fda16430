"""A name for a finding that stays the same over edits and rebuilds."""

import hashlib
from pathlib import PurePosixPath

from runner.gate import Item


def fingerprint(item: Item) -> str:
    """64 hexadecimal digits of its kind, function and file (without its directory): lines and figures don't matter."""
    identity = item.identity
    file = PurePosixPath(identity.file).name if identity.file else ""
    parts = (identity.kind, identity.function or "", file, identity.module or "")
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
