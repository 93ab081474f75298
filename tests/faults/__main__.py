"""`python -m tests.faults FAULT... -- PROGRAM ARGUMENT...` runs a program in which faults happen: see `tests.faults`.

The program is a file, or `-m` and a module, or `-c` and source, as for Python itself.
"""

import runpy
import sys

from tests.faults.points import Faults


def main(arguments):
    place = arguments.index("--")
    faults, (program, *rest) = arguments[:place], arguments[place + 1 :]
    Faults(faults).install()
    if program == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif program == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - the script of a test
    else:
        sys.argv = [program, *rest]
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
