"""Bad input is one clear sentence that names the thing, shows the value and lists what is accepted."""

import tomllib

import pytest

from engine import stages, study
from engine.errors import BadInput
from engine.inference.teststats import count, tail_count
from engine.physics import events
from engine.plan.plan import Plan

GRID = {
    "m_chi_GeV": {"values": [20, 50]},
    "sigma_si_cm2": {"log": [1e-49, 1e-46], "n": 4},
    "exposure_ty": {"values": [200]},
}
DEFAULTS = ("extended_poisson", "tail_count")


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
        (grid() | {"detector": {"nuisance": {"g11": 0.1}}}, ["constant to vary", "'g11'", "'g1'"]),
        (grid() | {"detector": {"nuisance": {"s2_noise": 0.1}}}, ["nuisance.s2_noise", "is 0"]),
        (grid() | {"systematics": {"constants": {"s2_noise": 0.1}}}, ["constants.s2_noise = 0.1", "is 0"]),
        (grid() | {"detector": {"nuisance": {"g1": -0.1}}}, ["nuisance.g1", "-0.1"]),
        (grid() | {"pool": {"proposal": "log"}}, ["pool.proposal", "log_uniform", "'log'"]),
        (grid() | {"detector": {"name": "xenon"}}, ["'xenon'", "darwin"]),
        (grid() | {"backgrounds": {"components": ["pq"]}}, ["'pq'", "'pp'"]),
        (grid() | {"backgrounds": {"components": ["wimp_si"]}}, ["wimp_si", "signal"]),
        (grid() | {"backgrounds": {"options": {"pq": {}}}}, ["component with options", "'pq'", "'pp'"]),
        (grid() | {"backgrounds": {"options": {"xe136": {"shape": "flat"}}}}, ["xe136.shape", "'pr'", "'flat'"]),
        (grid() | {"backgrounds": {"options": {"xe136": {"shap": "pr"}}}}, ["xe136", "'shap'", "'shape'"]),
        (grid() | {"backgrounds": {"components": ["pp", "line"], "options": {"line": {"spectrum": "user_table",
          "path": "nowhere.csv", "kind": "ER"}}}}, ["nowhere.csv"]),
        (grid() | {"signal": {"options": {"v0_km_s": -220}}}, ["v0_km_s", "-220"]),
        (grid() | {"backgrounds": {"components": ["pp", "pp"]}}, ["twice"]),
        (grid() | {"backgrounds": {"er_window_keVee": [10, 2]}}, ["er_window_keVee", "low < high"]),
        (grid() | {"backgrounds": {"rates": "fixed"}}, ["rates", "'fixed'", "idealised"]),
        (grid() | {"toys": {"statistics": ["tail"]}}, ["'tail'", "tail_count"]),
        (grid() | {"score": {"R": [-1]}}, ["score.R", "-1"]),
        (grid() | {"score": {"R": [1.0, 1]}}, ["score.R", "twice"]),
        (grid() | {"toys": {"statistics": ["tail_count", "tail_count"]}}, ["statistics", "twice"]),
        (grid() | {"backgrounds": {"nr_window": [10, 5]}}, ["nr_window", "low < high"]),
        (grid() | {"backgrounds": {"nr_window": [5, 100]}}, ["nr_energy_keV", "[5.0, 100.0]"]),
        (grid() | {"backgrounds": {"er_window_keVee": [2, 20]}}, ["er_energy_keV", "[2.0, 20.0]"]),
        (grid() | {"backgrounds": {"er_window_keVee": ["a", 3]}}, ["er_window_keVee", "'a'"]),
        (grid() | {"models": {"vae": 5}}, ["models.vae", "5 is no section"]),
        (grid() | {"models": {"vae": "dense_vae"}}, ["models.vae", "no section", "name = 'dense_vae'"]),
        (grid() | {"models": {"vae": {"name": 5}}}, ["models.vae", "name = 5"]),
        (grid() | {"models": {"vae": {"name": "."}}}, ["'.'", "dense_vae"]),
        (grid() | {"models": {"vae": {"name": "dense_vae", "config": {}}}}, ["'config'"]),
        (grid() | {"detector": 5}, ["detector", "no section"]),
        (grid() | {"detector": {"drift_field_V_cm": 0.2}}, ["drift_field_V_cm", "0.2", "greater than or equal to 5"]),
        (grid() | {"detector": {"electron_lifetime_us": 10}}, ["electron_lifetime_us", "10"]),
        (grid() | {"detector": {"drift_length_cm": 2600}}, ["drift_length_cm", "2600", "less than or equal to 1000"]),
        (grid() | {"detector": {"drift_velocity_mm_us": 1524.9}}, ["drift_velocity_mm_us", "1524.9", "to 5"]),
        (grid() | {"detector": {"density_g_cm3": 2875}}, ["density_g_cm3", "2875", "to 3.1"]),
        (grid() | {"detector": {"wall_distance_cm": 200}}, ["wall_distance_cm = 200", "no fiducial volume"]),
        (grid() | {"pool": {"nr_energy_keV": [1, 3000]}}, ["nr_energy_keV", "3000", "300"]),
        (grid() | {"pool": {"er_energy_keV": [0.01, 14]}}, ["er_energy_keV", "0.01", "0.05"]),
        (grid() | {"events": {"energy_keV": [1, 1000]}}, ["events.energy_keV", "1000", "300"]),
        (grid() | {"events": {"energy_keV": [float("nan"), 100]}}, ["events.energy_keV", "nan"]),
        (grid() | {"detector": {"name": "json.decoder"}}, ["'json.decoder'", "lacks CONSTANTS"]),
        (grid() | {"representation": {"name": "json.decoder"}}, ["'json.decoder'", "lacks features"]),
        (grid() | {"toys": {"statistics": ["json.decoder"]}}, ["'json.decoder'", "lacks ADDITIVE, EXACT"]),
        (grid() | {"benchmark": {"size": 1e-47}}, ["benchmark", "'size'", "'sigma_si_cm2'"]),
        (grid() | {"score": {"name": "elbow"}}, ["score", "'elbow'", "did you mean 'elbo'"]),
        (grid() | {"score": {"roles": {"autoencoder": "vae"}}}, ["score", "role", "'autoencoder'", "classifier, vae"]),
        (grid() | {"score": {"roles": {"vae": "mine"}}, "models": {"vae": {"name": "dense_vae"}}},
         ["role 'vae'", "'mine'", "accepted: classifier, vae"]),
        (grid() | {"score": {"name": "elbo", "R": [10.0]}}, ["score", "[10.0]", "'elbo'", "no weight"]),
        (grid() | {"toys": {"options": {"tail_cuont": {"b0": 2.0}}}}, ["with options", "'tail_cuont'", "'tail_count'"]),
        (grid() | {"toys": {"statistics": ["tail_count"], "options": {"extended_poisson": {}}}},
         ["statistic with options", "'extended_poisson'", "accepted: tail_count"]),
        (grid() | {"toys": {"options": {"tail_count": {"b_0": 2.0}}}}, ["option of 'tail_count'", "'b_0'", "'b0'"]),
        (grid() | {"toys": {"options": {"tail_count": {"b0": -2.0}}}}, ["tail_count.b0", "-2.0", "greater than 0"]),
        (grid() | {"toys": {"options": {"tail_count": {"b0": float("nan")}}}}, ["tail_count.b0", "nan"]),
        (grid() | {"toys": {"options": {"extended_poisson": {"b0": 1.0}}}}, ["'extended_poisson'", "'b0'"]),
        (grid() | {"toys": {"options": {"tail_count": 3}}}, ["toys.options.tail_count", "3"]),
        (grid() | {"toys": {"statistics": ["tail_100"]}}, ["'tail_100'", "tail_count"]),
        (grid() | {"toys": {"statistics": ["tail_100"], "options": {"tail_100": {"b0": 100.0}}}},
         ["'tail_100'", "tail_count"]),
        (grid() | {"toys": {"statistics": ["far"], "options": {"far": {"statistic": "tail_cuont"}}}},
         ["'tail_cuont'", "did you mean 'tail_count'"]),
        (grid() | {"toys": {"statistics": ["far"], "options": {"far": {"statistic": "tail_count", "bo": 3.0}}}},
         ["option of 'tail_count'", "'bo'", "'b0'"]),
        (grid() | {"toys": {"tail_b0": 1.0}}, ["toys", "'tail_b0'", "accepted"]),
        (grid() | {"toys": {"tail": "kernel"}}, ["toys.tail", "'kernel'", "kde"]),
        (grid() | {"models": {"vae": {"name": "no/such/file.py"}}}, ["no such file", "no/such/file.py"]),
        (grid() | {"models": {"vae": {"name": "conv_vae"}}},
         ["models.vae", "conv_vae takes images of 75 x 75 x 3 = 16875 values, not 3835", "'vector'", "'darwin'",
          "would do: image"]),
        (grid() | {"representation": {"name": "image"}, "models": {"classifier": {"name": "summary_classifier"}}},
         ["models.classifier", "summary_classifier takes events of at most 4 values, not 16875", "'image'",
          "would do: corrected"]),
        (grid() | {"models": {"classifier": {"name": "cnn_classifier", "representation": "imaeg"}}},
         ["models.classifier", "'imaeg'", "did you mean 'image'"]),
        (grid() | {"models": {"classifier": {"name": "cnn_classifier", "representation": "summary"}}},
         ["models.classifier", "not 3", "'summary'", "would do: image"]),
        (grid() | {"models": {"vae": {"name": "dense_vae", "representation": 3}}}, ["models.vae.representation", "3"]),
        (grid() | {"models": {"vae": {"name": "dense_vae", "seed": -1}}}, ["models.vae.seed", "-1"]),
        ({}, ["grid", "required"]),
        ({"grid": {"exposure_ty": {"values": [1]}}}, ["grid.sigma_si_cm2", "required", "exposure_ty"]),
        (grid(m_chi_GeV=None), ["grid", "'wimp_si'", "m_chi_GeV, sigma_si_cm2", "m_chi_GeV is missing"]),
        (grid(strength={"values": [1]}), ["grid", "key 'strength'", "m_chi_GeV, refine, sigma_si_cm2", "'wimp_si'"]),
        (grid(m_chi_GeV={"valeus": [1]}), ["grid.m_chi_GeV", "'valeus'", "did you mean 'values'"]),
        (grid() | {"signal": {"name": "wimp"}}, ["signal", "'wimp'", "wimp_si", "user_table"]),
        (grid() | {"signal": {"name": "b8"}}, ["grid", "'sigma_si_cm2'", "(accepted: exposure_ty, refine, strength)",
                                               "with the signal 'b8'"]),
        ({"signal": {"name": "b8"}, "grid": {"m_chi_GeV": {"values": [20]}, "strength": {"values": [1]},
          "exposure_ty": {"values": [1]}}}, ["grid", "'b8'", "strength and exposure_ty", "m_chi_GeV is not among"]),
        (grid() | {"signal": {"name": "xe124_ec"}}, ["signal", "'xe124_ec'", "events of its own"]),
        (grid() | {"signal": {"name": "user_table", "options": {"path": "no.csv", "kind": "ER"}}}, ["no.csv"]),
        (grid() | {"benchmark": {"strength": 2.0}}, ["benchmark", "'wimp_si'", "'strength'", "m_chi_GeV"]),
        ({"signal": {"name": "b8"}, "grid": {"strength": {"values": [-1]}, "exposure_ty": {"values": [1]}}},
         ["grid.strength", "-1", "0 or more"]),
    ],
)  # fmt: skip
def test_bad_studies_are_refused_in_one_line(raw, said):
    with pytest.raises(BadInput) as error:
        study.parse(raw)
    message = str(error.value)
    assert "\n" not in message
    for words in said:
        assert words.lower() in message.lower(), message


