"""Errors of this package: what was found, what was expected, what to do. The command shows each as a sentence
and an exit status, never as a traceback."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from provenance.verify.certificate import Certificate


class TesseraError(Exception):
    """Something went wrong that the person who asked can mend."""

    exit_code = 1


class UsageError(TesseraError, ValueError):
    """An argument, or a file that it names, cannot be used as given."""

    exit_code = 2


class PortInUseError(TesseraError):
    """A service was asked to listen on a port that somebody else holds."""


class ServiceDownError(TesseraError):
    """A daemon, node or backend did not answer."""


class TermsDifferError(TesseraError):
    """The quoted terms do not say what the buyer asked for: nothing was signed."""


class OrderFailedError(TesseraError):
    """The order ended without a data set."""


class FalseDatasetError(TesseraError):
    """A data set failed its checks: nothing was written. `exit_code` says what became of it: 3 proven false
    on chain, 4 it stands. certificate: which checks failed."""

    exit_code = 4

    def __init__(
        self, dataset: int, certificate: Certificate, outcome: str = "", *, exit_code: int = 4
    ) -> None:
        failed = "; ".join(f"check {each.number} {each.name}: {each.detail}" for each in certificate.failed)
        super().__init__(
            f"data set {dataset} is false, nothing was written ({failed})"
            + (
                f": {outcome}"
                if outcome
                else f". `tessera challenge --dataset {dataset} --all` proves it on chain"
            )
        )
        self.dataset = dataset
        self.certificate = certificate
        self.exit_code = exit_code


class EpsilonRefutedError(TesseraError):
    """An audit found that a model spent more epsilon than it states."""

    exit_code = 6


class Stopped(BaseException):
    """SIGTERM or SIGHUP arrived: unwinds like KeyboardInterrupt, so that every `with` block closes."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
