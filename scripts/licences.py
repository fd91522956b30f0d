"""Fails where an installed package may not be shipped beside Apache-2.0 code.

Permissive licences, MPL and LGPL are fine; GPL and AGPL are not, and neither is an unknown one.
Must not: know the rules of any other check.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

# Package → why its metadata may be read otherwise than it looks. An entry that is not needed any
# more fails the check too.
ALLOWED = {
    "axe-playwright-python": "its LICENSE file is MIT, the axe-core in it MPL-2.0; tests only",
    "text-unidecode": "dual: Artistic Licence or GPL, at our choice; we choose the Artistic one",
}

_STRONG_COPYLEFT = re.compile(r"\b(?<!L)A?GPL|(?<!Lesser )(?<!Library or )General Public License")
_LESSER = re.compile(r"LGPL|Lesser General Public")


def refusals(packages: list[dict[str, str]], allowed: dict[str, str]) -> list[str]:
    """One line for each package that may not stay, and for each needless entry of `allowed`."""
    refused = {
        package["Name"]: package["License"]
        for package in packages
        if not _is_fine(package["License"])
    }
    lines = [f"{name}: {text}" for name, text in refused.items() if name not in allowed]
    return lines + [f"{name}: needs no exception" for name in allowed if name not in refused]


def _is_fine(text: str) -> bool:
    if text.strip().upper() in ("", "UNKNOWN"):
        return False
    if _STRONG_COPYLEFT.search(_LESSER.sub("", text)) is None:
        return True
    # an expression leaves the choice; a list of classifiers, joined by ";", does not say so
    return any(_is_fine(choice) for choice in text.split(" OR ")) if " OR " in text else False


def main() -> int:
    """Check what is installed in this environment; the exit code for the shell."""
    command = [sys.executable, "-m", "piplicenses", "--format=json", "--from=mixed"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    packages = json.loads(answer.stdout)
    lines = refusals([p for p in packages if p["Name"] != "waybill"], ALLOWED)
    print("\n".join(lines) or f"{len(packages)} packages, all of them may be shipped with ours")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
