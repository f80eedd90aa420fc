"""`python -m engine` is `recoilscan`."""

import sys

from engine import environment


def main() -> None:
    """The command line, in an environment in which the libraries that it imports find what they want."""
    environment.prepare()
    environment.rarely_collect()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # of a name that the terminal's encoding lacks
    from engine.cli import app

    app.main()


if __name__ == "__main__":
    main()
