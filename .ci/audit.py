"""``make audit``: known vulnerabilities in what requirements.lock pins; fails unless all of it was looked up.

pip-audit by itself ends with 0 when it could look up nothing at all: what it skips is a note in its report.
Standard input is its report as JSON; the first argument is the lock.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?P<marker>\s*;)?", re.MULTILINE)


def canonical(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def problems(report: dict[str, Any], lock: str) -> Iterator[str]:
    """One line for each vulnerability, and for each package that was not looked up."""
    seen = set()
    for package in report["dependencies"]:
        if "skip_reason" in package:
            yield f"{package['name']}: not looked up: {package['skip_reason']}"
            continue
        seen.add(canonical(package["name"]))
        for found in package["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {found['id']}, mended in {fixed}"
    skipped = {canonical(package["name"]) for package in report["dependencies"] if "skip_reason" in package}
    for pin in _PIN.finditer(lock):
        # Those with a marker are for other systems.
        if pin["marker"] is None and canonical(pin["name"]) not in seen | skipped:
            yield f"{pin['name']}: missing in the report"


def main() -> int:
    try:
        report = json.load(sys.stdin)
    except json.JSONDecodeError:
        print("the audit failed: pip-audit wrote no report", file=sys.stderr)
        return 1
    found = list(problems(report, Path(sys.argv[1]).read_text()))
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print(f"the audit failed: {len(found)} problems", file=sys.stderr)
        return 1
    print(f"{len(report['dependencies'])} packages looked up, no known vulnerability")
    return 0


if __name__ == "__main__":
    sys.exit(main())
