"""The command `pullback`.

Heavy packages are imported by the commands that need them, so that ``pullback --help`` is quick. Whatever a user can
cause ends in one line on stderr and the exit code 2.
"""

import sys

from pullback._extras import install

try:
    from pullback.cli.app import main
except ModuleNotFoundError as error:
    if error.name != "typer":
        raise
    print(f"pullback: the command line needs packages that are not installed; {install('train')}", file=sys.stderr)
    raise SystemExit(2) from None

__all__ = ["main"]
