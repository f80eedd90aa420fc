"""How much a study may ask for is said before any of it is made: these tests would take minutes or all memory."""

import pytest

from engine import study
from engine.errors import BadInput

HUGE = {"log": [10, 1000], "n": 2_000_000}
GRID = {"m_chi_GeV": [20, 50], "sigma_si_cm2": [0.0, 1e-48], "exposure_ty": [200]}
MANY = {str(i): {"name": "mlp_classifier", "seed": i} for i in range(1500)}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"grid": GRID | {"m_chi_GeV": HUGE | {"n": 2**31}}}, ["grid.m_chi_GeV.n", "2000000", "2147483648"]),
        ({"grid": GRID | {"m_chi_GeV": HUGE, "sigma_si_cm2": {"log": [1e-49, 1e-46], "n": 2_000_000}}},
         ["points: 2,000,000 (grid.m_chi_GeV) x 2,000,000 (grid.sigma_si_cm2)", "at most 2,000,000"]),
        ({"grid": GRID | {"m_chi_GeV": HUGE | {"n": 2000}}, "score": {"R": list(range(1, 301))}},
         ["2,000 (grid.m_chi_GeV) x 2 (grid.sigma_si_cm2) x 300 (score.R) x 2 (toys.statistics) = 2,400,000"]),
        ({"grid": GRID, "toys": {"null": 10**18}}, ["toys.null", "1000000000"]),
        ({"grid": GRID | {"exposure_ty": [1, 2]}, "toys": {"null": 10**9}}, ["too many blocks of 1000 toys"]),
        ({"grid": GRID, "pool": {"er_events": 10**12}}, ["too many events", "at most 2,000,000,000"]),
        ({"grid": GRID, "events": {"train_per_kind": 10**12}}, ["too many events"]),
        ({"grid": GRID, "tune": {"R": {"log": [1, 1e7], "n": 2**31}}}, ["tune.R.n", "2000000"]),
        ({"grid": GRID, "tune": {"R": {"log": [1, 1e7], "n": 2_000_000}}}, ["too many points to tune"]),
        ({"grid": GRID, "reach": {"m_chi_GeV": list(range(1, 9001))}, "score": {"R": list(range(1, 200))}},
         ["exposures sought", "reach.m_chi_GeV"]),
        ({"grid": GRID, "compare": {"vae": {k: {"name": "dense_vae"} for k in MANY}, "classifier": MANY}},
         ["1,500 (compare.vae) x 1,501 (compare.classifier)"]),
        ({"grid": GRID, "detector": {"pmt_pitch_cm": 1e-5}}, ["pmt_pitch_cm"]),
        ({"grid": GRID, "detector": {"s1_samples": 10**12}}, ["s1_samples"]),
        ({"grid": GRID, "training": {"workers": 10**9}}, ["training.workers"]),
    ],
)  # fmt: skip
def test_too_much_is_refused_before_it_is_made(raw, said):
    with pytest.raises(BadInput) as error:
        study.parse(raw)
    for words in said:
        assert words in str(error.value)


def test_the_largest_axis_is_accepted():
    assert study.Axis(**HUGE).n_points == 2_000_000
    assert study.Axis.model_validate([3.0, 1.0, 3.0]).n_points == 2


@pytest.mark.parametrize("form", [[20, 50.0], {"values": [20, 50.0]}, (20, 50)])
def test_a_list_is_values(form):
    assert study.parse({"grid": GRID | {"m_chi_GeV": form}}).grid.m_chi_GeV == study.Axis(values=(20, 50))
    assert study.parse({"grid": GRID | {"exposure_ty": 200}}) == study.parse({"grid": GRID})
