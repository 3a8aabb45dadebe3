"""A service that calls an external system has these settings."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, model_validator

from libs.calls.worker import CallTerms
from libs.kernel.calls import RetryPolicy

Policy = TypeVar("Policy", bound=RetryPolicy)


class CallSettings(BaseModel):
    """A subclass has `concurrency`, `patience_seconds`, `lease_seconds`, `first_retry_seconds`,
    `longest_retry_seconds` and `silent_tries`, each behind the name of the system that the service
    calls: `bank_concurrency`, where `called` is `bank`.
    """

    called: ClassVar[str]

    @model_validator(mode="after")
    def _lease_outlives_a_call(self) -> Self:
        if self._of_calls("lease_seconds") <= self._of_calls("patience_seconds") + 1:
            system = self.called.upper()
            raise ValueError(
                f"{system}_LEASE_SECONDS must be more than a second above {system}_PATIENCE_SECONDS"
            )
        return self

    def call_terms(self, policy: Callable[..., Policy], **own: int) -> CallTerms[Policy]:
        """Return the terms of calls. `own` are the fields that only this service's policy has."""

        def duration(name: str) -> timedelta:
            return timedelta(seconds=self._of_calls(f"{name}_seconds"))

        return CallTerms(
            concurrency=self._of_calls("concurrency"),
            patience=duration("patience"),
            lease=duration("lease"),
            policy=policy(
                first=duration("first_retry"),
                longest=duration("longest_retry"),
                silent_tries=self._of_calls("silent_tries"),
                **own,
            ),
        )

    def _of_calls(self, name: str) -> Any:
        return getattr(self, f"{self.called}_{name}")
