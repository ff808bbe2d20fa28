"""The families of generators and what each must bring.

A family is one object with a few methods (`Family`): which settings it accepts, which releases its plan will
make, its rounds, the coordinator's program, and the node's handler for each step. All families end in the
step "finish", in which the node quantises its generator into the exact format, stores it and answers with
its digest; from there on sampling, commitment and verification know no families.

To add one: write `families/<name>.py` with such an object, numpy only
at import; keep what needs torch in `families/<name>_node.py`, imported inside `handle`; register it in
`family_of` below; extend tests/generator/families. A step's noise may only come from the releases its
`releases` lists: the node's ledger refuses anything else.
"""

from __future__ import annotations

from typing import Protocol

from generator.errors import PlanError
from generator.federation.coordinator import Program
from generator.federation.plan import TrainingPlan
from generator.federation.step import Step
from generator.federation.task import Result
from generator.privacy.release import Release
from provenance.values import Address


class Family(Protocol):
    """What coordinator and node need of a family."""

    name: str

    def check(self, plan: TrainingPlan) -> None:
        """PlanError if the plan's settings or budget do not suit this family."""
        ...

    def rounds(self, plan: TrainingPlan) -> int:
        """How many rounds the program has, the last being "finish"."""
        ...

    def releases(self, plan: TrainingPlan, contributor: Address) -> tuple[Release, ...]:
        """Every release of this contributor's training, in order; decided by the plan alone."""
        ...

    def table_noise(self, plan: TrainingPlan) -> float:
        """Noise multiplier of the released tables, the same for every contributor; 0 without privacy. Cheap."""
        ...

    def needs_holdout(self, plan: TrainingPlan) -> bool:
        """Whether training itself asks for held-out rows, so that even a fit that is not scored must have some."""
        ...

    def program(self, plan: TrainingPlan) -> Program:
        """The coordinator's side."""
        ...

    def handle(self, step: Step) -> Result:
        """The node's side of one step."""
        ...


FAMILIES = ("marginal", "fedgan", "autoregressive")


def family_of(name: str) -> Family:
    """The family of this name; PlanError names the known ones."""
    if name == "marginal":
        from generator.families.marginal import MarginalFamily

        return MarginalFamily()
    if name == "fedgan":
        from generator.families.fedgan import FedGanFamily

        return FedGanFamily()
    if name == "autoregressive":
        from generator.families.autoregressive import AutoregressiveFamily

        return AutoregressiveFamily()
    raise PlanError(f"family {name!r} is unknown, known are {', '.join(FAMILIES)}")
