"""Tests, one file for each file of the service."""

# Before anything imports torch: sets how its threads wait (a hundredfold on a busy machine).
import services.generation  # noqa: F401
