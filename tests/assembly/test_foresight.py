"""What is told of a study before any of its events exists: toys that cannot be drawn, what its spectra leave out."""

import sys

import pytest
from studies import TINY

from engine import study
from engine.assembly import foresight
from engine.assembly.samples import sample
from engine.errors import BadInput
from engine.plan.plan import Plan
from engine.run import pipeline
from engine.store.store import Store


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ((), True),
        (("backgrounds.components=['pp','xe124_ec']",), False),
        (("backgrounds.components=['pp','dec']", "backgrounds.options.dec={ spectrum = 'xe124_ec' }"), False),
        (("backgrounds.er_window_keVee=[1.0,3.0]", "pool.er_energy_keV=[0.5,14.0]"), False),
    ],
)
def test_a_study_without_124xe_says_so(settings, said):
    lines = list(foresight.remarks(study.load(str(TINY), settings)))
    assert len(lines) == said and all("xe124_ec" in line for line in lines)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("grid.sigma_si_cm2={ values = [1e-42] }", "grid.exposure_ty={ values = [200] }"),
         "exposure_ty = 200: at least .* signal .m_chi_GeV = 50, sigma_si_cm2 = 1e-42. events"),
        (("backgrounds.components=['er']", "backgrounds.options.er={ spectrum='flat', per_ty_keV=1e7 }"), "background"),
    ],
)
def test_toys_that_are_too_full_are_refused_before_an_event_is_made(tmp_path, settings, said):
    asked = study.load(str(TINY), settings)
    with pytest.raises(BadInput, match=f"{said}.* are expected in a toy; at most 1e\\+06 are drawn"):
        pipeline.run(asked, Store(str(tmp_path / "store")), workers=0)
    assert not any((tmp_path / "store").rglob("*.parquet"))


def test_what_is_certain_is_about_what_is_selected():
    """So that a tenth of it, the bound, is never more than what toys have."""
    plan = Plan(study.load(str(TINY), ("pool.er_events=2000", "pool.nr_events=2000")))
    (er, nr), backgrounds = (sample(plan, shard)[0] for shard in plan.shards["pool"]), plan.study.backgrounds
    for name, events in (("pp", er), ("xe136", er), ("atm", nr), ("neutrons", nr)):
        rate = backgrounds.spectrum(name)[0].rate(events["energy_keV"])
        selected = (rate / events["proposal_per_keV"])[events["selected"]].sum() / 2000
        assert 0.8 < selected / foresight._certain_per_ty(backgrounds, name) < 1.25, name


def test_energies_of_a_table_that_no_event_is_made_of_are_said(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("energy_keV,rate\n0.01,3\n0.04,2\n1,1\n299,1\n350,0.5\n400,0\n")
    table = f"{{ spectrum = 'user_table', path = '{path}', kind = 'ER' }}"
    wide = ("backgrounds.components=['pp','xe124_ec','wide']", f"backgrounds.options.wide={table}")
    (line,) = foresight.remarks(study.load(str(TINY), wide))
    assert line.startswith("wide: ") and "3 energies outside NEST's range, 0.05 to 300 keV (0.01 to 350)" in line
    path.write_text("energy_keV,rate\n1,1\n299,1\n")
    assert not list(foresight.remarks(study.load(str(TINY), wide)))


def test_what_cannot_be_compiled_is_refused_before_any_work(monkeypatch):
    compiled = study.load(str(TINY), ("training.compile=true",))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BadInput, match="training.compile = true: .*'no-such-compiler' is not there"):
        foresight.refuse_compiling(compiled)
    foresight.refuse_compiling(study.load(str(TINY)))
    monkeypatch.setenv("CXX", sys.executable)
    foresight.refuse_compiling(compiled)


@pytest.mark.parametrize("settings", [("training.workers=2",), ("training.gpus_per_worker=1",)])
def test_ray_train_is_told_of_no_store_that_it_cannot_write_to(settings):
    shared = study.load(str(TINY), settings)
    for uri in ("az://container/store", "https://account.example/store"):
        with pytest.raises(BadInput, match=f"the store is {uri[:5].rstrip(':/s')}.*need a folder, s3:// or gs://"):
            foresight.refuse_store(shared, uri)
        foresight.refuse_store(study.load(str(TINY)), uri)
    for uri in ("/a/folder", "s3://bucket/store", "gs://bucket/store"):
        foresight.refuse_store(shared, uri)


def test_a_digit_that_slipped_is_told_by_the_mass_that_makes_most():
    def of(*settings):
        return study.load(str(TINY), ("confirm=['sigma_si_cm2']", "grid.m_chi_GeV.values=[5, 100, 1000]", *settings))

    foresight.refuse_full_toys(of())
    with pytest.raises(BadInput, match=r"signal \(m_chi_GeV = 100, .*1e-38.*events are expected in a toy; at most 1e"):
        foresight.refuse_full_toys(of("grid.sigma_si_cm2.values=[1e-38]"))
    light = of("grid.m_chi_GeV.values=[5, 30]", "grid.sigma_si_cm2.values=[1e-35]")
    with pytest.raises(BadInput, match=r"signal \(m_chi_GeV = 30, "):
        foresight.refuse_full_toys(light)
