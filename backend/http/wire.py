"""Wire types: how digests, addresses, amounts and decimals are written in JSON. Unknown members are
refused.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue, StringConstraints
from pydantic.alias_generators import to_camel

from provenance.canonical import JsonValue as CanonicalValue
from provenance.values import Address, Cid, Digest, Signature


class Wire(BaseModel):
    """Base of all bodies: camelCase outside, snake_case inside, frozen, nothing unknown."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
    )


def _decimal(text: str) -> str:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"found {text!r}, expected a decimal such as '3', '0.5' or '1e-5'") from error
    if not value.is_finite() or value < 0 or abs(value.adjusted()) > 30:
        raise ValueError(f"found {text!r}, expected a finite decimal of at least 0")
    return text


DigestText = Annotated[str, AfterValidator(lambda text: str(Digest.parse(text)))]
AddressText = Annotated[str, AfterValidator(lambda text: str(Address.parse(text)))]
SignatureText = Annotated[str, AfterValidator(lambda text: str(Signature.parse(text)))]
CidText = Annotated[str, AfterValidator(lambda text: str(Cid(text)))]
WeiText = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,77})$")]
DecimalText = Annotated[str, StringConstraints(max_length=40), AfterValidator(_decimal)]
# To the type checker these are the values of canonical JSON. pydantic's own type checks them at run time; the
# floats that it lets through are refused by the canonical encoder.
if TYPE_CHECKING:
    JsonObject = dict[str, CanonicalValue]
else:
    JsonObject = dict[str, JsonValue]
