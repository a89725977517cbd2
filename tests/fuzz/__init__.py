"""Generated requests, thousands of them, to a running service. ``python -m tests.fuzz``."""
