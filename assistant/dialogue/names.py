"""Names in a sentence that nobody told: people, places, companies, in Latin and in Chinese script.

A Latin name is a word with a capital inside a sentence; a Chinese one is what the dictionary of rjieba tags as a
name, what looks like a person's, and whoever does something ("由…承担", "联系…").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise

import rjieba

from assistant.dialogue.words import STOP_WORDS, stem

LATIN_NAME = re.compile(
    r"(?<![.!?]\s)(?<!^)(?<![\"“(*\n>])(?<![A-Za-z0-9À-ÿ'-])(?:[A-Z][A-Za-z0-9À-ÿ'-]+|[a-z]+[A-Z][A-Za-z]*)", re.M
)
LATIN_WORD = re.compile(r"[A-Za-z0-9À-ÿ]+(?:['-][A-Za-z0-9À-ÿ]+)*")
HAN_RUN = re.compile(r"[一-鿿]{2,}")
NAME_TAGS = ("nr", "ns", "nt", "nz")
# What the dictionary calls a name and is mostly none.
NO_NAMES = frozenset(
    "东西 上门 普通 谢谢 沙发 聊天 城市 明白 上楼 长度 太久 太多 太少 太大 太贵 太亮 白光 换货 卡号 清仓 加密 "
    "老公 师傅 包邮 盖章 顾客 顾问 福利 祝福 入口 中断 立马 齐全 高兴 方便 安全 欧元 美元 日元 英镑 礼拜 拜拜 "
    "松木 黄铜 毛巾 曝光 付清 银行卡 贺卡 卡片 保修卡 家居服 洗碗机 洗涤剂 聊天记录 手机短信 偏远地区 外国 "
    "小东西 段时间 之日起 任何 那些 那串 客服 人工 平台 商品 白天 万一 全程 全额 全部 金额 高峰 高峰期 明细 "
    "明确 相应 关注 安心 周到 平安 和平 文明 温和 干净 新品 白色 黄色 红色 金色 米色 石材 木材 水洗 湿布 方法 "
    "方式 时效 顺利 常见 单件 包装 封闭".split()
)
SURNAMES = frozenset(
    "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆"
    "汪范金石廖贾夏韦方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵钱严武戴莫孔汤"
)
# In what looks like a name and stands in no dictionary: 卡能, 选顺丰, 那串.
GLUE = re.compile("[的了能会可要都还没太选由用张卡件单份来去里上下到就先再请您我你这那两几换放自行住不才]")
# Who follows these does something, or is where something goes.
BEFORE_AGENT = frozenset("由 找 联系 通过 委托 寄到 送到 发往 寄往 拨打 交给 关注".split())


class KnownNames:
    """The words of all that was told; what is a name in a sentence must be among them."""

    def __init__(self, texts: Iterable[str]) -> None:
        told = _folded("\n".join(texts))
        self._told = told
        words = {part for word in LATIN_WORD.findall(told) for part in (word, *re.split("['-]", word))}
        self._words = words | {stem(word) for word in words}

    def lack(self, sentence: str) -> bool:
        """Whether the sentence, its facts cut out, has a name that was not told."""
        return any(not self._has_word(name) for name in _latin(sentence)) or any(
            _folded(name) not in self._told for name in _chinese(sentence)
        )

    def _has_word(self, name: str) -> bool:
        parts = [_folded(part) for part in re.split("['-]", name) if len(part) > 1]
        return all(part in self._words or stem(part) in self._words for part in parts)


def _latin(sentence: str) -> Iterator[str]:
    for match in LATIN_NAME.finditer(sentence):
        name = re.sub(r"'(?:s|ll|ve|m|d|re)$", "", match.group())
        if len(name) > 1 and name.casefold() not in STOP_WORDS:
            yield name


def _chinese(sentence: str) -> Iterator[str]:
    for run in HAN_RUN.findall(sentence):
        tagged = rjieba.tag(run)
        yield from (word for word, tag in tagged if tag.startswith(NAME_TAGS) and _may_be_name(word))
        yield from (
            word
            for (before, _), (word, tag) in pairwise(tagged)
            if before in BEFORE_AGENT and tag.startswith("n") and len(word) > 1 and word not in NO_NAMES
        )


def _may_be_name(word: str) -> bool:
    """Whether it is no common word, and not two words that were taken for one."""
    if len(word) < 2 or word in NO_NAMES:
        return False
    return len(rjieba.cut(word, False)) == 1 or word[0] in SURNAMES or not GLUE.search(word)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
