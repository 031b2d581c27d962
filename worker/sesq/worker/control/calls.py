"""Calls SES's control plane and other AWS services, and turns their errors into sesq's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sesq.config.errors import SesqError
from sesq.worker.account import ControlCalls

if TYPE_CHECKING:
    from sesq.worker.transports.client import AwsClient

PAGE_SIZE = 1000


class ControlRefused(SesqError):
    """AWS refused the call. `code` is AWS's error code, and `text` AWS's message, which may be empty."""

    def __init__(self, operation: str, code: str, text: str) -> None:
        super().__init__(f"{operation}: {text or 'refused'} ({code})")
        self.code = code
        self.text = text


class ControlUnavailable(SesqError):
    """AWS gave no answer: no connection, no credentials."""


def asked(operation: str, call: Callable[[], Any]) -> Any:
    """Calls an AWS client, and returns the answer. Raises ControlRefused or ControlUnavailable."""
    try:
        return call()
    except ClientError as error:
        details = error.response.get("Error", {})
        # ConflictException has been seen with a null for its text
        code, text = str(details.get("Code", "")), str(details.get("Message") or "")
        raise ControlRefused(operation, code, text) from error
    except Exception as error:  # a client's other errors have no common class
        raise ControlUnavailable(f"{operation}: {error}; `sesq doctor` looks for the cause") from error


class SesControl:
    """Makes SES's control calls for one account: one a second, counted over all processes."""

    def __init__(self, client: AwsClient, calls: ControlCalls) -> None:
        self._client = client
        self._calls = calls

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Makes one call by its name in boto3, such as `get_account`. Raises ControlRefused or ControlUnavailable."""
        self._calls.wait()
        answer: dict[str, Any] = asked(operation, lambda: getattr(self._client.api, operation)(**parameters))
        return answer

    def pages(self, operation: str, items: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yields the items of all pages of a list, each page in a call of its own."""
        token: dict[str, str] = {}
        while True:
            page = self.call(operation, PageSize=PAGE_SIZE, **parameters, **token)
            yield from page.get(items, ())
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}
