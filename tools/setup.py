"""Entry of every `make` target, for any Python: finds an interpreter that is new enough, then hands over.

Written so that even an old Python can read it and answer with one line instead of a syntax
error. What the targets do is in `environment.py` beside it. Usage, with or without make:

    python3 tools/setup.py demo
    python3 tools/setup.py test tests/wire -x
"""

import os
import subprocess
import sys

NEEDED = (3, 11)
NAMES = ["python3.14", "python3.13", "python3.12", "python3.11", "python3", "python"]
PROBE = "import sys; sys.exit(0 if sys.version_info >= %r else 1)" % (NEEDED,)  # noqa: UP031 - an old Python reads this


def find_newer():  # type: () -> str | None
    """The first interpreter on the PATH that is new enough, or None.

    Each is run, because a name on the PATH may be a version manager's empty promise.
    """
    for name in NAMES:
        try:
            with open(os.devnull, "wb") as nothing:
                if subprocess.call([name, "-c", PROBE], stdout=nothing, stderr=nothing) == 0:
                    return name
        except OSError:
            continue
    return None


def main():  # type: () -> int
    if sys.version_info >= NEEDED:
        import environment  # the one late import: an old Python cannot even parse it

        return environment.main(sys.argv[1:])
    newer = None if os.environ.get("PYTHON") else find_newer()
    if newer is not None:
        return subprocess.call([newer] + sys.argv)  # noqa: RUF005 - as above
    sys.stderr.write(
        "dragoman needs Python %d.%d or newer and this is %d.%d: "  # noqa: UP031 - as above
        "install a newer one, or name it: make demo PYTHON=/path/to/python3\n" % (NEEDED + tuple(sys.version_info[:2]))
    )
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
