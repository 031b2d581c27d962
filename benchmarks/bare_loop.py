"""What everything is compared with: boto3 in a loop of threads, no queue, no limits, nothing written down."""

from __future__ import annotations

import sys
import threading
from functools import lru_cache
from itertools import count
from typing import Any

import boto3
from botocore.config import Config


@lru_cache
def client_for(threads: int) -> Any:
    """Returns a client of SES that so many threads share."""
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=threads)
    return boto3.client("sesv2", config=config)


def send(number: int, threads: int = 1, *_: str) -> None:
    """Sends one small mail. Also the job of RQ's own workers; the others are what a queue has to keep of it."""
    client_for(threads).send_email(
        FromEmailAddress="Shop <shop@example.com>",
        Destination={"ToAddresses": [f"person{number}@example.org"]},
        Content={
            "Simple": {
                "Subject": {"Data": "Hello", "Charset": "UTF-8"},
                "Body": {"Text": {"Data": "x" * 1000, "Charset": "UTF-8"}},
            }
        },
        EmailTags=[{"Name": "sesq-id", "Value": f"bare-{number}"}],
    )


def main(messages: int, threads: int) -> None:
    """Sends so many messages from so many threads."""
    client_for(threads)
    numbers = count()

    def loop() -> None:
        while (number := next(numbers)) < messages:
            send(number, threads)

    running = [threading.Thread(target=loop) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
