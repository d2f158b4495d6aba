"""Every error of the operator. All but `LeaseLostError` are passing: the work is tried again later, with a pause that
grows."""

from __future__ import annotations


class OperatorError(Exception):
    """Something that the operator could not do; the message tells what, and what would help."""


class ApiServerError(OperatorError):
    """The API server refused a request.

    `status` is the HTTP status, `reason` Kubernetes' word for it, `retry_after` the pause in seconds that it asks for.
    """

    def __init__(self, request: str, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{request}: {status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    @property
    def not_found(self) -> bool:
        """The object, or its namespace, is not there (any more)."""
        return self.status == 404

    @property
    def kind_missing(self) -> bool:
        """The API server does not serve the kind at all: of a group that it has never heard of it does not even speak
        as Kubernetes does, and gives no reason."""
        return self.status == 404 and (not self.reason or "could not find the requested resource" in str(self))

    @property
    def conflict(self) -> bool:
        """Somebody else was quicker: the object exists already, or is not what it was."""
        return self.status == 409

    @property
    def passing(self) -> bool:
        """It says nothing about the object: a conflict, too many requests, no valid login, a fault of the server's."""
        return self.status in (401, 404, 408, 409, 429) or self.status >= 500

    @property
    def terminating(self) -> bool:
        """The namespace is being deleted and takes nothing new."""
        return self.status == 403 and "because it is being terminated" in str(self)


class ApiServerUnreachableError(OperatorError):
    """No answer from the API server: no connection, or none in time."""


class ObjectRefusedError(OperatorError):
    """An object that a gateway needs cannot be had, and only somebody's act changes that."""


class KindMissingError(ObjectRefusedError):
    """The API server does not serve a kind that only some clusters have."""

    def __init__(self, kind: str, key: str, comes_with: str) -> None:
        super().__init__(
            f"{kind} {key}: the API server serves no {kind}: install {comes_with}, or take the field that asks for it"
            " off the gateway"
        )


class ForeignObjectError(ObjectRefusedError):
    """An object of the name that a gateway needs exists, and belongs to somebody else."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"{kind} {key} exists and is not this gateway's: rename or delete it, or rename the gateway")


class CrdsMissingError(OperatorError):
    """The API server does not serve SseApis and SseGateways."""


class LeaseLostError(OperatorError):
    """This process does not lead any more, or cannot be sure that it does: it has to end."""


def told_refusal(error: ApiServerError | ObjectRefusedError) -> str:
    """What to tell of an object that was refused. What will pass by itself is raised instead."""
    if isinstance(error, ApiServerError) and (error.passing or error.terminating):
        raise error
    return str(error)
