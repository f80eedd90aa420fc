"""What a study's file may be, and that a refusal is one short line whatever it is."""

import os
import stat
import tomllib

import pytest

from engine import files, study
from engine.errors import LONGEST, BadInput, shown, unknown

GRID = {"m_chi_GeV": [20, 50], "sigma_si_cm2": [0.0, 1e-48], "exposure_ty": [200]}


def refused(raw: dict) -> str:
    with pytest.raises(BadInput) as error:
        study.parse(raw)
    said = str(error.value)
    assert len(said) <= LONGEST and said.isprintable()
    return said


def deep(n: int) -> object:
    return {"a": deep(n - 1)} if n else 1


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"seed": 10**5000}, "seed = <int too large to show>"), ({"seed": 2**63}, "at most 63 bits"),
        ({"score": {"bandwidth": float("inf")}}, "score.bandwidth = inf: not a finite number"),
        ({"models": {"vae": {"name": "dense_vae", "hidden": [float("nan")]}}}, "models.vae.hidden = nan"),
        ({"tune": deep(40)}, "more than 12 deep"), ({"tuned_on": "a\nb"}, r"'a\nb'"),
        ({"tuned_on": "x" * 5000}, "5000 characters"), ({"a\x1b[31m": 1}, r"a\x1b[31m"), ({3: 1}, "3 is no text"),
        ({"grid": GRID, "toys": {"statistics": ["../x"], "options": {"../x": {"statistic": "count"}}}}, "'../x'"),
        ({"grid": GRID, "toys": {"statistics": [".."]}}, "'..'"),
        ({"grid": GRID, "toys": {"statistics": ["mine.py" * 30]}}, "at most 100 letters"),
        ({"grid": GRID, "backgrounds": {"components": ["pp", "a/b"], "options": {"a/b": {"spectrum": "pp"}}}}, "'a/b'"),
        ({"grid": GRID, "models": {"a" * 101: {"name": "dense_vae"}}}, "at most 100"),
        ({"grid": GRID, "detector": {"g": 1}}, "more)"),
        ({"grid": GRID, "representation": "image"}, 'expected representation = { name = "image" } (keys: name)'),
        ({"grid": {"m_chi_GeV": [50], "sigma_si_cm2": [1e-47]}}, "exposure_ty = [20, 200] (given: m_chi_GeV, sigma"),
        ({"grid": GRID | {"m_chi_GeV": []}}, "grid.m_chi_GeV.values: [] is empty"),
        ({"grid": GRID, "reach": False}, "expected reach = { enabled = true } (keys: enabled, "),
        ({"grid": GRID, "training": 3}, "3 is no section; expected training = { workers = 1 } (keys: workers, "),
        ({"grid": GRID, "models": 3}, "expected models.NAME = { ... }"),
        ({"grid": GRID, "toys": {"statistics": "count"}}, "'count' is no list; expected statistics = [\"count\"]"),
        ({"grid": GRID, "score": {"R": 5}}, "score.R: 5 is no list; expected R = [5]"),
        ({"grid": GRID | {"m_chi_GeV": "20"}}, "expected m_chi_GeV = { log = [10, 1000], n = 10 }"),
        ({"grid": GRID, "benchmark": [50, 1e-47]}, "(keys: m_chi_GeV, sigma_si_cm2)"), ({"grid": 3}, "3 is no section"),
        ({}, "grid = { m_chi_GeV = { log = [10, 1000], n = 10 }, sigma_si_cm2 = { log = [2e-49, 2e-46], n = 10 }, exp"),
        ({"signal": {"name": "b8"}}, "grid = { strength = { log = [3e-02, 3e+01], n = 10 }, exposure_ty = [20, 200] }"),
        ({"grid": GRID | {"m_chi_GeV": "a"}, "toys": {"null": 1}}, "look at "),
    ],
)  # fmt: skip
def test_refusals_are_one_short_line(raw, said):
    assert said in refused(raw)


def test_the_example_of_a_grid_is_a_grid():
    line = refused({}).partition("like ")[2].partition(" (given")[0]
    assert study.parse(tomllib.loads(line)).grid.m_chi_GeV.n_points == 10


@pytest.mark.parametrize("setting", ["seed=" + "9" * 5000, "seed=" + "[" * 5000, "seed", "seed.a=1"])
def test_odd_settings_are_one_line(tiny, setting):
    with pytest.raises(BadInput) as error:
        study.load(tiny, (setting,))
    assert len(str(error.value)) <= LONGEST


def test_a_path_is_read_and_so_is_a_byte_order_mark(tiny, tmp_path):
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf" + tiny.read_bytes())
    assert study.load(tmp_path / "bom.toml") == study.load(tiny) == study.load(str(tiny))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("seed = 1\n".encode("utf-16"), "UTF-16"), ("# é\n".encode("latin-1"), "not a text in UTF-8"),
        (b"seed = " + b"9" * 5000, "not a TOML file"), (b"a = " + b"[" * 9000, "deep"), (b"", "grid: required"),
        (b"a" + b".a" * 9000 + b" = 1", "deep"), (b"#" * 1_000_001, "1,000,001 bytes; at most 1,000,000"),
        (b'["a"' + b' . "a"' * 90_000 + b"]", "deep"), (b"a = { b" + b".c" * 90_000 + b" = 1 }", "deep"),
        (b"# " + b"." * 90_000 + b"\n# one. two three. four. " * 20, "grid: required"),
    ],
)  # fmt: skip
def test_what_is_no_study_is_named(tmp_path, content, said):
    path = tmp_path / "s.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        study.load(path)
    with pytest.raises(BadInput):
        study.parse(study.document(path).unwrap())


def test_what_is_no_file_is_named(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    for name, said in (("pipe", "is a pipe"), ("", "is a folder"), ("none", "no such file"), ("loop", "cannot read"),
                       ("a\0b", "cannot read"), ("x" * 300, "cannot read|no such")):  # fmt: skip
        with pytest.raises(BadInput, match=said) as error:
            files.read(tmp_path / name, 10)
        assert str(error.value).isprintable()
    with pytest.raises(BadInput, match="is a device"):
        files.read("/dev/zero", 10)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(BadInput, match="Permission denied"):
        files.check(tmp_path / "file")
    assert stat.S_ISREG(os.stat(tmp_path / "file").st_mode)


def test_long_values_and_lists_are_shortened_and_secrets_are_not_shown():
    assert len(shown("x" * 10**6)) <= 60 and shown([1, "a"]) == "[1, 'a']"
    assert shown({"a": 10**5000}).endswith("too large to show>")
    said = str(unknown("thing", "nme", ["name", *(f"other{i}" for i in range(500))]))
    assert "did you mean 'name'" in said and "... and " in said and len(said) <= LONGEST
    assert "hunter2" not in str(BadInput("x" * 200 + " postgresql://me:hunter2@host/db " + "y" * 300))
