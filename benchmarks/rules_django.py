"""django-ses with its own throttle: one of the processes, `python -m benchmarks.rules_django NUMBER`."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator

import django
from botocore.exceptions import ClientError
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from redis import Redis

from benchmarks.rules_mail import SENDER, SUBJECT, TEXT, address


def main(process: int) -> None:
    """Sends this process's part of the bulk mail; a second thread sends urgent mail meanwhile."""
    settings.configure(
        EMAIL_BACKEND="django_ses.SESBackend",
        AWS_SES_REGION_NAME=os.environ["AWS_DEFAULT_REGION"],
        AWS_SES_REGION_ENDPOINT_URL=os.environ["AWS_ENDPOINT_URL_SESV2"],
    )
    django.setup()
    redis = Redis.from_url(os.environ["SESQ_REDIS_URL"], socket_timeout=None)
    urgent = threading.Thread(target=_send_all, args=(_as_they_come(redis),))
    urgent.start()
    _send_all(map(int, redis.lrange(f"bulk:{process}", 0, -1)))
    urgent.join()


def _as_they_come(redis: Redis) -> Iterator[int]:
    while True:
        yield int(redis.blpop(["urgent"])[1])


def _send_all(numbers: Iterable[int]) -> None:
    with get_connection() as connection:
        for number in numbers:
            message = EmailMessage(SUBJECT, TEXT, SENDER, [address(number)])
            with contextlib.suppress(ClientError):  # SES refused it, after all of boto3's retries
                connection.send_messages([message])


if __name__ == "__main__":
    main(int(sys.argv[1]))
