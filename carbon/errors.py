"""The error tree. Every error that a user can meet is one of these.

    CarbonError
    ├── InvalidInput        422  what was sent cannot be meant
    │   └── MalformedInput  400  what was sent cannot be read
    ├── Unauthorized        401  no key, or not one of ours
    ├── Forbidden           403  a good key without the scope
    ├── NotFound            404  absent, or another team's
    ├── Conflicting         409  contradicts what is already acknowledged
    ├── TooLarge            413
    ├── UnsupportedMedia    415
    ├── TooBusy             429  back-pressure; try again after `retry_after_s`
    ├── Unavailable         503  a part that we need is away; likewise
    └── StorageFull         507

`code` is stable and meant for programs; `detail` is one line for people and names the mend.
The same object is printed by the CLI and sent by the API as problem+json (RFC 9457).
"""

from __future__ import annotations

from typing import Any, ClassVar


class CarbonError(Exception):
    """An error with a stable code and a line that a person can act on."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, code: str, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        #: Further members of the problem document, such as `near` or `index`.
        self.extra = extra

    def __reduce__(self) -> tuple[Any, ...]:
        """From one process to another with all that it says."""
        return _revived, (type(self), self.__dict__)


def _revived(kind: type[CarbonError], state: dict[str, Any]) -> CarbonError:
    error = kind.__new__(kind, state["detail"])
    error.__dict__.update(state)
    return error


class InvalidInput(CarbonError):
    status = 422
    title = "Invalid input"


class MalformedInput(InvalidInput):
    status = 400
    title = "Malformed input"


class Unauthorized(CarbonError):
    status = 401
    title = "Not signed in"


class Forbidden(CarbonError):
    status = 403
    title = "Not allowed"


class NotFound(CarbonError):
    status = 404
    title = "Not found"


class Conflicting(CarbonError):
    status = 409
    title = "Conflict"


class TooLarge(CarbonError):
    status = 413
    title = "Too large"


class UnsupportedMedia(CarbonError):
    status = 415
    title = "Unsupported media type"


class Retryable(CarbonError):
    """Try the same call again after `retry_after_s`."""

    def __init__(self, code: str, detail: str, retry_after_s: int = 1, **extra: object) -> None:
        super().__init__(code, detail, **extra)
        self.retry_after_s = retry_after_s


class TooBusy(Retryable):
    status = 429
    title = "Too busy"


class Unavailable(Retryable):
    status = 503
    title = "Unavailable"


class StorageFull(Retryable):
    status = 507
    title = "Storage full"
