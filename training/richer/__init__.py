"""Trains the next demo checkpoint, on the world of ``training.world``: python -m training.richer

Its checkpoint is not shipped yet; the one that is was trained by the modules beside this package.
"""

import os

# Threads that spin while they wait slow each other down; see services/generation.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
