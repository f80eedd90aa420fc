"""What is said of a scan while it runs, and to whom: a live view on a terminal, plain lines elsewhere, or MLflow."""

from rich.console import Console

from engine.progress.display import Lines, View
from engine.progress.listeners import FitProgress, Relay, Silent, spoken

__all__ = ["FitProgress", "Lines", "Relay", "Silent", "View", "reporter", "spoken"]


def reporter(quiet: bool) -> Silent:
    """The reporter that suits where the output goes."""
    console = Console()
    if quiet:
        return Silent()
    return View(console) if console.is_terminal else Lines(console)
