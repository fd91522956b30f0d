"""All steps of the mapping language, by name. Importing this module registers every one of them."""

from __future__ import annotations

from transforms import dates, day_instants, documents, edifact, flags, instants, numbers, texts
from transforms.registry import FUNCTIONS, StepContext, StepFunction, StepResult

__all__ = ["FUNCTIONS", "StepContext", "StepFunction", "StepResult"]

MODULES = (texts, flags, numbers, dates, instants, day_instants, documents, edifact)
"""Where steps live; a new kind of step is one more module here."""
