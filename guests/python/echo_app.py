"""Makes a component of `echo.py`."""

import command
import echo
from wit_world import exports


class Run(exports.Run):
    """What the world asks for."""

    def run(self) -> None:
        command.run(echo.main)
