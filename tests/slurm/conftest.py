"""A Slurm of three nodes, for the tests of this folder."""

import pytest
from slurm_cluster import SlurmCluster, reason_against


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Its nodes are namespaces of this machine; skipped where it cannot have any."""
    if reason := reason_against():
        pytest.skip(reason)
    slurm = SlurmCluster(tmp_path_factory.mktemp("slurm"), 3)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()
