"""Answers and recordings in, a stream out."""
