"""Submissions are stored in Postgres. The content stays until the submission is finished."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.domain.errors import SubmissionNotFound
from services.portal.domain.submission import RowError, Submission, SubmissionStatus
from services.portal.infrastructure.language.i18n import SOURCE
from services.portal.infrastructure.language.import_words import SAID, row_text
from services.portal.infrastructure.store.paging import newest_first
from services.portal.infrastructure.store.vault import Vault
from services.portal.infrastructure.tables import submission_errors, submissions

FILE = ("content", "sealed_content", "digest")
COLUMNS = [column for column in submissions.c if column.name not in FILE]
READY_FOR = timedelta(days=1)
"""A submission waits this long for the person who handed it in to start it."""
UNFINISHED = text("status <> 'FAILED'")
"""This is exactly the condition of the index. With a bound value instead, Postgres would use the
index only as long as it plans each statement anew.
"""


class PostgresSubmissions:
    def __init__(self, connection: AsyncConnection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    async def add(self, submission: Submission, content: bytes, digest: bytes) -> Submission:
        added = await self._connection.execute(
            upsert(submissions)
            .values(
                id=submission.id,
                tenant_id=submission.tenant_id,
                kind=submission.kind,
                user_id=submission.user_id,
                name=submission.name,
                total=submission.total,
                digest=digest,
                sealed_content=self._vault.seal_content(submission.id, content),
                created_at=submission.created_at,
                **_progress(submission),
            )
            .on_conflict_do_nothing(
                index_elements=["tenant_id", "kind", "digest"], index_where=UNFINISHED
            )
            .returning(submissions.c.id)
        )
        if added.first() is not None:
            return submission
        found = await self._connection.execute(
            select(*COLUMNS).where(
                submissions.c.tenant_id == submission.tenant_id,
                submissions.c.kind == submission.kind,
                submissions.c.digest == digest,
                UNFINISHED,
            )
        )
        return _submission(found.one())

    async def get(self, tenant_id: str, submission_id: UUID) -> Submission:
        submission = await self._one(tenant_id, submission_id, for_update=False)
        rows = await self._connection.execute(
            select(submission_errors)
            .where(submission_errors.c.submission_id == submission_id)
            .order_by(submission_errors.c.row, submission_errors.c.id)
        )
        submission.errors = [
            RowError(row.row, row.field, row.code, row.parameters)
            if row.code
            else RowError(row.row, row.field, SAID, {"sentence": row.reason})
            for row in rows
        ]
        return submission

    async def lock(self, tenant_id: str, submission_id: UUID) -> Submission:
        """Return the submission. Its `errors` are only those that are added before `save`."""
        return await self._one(tenant_id, submission_id, for_update=True)

    async def save(self, submission: Submission) -> None:
        values = _progress(submission)
        if submission.finished_at is not None:
            # Content is compared only while a submission runs. A finished one has a digest that
            # matches none.
            values |= {"content": None, "sealed_content": None, "digest": submission.id.bytes}
        values["due_at"] = func.now() + submission.pause
        await self._connection.execute(
            update(submissions).where(submissions.c.id == submission.id).values(values)
        )
        if submission.errors:
            await self._connection.execute(
                insert(submission_errors),
                [
                    {
                        "submission_id": submission.id,
                        "row": error.row,
                        "field": error.field,
                        "reason": row_text(error, SOURCE),
                        "code": error.code,
                        "parameters": dict(error.parameters),
                    }
                    for error in submission.errors
                ],
            )

    async def content(self, submission_id: UUID) -> bytes:
        query = select(submissions.c.content, submissions.c.sealed_content).where(
            submissions.c.id == submission_id
        )
        row = (await self._connection.execute(query)).first()
        if row is None:
            return b""
        if row.sealed_content is None:
            return row.content or b""
        return self._vault.read_content(submission_id, row.sealed_content)

    async def discard(self, submission_id: UUID) -> None:
        await self._connection.execute(
            delete(submissions).where(
                submissions.c.id == submission_id, submissions.c.status == SubmissionStatus.READY
            )
        )

    async def forget_old(self) -> None:
        """Delete the submissions that nobody has begun."""
        await self._connection.execute(
            delete(submissions).where(
                submissions.c.status == SubmissionStatus.READY,
                submissions.c.created_at < func.now() - READY_FOR,
            )
        )

    async def find_due(self, kind: str) -> Submission | None:
        found = await self._connection.execute(
            select(*COLUMNS)
            .where(
                submissions.c.kind == kind,
                submissions.c.status == SubmissionStatus.RUNNING,
                submissions.c.due_at <= func.now(),
            )
            .order_by(submissions.c.due_at, submissions.c.id)
            .limit(1)
        )
        row = found.first()
        return None if row is None else _submission(row)

    async def page(
        self, tenant_id: str, after: UUID | None, limit: int, *, user_id: UUID | None = None
    ) -> list[Submission]:
        query = select(*COLUMNS).where(submissions.c.tenant_id == tenant_id)
        query = newest_first(query, submissions.c.id, after, limit)
        if user_id is not None:
            query = query.where(submissions.c.user_id == user_id)
        return [_submission(row) for row in await self._connection.execute(query)]

    async def _one(self, tenant_id: str, submission_id: UUID, *, for_update: bool) -> Submission:
        query = select(*COLUMNS).where(
            submissions.c.id == submission_id, submissions.c.tenant_id == tenant_id
        )
        found = await self._connection.execute(query.with_for_update() if for_update else query)
        row = found.one_or_none()
        if row is None:
            raise SubmissionNotFound
        return _submission(row)


def _progress(submission: Submission) -> dict[str, Any]:
    return {
        "status": submission.status.value,
        "succeeded": submission.succeeded,
        "failed": submission.failed,
        "attempts": submission.attempts,
        "reason": submission.reason,
        "finished_at": submission.finished_at,
    }


def _submission(row: Row[Any]) -> Submission:
    return Submission(
        id=row.id,
        tenant_id=row.tenant_id,
        kind=row.kind,
        user_id=row.user_id,
        name=row.name,
        total=row.total,
        created_at=row.created_at,
        status=SubmissionStatus(row.status),
        succeeded=row.succeeded,
        failed=row.failed,
        reason=row.reason,
        finished_at=row.finished_at,
        attempts=row.attempts,
    )
