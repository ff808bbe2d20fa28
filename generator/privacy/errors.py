"""Errors of the privacy package: what was asked for cannot be given a guarantee."""

from generator.errors import GeneratorError


class PrivacyError(GeneratorError, ValueError):
    """A privacy parameter lies outside the range for which a guarantee exists."""
