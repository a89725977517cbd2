"""Trains the demo checkpoint from nothing on clips drawn by code, and measures it: python -m training"""

import os

# Threads that spin while they wait slow each other down; see services/generation.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
