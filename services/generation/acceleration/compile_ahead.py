"""Compiles one call in a process of its own, so that the worker goes on making clips meanwhile.

    python -m services.generation.acceleration.compile_ahead PARENT FILE < SPEC

Compiling a UNet takes minutes, most of them in Python: on another thread it would take the interpreter from
the one that feeds the device. The result is a file that is loaded in seconds, now and after a restart.
"""

import os
import sys
from pathlib import Path

from services.child_process import die_with_parent
from services.generation.acceleration.backends import BACKENDS
from services.generation.acceleration.compile_spec import CompileSpec

_NICENESS = 10


def main() -> None:
    die_with_parent(int(sys.argv[1]))
    spec = CompileSpec.from_json(sys.stdin.read())
    os.nice(_NICENESS)
    call, tensors = spec.build()
    BACKENDS[spec.backend].compile(call, tensors, Path(sys.argv[2]))


if __name__ == "__main__":
    main()
