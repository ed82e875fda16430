"""Programs that a test brings along as text."""

import subprocess
from pathlib import Path


def compiled(directory: Path, source: str, *flags: str | Path, name: str = "app", compiler: str = "gcc") -> Path:
    """What the compiler makes of the source in `directory`. -pthread stands there since old C libraries need it."""
    file = directory / f"{name}{'.cc' if compiler == 'g++' else '.c'}"
    file.write_text(source)
    subprocess.run([compiler, "-g", "-pthread", "-o", directory / name, file, *flags], check=True, timeout=120)
    return directory / name
