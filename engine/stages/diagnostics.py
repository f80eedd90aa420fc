"""The diagnostics of a finished scan: their tables, the lines that say them, and their numbers for MLflow."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import spearmanr

from engine import schemas
from engine.assembly import scores
from engine.plan import asked
from engine.plan.plan import Plan
from engine.store.parts import Part, encode
from engine.store.store import Ledger, Store

NUMBERS = (
    "auc", "accuracy", "precision", "precision_at_35_percent_nr", "recall",
    "er_leakage_at_30_percent_nr", "er_leakage_at_50_percent_nr",
)  # fmt: skip
TIED = 0.05  # share of NR with one logit above which a line says so: a cut cannot part them


@dataclass(frozen=True)
class Diagnostics:
    """What fits make of events that none has seen; each table has its schema in `engine.schemas`.

    table: of all classifiers on all populations; latent, posterior, examples: of the autoencoder `vae`.
    """

    table: pa.Table
    path: str
    latent: pa.Table
    posterior: pa.Table
    examples: pa.Table
    vae: str
    beta: float

    @cached_property
    def of_network(self) -> dict[str, float]:
        """Spearman correlation of -ELBO with the true energy by kind; of the check, Eq. 3, over its features: root mean
        square and largest mean, and the share of features whose mean is within one standard deviation of 0."""
        mean, sd = (self.posterior[name].drop_null().to_numpy() for name in ("ppc_mean", "ppc_sd"))
        found = {f"spearman_elbo_energy_{kind.lower()}": self._spearman(kind) for kind in ("ER", "NR")}
        return found | {
            "ppc_rms": float(np.sqrt(np.mean(mean**2))) if len(mean) else float("nan"),
            "ppc_largest": float(np.abs(mean).max(initial=0.0)),
            "ppc_within_1_sd": float(np.mean(np.abs(mean) <= sd)) if len(mean) else float("nan"),
        }

    def _spearman(self, kind: str) -> float:
        events = self.latent.filter(pc.equal(self.latent["kind"].cast(pa.string()), kind))
        if len(events) < 3:
            return float("nan")
        terms = {name: events[name].to_numpy() for name in schemas.AUTOENCODER_TERMS.names}
        found = spearmanr(scores.negative_elbo(terms, self.beta), events["energy_keV"].to_numpy())
        return float(found.statistic)

    def numbers(self, role: str) -> dict[str, float]:
        """Numbers of a classifier by name and population, where they are defined."""
        rows = [row for row in self.table.to_pylist() if row["role"] == role]
        return {f"{name}_{row['population']}": row[name] for row in rows for name in NUMBERS if row[name] is not None}

    @property
    def metrics(self) -> dict[str, float]:
        """All numbers of the scan, those of the floor as `floor_...`."""
        floor = {f"{asked.FLOOR}_{name}": value for name, value in self.numbers(asked.FLOOR).items()}
        return self.numbers(asked.CLASSIFIER) | floor | self.of_network

    @property
    def files(self) -> dict[str, dict[str, bytes]]:
        """Tables as Parquet files by whose they are: the classifier's, and the autoencoder's."""
        network = {"posterior_predictive": self.posterior, "latent": self.latent, "examples": self.examples}
        return {"classifier": _parquet({"diagnostics": self.table}), "vae": _parquet(network)}


def _parquet(tables: dict[str, pa.Table]) -> dict[str, bytes]:
    return {f"{name}.parquet": encode(Part(name, (), table)) for name, table in tables.items()}


def path(item: str) -> str:
    """Where the table of all classifiers is in a store."""
    return f"diagnostic_tables/{item}.parquet"


def table(plan: Plan, ledger: Ledger) -> pa.Table:
    """The classifier's rows, then the floor's."""
    made = [ledger.table(plan.diagnostics[role]) for role in (asked.CLASSIFIER, asked.FLOOR)]
    return pa.concat_tables(made).select(schemas.DIAGNOSTICS.names)


def stored(plan: Plan, ledger: Ledger, store: Store) -> Diagnostics:
    """The diagnostics of a finished scan."""
    item = plan.diagnostic_table
    network = [ledger.table(plan.diagnostics[what]) for what in asked.NETWORK]
    return Diagnostics(ledger.table(item), store.where(path(item)), *network, plan.study.models.vae.name, plan.beta)


def lines(found: Diagnostics) -> Iterator[str]:
    """One line for a classifier on a population, and one for the autoencoder."""
    for row in found.table.to_pylist():
        yield f"{row['role']} {row['model']}, {row['population']}: {_words(row)}"
    values = found.of_network
    yield (
        f"autoencoder {found.vae}: posterior predictive mean rms {values['ppc_rms']:.3g}, largest "
        f"{values['ppc_largest']:.3g} sd of the test events; Spearman of -ELBO with energy "
        f"{values['spearman_elbo_energy_er']:.3f} (ER), {values['spearman_elbo_energy_nr']:.3f} (NR)"
    )


def _words(row: dict) -> str:
    if row["auc"] is None:
        return f"{row['n_er']} ER and {row['n_nr']} NR events"
    at_30, at_50 = (f"er_leakage_at_{percent}_percent_nr" for percent in (30, 50))
    precision = ["none called NR" if row[name] is None else f"{row[name]:.4f}"
                 for name in ("precision", "precision_at_35_percent_nr")]  # fmt: skip
    tied = f"; {row['nr_with_one_logit']:.0%} of NR have one logit" if row["nr_with_one_logit"] > TIED else ""
    return (
        f"AUC {row['auc']:.4f}, accuracy {row['accuracy']:.4f}, recall {row['recall']:.4f}, precision {precision[0]} "
        f"({precision[1]} at 35 % NR), ER leakage {row[at_30]:.2g} [{row[at_30 + '_low']:.2g}, "
        f"{row[at_30 + '_high']:.2g}] at 30 % NR, {row[at_50]:.2g} at 50 %{tied}"
    )
