"""Who acts at a market, and through what: network file, keys, chain, interface and content."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from provenance.api.client import RetryPolicy
from provenance.api.market import MarketClient
from provenance.chain.fees import GWEI
from provenance.chain.finality import Finality
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.crypto.key_files import AskPassword, password_source
from provenance.crypto.seal import DeliveryKey, load_delivery_key
from provenance.crypto.signing import Signer, load_key
from provenance.units import TokenUnit
from provenance.verify.dataset import DatasetName
from tessera.client.delivery import MarketStore
from tessera.client.profile import NetworkProfile, load_profile
from tessera.errors import UsageError
from tessera.verification import open_store, require_market

if TYPE_CHECKING:
    from provenance.store.ports import ContentStore

PATIENCE_SECONDS = 60.0


class Party:
    """Keys, chain, interface and content of one party. Parameters and errors as of `Client`."""

    def __init__(
        self,
        network: NetworkProfile | Path | str,
        *,
        wallet: Signer | Path | str | None = None,
        key: DeliveryKey | Path | str | None = None,
        ask: AskPassword | None = None,
    ) -> None:
        self.profile = network if isinstance(network, NetworkProfile) else load_profile(Path(network))
        if isinstance(wallet, Path | str) and isinstance(key, Path | str):
            _require_two_keys(Path(wallet), Path(key))
        self._signer = (
            wallet
            if not isinstance(wallet, Path | str)
            else load_key(wallet, ask or password_source(os.environ))
        )
        self.delivery_key = load_delivery_key(key) if isinstance(key, Path | str) else key
        self._outbox = Path(f"{wallet}.outbox") if isinstance(wallet, Path | str) else None
        finality = Finality.chosen(self.profile.finality)
        self.chain = ChainReader(self.profile.rpc, self.profile.deployment, finality=finality)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections."""
        if "api" in self.__dict__:
            self.api.close()
        self.chain.close()

    @cached_property
    def api(self) -> MarketClient:
        """The market's interface. A market that does not answer at first is an error; later it is waited for."""
        api = MarketClient(self.profile.api, retry=RetryPolicy(give_up_seconds=0))
        api.network()
        api.retry = RetryPolicy(give_up_seconds=PATIENCE_SECONDS)
        return api

    @property
    def wallet(self) -> Signer:
        """The key that pays and signs. Raises UsageError for a client without one."""
        if self._signer is None:
            raise UsageError("this needs a wallet: name the file of the key that pays and signs (wallet=)")
        return self._signer

    @property
    def unit(self) -> TokenUnit:
        """How amounts of this market's token are written, as the profile pins it."""
        return self.profile.deployment.unit

    @cached_property
    def writer(self) -> ChainWriter:
        """Transactions of the wallet; what is on its way lies beside its key file, in a folder `KEYFILE.outbox`."""
        ceiling = self.profile.max_fee_gwei * 10**GWEI
        return ChainWriter(self.chain, self.wallet, outbox=self._outbox, max_fee_wei=ceiling)

    @cached_property
    def content(self) -> MarketStore:
        """The market's content; every byte is checked against its CID."""
        return MarketStore(self.api)

    def dataset_number(self, dataset: str | int) -> int:
        """The number of a data set by its name; UsageError for one of another market."""
        name = DatasetName.parse(str(dataset))
        require_market(name, self.profile.deployment)
        return name.id

    def store(self, text: str | None) -> ContentStore:
        """The market's own content, or the store that is named."""
        return self.content if text is None else open_store(text)


def _require_two_keys(wallet: Path, key: Path) -> None:
    """Raises UsageError for one file named as both."""
    if wallet.resolve() == key.resolve():
        raise UsageError(
            f"{key} is named as wallet and as delivery key: a delivery key is a key of its own, made by `tessera key "
            "new --out FILE`"
        )
