"""Errors of the evaluation package."""

from generator.errors import GeneratorError


class EvaluationError(GeneratorError):
    """What was to be judged or scored is missing, has the wrong shape, or breaks the rules of the score."""
