"""Errors of the marginals package."""

from generator.errors import GeneratorError


class MarginalError(GeneratorError, ValueError):
    """A table, a release or a workload does not fit the schema or the codebook that it is used with."""
