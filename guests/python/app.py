"""Makes a `wasi:cli` command of `banner.py`: the one file that knows it becomes a component."""

# Loaded by name when a socket connects, which is too late: a component holds what was imported while it was built.
import encodings.idna
import sys

import banner
from componentize_py_types import Err
from wit_world import exports


class Run(exports.Run):
    """What the world asks for."""

    def run(self) -> None:
        try:
            banner.main()
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            if end.code:
                raise Err(None) from end
