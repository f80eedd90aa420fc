"""What a scan would do and cost, before it is started: what is missing, at costs that were measured once, or here."""

from engine.estimate.estimate import Estimate, StageCost, estimate, pricing

__all__ = ["Estimate", "StageCost", "estimate", "pricing"]
