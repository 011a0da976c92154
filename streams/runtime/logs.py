"""Logs of every process: one line of bounded length, at a cost that does not grow with what failed.

A loop that logs does nothing else meanwhile: a traceback with the values of its frames, or the repr of a
batch, stops it for seconds (hynek/structlog#715). So tracebacks are plain, and a value is looked at only as
far as it is shown. The standard library's loggers (Faust, aiokafka, asyncio, uvicorn) go the same way.
"""

import itertools
import logging
import reprlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

VALUE_CHARACTERS: Final = 2_000
TRACE_CHARACTERS: Final = 8_000
LINE_CHARACTERS: Final = 16_000
"""Of all values of a line together, before JSON escapes them."""
VALUES: Final = 40
FRAMES: Final = 20
CHAINED: Final = 4
NOISY: Final = ("aiokafka", "faust", "mode", "kafka", "uvicorn")
"""Their loggers say warnings and worse only."""

_PLAIN: Final = (bool, int, float, type(None))


class _Short(reprlib.Repr):
    """A repr that looks at no more of a value than it shows, whatever the value is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxother = 3, VALUE_CHARACTERS
        self.maxstring = self.maxlong = 200
        self.maxtuple = self.maxlist = self.maxset = self.maxfrozenset = self.maxdict = 10

    def repr1(self, x: Any, level: int) -> str:
        try:
            if isinstance(x, str) and type(x) is not str:
                return repr(str(x[: self.maxstring]))
            if isinstance(x, bytes | bytearray | memoryview):
                shown = repr(bytes(x[: self.maxstring]))
                return shown if len(x) <= self.maxstring else f"{shown}… ({len(x)} bytes)"
            if isinstance(x, BaseException):
                return f"{type(x).__name__}({self._message(x, level)})"
            if (names := _fields(x)) is not None:
                return self._object(x, names, level)
            return super().repr1(x, level)
        except Exception as error:  # a repr that fails must not fail the log
            return f"<{type(x).__name__}: its repr raised {type(error).__name__}>"

    # The library's own sort all the keys first.
    def repr_set(self, x: Any, level: int) -> str:
        return self._some(x, level, self.maxset, lambda one: self.repr1(one, level - 1))

    repr_frozenset = repr_set

    def repr_dict(self, x: Any, level: int) -> str:
        def item(key: Any) -> str:
            return f"{self.repr1(key, level - 1)}: {self.repr1(x[key], level - 1)}"

        return self._some(x, level, self.maxdict, item)

    def _some(self, x: Any, level: int, most: int, show: Callable[[Any], str]) -> str:
        if level <= 0:
            return "{…}"
        shown = ", ".join(map(show, itertools.islice(x, most)))
        return f"{{{shown}}}" if len(x) <= most else f"{{{shown}, …}} ({len(x)})"

    def _object(self, x: Any, names: tuple[str, ...], level: int) -> str:
        if level <= 0:
            return f"{type(x).__name__}(…)"
        shown = (f"{name}={self.repr1(getattr(x, name, None), level - 1)}" for name in names[:12])
        return f"{type(x).__name__}({', '.join(shown)}{', …' if len(names) > 12 else ''})"

    def _message(self, error: BaseException, level: int) -> str:
        if level <= 0:
            return "…"
        return ", ".join(self.repr1(argument, level - 1) for argument in error.args[:4])


_short: Final = _Short()


def _fields(x: Any) -> tuple[str, ...] | None:
    """Names of what dataclasses, named tuples, msgspec's and pydantic's objects hold."""
    kind = type(x)
    for holds in ("__dataclass_fields__", "_fields", "__struct_fields__", "__pydantic_fields__"):
        names = getattr(kind, holds, None)
        if isinstance(names, Mapping | tuple):
            return tuple(names)
    return None


def short(value: Any, limit: int = VALUE_CHARACTERS) -> str:
    """A value as text of about `limit` characters."""
    if isinstance(value, str):
        return _cut(value, limit)
    if isinstance(value, BaseException):
        return _cut(_said(value), limit)
    kind: Any = type(value)
    says_itself = kind.__str__ is not object.__str__
    if says_itself and _fields(value) is None and not isinstance(value, bytes | bytearray):
        return _cut(str(value), limit)
    return _cut(_short.repr(value), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def _said(error: BaseException) -> str:
    """What `str` says of an exception, if that is cheap: as its class says it of little, or one text."""
    match error.args:
        case (str(),) if not isinstance(error, KeyError):
            said: str = error.args[0]
            if len(said) > VALUE_CHARACTERS:
                return said
        case arguments if not all(map(_is_little, arguments)):
            return ", ".join(_short.repr(argument) for argument in arguments[:4])
    try:
        return str(error)
    except Exception as failed:
        return f"<its text raised {type(failed).__name__}>"


def _is_little(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, str) and len(value) < 1_000)


def trace_of(error: BaseException) -> str:
    """A traceback without values: the last frames of the error and of what caused it."""
    chain = list(itertools.islice(_chain(error), CHAINED))
    parts = [_one(found) for found in reversed(chain)]
    return "\n\ncaused:\n\n".join(parts)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or hidden


def _one(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__, limit=-FRAMES))
    said = f"{type(error).__module__}.{type(error).__qualname__}: {short(error)}"
    group = error.exceptions[:CHAINED] if isinstance(error, BaseExceptionGroup) else ()
    return _cut(frames, TRACE_CHARACTERS // 2) + "\n".join(
        (said, *(f"  of {type(one).__name__}: {short(one, 500)}" for one in group))
    )


def trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: `exc_info` becomes `exception`, a text."""
    error = _exception(event.pop("exc_info", None))
    if error is not None:
        event["exception"] = trace_of(error)
    return event


