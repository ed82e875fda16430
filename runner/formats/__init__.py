"""One pure module per file format: bytes in, Recording out."""
