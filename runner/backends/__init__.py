"""One module per native tool: plan() and read()."""
