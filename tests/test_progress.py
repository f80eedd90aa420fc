"""What a reporter prints, and that it leaves a terminal as it was."""

import io

import pytest
from rich.console import Console

from engine.progress import FitProgress, Lines, View, display, listeners, spoken

SHOW_CURSOR = "\x1b[?25h"
VAE = FitProgress("dense_vae", 50, [40.0] * 11 + [31.2], [41.0] * 11 + [32.04], 2.0, False, seen_s=1000.0)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set; by both ways to read it."""
    now = [1000.0]
    for module in (display, listeners):
        for read in ("time", "monotonic"):
            monkeypatch.setattr(module.time, read, lambda: now[0])
    return now


@pytest.fixture
def lines():
    return Lines(Console(file=io.StringIO(), width=100))


def said(reporter) -> list[str]:
    return reporter.console.file.getvalue().splitlines()


def terminal(height=24, width=100):
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height)


def seen(view) -> list[str]:
    """What a terminal of this size would show of a view now."""
    console = Console(file=io.StringIO(), width=view.console.width)
    console.print(view._seen())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_lines_say_what_is_there_and_what_is_missing(lines):
    lines.stage("scores", 10, 4)
    lines.advance(6)
    lines.done()
    assert said(lines)[0] == "scores: 10 items, 4 reused, 6 to compute"
    assert said(lines)[-1].startswith("scores: done in ")


class TestFit:
    def test_it_says_epoch_losses_and_time_left(self, clock):
        assert VAE.words == "epoch 12 of 50, loss 31.2 (validation 32.04), about 76 s left"
        clock[0] = 1036.0
        assert VAE.words.endswith("about 40 s left")

    def test_before_its_first_epoch_has_ended_it_says_since_when_it_runs(self, clock):
        clock[0] = 1090.0
        assert FitProgress("dense_vae", 50, seen_s=1000.0).words == "in the first of 50 epochs, 90 s so far"

    def test_one_that_is_found_in_a_store_may_be_silent(self, clock):
        clock[0] = 1050.0
        assert VAE.as_found == "dense_vae epoch 12 of 50, loss 31.2 (validation 32.04), about 26 s left"
        clock[0] = 1600.0
        assert VAE.as_found == "dense_vae epoch 12 of 50, loss 31.2 (validation 32.04), silent for 10 min"

    def test_one_that_may_stop_has_at_most_its_time_left(self, clock):
        assert FitProgress("x", 4, [1.0], [1.0], 100.0, True, 1000.0).words.endswith("at most 5 min left")

    def test_a_host_whose_clock_differs_adds_nothing_and_no_time_is_negative(self, clock):
        assert FitProgress("x", 4, [1.0], [1.0], 10.0, seen_s=5000.0).words.endswith("about 30 s left")
        assert FitProgress("x", 4, [1.0], [1.0], 10.0, seen_s=0.0).words.endswith("about 0 s left")

    def test_times_are_said_in_a_unit_that_suits_them(self):
        assert [spoken(s) for s in (-1, 99, 100, 5999, 7200)] == ["0 s", "99 s", "2 min", "100 min", "2.0 h"]


class TestLines:
    def test_every_ten_seconds_a_line_of_the_stage_and_of_each_fit(self, lines, clock):
        lines.stage("models", 2, 0)
        for clock[0] in (1005.0, 1011.0, 1015.0, 1036.0):
            lines.fits({"a": VAE})
        assert said(lines)[1:] == [
            "models: 0 of 2 computed, 11 s so far",
            "models: dense_vae epoch 12 of 50, loss 31.2 (validation 32.04), about 65 s left",
            "models: 0 of 2 computed, 36 s so far",
            "models: dense_vae epoch 12 of 50, loss 31.2 (validation 32.04), about 40 s left",
        ]

    def test_an_item_that_takes_minutes_has_a_time_that_passes_and_then_one_that_is_left(self, lines, clock):
        lines.stage("limits", 4, 0)
        for clock[0] in (1060.0, 1120.0, 1180.0):  # the first says nothing of the pace, with all that starts up
            lines.fits({})
            lines.advance(1)
        clock[0] = 1200.0
        lines.fits({})
        assert said(lines)[1:] == [
            "limits: 0 of 4 computed, 60 s so far",
            "limits: 1 of 4 computed, 2 min so far",
            "limits: 2 of 4 computed, about 60 s left",
            "limits: 3 of 4 computed, about 40 s left",
        ]

    def test_before_there_is_a_pace_it_says_what_is_to_be_expected_until_that_has_passed(self, lines, clock):
        lines.stage("reach", 3, 0)
        lines.expect(90.0)
        for clock[0] in (1040.0, 1100.0):
            lines.fits({})
        assert said(lines)[1:] == [
            "reach: 0 of 3 computed, 40 s so far, perhaps 90 s in all",
            "reach: 0 of 3 computed, 2 min so far",
        ]

    def test_a_pace_that_did_not_hold_is_no_promise(self, lines, clock):
        lines.stage("limits", 4, 0)
        for clock[0] in (1001.0, 1002.0):
            lines.advance(1)
        clock[0] = 1060.0
        lines.fits({})
        assert said(lines)[-1] == "limits: 2 of 4 computed, 60 s so far"


class TestView:
    @pytest.mark.parametrize("width", [80, 100])
    def test_it_shows_what_is_done_what_runs_and_what_is_to_come(self, clock, width):
        view = View(terminal(width=width))
        view.ahead(["events", "models", "scores"])
        view.stage("events", 30, 4)
        clock[0] = 1012.0
        view.done()
        view.stage("models", 2, 0)
        view.fits({"a": VAE})
        names, words = zip(*((line[:20].strip(), line.strip()) for line in seen(view)), strict=True)
        view.close()
        assert [name.split()[0] for name in names] == ["events", "models", "dense_vae", "scores"]
        assert words[0].endswith("30 items, 4 reused, done in 12 s")
        assert words[1].endswith("0 of 2 computed, 0 s so far")
        assert words[2].endswith("epoch 12 of 50, loss 31.2 (validation 32.04), about 64 s left")
        assert words[3].endswith("to come") and "-:--:--" not in "".join(words)

    def test_a_stage_that_was_not_asked_for_is_not_shown(self, clock):
        view = View(terminal())
        view.stage("reach", 0, 0)
        view.done()
        assert seen(view) == []
        view.close()

    def test_fits_go_with_their_stage(self, clock):
        view = View(terminal())
        view.stage("models", 1, 0)
        view.fits({"a": VAE})
        view.done()
        (line,) = seen(view)
        view.close()
        assert line.strip().startswith("models") and line.endswith("1 items, done in 0 s")

    def test_a_stage_that_is_gone_through_again_keeps_the_time_it_took(self, clock):
        view = View(terminal())
        for _ in range(2):
            view.stage("cells", 5, 0)
            clock[0] += 30.0
            view.done()
        (line,) = seen(view)
        view.close()
        assert line.endswith("done in 60 s")

    def test_on_a_low_terminal_what_runs_is_seen(self, clock):
        view = View(terminal(height=5))
        view.ahead([f"before {number}" for number in range(6)] + ["models"] + [f"later {n}" for n in range(6)])
        for number in range(6):
            view.stage(f"before {number}", 1, 0)
            view.done()
        view.stage("models", 2, 0)
        view.fits({"a": VAE})
        shown = seen(view)
        view.close()
        assert [line.split()[0] for line in shown] == ["models", "dense_vae", "later", "later"]

    def test_a_stage_that_fails_gives_the_cursor_back(self):
        view = View(terminal())
        view.stage("models", 2, 0)
        assert not view.console.file.getvalue().endswith(SHOW_CURSOR)
        view.close()
        assert SHOW_CURSOR in view.console.file.getvalue()

    def test_after_an_end_it_may_begin_anew(self):
        view = View(terminal())
        for _ in range(2):
            view.stage("models", 2, 0)
            view.close()
        assert view.console.file.getvalue().count(SHOW_CURSOR) == 2

    def test_closing_before_any_stage_is_no_error(self):
        View(terminal()).close()
