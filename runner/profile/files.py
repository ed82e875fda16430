"""Which file a profile is in: one that is shipped, or one of the user's own."""

from pathlib import Path

from runner.errors import ErrorKind, LeakrunError
from runner.quantities import shown

ENDINGS = (".yaml", ".yml")


def shipped_directory() -> Path:
    """The profiles that come with leakrun: in the package where it was installed, at the top of a checkout."""
    package = Path(__file__).parent.parent
    packaged = package / "_profiles"
    return packaged if packaged.is_dir() else package.parent / "profiles"


def shipped_names() -> list[str]:
    """The names of the profiles that come with leakrun, sorted."""
    return sorted(path.stem for path in shipped_directory().glob("*.yaml"))


def located(name_or_path: str, directory: Path) -> tuple[Path, str]:
    """The file of a profile, and how messages call it. A path is relative to `directory`.

    Raises LeakrunError(USAGE) where there is none.
    """
    if not name_or_path.strip() or "\0" in name_or_path:
        raise LeakrunError(ErrorKind.USAGE, f"{shown(name_or_path)} is no profile's name", "`leakrun profiles` lists them")
    if "/" in name_or_path or name_or_path.endswith(ENDINGS):
        return _file(name_or_path, directory)
    names = shipped_names()
    if name_or_path in names:
        path = shipped_directory() / f"{name_or_path}.yaml"
        return path, str(path)
    raise LeakrunError(ErrorKind.USAGE, f"there is no profile {shown(name_or_path)}", _advice(name_or_path, names, directory))


def _file(text: str, directory: Path) -> tuple[Path, str]:
    try:
        path = directory / Path(text).expanduser()
        is_directory, exists = path.is_dir(), path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise LeakrunError(ErrorKind.USAGE, f"the profile {shown(text)} can't be read: {reason_of(error)}") from None
    if is_directory:
        raise LeakrunError(ErrorKind.USAGE, f"the profile {shown(text)} is a directory", "name a YAML file")
    if not exists:
        from runner.profile.yaml_values import similar

        advice = similar(Path(text).stem, shipped_names(), "the shipped {}").strip(" ()")
        raise LeakrunError(
            ErrorKind.USAGE,
            f"there is no profile file {shown(text)}",
            f"{advice} `leakrun profiles` lists those that are shipped".strip(),
        )
    return path, str(path)


def _advice(name: str, names: list[str], directory: Path) -> str:
    from runner.profile.yaml_values import similar  # which a name that is there needs not

    guess = similar(name, names).strip(" ()")
    for ending in ("", *ENDINGS):
        try:
            if (directory / f"{name}{ending}").is_file():
                return f"did you mean the file ./{name}{ending}? Write it so"
        except OSError:  # a name that is too long for a file
            break
    return f"{guess} `leakrun profiles` lists them".strip()


def reason_of(error: Exception) -> str:
    """What the system says, without the number and the name."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
