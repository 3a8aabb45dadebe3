"""Each role has an explanation in words for people."""

from services.portal.domain.user import ADMIN, BUYER, OPERATOR, SELLER
from services.portal.infrastructure.language.i18n import marked

ROLES = {
    BUYER: marked("buys vehicles"),
    SELLER: marked("sells vehicles"),
    OPERATOR: marked("keeps the market running"),
    ADMIN: marked("may do everything, users too"),
}
