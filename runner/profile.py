"""YAML -> validated Profile."""

from pydantic import BaseModel


class Profile(BaseModel):
    """A validated profile."""
