"""Makes `wasi:cli` commands of ordinary programs: what becomes a component does so by this file."""

# Loaded by name when a socket connects, which is too late: a component holds what was imported while it was built.
import encodings.idna
import sys
from collections.abc import Callable

from componentize_py_types import Err


def run(main: Callable[[], None]) -> None:
    """Runs a program, and ends as the world wants it."""
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        if end.code:
            raise Err(None) from end
