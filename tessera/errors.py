"""Errors that the command line expects: shown as a sentence and an exit code, never as a traceback."""


class ScriptError(Exception):
    """Something went wrong that the person at the terminal can mend: what was found, expected, what to do."""

    exit_code = 1


class UsageError(ScriptError):
    """The command line itself, or a file that it names, cannot be used as given."""

    exit_code = 2


class PortInUseError(ScriptError):
    """A service was asked to listen on a port that somebody else holds."""


class ServiceDownError(ScriptError):
    """A daemon, node or backend did not answer."""


class ServiceRefusedError(ScriptError):
    """A service answered with a refusal (HTTP 4xx or 5xx with a problem document)."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class TermsDifferError(ScriptError):
    """The quoted terms do not say what the buyer asked for: nothing was signed."""


class OrderFailedError(ScriptError):
    """The order ended without a data set."""


class FalseDatasetError(ScriptError):
    """A data set failed its checks: nothing was written. `exit_code` says what became of the lie: 3 proven on
    chain, 4 it stands."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
