"""Other tools and ours are put to the same bands: their likelihoods of one experiment move together."""

import numpy as np
import pytest

from engine.bench import peers, statistics
from engine.bench import toys as surrogate
from engine.errors import BadInput
from engine.inference.teststats import template_likelihood
from engine.options import configure


def test_a_toy_of_blueice_is_one_of_ours():
    """Events that blueice draws have the same -2 ln L by both, but for a constant and ln N!, within its bins."""
    likelihood = pytest.importorskip("blueice.likelihood")
    null = statistics.with_charges(surrogate.surrogate())
    toy = peers.BlueiceToy(likelihood, null, fitted=False)
    options = {"profiled": False, "ln_n_factorial": False, "unit": "pe_log10pe"}
    statistic = template_likelihood.prepare(null, configure(template_likelihood, options))
    both = []
    for _ in range(12):
        theirs, drawn = toy(), toy.likelihood._data
        unused = np.zeros(len(drawn))
        events = type(null.drawn.events)(unused, unused, drawn["cs1_pe"], 10 ** drawn["log10_cs2"])
        both.append((theirs, *statistic.q(np.array([len(drawn)]), statistic.columns(events).sum(axis=0)[None])))
    theirs, ours = np.array(both).T
    assert np.std(theirs - ours) < 0.3 * np.std(theirs)


def test_without_them_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(peers, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(BadInput, match=r"--peers: blueice is not installed; pip install '.\[bench\]'"):
        peers.sides()
