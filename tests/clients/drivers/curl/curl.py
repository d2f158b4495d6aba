"""curl: heads, bodies and exit codes as they are. The arguments and the output are those of the other drivers."""

from __future__ import annotations

import json
import re
import subprocess
import sys

_BETWEEN_TWO_HOPS = re.compile(r"^(?:Connection|Transfer-Encoding):.*\r\n", re.MULTILINE)


def main() -> None:
    curl, *arguments = sys.argv[1:]
    middle = arguments.index("--")
    bases, cases = arguments[:middle], arguments[middle + 1 :]
    for number, base in enumerate(bases):
        for name, case in zip(cases[::2], cases[1::2], strict=True):
            command = (curl, "--silent", "--no-buffer", "--location", "--max-time", "20", "--dump-header", "-")
            done = subprocess.run((*command, base + case), capture_output=True, check=False)
            received = _BETWEEN_TWO_HOPS.sub("", done.stdout.decode("latin-1"))
            got = [["bytes", received], ["end" if done.returncode == 0 else "error", done.returncode]]
            print(json.dumps({"base": number, "case": name, "got": got}))


main()
