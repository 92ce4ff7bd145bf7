"""The demo shop's orders and what may be done with them. Everything is in memory and gone when it ends.

The data are always the same; only their days follow the calendar.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Status = Literal["received", "being_packed", "shipped", "delivered"]
Mode = Literal["works", "slow", "broken"]
Answer = dict[str, str | None]

MAX_REMEMBERED = 1_000  # idempotency keys; the oldest is forgotten
RETURN_DAYS = 14
MAX_CALLBACK_DAYS = 14
SUNDAY = 6
REASONS = ("does_not_fit", "faulty", "wrong_item", "changed_mind", "other")
TIMES = ("morning", "afternoon")
PHONE = re.compile(r"\+?\d{7,15}")


@dataclass(frozen=True, slots=True)
class Order:
    """An order of one customer, ``customer_id`` in the shop's accounts.

    ``due_days`` counts from today to its delivery, ``mode`` tells how the service behaves when asked.
    """

    order_number: str
    customer_id: str
    email: str
    status: Status
    item: str
    due_days: int | None = None
    tracking_number: str | None = None
    mode: Mode = "works"


ORDERS = {
    order.order_number: order
    for order in (
        Order(
            "LO10000001", "C1001", "anna.becker@example.com", "shipped", "floor lamp Linden", 2, "00340434161094000011"
        ),
        Order(
            "LO10000002",
            "C1002",
            "tom.miller@example.com",
            "delivered",
            "oak cutting board",
            -5,
            "00340434161094000028",
        ),
        Order("LO10000003", "C1003", "emma.clark@example.com", "being_packed", "linen duvet cover", 4),
        Order("LO20000001", "C2001", "wang.fang@example.cn", "shipped", "落地灯“椴木”", 1, "SF1020304050607"),
        Order("LO20000002", "C2002", "li.lei@example.cn", "delivered", "橡木砧板", -3, "SF1020304050614"),
        Order("LO20000003", "C2003", "zhang.wei@example.cn", "received", "亚麻被套"),
        Order("LO90000001", "C9001", "slow@example.com", "delivered", "desk lamp", -2, mode="slow"),
        Order("LO90000002", "C9002", "broken@example.com", "delivered", "side table", -2, mode="broken"),
    )
}


class Refused(Exception):
    """The shop does not do it; ``status`` is the HTTP status to say so with."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Shop:
    """Looks orders up, and takes returns and callbacks, each idempotency key once."""

    def __init__(self, *, today: Callable[[], date]) -> None:
        self._today = today
        self._done: OrderedDict[str, tuple[Answer, Answer]] = OrderedDict()
        self._num_returns = 0
        self._num_callbacks = 0

    def find(self, order_number: str, *, email: str | None = None, customer_id: str | None = None) -> Order:
        """The order of this number and of whom these say; at least one of them must be given, and all must be right.

        Raises `Refused`: 404, whichever is wrong.
        """
        order = ORDERS.get(order_number)
        if order is None or (email is None and customer_id is None):
            raise Refused(404, "no such order")
        if email not in (None, order.email) or customer_id not in (None, order.customer_id):
            raise Refused(404, "no such order")
        return order

    def describe(self, order: Order) -> Answer:
        """What is told of an order."""
        due = None if order.due_days is None else (self._today() + timedelta(days=order.due_days)).isoformat()
        return {
            "order_number": order.order_number,
            "customer_id": order.customer_id,
            "email": order.email,
            "status": order.status,
            "item": order.item,
            "expected_on": due if order.status != "delivered" else None,
            "delivered_on": due if order.status == "delivered" else None,
            "tracking_number": order.tracking_number,
        }

    def register_return(self, order: Order, reason: str, *, key: str) -> Answer:
        """Take a return of a delivered order. Raises `Refused`."""
        if reason not in REASONS:
            raise Refused(422, "no such reason")
        if order.status != "delivered":
            raise Refused(409, "the order is not delivered yet")
        return self._once(key, {"return": order.order_number, "reason": reason}, self._new_return)

    def request_callback(self, phone: str, day: date, time_of_day: str, *, key: str) -> Answer:
        """Note a callback on a working day of the next two weeks. Raises `Refused`."""
        if not PHONE.fullmatch(phone) or time_of_day not in TIMES:
            raise Refused(422, "no such phone number or time of day")
        ahead = (day - self._today()).days
        if not 0 <= ahead <= MAX_CALLBACK_DAYS or day.weekday() == SUNDAY:
            raise Refused(422, "nobody calls on that day")
        asked: Answer = {"callback": phone, "day": day.isoformat(), "time_of_day": time_of_day}
        return self._once(key, asked, lambda: self._new_callback(day))

    def _once(self, key: str, asked: Answer, do: Callable[[], Answer]) -> Answer:
        """The same request again gets the first one's answer; another one under its key is refused."""
        if key in self._done:
            earlier, answer = self._done[key]
            if earlier != asked:
                raise Refused(422, "this Idempotency-Key was used for something else")
            return answer
        answer = do()
        self._done[key] = (asked, answer)
        if len(self._done) > MAX_REMEMBERED:
            self._done.popitem(last=False)
        return answer

    def _new_return(self) -> Answer:
        self._num_returns += 1
        send_by = self._today() + timedelta(days=RETURN_DAYS)
        return {"return_number": f"RT{self._num_returns:06}", "send_by": send_by.isoformat()}

    def _new_callback(self, day: date) -> Answer:
        self._num_callbacks += 1
        return {"callback_number": f"CB{self._num_callbacks:06}", "day": day.isoformat()}
