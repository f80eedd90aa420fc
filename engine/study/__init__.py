"""A study: every choice that its results depend on, read once into frozen, validated objects."""

from engine.study.files import document, load, parse, read, shipped, text
from engine.study.leakage import Leakage
from engine.study.models import Model, Training
from engine.study.scan import Benchmark, Grid, Score, Toys
from engine.study.section import Axis
from engine.study.sources import Backgrounds, Detector, Events, PoolSize, Representation, Signal, SignalPoint
from engine.study.study import Study

__all__ = [
    "Axis", "Backgrounds", "Benchmark", "Detector", "Events", "Grid", "Leakage", "Model", "PoolSize", "Representation",
    "Score", "Signal", "SignalPoint", "Study", "Toys", "Training", "document", "load", "parse", "read", "shipped",
    "text",
]  # fmt: skip
