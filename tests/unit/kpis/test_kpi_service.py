import pytest

from libs.kernel.errors import StaleVersion
from services.kpis.application.kpi_service import KpiService
from services.kpis.domain.errors import KpiExists, KpiNotFound
from services.kpis.domain.kpi import EVERY_TENANT, KPI, Status
from tests.unit.kpis.memory import MemoryKpis

MONTHLY = KPI(
    id="kpi_001",
    name="Ventas Mensuales",
    description="Total de ventas del mes",
    sql_template="SELECT SUM(amount) FROM sales WHERE month = :month",
    owner="user",
    status="active",
)
SHIPPED = KPI("conversion", "Conversion", "", "SELECT 1 AS n", "us", tenant_id=EVERY_TENANT)


@pytest.fixture
def repository() -> MemoryKpis:
    return MemoryKpis(SHIPPED)


@pytest.fixture
def service(repository: MemoryKpis) -> KpiService:
    return KpiService(repository)


async def test_defined_kpi_is_among_the_active_ones(service: KpiService) -> None:
    await service.define_kpi(MONTHLY)

    assert await service.get_active_kpis("default") == [SHIPPED, MONTHLY]
    assert await service.get_active_kpis("other") == [SHIPPED]
    assert await service.get_kpi("default", "kpi_001") == MONTHLY


async def test_kpi_that_is_not_there_is_not_found(service: KpiService) -> None:
    await service.define_kpi(MONTHLY)

    with pytest.raises(KpiNotFound):
        await service.get_kpi("other", "kpi_001")
    with pytest.raises(KpiNotFound):
        await service.change_kpi(
            tenant_id="default", kpi_id="kpi_002", expected_version=1, changes={"name": "A"}
        )


async def test_id_is_taken_by_an_own_or_a_shipped_kpi(service: KpiService) -> None:
    await service.define_kpi(MONTHLY)

    for kpi_id in ("kpi_001", "conversion"):
        with pytest.raises(KpiExists):
            await service.define_kpi(KPI(kpi_id, "A", "", "SELECT 1 AS n", "me"))


async def test_change_makes_the_next_version_of_the_one_that_was_read(service: KpiService) -> None:
    await service.define_kpi(MONTHLY)

    changed = await service.change_kpi(
        tenant_id="default",
        kpi_id="kpi_001",
        expected_version=1,
        changes={"status": Status.INACTIVE},
    )

    assert (changed.version, changed.status) == (2, "inactive")
    assert await service.get_active_kpis("default") == [SHIPPED]
    with pytest.raises(StaleVersion):
        await service.change_kpi(
            tenant_id="default", kpi_id="kpi_001", expected_version=1, changes={"name": "A"}
        )


async def test_change_that_changes_nothing_makes_no_version(service: KpiService) -> None:
    await service.define_kpi(MONTHLY)

    assert (
        await service.change_kpi(
            tenant_id="default", kpi_id="kpi_001", expected_version=1, changes={"owner": "user"}
        )
        == MONTHLY
    )


async def test_shipped_kpi_that_is_changed_becomes_the_tenants_own(
    service: KpiService, repository: MemoryKpis
) -> None:
    changed = await service.change_kpi(
        tenant_id="default", kpi_id="conversion", expected_version=1, changes={"name": "Ours"}
    )

    assert (changed.tenant_id, changed.version) == ("default", 2)
    assert await service.get_kpi("other", "conversion") == SHIPPED
    assert repository.kept[EVERY_TENANT, "conversion"] == SHIPPED
