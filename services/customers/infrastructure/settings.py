"""Customers reads these settings from the environment, beside those of every service."""

from pathlib import Path

from pydantic import Field

from libs.runtime.crypto import BlindIndexSetting, CipherSetting
from services.settings import MarketSettings


class CustomersSettings(MarketSettings):
    service: str = "customers"
    port: int = Field(default=8080, ge=0, le=65535)

    data_keys: CipherSetting = Field(repr=False)
    """These master keys of personal data, `ID:BASE64[,ID:BASE64]`, begin with the current one."""
    index_key: BlindIndexSetting = Field(repr=False)
    """This key, BASE64, finds customers by document and e-mail. It never changes."""
    starting_limit_cents: int = Field(default=5_000_000, ge=0, le=10**12)
    """The credit limit of a buyer who registers in the portal. With 0 each has to ask for one."""
    erasure_ledger: Path
    """This file remembers who was erased. Keep it outside the database's dumps."""
