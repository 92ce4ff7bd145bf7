"""Programs with an API key, as OpenAI's official client and as a channel, with the real models."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest

from tests.end_to_end.conftest import Server, run

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def door(server: Server) -> tuple[Server, str]:
    """A running server and a key that was made beside it."""
    made = run(server.data_dir, "keys", "add", "shop")
    return server, made.stdout.strip()


@pytest.fixture
async def client(door: tuple[Server, str]) -> AsyncIterator[openai.AsyncOpenAI]:
    server, key = door
    async with openai.AsyncOpenAI(api_key=key, base_url=f"{server.url}/v1", max_retries=0) as client:
        yield client


@pytest.mark.parametrize(
    ("asked", "then", "fact"),
    [
        ("How long do I have to return an item?", "and for shoes?", "60 days"),
        ("商品多少天内可以退货？", "鞋子呢？", "60"),
    ],
)
async def test_a_follow_up_is_understood_from_the_messages_alone(
    client: openai.AsyncOpenAI, asked: str, then: str, fact: str
) -> None:
    first = await client.chat.completions.create(model="assistant", messages=[{"role": "user", "content": asked}])
    said = first.choices[0].message
    told = {"role": "assistant", "content": said.content, "assistant": said.model_dump()["assistant"]}
    messages = [{"role": "user", "content": asked}, told, {"role": "user", "content": then}]
    stream = await client.chat.completions.create(
        model="assistant",
        messages=messages,  # type: ignore[call-overload]
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert fact in text
    known = chunks[-2].choices[0].delta.assistant
    assert known["citations"]
    assert all(text[c["text_start"] : c["text_end"]].strip() for c in known["citations"])
    assert chunks[-1].usage.total_tokens > chunks[-1].usage.completion_tokens > 10


async def test_what_the_knowledge_does_not_hold_is_not_answered(client: openai.AsyncOpenAI) -> None:
    asked = "Who won the football world cup in 1954?"
    answer = await client.chat.completions.create(model="assistant", messages=[{"role": "user", "content": asked}])
    assert answer.choices[0].message.assistant["decision"] == "abstained"  # type: ignore[attr-defined]


async def test_a_channels_customer_goes_on_where_they_were(door: tuple[Server, str]) -> None:
    server, key = door
    texts = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        for message in ("How long do I have to return an item?", "and for shoes?"):
            body = {"sender": "anna", "message": message}
            async with session.post(f"{server.url}/webhooks/rest/webhook", json=body) as response:
                assert response.status == 200
                [answer] = await response.json()
                texts.append(answer["text"])
    assert "30 days" in texts[0]
    assert "60 days" in texts[1]
