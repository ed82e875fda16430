"""A recording with bare addresses -> the same with names."""
