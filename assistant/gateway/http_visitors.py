"""The operations for browsers and visitors: conversations, the widget's files, and the server's health."""

from __future__ import annotations

from assistant.conversation.log import MAX_EVENTS_PER_READ
from assistant.gateway import http_answers as answers
from assistant.gateway.http_operation import READING, WRITING, Answer, Operation, Query, whole
from assistant.gateway.rest import DEFAULT_LIMIT, TokenRequest
from assistant.gateway.rest_conversations import (
    DEFAULT_LISTED,
    MAX_LISTED,
    MAX_WAIT_S,
    PersonWanted,
    Rated,
    Sent,
)

CONVERSATION = {"conversation_id": "The conversation's id."}
WAIT = whole("wait", "Seconds to wait for the answer.", default=0, low=0, high=MAX_WAIT_S)

SERVICE = (
    Operation("GET", "/healthz", "getHealth", "service", "Alive", {200: Answer("Alive.", answers.Alive)}),
    Operation(
        "GET",
        "/readyz",
        "getReadiness",
        "service",
        "Ready for customers",
        {200: Answer("Ready.", answers.Ready), 503: Answer("What is missing.", answers.NotReady)},
    ),
    Operation(
        "GET",
        "/metrics",
        "getMetrics",
        "service",
        "Prometheus metrics",
        {200: Answer("Prometheus' text format.", media_type="text/plain")},
        errors=("unauthorized", "rate_limited"),
    ),
)

PAGES = (
    Operation("GET", "/", "getDemo", "pages", "The demo page", {200: Answer("The page.", media_type="text/html")}),
    Operation(
        "GET",
        "/widget.js",
        "getWidget",
        "pages",
        "The chat widget",
        {200: Answer("The script.", media_type="text/javascript")},
    ),
    Operation(
        "GET",
        "/static/{name}",
        "getStatic",
        "pages",
        "A file of the widget",
        {200: Answer("The file.", media_type="*/*")},
        path_parameters={"name": "The file's name."},
        errors=("not_found",),
    ),
    Operation("GET", "/openapi.json", "getOpenApi", "pages", "This document", {200: Answer("OpenAPI 3.1.")}),
    Operation("GET", "/asyncapi.json", "getAsyncApi", "pages", "The sockets' document", {200: Answer("AsyncAPI 3.0.")}),
)

CONVERSATIONS = (
    Operation(
        "POST",
        "/v1/visitor-tokens",
        "createVisitorToken",
        "conversations",
        "A token for one socket, and a new visitor's secret",
        {200: Answer("The token.", answers.VisitorToken)},
        body=TokenRequest,
        errors=WRITING,
    ),
    Operation(
        "POST",
        "/v1/visitor-sign-out",
        "signOut",
        "conversations",
        "End the visitor's secret on this device and close its sockets",
        {200: Answer("It lets nobody in any more.")},
        security="visitor",
        errors=("unauthorized", "wrong_origin", "rate_limited", "not_stored"),
    ),
    Operation(
        "GET",
        "/v1/ws",
        "openSocket",
        "conversations",
        "The visitors' websocket; see /asyncapi.json",
        {101: Answer("The upgrade.", media_type="")},
        errors=("bad_request", "wrong_origin", "rate_limited", "too_many_sockets", "draining"),
    ),
    Operation(
        "GET",
        "/v1/conversations",
        "listConversations",
        "conversations",
        "The visitor's conversations, the newest first",
        {200: Answer("The conversations.", answers.ConversationList)},
        query=(
            whole("limit", "How many at most.", default=DEFAULT_LISTED, low=1, high=MAX_LISTED),
            Query("before", "Only older ones than this conversation.", {"type": "string"}),
        ),
        security="visitor",
        errors=READING,
    ),
    Operation(
        "POST",
        "/v1/conversations",
        "beginConversation",
        "conversations",
        "Begin a conversation with its first message",
        {200: Answer("The answer came in time.", answers.Answered), 202: Answer("Committed.", answers.Taken)},
        body=Sent,
        query=(WAIT,),
        security="visitor",
        errors=(*WRITING, "text_empty", "idempotency_conflict"),
    ),
    Operation(
        "GET",
        "/v1/conversations/{conversation_id}/events",
        "listEvents",
        "conversations",
        "The public events after one of them",
        {200: Answer("The events.", answers.EventsPage)},
        path_parameters=CONVERSATION,
        query=(
            whole("after_seq", "The last seq you have.", default=0, low=0, high=2**53),
            whole("limit", "How many at most.", default=DEFAULT_LIMIT, low=1, high=MAX_EVENTS_PER_READ),
        ),
        security="visitor",
        errors=(*READING, "not_found"),
    ),
    Operation(
        "POST",
        "/v1/conversations/{conversation_id}/messages",
        "sendMessage",
        "conversations",
        "Say something; the same client_msg_id is stored and answered once",
        {200: Answer("The answer came in time.", answers.Answered), 202: Answer("Committed.", answers.Taken)},
        body=Sent,
        path_parameters=CONVERSATION,
        query=(WAIT,),
        security="visitor",
        errors=(*WRITING, "text_empty", "idempotency_conflict", "not_found"),
    ),
    Operation(
        "POST",
        "/v1/conversations/{conversation_id}/feedback",
        "rateAnswer",
        "conversations",
        "Rate an answer",
        {204: Answer("Recorded.", media_type="")},
        body=Rated,
        path_parameters=CONVERSATION,
        security="visitor",
        errors=(*WRITING, "unknown_message", "not_found"),
    ),
    Operation(
        "POST",
        "/v1/conversations/{conversation_id}/handoff",
        "askForPerson",
        "conversations",
        "Ask for a person",
        {200: Answer("Who answers now.", answers.HandedOver)},
        body=PersonWanted,
        path_parameters=CONVERSATION,
        security="visitor",
        errors=(*WRITING, "not_found"),
    ),
)
