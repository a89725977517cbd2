"""Trains the next demo checkpoint, on the world of ``training.world``: python -m training.richer

Its checkpoint is not shipped yet; the one that is was trained by the modules beside this package.
"""

import os

# Threads that spin while they wait slow each other down; see services/generation.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
