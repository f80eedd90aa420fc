"""What a scan says of its own limits."""

import pyarrow as pa
import pytest

from engine.report import audit

AT = {"m_chi_GeV": 50.0, "sigma_si_cm2": 1e-47}
GOOD = AT | {
    "exposure_ty": 5.0, "statistic": "tail_count", "R": 1e4, "events_per_pool_event": 0.005, "half_shift": 0.1,
    "pool_limited": False, "half_z_shift": None, "z_pool_error": None, "n_signal": 3.0, "signal_pool_size": 4000.0,
    "pull": 0.3, "pull_median": -1.0,
}  # fmt: skip


def lines(**changed):
    return audit.lines(pa.Table.from_pylist([GOOD, GOOD | changed]), AT)


def test_nothing_is_said_where_nothing_is_wrong():
    assert lines() == []
    assert lines(half_shift=None, pull=None, pull_median=None) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"events_per_pool_event": 0.4, "exposure_ty": 200.0}, "0.4 expected events per pool event at 200 t y"),
        ({"half_shift": -0.7}, "the mean q of tail_count_R10000 at 5 t y by -0.7 of its sd (1 rows above 0.3)"),
        ({"pool_limited": True}, "too few simulated events decide tail_count_R10000 (pool_limited)"),
        ({"pool_limited": True, "half_z_shift": -1.0, "z_pool_error": 0.2}, "the error of tail_count_R10000"),
        ({"signal_pool_size": 12.0}, "only 12 effective pool events"),
        ({"pull_median": 5.0}, "disagree by 0.3 and 5.0 sigma: tail_count_R10000 at 5 t y"),
    ],
)
def test_each_limit_has_its_line(changed, said):
    (line,) = lines(**changed)
    assert said in line


def test_rows_off_the_benchmark_are_not_judged():
    assert lines(m_chi_GeV=60.0, pool_limited=True) == []


def fits(**changed):
    row = {"role": "classifier", "model": "mlp_classifier", "population": "window_2_10_keVee",
           "er_with_one_logit": 1e-4, "nr_with_one_logit": 0.004}  # fmt: skip
    wide = {"population": "uniform_1_100_keV"}
    return audit.tied(pa.Table.from_pylist([row | wide, row | changed, row | wide | {"role": "floor"}]))


def test_a_classifier_that_gives_events_one_logit_has_a_line():
    assert fits() == fits(er_with_one_logit=None, nr_with_one_logit=None) == []
    (line,) = fits(nr_with_one_logit=0.47)
    assert line.startswith("classifier mlp_classifier gives 47% of NR one logit, window_2_10_keVee")
    assert len(fits(er_with_one_logit=0.02, nr_with_one_logit=0.02)) == 2


def leaking(ratio, width=0.1, floor=1e-3):
    """The rows of a classifier and of the floor, both of 10 % error, of a window and of all energies."""

    def row(role, value, population):
        error = width * value
        return {"role": role, "model": "some_family", "population": population, audit.LEAKAGE: value,
                f"{audit.LEAKAGE}_low": value - error, f"{audit.LEAKAGE}_high": value + error}  # fmt: skip

    values, wide = {"classifier": ratio * floor, "floor": floor}, ("uniform_1_100_keV", 50.0)
    return pa.Table.from_pylist([row(role, value * scale, population) for role, value in values.items()
                                 for population, scale in (wide, ("window_2_10_keVee", 1.0))])  # fmt: skip


def test_a_classifier_that_leaks_more_than_its_floor_has_a_line():
    assert audit.over_floor(leaking(18.0)) == {"classifier": "18"}
    (line,) = audit.above_floor(leaking(18.0))
    assert line.startswith("classifier some_family lets 18 times the floor's electron recoils through")
    assert audit.above_floor(leaking(0.65)) == audit.above_floor(leaking(1.1)) == [], "within the errors of both"


def test_where_the_floor_lets_nothing_through_its_error_is_the_unit():
    table = leaking(18.0).to_pylist()
    floor = {audit.LEAKAGE: 0.0, f"{audit.LEAKAGE}_low": 0.0, f"{audit.LEAKAGE}_high": 1e-4}
    none = pa.Table.from_pylist([row | floor if row["role"] == "floor" else row for row in table])
    assert audit.over_floor(none) == {"classifier": "over 180"} and len(audit.above_floor(none)) == 1
    both = pa.Table.from_pylist([row | floor for row in table])
    assert audit.over_floor(both) == {} and audit.above_floor(both) == []
    assert audit.over_floor(pa.Table.from_pylist(table[:2])) == {}, "without a floor"
