"""What is measured: ``python -m benchmarks.<name>``, each a command of its own."""

# Before torch: it decides how torch's threads wait, here as in the worker.
import services.generation  # noqa: F401
