"""Growth, blame, verdict: recordings in, an answer out."""