def _exception(found: Any) -> BaseException | None:
    if isinstance(found, BaseException):
        return found
    if isinstance(found, tuple):
        return found[1] if isinstance(found[1], BaseException) else None
    return sys.exc_info()[1] if found else None


def bound(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: numbers stay, all else becomes text, cut to what a value and a line may have."""
    left = LINE_CHARACTERS
    kept: dict[str, Any] = {}
    for name, value in itertools.islice(event.items(), VALUES):
        if not isinstance(value, _PLAIN) or (isinstance(value, int) and abs(value) > 1 << 64):
            limit = TRACE_CHARACTERS if name == "exception" else VALUE_CHARACTERS
            value = short(value, min(limit, left))
            left -= min(len(value), left)
        kept[_cut(str(name), 100)] = value
    return kept


class _BoundArguments(logging.Filter):
    """Before the standard library fills arguments into a message: they are made short."""

    def filter(self, record: logging.LogRecord) -> bool:
        if hasattr(record, "_logger"):  # structlog's own
            return True
        if not isinstance(record.msg, str):
            record.msg = short(record.msg)
        if isinstance(record.args, Mapping):  # of %(name)s, or a lone one for %s
            record.args = _Argument(record.args)  # type: ignore[assignment]
        elif record.args:
            record.args = tuple(_argument(value) for value in record.args)
        else:
            record.msg = _cut(record.msg, VALUE_CHARACTERS)
        return True


class _Argument:
    """Takes the place of a value for %s, %r and %(name)s, and is short in each."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __str__(self) -> str:
        return short(self._value)

    def __getitem__(self, name: Any) -> Any:
        return _argument(self._value[name])

    def __repr__(self) -> str:
        return _cut(_short.repr(self._value), VALUE_CHARACTERS)


def _argument(value: Any) -> Any:
    return value if isinstance(value, int | float) else _Argument(value)


def rendering(log_format: str) -> list[Any]:
    """The last processors of "console" or "json": traceback, bound, text."""
    last = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    )
    return [trace, bound, last]


def configure_logs(log_format: str, stream: TextIO | None = None) -> None:
    """structlog, and for everything that uses the standard library's logging, too.

    Writes to standard error, or to `stream`.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(_BoundArguments())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *rendering(log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
