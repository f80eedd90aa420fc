"""What is written is what is read."""

import tomllib

from engine import study, toml_text


def test_what_is_written_reads_back_equal():
    data = {
        "seed": 1, "small": 6.5e-48, "flag": True, "word": 'a "b" \\ \u00e9 \x7f', "empty": [],
        "list": [[1, 2.5], ["x"]], "points": [{"a": 1}, {"b": {"c": "d"}}], "a": {"b": {"c": {"deep": 1}}, "d": 2},
        "none": {}, "two words": 3,
    }  # fmt: skip
    assert tomllib.loads(toml_text.dumps(data)) == data


def test_every_shipped_study_survives():
    for name in study.shipped():
        raw = study.read(name)
        assert tomllib.loads(toml_text.dumps(raw)) == raw
