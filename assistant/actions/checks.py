"""Whether declared business actions fit together; what does not is refused when the assistant starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from assistant.actions.headers import resolve_headers
from assistant.actions.results import PLACEHOLDER
from assistant.config import ActionSettings, CallSettings, SlotSettings
from assistant.errors import ConfigError

BACK_REFERENCE = re.compile(r"\\[1-9]|\(\?P=")
PATTERN_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*(?:,\d*)?\}|.", re.S)
OPEN_REPEAT = re.compile(r"[*+]|\{\d*,\d*\}")
MAX_OPEN_REPEATS = 4
MIN_IDENTIFIERS = 2


def check_actions(actions: Sequence[ActionSettings]) -> None:
    """Raise `ConfigError` for the first thing that cannot work, naming the action and the fix."""
    seen: set[str] = set()
    for action in actions:
        if action.name in seen:
            raise ConfigError(f"Two actions have the name {action.name}.", fix="Give each its own.")
        seen.add(action.name)
        for problem, fix in _problems(action):
            raise ConfigError(f"The action {action.name}: {problem}", fix=fix)
        for call in calls_of(action):
            resolve_headers(call)


def can_run_away(pattern: str) -> bool:
    """Whether a regular expression may take for ever on a text that does not match.

    It may where a repeated group can match in several ways, as in ``(a+)+`` or ``(a|aa)*``, and where many
    repetitions of an open number follow each other, as in ``a*a*a*a*a*b``.
    """
    groups: list[bool] = []  # of each open group, whether it can match in several ways
    ways, num_repeats = False, 0
    for part in PATTERN_PART.findall(pattern):
        is_open = bool(OPEN_REPEAT.fullmatch(part))
        num_repeats += is_open
        if num_repeats > MAX_OPEN_REPEATS or (ways and (is_open or part[0] == "{")):
            return True
        ways = part == ")" and bool(groups) and groups.pop()
        if part == "(":
            groups.append(False)
        elif groups and (is_open or ways or part == "|"):
            groups[-1] = True
    return False


def calls_of(action: ActionSettings) -> list[CallSettings]:
    """Every request the action may make."""
    return [action.call, action.identify] if action.identify else [action.call]


def _problems(action: ActionSettings) -> Iterator[tuple[str, str]]:
    if not any(phrase.strip() for phrases in action.when.values() for phrase in phrases):
        yield "no phrase says when it is wished for.", "Give examples in its when, in each language."
    names = [slot.name for slot in action.slots]
    for name in {name for name in names if names.count(name) > 1} | (set(names) & set(action.result)):
        yield f"{name} names two things.", "Give each slot and result its own name."
    for slot in action.slots:
        yield from _slot_problems(slot)
    for call in calls_of(action):
        yield from _call_problems(action, call)
    yield from _text_problems(action)
    yield from _identity_problems(action)
    yield from _login_problems(action)


def _slot_problems(slot: SlotSettings) -> Iterator[tuple[str, str]]:
    if (slot.kind == "choice") != bool(slot.options):
        yield f"the slot {slot.name} needs kind = choice and options together.", "Set both or neither."
    if can_run_away(slot.pattern) or BACK_REFERENCE.search(slot.pattern):
        yield (
            f"the pattern {slot.pattern!r} of the slot {slot.name} could take for ever.",
            "Repeat no group with a repetition or choice in it; use at most 4 open repetitions, no back reference.",
        )
    try:
        re.compile(slot.pattern)
    except re.error as error:
        yield f"the pattern of the slot {slot.name} is no regular expression: {error}.", "Correct it."


def _call_problems(action: ActionSettings, call: CallSettings) -> Iterator[tuple[str, str]]:
    slots = {slot.name: slot for slot in action.slots}
    used = PLACEHOLDER.findall(call.url)
    for name in used:
        if action.login and name == action.login.field:
            if not action.login.required:
                yield f"{{{name}}} in its url is unknown of who is not signed in.", "Set required in its login."
        elif name not in slots:
            yield f"{{{name}}} in its url is no slot.", f"The slots are: {', '.join(slots) or 'none'}."
        elif slots[name].kind == "text" and not slots[name].pattern:
            yield f"free text such as {name} cannot be part of a url.", "Send it in the body, or give it a pattern."
    if "{" in PLACEHOLDER.sub("", call.url) or "}" in PLACEHOLDER.sub("", call.url):
        yield f"the braces in its url {call.url} do not hold a name.", "Write {slot}, in small letters."
    if call.method == "GET" and action.changes and call is action.call:
        yield "a GET request changes nothing.", "Use POST, PUT, PATCH or DELETE, or leave out changes."


def _text_problems(action: ActionSettings) -> Iterator[tuple[str, str]]:
    slots, results = {slot.name for slot in action.slots}, set(action.result)
    texts = {"reply": (action.reply, slots | results), "confirm": (action.confirm, slots)}
    texts |= {
        "not_found": (action.not_found, set()),
        "refused": (action.refused, slots),
        "failure": (action.failure, slots),
    }
    for where, (text, known) in texts.items():
        for name in sorted({name for each in text.values() for name in PLACEHOLDER.findall(each)} - known):
            yield f"{{{name}}} cannot stand in its {where}.", f"Known there: {', '.join(sorted(known)) or 'nothing'}."
    if action.changes and not action.confirm:
        yield "it changes something, and nothing says what is read back.", "Write its confirm text."


def _identity_problems(action: ActionSettings) -> Iterator[tuple[str, str]]:
    slots = {slot.name for slot in action.slots}
    for name in sorted({*action.identifiers, *action.verify} - slots):
        yield f"{name} identifies the customer but is no slot.", f"The slots are: {', '.join(slots) or 'none'}."
    if not action.personal or (action.login and action.login.required):
        return
    known_by = set(action.identifiers) if action.identify else set(action.verify)
    if len(known_by) < MIN_IDENTIFIERS:
        yield (
            f"it is personal, and {len(known_by)} slots tell who the customer is; at least {MIN_IDENTIFIERS} must.",
            "Set identify and identifiers, or verify with a field of the answer for each.",
        )
    if action.changes and not action.identify:
        yield "it changes something personal before anybody is known.", "Set identify, which is called first."


def _login_problems(action: ActionSettings) -> Iterator[tuple[str, str]]:
    login = action.login
    if login is None:
        return
    slots = {slot.name for slot in action.slots}
    if login.field in slots | set(action.result):
        yield f"{login.field} is the signed-in customer's id and another thing.", "Give its login another field."
    for name in sorted(set(login.skip) - slots):
        yield f"{name} is skipped for who is signed in but is no slot.", f"The slots are: {', '.join(slots) or 'none'}."
    told = [*action.confirm.values(), *(call.url for call in calls_of(action))]
    for name in sorted(set(login.skip) & {name for text in told for name in PLACEHOLDER.findall(text)}):
        yield (
            f"{name} is skipped for who is signed in and stands in its confirm or url.",
            "Take it out there, or ask it.",
        )
    if action.personal and not (login.owner or action.identify):
        yield "nothing tells whether what it finds is the signed-in customer's.", "Set owner in its login, or identify."
