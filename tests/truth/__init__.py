"""The measuring set: generated programs that leak, and some that don't, whose truth is known because they were made so."""
