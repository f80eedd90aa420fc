"""Events, models and scores of a study: the digest of every shard, fit and score. Pure; touches no store."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import zoo
from engine import lineage, plugins
from engine.inference.pools import KINDS
from engine.physics import selection, spectra, tails
from engine.plan import variations
from engine.study import Model, Study
from engine.study.models import declared

# A stage's version is raised whenever its output changes for unchanged fields; a test holds its output's hash.
VERSIONS = {"events": 2, "models": 1, "scores": 1, "nulls": 4, "cells": 5, "exact": 5, "table": 6}
VERSIONS |= {"paired": 3}
VERSIONS |= {"trials": 5, "tuned": 5, "features": 1, "rungs": 4, "searched": 3}

FIELD, FIELD_MOVES_DRIFT = "drift_field_V_cm", "drift velocity, diffusion and trapping follow"  # once they did not

SHARD = 2000  # events thrown per shard, and about as many kept of an enriched one: a second or two of work
MOST_THROWN = 50_000  # of an enriched shard: some 10 MB of numbers
POOLS = ("pool", "tune")  # scored events of the scan, and those on which R is chosen: alike, and none in common
# purposes of a battery's events, whose kind is the name of a signal: the scan's, and those that models are chosen on
BATTERIES = ("battery", "tune_battery")


@dataclass(frozen=True)
class Shard:
    """Some events of one kind, for one purpose: train, calibration, test, one of POOLS or of BATTERIES."""

    item: str
    purpose: str
    kind: str
    number: int
    n_thrown: int
    shift: variations.Shift = ()  # relative shifts of the true detector's constants, of which corrections know nothing
    representation: str | None = None  # that is stored with the events; of scored events none is
    enrichment: int | None = None  # of a shard whose events are kept for what they look like: see `pool.tail`

    @property
    def first(self) -> int:
        """Number of its first event within its kind."""
        return self.number * shard_size(self.enrichment)

    @property
    def n_whole(self) -> float:
        """Events that are simulated whole: all, or about as many as are kept."""
        return self.n_thrown if self.enrichment is None else self.n_thrown * tails.KEPT / self.enrichment

    @property
    def words(self) -> str:
        """As a user calls it."""
        return f"{self.purpose} events of {self.kind}, shard {self.number}"


def shard_size(enrichment: int | None) -> int:
    """Events thrown per shard, but for the last."""
    return SHARD if enrichment is None else min(SHARD * enrichment // 2, MOST_THROWN)


@dataclass(frozen=True)
class EventPlan:
    """What is simulated, fitted and scored for a study, each under the digest of everything that makes it."""

    study: Study
    scored = ("test", "pool")  # the purposes whose events are scored
    stages = None  # names of the stages that it asks for; None: of all
    tabled = True  # whether rows of its stages become tables
    battery_purpose = BATTERIES[0]  # of the events of the battery's signals; None: there are none

    def has(self, stage: str) -> bool:
        """Whether the plan asks for a stage."""
        return self.stages is None or stage in self.stages

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What is made of the plan under this name, made once."""
        if name not in (made := self.__dict__.setdefault("_made", {})):
            made[name] = make()
        return made[name]

    @cached_property
    def shards(self) -> dict[str, list[Shard]]:
        """Event shards by purpose."""
        events = self.study.events
        n_train, n_test = ({kind: events.n_thrown(kind, n) for kind in KINDS}
                           for n in (events.train_per_kind, events.test_per_kind))  # fmt: skip
        seen = [(*how, kind) for how, kinds in self._trained_on.items() for kind in kinds]
        adapting = [shard for model in self.fitted.values() for shard in self.adapting(model)]
        return {
            "train": [s for view, shift, kind in seen
                      for s in self._shards("train", kind, n_train[kind], shift, view)],
            "calibration": list({shard.item: shard for shard in adapting}.values()),
            "test": [s for kind in KINDS for s in self._shards("test", kind, n_test[kind])],
        } | {purpose: self.pool_shards(purpose) for purpose in POOLS}

    @property
    def _trained_on(self) -> dict[tuple[str, variations.Shift], list[str]]:
        """The kinds of events that models are trained on, by what they see of them and how far off the simulation is.
        """
        wanted = {}
        for model in self.fitted.values():
            seen = (*declared(model.name).TRAINS_ON, *(["NR"] if model.watch_nr else []))
            wanted.setdefault((self.study.view(model), model.shift), set()).update(seen)
        return {how: [kind for kind in KINDS if kind in kinds] for how, kinds in wanted.items()}

    def pool_shards(self, purpose: str = "pool", shift: variations.Shift = ()) -> list[Shard]:
        """Shards of a scoring pool, thrown in a detector that is not quite the one assumed if there is a shift."""
        pool, own = self.study.pool, self.study.backgrounds.own_kinds()
        sizes = {"ER": (pool.er_events, None), "NR": (pool.nr_events, None)}
        if pool.tail == "enriched":
            sizes["ER"] = pool.er_events * pool.enrichment, pool.enrichment
        moved = tuple(variations.of_constants(shift).items())
        recoils = [s for kind, (n, enrichment) in sizes.items()
                   for s in self._shards(purpose, kind, n, moved, enrichment=enrichment)]  # fmt: skip
        return recoils + [s for name in own for s in self._own_shards(purpose, name, shift)]

    @cached_property
    def varied_shards(self) -> list[Shard]:
        """Shards of all pools that are thrown for systematics alone."""
        shifts = [v.shift for v in variations.variations(self.study) if v.shift]
        shards = {shard.item: shard for shift in shifts for shard in self.pool_shards("pool", shift) if shard.shift}
        return list(shards.values())

    @cached_property
    def battery_shards(self) -> list[Shard]:
        """Shards of the events of every signal of the battery, thrown or read for it alone."""
        if not (self.study.battery and self.battery_purpose):
            return []
        return [shard for name in self.study.battery.signals for shard in self._of_signal(name)]

    def _of_signal(self, name: str) -> list[Shard]:
        study, signal = self.study, self.study.battery.signals[name]
        module, options = signal.module
        spectrum = self._spectrum(signal.spectrum, module, options)
        if hasattr(module, "read"):
            n_events, source = module.n_rows(options), [module.source(options), study.backgrounds.ces_keVee]
        else:
            n_events, source = study.battery.events, [spectrum, self.selection(signal.kind), study.seed, self._detector]
            source += [signal.m_chi_GeV, self.energy_range("pool", signal.kind)]

        def item(number: int, n: int) -> str:
            fields = {"purpose": self.battery_purpose, "name": name, "source": source, "number": number, "n": n}
            return lineage.digest("events", VERSIONS["events"], fields)

        return self._cut(self.battery_purpose, name, n_events, item, ())

    @property
    def kinds(self) -> tuple[str, ...]:
        """The pool's kinds of events: recoils, and the components that have events of their own."""
        return (*KINDS, *self.study.backgrounds.own_kinds())

    def _own_shards(self, purpose: str, name: str, shift: variations.Shift) -> list[Shard]:
        """Shards of a component's own events: thrown on its spectrum, or the rows of a user's table."""
        backgrounds = self.study.backgrounds
        module, options = backgrounds.spectrum(name)
        n_events = module.n_rows(options) if hasattr(module, "read") else self.study.pool.component_events
        own_name = name != backgrounds.spectrum_name(name)
        component = name if own_name else plugins.identity("engine.physics.spectra", name)
        fields = {"component": component, "source": self._own_source(name)}
        shift = tuple((key, amount) for key, amount in shift if "." not in key or key.startswith(f"{name}."))
        if hasattr(module, "read"):
            shift = ()  # recorded events are what they are
        fields |= _if_shifted(shift) | ({"purpose": purpose} if purpose != "pool" else {})

        def item(number: int, n: int) -> str:
            return lineage.digest("events", VERSIONS["events"], fields | {"number": number, "n": n})

        return self._cut(purpose, name, n_events, item, shift)

    def _own_source(self, name: str) -> list:
        """What a component's own events depend on."""
        study, backgrounds = self.study, self.study.backgrounds
        module, options = backgrounds.spectrum(name)
        if hasattr(module, "read"):
            return [module.source(options), {"ces_keVee": self.study.backgrounds.ces_keVee}]
        spectrum = self._spectrum(backgrounds.spectrum_name(name), module, options)
        return [spectrum, self.selection(module.KIND), study.seed, *self._detector]

    def _shards(
        self, purpose: str, kind: str, n_events: int, shift: variations.Shift = (), view: str | None = None,
        enrichment: int | None = None,
    ) -> list[Shard]:  # fmt: skip
        def item(number: int, n: int) -> str:
            return self._shard_item(purpose, kind, number, n, shift, view, enrichment)

        return self._cut(purpose, kind, n_events, item, shift, view, enrichment)

    @staticmethod
    def _cut(
        purpose: str, kind: str, n_events: int, item: Callable[[int, int], str], shift: variations.Shift,
        view: str | None = None, enrichment: int | None = None,
    ) -> list[Shard]:  # fmt: skip
        step = shard_size(enrichment)
        sizes = [min(step, n_events - start) for start in range(0, n_events, step)]
        return [Shard(item(i, n), purpose, kind, i, n, shift, view, enrichment) for i, n in enumerate(sizes)]

    def _shard_item(
        self, purpose: str, kind: str, number: int, n_thrown: int, shift: variations.Shift, view: str | None,
        enrichment: int | None,
    ) -> str:  # fmt: skip
        study = self.study
        fields = {
            "seed": study.seed, "purpose": purpose, "kind": kind, "number": number, "n": n_thrown,
            "energy_keV": [self._thrown_on(purpose, kind), *self.energy_range(purpose, kind)],
            "detector": self._detector,
            "window": self.selection(kind) if purpose in POOLS else None,
            "representation": None if view is None else plugins.identity("engine.physics.representations", view),
        } | _if_shifted(shift)  # fmt: skip
        if enrichment is not None:
            fields["tail"] = [tails.VERSION, enrichment, self.energy_range(purpose, "NR"), self.window("NR")]
        return lineage.digest("events", VERSIONS["events"], fields)

    @property
    def _detector(self) -> list:
        """The detector as a digest takes it."""
        constants, nuisance = self.study.detector.constants, self.study.detector.nuisance
        return [constants, nuisance, *([FIELD_MOVES_DRIFT] if FIELD in nuisance else [])]

    def proposal(self, purpose: str) -> str:
        """How a purpose's events are thrown in energy; the test events always as the papers' population."""
        if purpose in POOLS:
            return self.study.pool.proposal
        return "uniform" if purpose == "test" else self.study.events.train_proposal

    def _thrown_on(self, purpose: str, kind: str) -> str | list:
        """What a digest takes for how a purpose's events are thrown in energy."""
        if not self.on_signal(purpose, kind):
            return self.proposal(purpose)
        signal, masses = self.study.signal, self.study.events.nr.m_chi_GeV.points()
        return [self._spectrum(signal.name, *signal.spectrum()), masses]

    def on_signal(self, purpose: str, kind: str) -> bool:
        """Whether a purpose's events are thrown on spectra of the signal."""
        return purpose not in POOLS and kind == "NR" and self.study.events.nr is not None

    def energy_range(self, purpose: str, kind: str) -> tuple[float, float]:
        """True energies (keV) between which a purpose's events are thrown."""
        if self.on_signal(purpose, kind):
            return self.study.events.nr.energy_keV
        if purpose not in POOLS:
            return self.study.events.energy_keV
        return self.study.pool.er_energy_keV if kind == "ER" else self.study.pool.nr_energy_keV

    def window(self, kind: str) -> dict[str, tuple[float, float]]:
        """The pool's selection of a kind: ranges of `ces_keVee`, of true `energy_keV`, or of areas."""
        return self.study.backgrounds.windows(kind)

    def selection(self, kind: str) -> dict[str, Any]:
        """The same with the efficiency, where there is one, as a digest takes it."""
        of = selection.identity(self.study.backgrounds.efficiency_of(kind))
        return self.window(kind) | ({} if of == 1 else {"efficiency": of})

    @cached_property
    def fitted(self) -> dict[str, Model]:
        """What is fitted for every role of the score."""
        return self.study.fitted

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles whose models are fitted and scored beforehand: all, but in a search."""
        return tuple(self.fitted)

    @property
    def beside(self) -> dict[str, list[str]]:
        """Items by folder that no stage makes: what a search is known to make."""
        return {}

    def family(self, role: str) -> ModuleType:
        """The family of the model in a role."""
        return declared(self.fitted[role].name)

    def view(self, role: str) -> str:
        """The representation that the model in a role reads."""
        return self.study.view(self.fitted[role])

    @cached_property
    def models(self) -> dict[str, str]:
        """Item of the fitted model in each role; an ensemble's is of its members together, and stored as those."""
        return {role: self._model_item(model) for role, model in self.fitted.items()}

    def fits_of(self, role: str) -> dict[str, Model]:
        """What is fitted for a role by item: the members of an ensemble, or one."""
        return {self._fit_item(model): model for model in self.study.fits_of(self.fitted[role])}

    @cached_property
    def fits(self) -> dict[str, Model]:
        """Every fit by its item."""
        return {item: model for role in self.fitted for item, model in self.fits_of(role).items()}

    def _model_item(self, model: Model) -> str:
        if model.ensemble == 1:
            return self._fit_item(model)
        return lineage.digest("ensemble", 1, None, [self._fit_item(one) for one in self.study.fits_of(model)])

    def _fit_item(self, model: Model) -> str:
        inputs = [shard.item for shard in self.training(model)]
        seed = self.study.seed_of(model)
        family = declared(model.name)
        config = zoo.identity(family, model.config)
        fields = {"family": plugins.identity("zoo", model.name), "config": config, "seed": seed}
        if version := getattr(family, "VERSION", None):
            fields["version"] = version
        if watched := self.watched(model):
            fields["watched"] = [shard.item for shard in watched]
        if model.adapt:
            fields["adapt"] = [model.adapt, [shard.item for shard in self.adapting(model)]]
        return lineage.digest("models", VERSIONS["models"], fields | self.study.training.of_each_fit, inputs)

    def training(self, model: Model) -> list[Shard]:
        """The shards a model is trained on: only the kinds that its family asks for, as it sees them."""
        kinds = declared(model.name).TRAINS_ON
        return [shard for shard in self._seen_by(model) if shard.kind in kinds]

    def watched(self, model: Model) -> list[Shard]:
        """The shards whose loss is noted while a model is fitted to others."""
        return [shard for shard in self._seen_by(model) if model.watch_nr and shard.kind == "NR"]

    def _seen_by(self, model: Model) -> list[Shard]:
        """Training events as a model sees them, of the simulation that it is trained on."""
        how = self.study.view(model), model.shift
        return [shard for shard in self.shards["train"] if (shard.representation, shard.shift) == how]

    def adapting(self, model: Model) -> list[Shard]:
        """Events of the detector itself by which a fit to a simulation that is off is brought to it."""
        view = self.study.view(model)
        return [shard for kind, n in (model.adapt.events if model.adapt else {}).items()
                for shard in self._shards("calibration", kind, n, view=view)]  # fmt: skip

    def score_item(self, shard: Shard, role: str) -> str:
        """Item of one model's terms on one shard."""
        fields = {"representation": plugins.identity("engine.physics.representations", self.view(role))}
        if n_latent := self.fitted[role].n_latent:
            fields["n_latent"] = n_latent
        if (device := self.study.score.device) != "cpu":
            fields["device"] = device
        fields |= self.if_composed(role)
        return lineage.digest("scores", VERSIONS["scores"], fields, [shard.item, self.models[role]])

    def if_composed(self, role: str) -> dict:
        """What marks the terms of a model whose layers are scored as one, with other last bits than one by one."""
        family, n_features = self.family(role), self.study.n_features(self.view(role))
        if not hasattr(family, "composes"):
            return {}
        config = zoo.configure(family, self.fitted[role].config)
        return {"composed": True} if family.composes(config, n_features) else {}

    def score_items(self, shards: list[Shard]) -> list[str]:
        """Items of all terms on these shards."""
        return [self.score_item(shard, role) for shard in shards for role in self.fitted]

    @cached_property
    def stream_key(self) -> tuple:
        """What names the toys' random streams: the event pool, never a model, a statistic or R."""
        return self.stream_key_of("pool")

    def stream_key_of(self, purpose: str) -> tuple:
        """What names the random streams of toys from the pool of a purpose: pool or tune."""
        return (self.study.seed, lineage.digest("pool", 1, None, [shard.item for shard in self.shards[purpose]]))

    @staticmethod
    def _spectrum(name: str, module: ModuleType, options: spectra.Options) -> tuple:
        return plugins.identity("engine.physics.spectra", name), spectra.identity(module, options)


def _if_shifted(shift: variations.Shift) -> dict:
    """What a shift adds to the fields of a shard: nothing where there is none, so that such a shard is the nominal."""
    if not shift:
        return {}
    return {"shift": [shift, FIELD_MOVES_DRIFT] if FIELD in dict(shift) else shift}
