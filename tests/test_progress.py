"""What a reporter prints, and that it leaves a terminal as it was."""

import io

from rich.console import Console

from engine.progress import Bars, Lines

SHOW_CURSOR = "\x1b[?25h"


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def test_lines_say_what_is_there_and_what_is_missing():
    console = Console(file=io.StringIO(), width=100)
    lines = Lines(console)
    lines.stage("scores", 10, 4)
    lines.advance(6)
    lines.done()
    said = console.file.getvalue().splitlines()
    assert said[0] == "scores: 10 items, 4 reused, 6 to compute"
    assert said[-1].startswith("scores: done in ")


def test_a_stage_that_fails_gives_the_cursor_back():
    console = terminal()
    bars = Bars(console)
    bars.stage("models", 2, 0)
    assert not console.file.getvalue().endswith(SHOW_CURSOR)
    bars.close()
    assert SHOW_CURSOR in console.file.getvalue()


def test_closing_before_any_stage_is_no_error():
    Bars(terminal()).close()
