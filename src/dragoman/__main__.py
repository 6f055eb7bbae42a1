"""`dragoman` and `python -m dragoman`: the way into the command line.

Works with core alone installed: what is missing is named in one line instead of a traceback.
"""

from __future__ import annotations

import importlib
import sys

from dragoman._version import __version__


def main() -> int:
    """Run the command line with `sys.argv`; gives or raises the exit status (see `docs/commands.md`)."""
    try:
        commands = importlib.import_module("dragoman.cli.main")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "click":
            raise
        if sys.argv[1:] == ["--version"]:
            print(f"dragoman, version {__version__}")
            return 0
        extra = "server" if sys.argv[1:2] == ["serve"] else "cli"  # `server` brings `cli`
        line = f"error: The command line needs an optional dependency: pip install 'dragoman[{extra}]'"
        print(line, file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # later ones end in the commands' own way
        return 130
    return int(commands.main())


if __name__ == "__main__":
    sys.exit(main())
