"""One run of a piece of work: what goes wrong in it is told once, and has the work come back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from sse_operator.cluster.errors import ApiServerError, LeaseLostError, OperatorError
from sse_operator.cluster.queue import WorkFailedError

logger = logging.getLogger(__name__)

ATTEMPT_TIMEOUT = 120.0
"""Seconds for one run; every request in it has a limit of its own."""


async def attempt(work: Awaitable[None], gateway: str, observe: Callable[[str, float], None]) -> None:
    """Await the work on a gateway. `observe` gets how it ended and after how many seconds. Raises WorkFailedError,
    LeaseLostError."""
    began = time.monotonic()
    result = "error"
    try:
        async with asyncio.timeout(ATTEMPT_TIMEOUT):
            await work
        result = "done"
    except LeaseLostError:
        raise
    except WorkFailedError:
        result = "refused"
        raise
    except ApiServerError as error:
        result = "conflict" if error.conflict else "error"
        log = logger.debug if error.conflict or error.terminating else logger.warning
        log("%s", error, extra={"gateway": gateway})
        raise WorkFailedError(str(error), error.retry_after) from error
    except (OperatorError, TimeoutError) as error:
        logger.warning("%s", str(error) or "took too long", extra={"gateway": gateway})
        raise WorkFailedError(str(error)) from error
    except Exception as error:  # a fault of ours in one gateway must not stop the others
        logger.exception("reconcile failed", extra={"gateway": gateway})
        raise WorkFailedError(repr(error)) from error
    finally:
        observe(result, time.monotonic() - began)
