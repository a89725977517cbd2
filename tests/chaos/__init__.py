"""The service under kill -9: load, faults, and an audit of everything. ``python -m tests.chaos``."""
