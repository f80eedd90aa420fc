"""Bad input is one clear sentence that names the thing, shows the value and lists what is accepted."""

import pytest

from engine import study
from engine.errors import BadInput
from engine.plan import Plan

GRID = {
    "m_chi_GeV": {"values": [20, 50]},
    "sigma_si_cm2": {"log": [1e-49, 1e-46], "n": 4},
    "exposure_ty": {"values": [200]},
}


def grid(**changes: object) -> dict:
    return {"grid": GRID | changes}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"grdi": GRID}, ["'grdi'", "did you mean 'grid'", "accepted"]),
        (grid() | {"toys": {"nul": 10}}, ["toys", "'nul'", "did you mean 'null'"]),
        (grid(m_chi_GeV={"values": [-20]}), ["grid", "m_chi_GeV", "-20", "above 0"]),
        (grid(m_chi_GeV={"linear": [0, 20], "n": 3}), ["m_chi_GeV", "0 must be above 0"]),
        (grid(sigma_si_cm2={"log": [0, 1e-46], "n": 4}), ["sigma_si_cm2", "[0.0, 1e-46]", "use values for a zero"]),
        (grid(sigma_si_cm2={"values": [-1e-47]}), ["sigma_si_cm2", "-1e-47"]),
        (grid(exposure_ty={"values": []}), ["exposure_ty", "[]"]),
        (grid(exposure_ty={"values": [1], "n": 3}), ["exposure_ty", "n goes with log or linear"]),
        (grid(exposure_ty={"log": [200, 20], "n": 3}), ["exposure_ty", "low < high"]),
        (grid() | {"models": {"vae": {"name": "dens_vae"}}}, ["models.vae", "'dens_vae'", "dense_vae"]),
        (grid() | {"models": {"vae": {"name": "mlp_classifier"}}}, ["mlp_classifier", "autoencoder"]),
        (grid() | {"models": {"vae": {"name": "dense_vae", "betta": 1}}}, ["'betta'", "'beta'"]),
        (grid() | {"detector": {"name": "darwin", "g_1": 0.1}}, ["'g_1'", "'g1'"]),
        (grid() | {"detector": {"g1": 1.5}}, ["detector", "g1", "1.5"]),
        (grid() | {"detector": {"name": "xenon"}}, ["'xenon'", "darwin"]),
        (grid() | {"backgrounds": {"components": ["pq"]}}, ["'pq'", "'pp'"]),
        (grid() | {"backgrounds": {"components": ["wimp_si"]}}, ["wimp_si", "signal"]),
        (grid() | {"backgrounds": {"components": ["pp", "pp"]}}, ["twice"]),
        (grid() | {"backgrounds": {"er_window_keVee": [10, 2]}}, ["er_window_keVee", "low < high"]),
        (grid() | {"backgrounds": {"rates": "fixed"}}, ["rates", "'fixed'", "idealised"]),
        (grid() | {"toys": {"statistics": ["tail"]}}, ["'tail'", "tail_count"]),
        (grid() | {"score": {"R": [-1]}}, ["score.R", "-1"]),
        ({}, ["grid", "required"]),
    ],
)
def test_bad_studies_are_refused_in_one_line(raw, said):
    with pytest.raises(BadInput) as error:
        study.parse(raw)
    message = str(error.value)
    assert "\n" not in message
    for words in said:
        assert words.lower() in message.lower(), message


def test_an_unknown_study_lists_the_shipped_ones():
    with pytest.raises(BadInput, match="did you mean 'quickstart'"):
        study.load("quickstrat")


