"""What this service reads from the environment beside the settings of every service."""

from pathlib import Path

from pydantic import Field

from libs.runtime.crypto import BlindIndexSetting, CipherSetting
from services.settings import MarketSettings


class CustomersSettings(MarketSettings):
    service: str = "customers"
    port: int = Field(default=8080, ge=0, le=65535)

    data_keys: CipherSetting = Field(repr=False)
    """Master keys of personal data, `ID:BASE64[,ID:BASE64]`, the current one first."""
    index_key: BlindIndexSetting = Field(repr=False)
    """BASE64; finds customers by document and e-mail. It cannot be changed later."""
    starting_limit_cents: int = Field(default=5_000_000, ge=0, le=10**12)
    """The credit limit of a buyer who registers in the portal. 0: each has to ask for one."""
    erasure_ledger: Path
    """The file that remembers who was erased. Keep it outside the database's dumps."""
