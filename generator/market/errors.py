"""What ends an order at the coordinator. A node that refused is `generator.errors.NodeRefused`; what can go wrong on
the way to the market is in `provenance.api.errors`.
"""

from __future__ import annotations

from generator.errors import GeneratorError


class NodeExpired(GeneratorError):  # noqa: N818 - named by the situation
    """A node did not answer before the task or the order ran out of time; `nodes` are their addresses."""

    def __init__(self, nodes: list[str], name: str, reason: str) -> None:
        super().__init__(f"no answer to task {name!r} from {', '.join(nodes)}: {reason}")
        self.nodes = nodes
        self.name = name


class JobRefused(GeneratorError):  # noqa: N818
    """A coordination job contradicts the chain or the documents its terms bind: the order must not go on."""