def test_a_file_that_is_not_toml_is_named(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("[grid\n")
    with pytest.raises(BadInput, match="broken.toml: not a TOML file"):
        study.load(str(path))


@pytest.mark.parametrize("name", study.shipped())
def test_shipped_studies_are_valid_and_open_with_their_question(name):
    assert study.load(name).grid.m_chi_GeV.points()
    assert study.text(name).startswith(f"# {name}: ")


def test_overrides_are_typed_like_toml(tiny):
    parsed = study.load(str(tiny), ("toys.null=2000", "score.R=[5.0]", "models.vae.beta=2"))
    assert (parsed.toys.null, parsed.score.R, parsed.models.vae.config["beta"]) == (2000, (5.0,), 2.0)
    with pytest.raises(BadInput, match="key.path=value"):
        study.load(str(tiny), ("toys.null",))


def test_zero_cross_section_is_legal_among_values():
    parsed = study.parse(grid(sigma_si_cm2={"values": [1e-47, 0.0]}))
    assert parsed.grid.sigma_si_cm2.points() == (0.0, 1e-47)


def test_a_wider_axis_hits_the_same_points():
    narrow = study.Axis(log=(1e-49, 1e-47), n=3).points()
    wide = study.Axis(log=(1e-49, 1e-45), n=5).points()
    assert narrow == wide[:3] == (1e-49, 1e-48, 1e-47)


class TestPlan:
    """Digests follow what a result depends on, and nothing else."""

    def plan(self, **raw: object) -> Plan:
        return Plan(study.parse(grid(**raw.pop("grid", {})) | raw))

    def test_integers_and_floats_are_one_study(self):
        a = self.plan(grid={"exposure_ty": {"values": [200]}}, score={"R": [10]})
        b = self.plan(grid={"exposure_ty": {"values": [200.0]}}, score={"R": [10.0]})
        assert a.items == b.items

    def test_every_item_has_its_own_digest(self):
        items = [item for items in self.plan().items.values() for item in items]
        assert len(set(items)) == len(items)

    def test_a_wider_grid_keeps_what_is_there(self):
        a, b = self.plan(), self.plan(grid={"m_chi_GeV": {"values": [20, 50, 100]}})
        assert set(a.cells) < set(b.cells)
        assert [a.items[s] for s in ("events", "models", "scores", "nulls")] == [
            b.items[s] for s in ("events", "models", "scores", "nulls")
        ]

    def test_more_toys_keep_the_first_blocks(self):
        a, b = self.plan(toys={"null": 2000}), self.plan(toys={"null": 4000})
        assert set(a.items["nulls"]) < set(b.items["nulls"])
        assert not set(a.cells) & set(b.cells)

    def test_a_larger_pool_keeps_the_first_shards(self):
        a, b = self.plan(pool={"er_events": 4000}), self.plan(pool={"er_events": 8000})
        assert {s.item for s in a.shards["pool"]} < {s.item for s in b.shards["pool"]}
        assert not set(a.items["nulls"]) & set(b.items["nulls"])

    def test_another_statistic_keeps_the_rows_of_the_first(self):
        a, b = self.plan(toys={"statistics": ["tail_count"]}), self.plan()
        assert set(a.cells) < set(b.cells)
        assert set(a.items["nulls"]) < set(b.items["nulls"])

    def test_the_tail_threshold_is_no_concern_of_the_likelihood(self):
        a, b = self.plan(toys={"tail_b0": 1.0}), self.plan(toys={"tail_b0": 3.0})
        kept = {b.cells[item][2] for item in set(a.cells) & set(b.cells)}
        assert kept == {"extended_poisson"}

    def test_toys_are_named_by_events_never_by_model(self):
        a, b = self.plan(), self.plan(models={"vae": {"name": "dense_vae", "beta": 1.0}})
        assert a.stream_key == b.stream_key
        assert a.models["vae"] != b.models["vae"]
        assert a.models["classifier"] == b.models["classifier"]

    def test_the_vae_depends_on_electron_recoils_alone(self):
        plan = self.plan()
        assert {shard.kind for shard in plan.training(plan.study.models.vae)} == {"ER"}
        assert {shard.kind for shard in plan.training(plan.study.models.classifier)} == {"ER", "NR"}

    def test_the_window_is_no_concern_of_training(self):
        a, b = self.plan(), self.plan(backgrounds={"nr_window": [5, 35]})
        assert a.items["models"] == b.items["models"]
        assert not {s.item for s in a.shards["pool"] if s.kind == "NR"} & {s.item for s in b.shards["pool"]}
        assert {s.item for s in a.shards["pool"] if s.kind == "ER"} < {s.item for s in b.shards["pool"]}
