"""The process supervisor: launch, signals, timers, children, sampling. It knows no tool."""
