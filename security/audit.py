"""Known vulnerabilities of the pinned packages, by pip-audit: python security/audit.py LOCK...

Ends with 0 if every package was looked up and none is known to be vulnerable, 1 if one is, and 2 if some could not be
looked up: pip-audit alone calls that a success.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def main(locks: list[str]) -> int:
    worst = 0
    for lock in locks:
        command = [str(Path(sys.executable).with_name("pip-audit")), "--require-hashes", "--disable-pip", "--format",
                   "json", "--progress-spinner", "off", "--timeout", "20", "--requirement", lock]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            packages = json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError):
            reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
            print(f"{lock}: not audited: pip-audit could not reach its service or failed ({reason[:300]}); run it "
                  "where the package index can be reached")
            worst = worst or 2
            continue
        skipped = [package["name"] for package in packages if "skip_reason" in package]
        vulnerable = [package for package in packages if package.get("vulns")]
        for package in vulnerable:
            for known in package["vulns"]:
                fixed = ", ".join(known["fix_versions"]) or "no version"
                print(f"{lock}: {package['name']} {package['version']}: {known['id']}, fixed in {fixed}")
        print(f"{lock}: {len(packages)} packages: {len(packages) - len(skipped)} looked up, {len(vulnerable)} with "
              "known vulnerabilities")
        if skipped:
            print(f"{lock}: {len(skipped)} packages could not be looked up ({', '.join(skipped[:3])}, ...): this says "
                  "nothing about them; run it where the package index and its advisories can be reached")
        found = 1 if vulnerable else 2 if skipped else 0
        worst = 1 if 1 in (found, worst) else max(found, worst)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["requirements.lock"]))
