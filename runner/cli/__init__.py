"""One module per verb: the only place that knows typer and exit codes."""
