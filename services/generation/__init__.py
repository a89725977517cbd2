"""Making a clip: the only code of the service that imports torch or diffusers."""

import os

# Torch's OpenMP threads spin while they wait. Beside any other busy process on the same cores that makes
# a step a hundred times slower (measured: 4.1 s against 0.03 s), so they sleep instead. It is read when torch
# is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
