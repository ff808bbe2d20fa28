"""Errors of the learning package."""

from generator.errors import GeneratorError


class LearningError(GeneratorError):
    """Training or quantisation cannot go on: settings, shapes or an optimiser in a state that is not safe."""