@pytest.mark.parametrize(
    ("representation", "vae", "classifier"),
    [("image", "conv_vae", "cnn_classifier"), ("image", "dense_vae", "mlp_classifier"),
     ("summary", "dense_vae", "summary_classifier")],
)  # fmt: skip
@pytest.mark.parametrize("detector", ["darwin", "xenonnt"])
def test_models_that_take_the_representation_are_accepted(detector, representation, vae, classifier):
    raw = {"detector": detector, "representation": representation}
    models = {"vae": {"name": vae}, "classifier": {"name": classifier}}
    parsed = study.parse(grid() | {key: {"name": name} for key, name in raw.items()} | {"models": models})
    assert {role: model.name for role, model in parsed.fitted.items()} == {"vae": vae, "classifier": classifier}


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
    assert (parsed.toys.null, parsed.score.R, parsed.models["vae"].config["beta"]) == (2000, (5.0,), 2.0)
    with pytest.raises(BadInput, match="key.path=value"):
        study.load(str(tiny), ("toys.null",))


def test_a_document_keeps_the_users_comments_and_can_be_changed_and_read_back(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("# why: to see\nseed = 3  # a throw of dice\n[score]\nR = [1e4]\n# the end\n")
    found = study.document(str(path), ("seed=4", "toys.null=2000"))
    found["score"]["R"], found["tuned_on"] = [5.0], 'a "WIMP" \\ \u00e9'
    written = found.as_string()
    assert written.startswith("# why: to see\nseed = 4") and "# the end" in written
    assert "# a throw of dice" in written
    assert tomllib.loads(written) == {
        "seed": 4, "score": {"R": [5.0]}, "toys": {"null": 2000}, "tuned_on": 'a "WIMP" \\ \u00e9'
    }  # fmt: skip
    path.write_text("[grid\n")
    with pytest.raises(BadInput, match="mine.toml: not a TOML file"):
        study.document(str(path))


@pytest.mark.parametrize("name", study.shipped())
def test_every_shipped_study_survives_as_a_document(name):
    extends = "extends" in tomllib.loads(study.text(name))
    assert extends or study.document(name).as_string() == study.text(name)
    settings = ((), ("toys.null=2000",), *([("preset=small",)] if "presets" in study.read(name) else ()))
    for some in settings:
        written = study.parse(tomllib.loads(study.document(name, some).as_string()))
        assert written.fields() == study.load(name, some).fields()


def test_zero_cross_section_is_legal_among_values():
    parsed = study.parse(grid(sigma_si_cm2={"values": [1e-47, 0.0]}))
    assert parsed.grid.size.points() == (0.0, 1e-47)


def test_a_statistic_has_its_options_and_may_have_a_name_of_its_own():
    raw = {"statistics": ["tail_count", "tail_100", "count"],
           "options": {"tail_count": {"b0": 3}, "tail_100": {"statistic": "tail_count", "b0": 100.0}}}  # fmt: skip
    toys = study.parse(grid() | {"toys": raw}).toys
    assert [toys.statistic_name(name) for name in toys.statistics] == ["tail_count", "tail_count", "count"]
    (near, its_options), (far, far_options), (number, none) = map(toys.statistic, toys.statistics)
    assert near is far is tail_count and number is count
    assert its_options == tail_count.Options(b0=3.0) and far_options == tail_count.Options(b0=100.0)
    assert none.model_dump() == {}


def test_a_statistic_without_options_has_its_defaults():
    toys = study.parse(grid()).toys
    assert toys.statistic("tail_count") == (tail_count, tail_count.Options(b0=1.0, exposure_ty=None))


def test_options_of_a_statistic_are_set_on_the_command_line(tiny):
    parsed = study.load(str(tiny), ("toys.options.tail_count.b0=7",))
    assert parsed.toys.statistic("tail_count")[1].b0 == 7.0


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
        assert stages.items(a) == stages.items(b)

    def test_every_item_has_its_own_digest(self):
        everything = [item for items in stages.items(self.plan()).values() for item in items]
        assert len(set(everything)) == len(everything) > 100

    def test_a_wider_grid_keeps_what_is_there(self):
        a, b = self.plan(), self.plan(grid={"m_chi_GeV": {"values": [20, 50, 100]}})
        assert set(a.cells) < set(b.cells)
        kept = [{name: stages.items(plan)[name] for name in ("events", "models", "scores", "nulls")} for plan in (a, b)]
        assert kept[0] == kept[1]

    def test_more_toys_keep_the_first_blocks(self):
        a, b = self.plan(toys={"null": 2000}), self.plan(toys={"null": 4000})
        assert set(a.nulls) < set(b.nulls)
        assert not set(a.cells) & set(b.cells)

    def test_a_larger_pool_keeps_the_first_shards(self):
        a, b = self.plan(pool={"er_events": 4000}), self.plan(pool={"er_events": 8000})
        assert {s.item for s in a.shards["pool"]} < {s.item for s in b.shards["pool"]}
        assert not set(a.nulls) & set(b.nulls)

    def test_another_statistic_keeps_the_rows_of_the_first(self):
        a, b = self.plan(toys={"statistics": ["tail_count"]}), self.plan()
        assert set(a.cells) < set(b.cells)
        assert set(a.nulls) < set(b.nulls)

    def of_statistic(self, plan, statistic):
        """Items of the toys and cells of one statistic."""
        blocks = [plan.null_items(200.0, "null", R, name) for R, name in plan.by_toys if name == statistic]
        return {item for items in blocks for item in items} | {
            item for item, (_, _, name) in plan.cells.items() if name == statistic
        }

    def test_options_of_one_statistic_are_no_concern_of_the_others(self):
        a, b = self.plan(), self.plan(toys={"options": {"tail_count": {"b0": 3.0}}})
        assert self.of_statistic(a, "extended_poisson") == self.of_statistic(b, "extended_poisson")
        assert not self.of_statistic(a, "tail_count") & self.of_statistic(b, "tail_count")

    @pytest.mark.parametrize(
        ("statistic", "options"),
        [("tail_count", {"b0": 3.0}), ("tail_count", {"exposure_ty": 10.0}), ("tail_count", {"exposure_ty": 200.0}),
         ("extended_poisson", {"ln_n_factorial": False})],
    )  # fmt: skip
    def test_every_option_of_a_statistic_is_in_its_digests(self, statistic, options):
        a, b = self.plan(), self.plan(toys={"options": {statistic: options}})
        assert not self.of_statistic(a, statistic) & self.of_statistic(b, statistic)

    def test_defaults_of_a_statistic_are_spelt_out(self):
        a, b = self.plan(), self.plan(toys={"options": {"tail_count": {"b0": 1}, "extended_poisson": {}}})
        assert stages.items(a) == stages.items(b)

    def test_one_file_under_two_names_with_options_of_their_own(self):
        far = {"statistic": "tail_count", "b0": 100.0}
        both = self.plan(toys={"statistics": ["tail_count", "far"], "options": {"far": far}})
        near, alone = (self.plan(toys={"statistics": [name], "options": {name: options}})
                       for name, options in (("tail_count", {"b0": 1.0}), ("far", far)))  # fmt: skip
        assert set(near.nulls).isdisjoint(alone.nulls)
        assert set(both.nulls) == set(near.nulls + alone.nulls)
        assert set(both.cells) == set(near.cells) | set(alone.cells)
        assert [name for _, name in both.by_toys] == ["tail_count", "far"]

    def test_a_statistic_that_needs_no_score_is_wanted_once_and_knows_no_model(self):
        toys = {"statistics": ["count", "tail_count"]}
        a, b = (self.plan(toys=toys, score={"R": R}) for R in ([1.0], [1.0, 2.0]))
        assert b.by_toys == [(1.0, "tail_count"), (2.0, "tail_count"), (None, "count")]
        assert self.of_statistic(a, "count") == self.of_statistic(b, "count")

    @pytest.mark.parametrize("changed", [{"bandwidth": 0.7}, {"relative_floor": 1e-9}])
    def test_toys_depend_on_the_density_where_the_statistic_needs_it(self, changed):
        a, b = self.plan(), self.plan(score=changed)
        R = a.wanted[0][0]
        literal, tail = ([plan.null_items(200.0, "null", R, name) for plan in (a, b)] for name in DEFAULTS)
        assert set(literal[0]).isdisjoint(literal[1])
        assert tail[0] == tail[1]

    @pytest.mark.parametrize(
        "changed",
        [{"score": {"bandwidth": 0.7}}, {"score": {"relative_floor": 1e-9}}, {"toys": {"tail": "kde"}},
         {"backgrounds": {"rates": "idealised"}}, {"models": {"vae": {"name": "dense_vae", "beta": 1.0}}}],
    )  # fmt: skip
    def test_every_number_of_a_row_is_in_its_digest(self, changed):
        """Of a statistic that looks at no density too: how much of f0 is floor stands in its row."""
        a, b = self.plan(), self.plan(**changed)
        assert not set(a.cells) & set(b.cells)
        assert "tail" in str(changed) or not set(a.exact) & set(b.exact)
        assert a.table != b.table

    @pytest.mark.parametrize(
        ("statistics", "changed"),
        [(DEFAULTS, {"tuned_on": "a WIMP"}), (DEFAULTS, {"toys": {"tail": "exact", "exact": "all"}}),
         (("count",), {"score": {"name": "weighted_sum", "options": {"weights": {"vae": 1.0, "classifier": 1.0}}},
                       "models": {"vae": {"name": "dense_vae"}, "classifier": {"name": "mlp_classifier"}}})],
    )  # fmt: skip
    def test_words_of_rows_are_in_the_table_s_digest_alone(self, statistics, changed):
        named = {"toys": {"statistics": statistics, "exact": "all"}}
        a, b = self.plan(**named), self.plan(**changed | {"toys": named["toys"] | changed.get("toys", {})})
        assert a.cells == b.cells and a.exact == b.exact
        assert a.table != b.table

    def test_options_of_a_spectrum_are_in_the_digest_and_its_defaults_are_spelt_out(self):
        a = self.plan()
        same = self.plan(backgrounds={"options": {"xe136": {"shape": "pr"}}})
        fermi = self.plan(backgrounds={"options": {"xe136": {"shape": "fermi"}}})
        slow = self.plan(signal={"options": {"v0_km_s": 220}})
        assert stages.items(a) == stages.items(same)
        assert stages.items(a)["scores"] == stages.items(fermi)["scores"]
        assert set(a.nulls).isdisjoint(fermi.nulls)
        assert a.nulls == slow.nulls and not set(a.cells) & set(slow.cells)

    def test_a_users_table_is_named_by_its_numbers(self, tmp_path):
        def items(name, text):
            (tmp_path / name).write_text(text)
            options = {"line": {"spectrum": "user_table", "path": str(tmp_path / name), "kind": "ER"}}
            return stages.items(self.plan(backgrounds={"components": ["pp", "line"], "options": options}))

        a = items("a.csv", "energy_keV,rate\n2,0\n3,1\n4,0\n")
        assert a == items("b.csv", "energy_keV,rate\n2.0,0\n3,1\n4,0\n")
        assert not set(a["nulls"]) & set(items("c.csv", "energy_keV,rate\n2,0\n3,2\n4,0\n")["nulls"])

    def test_a_signal_without_a_mass_is_scanned_over_its_strength(self, tmp_path):
        def plan(text, **more):
            (tmp_path / "peak.csv").write_text(text)
            signal = {"name": "user_table", "options": {"path": str(tmp_path / "peak.csv"), "kind": "ER"}}
            points = {"strength": {"values": [0.0, 0.5, 3.0]}, "exposure_ty": {"values": [20, 200]}}
            return Plan(study.parse({"grid": points, "signal": signal} | more))

        a = plan("energy_keV,rate\n2,0\n3,1\n4,0\n")
        sizes = [(point.exposure_ty, point.m_chi_GeV, point.size, point.origin) for point in a.points]
        strengths = [(0.0, "grid"), (0.5, "grid"), (1.0, "benchmark"), (3.0, "grid")]
        assert sizes == [(exposure, None, *one) for exposure in (20.0, 200.0) for one in strengths]
        assert a.study.at == {"strength": 1.0}
        of_a = stages.items(a)  # before the file changes
        assert of_a["nulls"] == self.plan(grid={"exposure_ty": {"values": [20, 200]}}).nulls
        other = plan("energy_keV,rate\n2,0\n3,2\n4,0\n")
        assert of_a["nulls"] == other.nulls and not set(of_a["cells"]) & set(other.cells)
        assert plan("energy_keV,rate\n2,0\n3,2\n4,0\n", benchmark={"strength": 3.0}).study.at == {"strength": 3.0}

    def test_a_users_own_spectrum_is_named_by_its_text(self, tmp_path):
        path = tmp_path / "mine.py"
        body = 'KIND = "ER"\nRELATIVE_UNCERTAINTY = 0.1\ndef rate(energy_keV):\n    return {} + 0 * energy_keV\n'
        path.write_text(body.format(1.0))
        a = stages.items(self.plan(backgrounds={"components": [str(path)]}))
        path.write_text(body.format(7.0))
        b = stages.items(self.plan(backgrounds={"components": [str(path)]}))
        assert a["scores"] == b["scores"]
        assert not set(a["nulls"]) & set(b["nulls"])

    def test_toys_are_named_by_events_never_by_model(self):
        a, b = self.plan(), self.plan(models={"vae": {"name": "dense_vae", "beta": 1.0}})
        assert a.stream_key == b.stream_key
        assert a.models["vae"] != b.models["vae"]
        assert a.models["classifier"] == b.models["classifier"]

    def test_the_vae_depends_on_electron_recoils_alone(self):
        plan = self.plan()
        assert {shard.kind for shard in plan.training(plan.fitted["vae"])} == {"ER"}
        assert {shard.kind for shard in plan.training(plan.fitted["classifier"])} == {"ER", "NR"}

    def test_the_window_is_no_concern_of_training(self):
        a, b = self.plan(), self.plan(backgrounds={"nr_window": [5, 35]})
        assert stages.items(a)["models"] == stages.items(b)["models"]
        assert not {s.item for s in a.shards["pool"] if s.kind == "NR"} & {s.item for s in b.shards["pool"]}
        assert {s.item for s in a.shards["pool"] if s.kind == "ER"} < {s.item for s in b.shards["pool"]}


# Backgrounds belong to detectors


def test_a_study_has_the_backgrounds_of_its_detector():
    darwins = study.parse(grid()).backgrounds
    assert darwins.components == ("pp", "be7", "pb214", "kr85", "xe136", "b8", "hep", "atm", "dsnb", "neutrons")
    measured = study.parse(grid() | {"detector": {"name": "xenonnt"}}).backgrounds
    module, options = measured.spectrum("er")
    assert (measured.spectrum_name("er"), options.per_ty_keV) == ("flat", 15.8)  # arXiv:2207.11330
    assert measured.relative_uncertainty("er") == pytest.approx(1.3 / 15.8, abs=0.001)
    assert not {"pp", "pb214", "kr85"} & set(measured.components)


def test_what_a_study_says_of_backgrounds_goes_before_its_detectors():
    def of(**backgrounds):
        return study.parse(grid() | {"detector": {"name": "xenonnt"}, "backgrounds": backgrounds}).backgrounds

    assert of(components=["pp", "er"]).components == ("pp", "er")
    assert of(components=["pp", "er"]).spectrum("er")[1].per_ty_keV == 15.8
    lower = of(options={"er": {"per_ty_keV": 12.3}})
    assert lower.spectrum("er")[1].per_ty_keV == 12.3 and lower.relative_uncertainty("er") == 0.082
    other = of(options={"er": {"spectrum": "pp"}})
    assert other.spectrum_name("er") == "pp" and other.relative_uncertainty("er") == 0.03


def test_a_detector_without_backgrounds_asks_for_them(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from engine.physics.detectors.darwin import CONSTANTS as CONSTANTS\n")
    with pytest.raises(BadInput, match="has no BACKGROUNDS of its own: name backgrounds.components"):
        study.parse(grid() | {"detector": {"name": str(path)}})
    named = grid() | {"detector": {"name": str(path)}, "backgrounds": {"components": ["pp", "atm"]}}
    assert study.parse(named).backgrounds.components == ("pp", "atm")


def test_how_well_a_rate_is_known_is_part_of_what_a_result_follows_from():
    plain, wider = (
        Plan(study.parse(grid() | {"backgrounds": {"options": {"hep": options}}}))
        for options in ({}, {"relative_uncertainty": 0.3})
    )
    assert plain.study.backgrounds.relative_uncertainty("hep") == 0.04
    assert wider.study.backgrounds.relative_uncertainty("hep") == 0.3
    assert plain.components != wider.components and plain.shards == wider.shards
    for given in (-0.1, 3, "much", True, [0.1]):
        with pytest.raises(BadInput, match="hep.relative_uncertainty = .* must be a number from 0 to 2"):
            study.parse(grid() | {"backgrounds": {"options": {"hep": {"relative_uncertainty": given}}}})


def test_a_field_moves_the_drift_and_says_so_in_what_is_made_of_it():
    def plan(detector, **systematics):
        return Plan(study.parse(grid() | {"detector": detector, "systematics": systematics}))

    at_50 = plan({"drift_field_V_cm": 50}).study.detector.constants
    assert at_50.drift_velocity_mm_us == pytest.approx(1.048, abs=0.001)  # NEST
    moved = plan({}, constants={"drift_field_V_cm": 0.1, "g1": 0.1}).varied_shards
    true = {shard.shift: events.moved(at_50, dict(shard.shift)) for shard in moved}
    assert len(true) == 4
    drifts = {name: detector.drift_velocity_mm_us for ((name, _),), detector in true.items()}
    assert drifts["g1"] == at_50.drift_velocity_mm_us != drifts["drift_field_V_cm"]
    plain, varied = (plan({"nuisance": {name: 0.1}})._detector for name in ("g1", "drift_field_V_cm"))
    assert len(plain) == 2 and len(varied) == 3
