"""One module for each page: what it shows, and what its forms do."""

from sesq.console.web.pages import (
    activity,
    batches,
    finding,
    identities,
    login,
    messages,
    on_all,
    overview,
    pauses,
    quota,
    reputation,
    sandbox,
    send_test,
    suppression,
    webhooks,
)

ROUTERS = [
    module.router
    for module in (
        overview,
        messages,
        finding,
        on_all,
        quota,
        pauses,
        send_test,
        identities,
        sandbox,
        suppression,
        reputation,
        webhooks,
        batches,
        activity,
        login,
    )
]
