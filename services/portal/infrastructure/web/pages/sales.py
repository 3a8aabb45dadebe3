"""Sellers see what they have sold, and what has been paid out for it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.portal.infrastructure.identity.sessions import Seller
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import render

PAGE_SIZE = 24


def router(transactions: Store) -> APIRouter:
    routes = page_router()

    @routes.get("/sales")
    async def show_sales(
        request: Request, user: Seller, after: Annotated[UUID | None, Query()] = None
    ) -> Response:
        found = await transactions.read_behind(
            lambda uow: uow.timeline.page_sales(
                user.tenant_id, after, PAGE_SIZE + 1, seller_id=user.id
            )
        )
        shown = found[:PAGE_SIZE]
        next_page = f"/sales?after={shown[-1].order_id}" if len(found) > PAGE_SIZE else None
        return render(request, "pages/sales.html", user, sales=shown, next_page=next_page)

    return routes
