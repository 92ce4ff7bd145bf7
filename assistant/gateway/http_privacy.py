"""The operations that tell of a visitor's data and erase it."""

from __future__ import annotations

from assistant.gateway import http_answers as answers
from assistant.gateway.http_operation import Answer, Operation
from assistant.gateway.http_operators import BY_ADMIN

VISITOR = {"visitor_id": "The visitor's id."}

PRIVACY = (
    Operation(
        "GET",
        "/v1/admin/privacy/visitors/{visitor_id}",
        "getVisitorInMemory",
        "admin",
        "What the server has in memory of a visitor",
        {200: Answer("Their sockets.", answers.VisitorInMemory)},
        path_parameters=VISITOR,
        security="admin",
        errors=BY_ADMIN,
    ),
    Operation(
        "DELETE",
        "/v1/admin/privacy/visitors/{visitor_id}",
        "eraseVisitor",
        "admin",
        "Erase everything of a visitor",
        {200: Answer("What was erased.")},
        path_parameters=VISITOR,
        security="admin",
        errors=(*BY_ADMIN, "not_found", "not_stored"),
    ),
    Operation(
        "POST",
        "/v1/admin/privacy/retention",
        "eraseExpired",
        "admin",
        "Erase the conversations that are too old",
        {200: Answer("What was erased.")},
        security="admin",
        errors=(*BY_ADMIN, "bad_request", "not_stored"),
    ),
)
