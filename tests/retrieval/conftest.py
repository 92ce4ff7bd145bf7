"""A small FAQ in two languages, and encoders without models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.config import RetrievalSettings, Settings
from assistant.retrieval.embedding import Encoders, load_encoders
from assistant.retrieval.index import build_index
from assistant.retrieval.retriever import FaqRetriever
from assistant.retrieval.sources import Knowledge, load_knowledge
from tests.retrieval.hashing import hashing_encoders

ENGLISH = """# Returns

## How do I return an item? {#return-item}
> also: How can I send something back?
> tags: returns, steps
> review: 2027-06-01

Log in and choose **Return**.

1. Print the label.
2. Post the parcel.

## How much does a return cost? {#return-cost}

Nothing within 30 days.

## Do you repair lamps? {#repair}

Yes, bring them to the workshop.
"""

CHINESE = """# 退货

## 如何退货？ {#return-item}
> 又问：我想把东西退回去
> 标签：退货、步骤
> 复核：2027-06-01

登录后选择「退货」。

## 退货要运费吗？ {#return-cost}

30 天内免费。

## 有实体店吗？ {#shop}

在柏林有一家。
"""

TRANSLATIONS = {
    "能修台灯吗？": "Do you repair lamps?",
    "Is there a shop?": "有实体店吗？",
    "Wie sende ich zurück?": "如何退货？",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for lang, topic, text in (("en", "returns", ENGLISH), ("zh", "returns", CHINESE)):
        folder = tmp_path / "knowledge" / lang
        folder.mkdir(parents=True)
        (folder / f"{topic}.md").write_text(text, encoding="utf-8")
    return tmp_path / "knowledge"


@pytest.fixture
def knowledge(root: Path) -> Knowledge:
    return load_knowledge(root)


@pytest.fixture
def encoders() -> Encoders:
    return hashing_encoders(TRANSLATIONS)


@pytest.fixture
def make_retriever(knowledge: Knowledge, encoders: Encoders) -> Callable[..., FaqRetriever]:
    def make(**settings: float) -> FaqRetriever:
        return FaqRetriever(build_index(knowledge, encoders), encoders, RetrievalSettings(**settings))

    return make


@pytest.fixture(scope="session")
def real_encoders() -> Encoders:
    return load_encoders(Settings())
