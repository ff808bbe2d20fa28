"""Brings `anvil` to platforms that the npm lock file does not cover.

The lock file names the Linux x86-64 build only: naming them all makes `npm ci` fail wherever one is not to be had.
Elsewhere this installs the platform's own package beside it, unless an `anvil` is on PATH already.
"""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "1.7.1"
PACKAGES = {
    ("Linux", "aarch64"): "anvil-linux-arm64",
    ("Darwin", "arm64"): "anvil-darwin-arm64",
    ("Darwin", "x86_64"): "anvil-darwin-amd64",
}


def main() -> int:
    """Exit status 0 when an anvil can be started from this checkout."""
    root = Path(__file__).resolve().parent.parent
    if shutil.which("anvil") or any((root / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil")):
        return 0
    system, machine = platform.system(), platform.machine()
    package = PACKAGES.get((system, machine))
    if package is None:
        print(
            f"set-up: no anvil package is known for {system} {machine}; expected an `anvil` on PATH "
            f"(Foundry {VERSION}). Install Foundry and run make again.",
            file=sys.stderr,
        )
        return 1
    spec = f"@foundry-rs/{package}@{VERSION}"
    return subprocess.run(
        ["npm", "install", "--no-save", "--no-audit", "--no-fund", spec], cwd=root
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
