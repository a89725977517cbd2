"""The world that the demo checkpoint is taught: clips drawn by code, and their captions."""
