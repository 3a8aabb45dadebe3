from pydantic import Field

from libs.runtime.crypto import BlindIndexSetting, CipherSetting
from services.settings import MarketSettings


class VehiclesSettings(MarketSettings):
    """Both keys are required, because without them no paper can be written or read."""

    service: str = "vehicles"
    port: int = Field(default=8081, ge=0, le=65535)
    data_keys: CipherSetting = Field(repr=False)
    """DATA_KEYS=`ID:BASE64[,ID:BASE64]` seal the papers; the current key comes first."""
    index_key: BlindIndexSetting = Field(repr=False)
    """INDEX_KEY=`BASE64` keeps papers unique without opening them. It never changes."""
