"""Ways to the same numbers in less time, a file a technique; what each brings is in docs/performance.md."""
