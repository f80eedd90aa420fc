"""What a study extends, its presets, and what is set on top: which wins, and what is said of a wrong one."""

import pytest

from engine import study
from engine.errors import BadInput
from engine.files import shipped
from engine.study.layers import merged, whole

OWN = """
extends = "quickstart"
grid.exposure_ty = { values = [7] }
models.vae.epochs = 9
[presets.small]
models.vae.epochs = 2
toys.null = 500
[presets.smaller]
models.vae = { name = "conv_vae", representation = "image" }
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    return path


def test_own_keys_stand_on_those_of_what_is_extended(own):
    below, here = study.load("quickstart"), study.load(own)
    assert here.grid.exposure_ty.points() == (7.0,) and here.grid.m_chi_GeV == below.grid.m_chi_GeV
    assert here.models["vae"].config == below.models["vae"].config | {"epochs": 9}
    assert here.preset == "paper" and here.pool == below.pool
    assert study.load(own, ("preset=paper",)) == here


def test_a_preset_wins_over_the_file_and_set_over_the_preset(own):
    small = study.load(own, ("toys.signal=600", "preset=small", "toys.null=700"))
    assert small.preset == "small" and small.models["vae"].config["epochs"] == 2
    assert (small.toys.null, small.toys.signal) == (700, 600)


def test_a_preset_is_no_part_of_a_result(own):
    by_hand = study.load(own, ("models.vae.epochs=2", "toys.null=500"))
    assert by_hand.model_dump() == study.load(own, ("preset=small",)).model_dump()


def test_an_axis_and_another_model_are_taken_whole():
    below = {"x": {"log": [1, 10], "n": 3}, "model": {"name": "a", "width": 3}, "same": {"name": "a", "width": 3}}
    above = {"x": {"values": [2]}, "model": {"name": "b"}, "same": {"width": 4}}
    assert merged(below, above) == {"x": {"values": [2]}, "model": {"name": "b"}, "same": {"name": "a", "width": 4}}


@pytest.mark.parametrize("settings", [(), ("preset=small",), ("preset=small", "toys.null=700", "models.vae.beta=3.0")])
def test_a_document_says_all_of_it_by_itself(own, settings):
    """What `tune` and `launch` write: read again, it is the same study, of the same preset."""
    written = study.document(own, settings)
    again = study.parse(written.unwrap())
    assert again == study.load(own, settings) and "extends" not in written


def test_a_document_without_layers_is_the_file():
    for name in ("quickstart", "floor_and_ceiling"):
        assert study.document(name).as_string() == study.text(name)


@pytest.mark.parametrize(("changed", "said"), [
    ({"extends": "quickstar"}, "did you mean 'quickstart'"),
    ({"extends": "quickstart", "preset": "smal"}, "unknown preset 'smal'"),
    ({"presets": {"small": 3}}, r"expected \[presets.NAME\]"),
    ({"extends": "quickstart", "preset": "a", "presets": {"a": {"extends": "b"}}}, "no layers of its own"),
    ({"extends": "quickstart", "preset": "a", "presets": {"a": {"toys": {"nul": 1}}}}, "did you mean 'null'"),
])  # fmt: skip
def test_a_wrong_layer_is_refused_by_its_name(changed, said):
    with pytest.raises(BadInput, match=said):
        study.parse(changed)


def test_a_study_without_a_preset_says_which_it_has():
    with pytest.raises(BadInput, match="quickstart: unknown preset 'small'.*paper"):
        study.load("quickstart", ("preset=small",))


@pytest.mark.parametrize("name", shipped())
def test_every_preset_that_ships_is_a_study(name):
    for preset in whole(study.read(name)).get("presets", {}):
        assert study.load(name, (f"preset={preset}",)).preset == preset
