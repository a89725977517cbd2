"""``python -m tests.fuzz``: schemathesis with all its checks, single requests and chains of them.

Runs until there were so many cases, without keys and then with them; prints what came of them, and ends
with 1 when anything is wrong. ``--seed`` draws the same requests again.
"""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import MODES, fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=5000, help="at least so many in each mode")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--mode", choices=MODES, action="append", help="one of them alone")
    parser.add_argument("--folder", type=Path, help="keep records, logs and reports here")
    arguments = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="t2v-fuzz-") as scratch:
        folder: Path = arguments.folder or Path(scratch)
        for mode in arguments.mode or MODES:
            fuzzed = fuzz(folder / mode, mode, cases=arguments.cases, seed=arguments.seed)
            print(fuzzed, flush=True)
            wrong += fuzzed.failures
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
