"""The operations for the people who answer, for operators, and for the commands on the server's machine."""

from __future__ import annotations

from assistant.conversation.log import MAX_EVENTS_PER_READ
from assistant.gateway import http_answers as answers
from assistant.gateway.accounts import LoginBody
from assistant.gateway.admin import EntryBody
from assistant.gateway.http_operation import Answer, Operation, Query, whole
from assistant.gateway.protocol import ErrorCode
from assistant.gateway.rest import DEFAULT_LIMIT

BY_ADMIN: tuple[ErrorCode, ...] = ("unauthorized", "forbidden", "wrong_origin", "rate_limited")
BY_AGENT: tuple[ErrorCode, ...] = ("unauthorized", "forbidden", "wrong_origin", "rate_limited", "not_stored")
ENTRY = {"lang": "The entry's language.", "id": "The entry's id, percent-encoded."}
TENANT = Query("tenant", "The tenant whose knowledge it is.", {"type": "string"})

AGENTS = (
    Operation(
        "POST",
        "/v1/agent/login",
        "logIn",
        "agents",
        "A session, and the first token for a socket",
        {200: Answer("The session.", answers.LoggedIn)},
        body=LoginBody,
        errors=(*BY_AGENT, "bad_frame", "too_deep", "bad_text"),
    ),
    Operation(
        "POST",
        "/v1/agent/token",
        "createAgentToken",
        "agents",
        "A token for one socket",
        {200: Answer("The token.", answers.AgentToken)},
        security="agent",
        errors=BY_AGENT,
    ),
    Operation(
        "POST",
        "/v1/agent/logout",
        "logOut",
        "agents",
        "End the session and close its sockets",
        {200: Answer("It is over.")},
        security="agent",
        errors=BY_AGENT,
    ),
    Operation(
        "GET",
        "/v1/agent/conversations/{conversation_id}/events",
        "listAllEvents",
        "agents",
        "All events after one of them, private ones too",
        {200: Answer("The events.", answers.AllEventsPage)},
        path_parameters={"conversation_id": "The conversation's id."},
        query=(
            whole("after_position", "The last position you have.", default=0, low=0, high=2**53),
            whole("limit", "How many at most.", default=DEFAULT_LIMIT, low=1, high=MAX_EVENTS_PER_READ),
        ),
        security="agent",
        errors=(*BY_AGENT, "bad_request", "not_found"),
    ),
    Operation(
        "GET",
        "/v1/agent/ws",
        "openAgentSocket",
        "agents",
        "The agents' websocket; see /asyncapi.json",
        {101: Answer("The upgrade.", media_type="")},
        errors=("bad_request", "wrong_origin", "rate_limited", "too_many_sockets", "draining"),
    ),
)

ADMIN = (
    Operation(
        "GET",
        "/v1/admin/index",
        "getIndex",
        "admin",
        "What is indexed, and what was left out",
        {200: Answer("The index.")},
        security="admin",
        errors=BY_ADMIN,
    ),
    Operation(
        "POST",
        "/v1/admin/index",
        "refreshIndex",
        "admin",
        "Take up what has changed in the files",
        {200: Answer("What changed.")},
        security="admin",
        errors=(*BY_ADMIN, "bad_request", "timeout", "not_stored"),
    ),
    Operation(
        "PUT",
        "/v1/admin/entries/{lang}/{id}",
        "putEntry",
        "admin",
        "Add or replace an entry",
        {200: Answer("What changed.")},
        body=EntryBody,
        path_parameters=ENTRY,
        query=(TENANT,),
        security="admin",
        errors=(*BY_ADMIN, "bad_request", "bad_frame", "too_deep", "bad_text", "not_found", "not_stored"),
    ),
    Operation(
        "DELETE",
        "/v1/admin/entries/{lang}/{id}",
        "removeEntry",
        "admin",
        "Take an entry away",
        {200: Answer("What changed.")},
        path_parameters=ENTRY,
        query=(TENANT,),
        security="admin",
        errors=(*BY_ADMIN, "bad_request", "not_found", "timeout", "not_stored"),
    ),
)
