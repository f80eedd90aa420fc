"""`python -m engine` is `recoilscan`."""

from engine.cli.app import main

main()
