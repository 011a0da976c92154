"""What is said to whom: a call is one alert to one channel once, a page is the calls said together.

Outside channels carry alert id, school, kind and a link, nothing else: not who, not what was said.
"""

from hashlib import sha256
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.alerts import AlertKind
from schemas.names import Language
from schemas.steps import MACHINE, Took
from streams.paging.words import (
    MORE,
    NO_MACHINE,
    PAGE,
    SCHOOLS,
    TELEPHONE,
    WORDS,
    name_of,
)

Why = Literal[
    "opened", "repeated", "escalated", "resolved", "corrected", "telephone", "test", "renewed"
]

ACTOR: Final = f"{MACHINE}notify"
"""Who takes the steps that say what was paged."""

OVER: Final = frozenset({"resolved", "corrected"})
"""Reasons that call nobody to do anything."""
FIRST_WORDS: Final = frozenset({"opened", "escalated", "telephone"})
BEGIN: Final = frozenset({"opened", "escalated", "repeated", "telephone"})
"""Reasons by which somebody learns that it lasts, and must learn of its end."""


def _several(told: object) -> object:
    """Pages of before had one or none."""
    return tuple(filter(None, (told,))) if isinstance(told, str) else told


class Call(BaseModel):
    """One alert to one channel for one reason.

    ``id`` is also the id of the step that records it, so that a call is known as made from Kafka
    alone. ``also``: the calls that it makes needless. ``group``: said together with the others of
    it, then not again for ``interval_ms``; empty: said alone. ``partition`` is where the alert's
    steps belong; None where no record told. ``panic``: of one, whatever the reason; ``urgent``: nothing
    may wait before it. ``began_ms``: event time of its begin. ``epoch``: how often it had been opened
    again.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    alert: str
    school: str
    kind: str
    channel: str
    why: Why
    took: Took
    due_ms: int
    group: str = ""
    interval_ms: int = 0
    also: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()
    partition: int | None = None
    urgent: bool = False
    panic: bool = False
    began_ms: int = 0
    epoch: int = 0

    @property
    def makes(self) -> tuple[str, ...]:
        """The ids of the calls that are made with this one."""
        return (self.id, *self.also)


class Page(BaseModel):
    """Calls of one channel that are said at once. ``id`` is its idempotency key."""

    model_config = ConfigDict(frozen=True)

    id: str
    channel: str
    made_ms: int
    calls: Annotated[tuple[Call, ...], Field(min_length=1)]

    @property
    def urgent(self) -> bool:
        return any(call.urgent for call in self.calls)

    @property
    def urgency(self) -> int:
        """The first word of a panic before all, then what else is urgent, then the rest."""
        first = any(call.panic and call.why in FIRST_WORDS for call in self.calls)
        return 2 * first + self.urgent

    @property
    def only_repeats(self) -> bool:
        return all(call.why == "repeated" for call in self.calls)


def page(channel: str, calls: list[Call], made_ms: int) -> Page:
    """The page of these calls; the same calls are the same page, whenever it is made."""
    ordered = sorted(calls, key=_place)
    said = "|".join(sorted(call.id for call in calls))
    key = sha256(f"{channel}|{said}".encode()).hexdigest()[:32]
    return Page(id=key, channel=channel, made_ms=made_ms, calls=tuple(ordered))


def _place(call: Call) -> tuple[bool, bool, str, str, str]:
    return not call.urgent, call.why == "repeated", call.kind, call.school, call.id


def joined(pages: list[Page]) -> Page:
    """What was to be said in several messages, as one."""
    calls = [call for said in pages for call in said.calls]
    return page(pages[0].channel, calls, max(said.made_ms for said in pages))


def link(base: str, alert: str) -> str:
    return f"{base.rstrip('/')}/?alert={alert}"


def title(said: Page, language: Language) -> str:
    kinds = list(dict.fromkeys(_name(call, language) for call in said.calls))
    schools = {call.school for call in said.calls if call.school}
    if not schools:
        return f"Saqshy: {', '.join(kinds)}"
    many = WORDS[language][SCHOOLS].format(count=len(schools))
    where = next(iter(schools)) if len(schools) == 1 else many
    return f"Saqshy: {', '.join(kinds)}: {where}"


def text(said: Page, base: str, language: Language, limit: int = 0) -> str:
    """For people. Every school is named, as far as ``limit`` characters go (0: any number); then how
    many more there are, and where."""
    head, lines, foot = _parts(said, base, language)
    whole = "\n".join([*head, *lines, *foot])
    if not limit or len(whole) <= limit:
        return whole
    room = limit - sum(len(line) + 1 for line in (*head, *foot))
    kept: list[str] = []
    for line in lines:
        more = WORDS[language][MORE].format(count=len(lines) - len(kept), link=base)
        if room - len(line) - 1 < len(more) + 1:
            return "\n".join([*head, *kept, more, *foot])
        kept.append(line)
        room -= len(line) + 1
    return "\n".join([*head, *kept, *foot])


def cut(
    said: Page, base: str, language: Language, limit: int, at_most: int
) -> list[tuple[int, int]]:
    """The calls, from and until, of each of at most so many messages of ``limit`` characters. The last
    has all that is left, of which its text names what fits."""
    head, lines, foot = _parts(said, base, language)
    room = limit - sum(len(line) + 1 for line in (*head, *foot)) - len("-99")
    pieces: list[tuple[int, int]] = []
    first, used = 0, 0
    for number, line in enumerate(lines):
        if number > first and used + len(line) + 1 > room and len(pieces) < at_most - 1:
            pieces.append((first, number))
            first, used = number, 0
        used += len(line) + 1
    return [*pieces, (first, len(lines))]


def _parts(said: Page, base: str, language: Language) -> tuple[list[str], list[str], list[str]]:
    """What stands before, the line of each call, and what stands after."""
    words = WORDS[language]
    lines = [
        " ".join(filter(None, (_name(call, language), call.school, link(base, call.alert))))
        for call in said.calls
    ]
    head = []
    if any(c.why == "telephone" for c in said.calls):
        head.append(words[NO_MACHINE])
    if any(c.kind == AlertKind.PANIC_BLIND and c.why not in OVER for c in said.calls):
        head.append(words[TELEPHONE])
    return head, lines, [words[PAGE].format(id=said.id)]


def document(said: Page, base: str) -> dict[str, object]:
    """For machines: the body of a webhook."""
    return {
        "page": said.id,
        "alerts": [
            {
                "id": call.alert,
                "school": call.school,
                "kind": call.kind,
                "why": call.why,
                "link": link(base, call.alert),
            }
            for call in said.calls
        ],
    }


def _name(call: Call, language: Language) -> str:
    name = name_of(call.kind, language)
    return name if call.why in ("opened", "test") else f"{name} ({WORDS[language][call.why]})"
