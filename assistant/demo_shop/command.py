"""`assistant demo-shop`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from assistant.demo_shop.orders import ORDERS

DEFAULT_PORT = 8090
TO_TRY = {
    "slow": "never answers in time: the assistant says it does not know",
    "broken": "answers HTTP 500",
    "delivered": "can be returned",
    "shipped": "is on its way; a return is refused",
    "being_packed": "is not sent yet; a return is refused",
    "received": "is not sent yet; a return is refused",
}


def demo_shop(
    port: Annotated[
        int, typer.Option(help="The port to listen on, on this machine only.", min=1, max=65535)
    ] = DEFAULT_PORT,
) -> None:
    """Run a small order service to try business actions with. Ctrl-C ends it."""
    from assistant.demo_shop import service

    out = Console()
    table = Table("order number", "e-mail", "customer", "to try", box=None)
    for order in ORDERS.values():
        to_try = TO_TRY[order.status if order.mode == "works" else order.mode]
        table.add_row(order.order_number, order.email, order.customer_id, to_try)
    out.print(table)
    out.print(
        f"The demo shop is on http://{service.HOST}:{port}; deploy/actions.example.toml has its actions.",
        soft_wrap=True,
    )
    service.run(port)
