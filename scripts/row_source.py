"""Where the rows of `tessera sample` come from: a model file's bytes, a seed, and what computes them."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.container import Container
from provenance.container_sampler import ContainerSampler


@dataclass(frozen=True, slots=True)
class RowSource:
    """Container and seed decide the rows; batch_rows, threads and device the speed only. device: None for
    numpy, else torch's name of one."""

    container: bytes
    seed: bytes
    batch_rows: int
    threads: int
    device: str | None = None

    def sampler(self) -> ContainerSampler:
        """Decodes the models. Raises UsageError if there is no such device."""
        container = Container.parse(self.container)
        if self.device is None:
            return ContainerSampler(container, self.seed)
        from generator.sampling.torch_forward import forward_on

        return ContainerSampler(container, self.seed, forward=forward_on(self.device))
