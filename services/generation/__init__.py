"""Making a clip: the only code of the service that imports torch or diffusers."""

import os

# Torch's OpenMP threads spin while they wait for each other. Beside any other busy process on the same cores
# that makes a step a hundred times slower; so they sleep, after a look or two: threads that sleep at once
# halve the speed of a machine that has nothing else to do. Read when torch is first imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
