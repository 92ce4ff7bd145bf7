"""The HTTP interface as an OpenAPI 3.1 document, made from the models that parse and the tables of operations.

https://spec.openapis.org/oas/v3.1.0. Only the routes that this server has are in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from aiohttp import hdrs, web
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from assistant import __version__
from assistant.gateway import asyncapi
from assistant.gateway.http_answers import Failed, OpenAiFailed
from assistant.gateway.http_operation import SECURITY, TAGS, Answer, Operation, Query
from assistant.gateway.http_operators import ADMIN, AGENTS
from assistant.gateway.http_privacy import PRIVACY
from assistant.gateway.http_programs import CHANNELS, OPENAI
from assistant.gateway.http_uploads import UPLOADS
from assistant.gateway.http_visitors import CONVERSATIONS, PAGES, SERVICE
from assistant.gateway.middleware import STATUS
from assistant.gateway.protocol import ERROR_CODES, ErrorCode

Json = dict[str, Any]
Named = Mapping[tuple[type[BaseModel], JsonSchemaMode], str]
"""Where each model's schema stands, as it is read (validation) and as it is written (serialization)."""

REFERENCE = "#/components/schemas/{model}"
REFERRED = re.compile(r"#/components/schemas/(\w+)")
EVENT = {"$ref": REFERENCE.format(model="Event")}
ABOUT = (
    "Errors are `{error: {code, message}}`, at the OpenAI door `{error: {message, type, param, code}}`. Unknown fields "
    "of a body are refused, but at the OpenAI door. Lengths and offsets count code points. Sockets: /asyncapi.json."
)
OPERATIONS = (*SERVICE, *PAGES, *CONVERSATIONS, *UPLOADS, *OPENAI, *CHANNELS, *AGENTS, *ADMIN, *PRIVACY)
FROM_EVERY_ROUTE: tuple[ErrorCode, ...] = ("internal",)
WITH_BODY: tuple[ErrorCode, ...] = ("not_json", "too_large", "timeout")


class OpenApi:
    """The document of one application, made when it is first asked for."""

    def __init__(self) -> None:
        self._text: str | None = None

    async def get(self, request: web.Request) -> web.Response:
        """``GET /openapi.json``, for any site: it says nothing about anybody."""
        if self._text is None:
            self._text = json.dumps(document(request.app), ensure_ascii=False) + "\n"
        headers = {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*", hdrs.CACHE_CONTROL: "no-cache"}
        return web.Response(text=self._text, content_type="application/json", headers=headers)


def document(app: web.Application) -> Json:
    """The document of this application's routes, as plain JSON values."""
    served = set(routes_of(app))
    told = [operation for operation in OPERATIONS if (operation.method, operation.path) in served]
    names, schemas = _schemas(told)
    paths: Json = {}
    for operation in told:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, names)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Service assistant", "version": __version__, "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": SECURITY},
    }


def routes_of(app: web.Application) -> Iterable[tuple[str, str]]:
    """Method and path of every route but the HEAD that comes with a GET."""
    for route in app.router.routes():
        if route.method != hdrs.METH_HEAD and route.resource is not None:
            yield route.method, route.resource.canonical


def _described(operation: Operation, names: Named) -> Json:
    described: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [_path_parameter(name, about) for name, about in operation.path_parameters.items()]
        + [_query_parameter(query) for query in operation.query],
        "responses": _responses(operation, names),
        "security": [{operation.security: []}] if operation.security else [],
    }
    if operation.body is not None:
        schema = {"$ref": names[operation.body, "validation"]}
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _responses(operation: Operation, names: Named) -> Json:
    responses: Json = {}
    for status, answer in operation.answers.items():
        responses[str(status)] = _response(answer, names)
    failed = OpenAiFailed if operation.tag == "openai" else Failed
    for status, codes in _failures(operation).items():
        about = " ".join(f"`{code}`: {ERROR_CODES[code]}" for code in codes)
        responses.setdefault(str(status), _response(Answer(about, failed), names))
    return dict(sorted(responses.items()))


def _response(answer: Answer, names: Named) -> Json:
    response: Json = {"description": answer.about}
    if answer.media_type:
        schema = {"$ref": names[answer.model, "serialization"]} if answer.model else {}
        response["content"] = {answer.media_type: {"schema": schema}}
    if answer.or_as:
        response["content"][answer.or_as] = {}
    return response


def _failures(operation: Operation) -> dict[int, list[ErrorCode]]:
    codes = [*operation.errors, *(WITH_BODY if operation.body is not None else ()), *FROM_EVERY_ROUTE]
    by_status: dict[int, list[ErrorCode]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(STATUS.get(code, 400), []).append(code)
    return by_status


def _path_parameter(name: str, about: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": about,
        "schema": {"type": "string", "minLength": 1},
    }


def _query_parameter(query: Query) -> Json:
    return {"name": query.name, "in": "query", "required": False, "description": query.about, "schema": query.schema}


def _schemas(told: Sequence[Operation]) -> tuple[Named, Json]:
    """Where each model stands, and the schemas of them all, events included."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Failed, "serialization"): None}
    for operation in told:
        if operation.tag == "openai":
            wanted[OpenAiFailed, "serialization"] = None
        if operation.body is not None:
            wanted[operation.body, "validation"] = None
        wanted |= {(answer.model, "serialization"): None for answer in operation.answers.values() if answer.model}
    found, together = models_json_schema(list(wanted), ref_template=REFERENCE, schema_generator=_WithoutTitles)
    schemas = together["$defs"] | _event_schemas()
    schemas["EventsPage"]["properties"]["events"]["items"] = EVENT
    schemas["Answered"]["properties"]["answer"] = EVENT
    return {key: str(found[key]["$ref"]) for key in wanted}, dict(sorted(schemas.items()))


@lru_cache(maxsize=1)
def _event_schemas() -> Json:
    """The public events, as the document of the sockets has them, and all that their schemas refer to."""
    published = asyncapi.document()["components"]["schemas"]
    chosen, pending = {}, ["Event"]
    while pending:
        name = pending.pop()
        if name not in chosen:
            chosen[name] = published[name]
            pending += REFERRED.findall(json.dumps(published[name]))
    return chosen


class _WithoutTitles(GenerateJsonSchema):
    """Titles would only repeat the names."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False
