"""Where the rows of `tessera sample` come from: a model file's bytes, a seed, and what computes them."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.canonical import decode
from provenance.exact.container import Container
from provenance.exact.container_sampler import ContainerSampler
from provenance.table.conditions import Conditions


@dataclass(frozen=True, slots=True)
class RowSource:
    """Container, seed and conditions (a document, None for none) decide the rows; batch_rows, threads and
    device the speed only. device: None for numpy, else torch's name of one."""

    container: bytes
    seed: bytes
    batch_rows: int
    threads: int
    device: str | None = None
    conditions: bytes | None = None

    def sampler(self) -> ContainerSampler:
        """Decodes the models. Raises UsageError if there is no such device, ConditionError if no row can meet the
        conditions."""
        container = Container.parse(self.container)
        asked = None
        if self.conditions is not None:
            asked = Conditions.parse(decode(self.conditions), container.schema)
        if self.device is None:
            return ContainerSampler(container, self.seed, conditions=asked)
        from generator.sampling.torch_forward import forward_on

        return ContainerSampler(container, self.seed, conditions=asked, forward=forward_on(self.device))
