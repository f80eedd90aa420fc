"""`python -m engine` is `recoilscan`."""

from engine.cli import main

main()
