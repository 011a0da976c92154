"""What people call each kind of alert, in their languages: the one source for pages and the console.

``python -m dashboards.console.kinds`` writes them into the console's files of words.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from schemas.alerts import AlertKind

Language = Literal["kk", "ru", "en"]


class Names(NamedTuple):
    """A name for each Language."""

    kk: str
    ru: str
    en: str

    def by(self, language: Language) -> str:
        name: str = getattr(self, language)
        return name


KINDS: Final[Mapping[str, Names]] = MappingProxyType(
    {
        AlertKind.PANIC: Names("дабыл", "тревога", "panic"),
        AlertKind.SCHOOL_OFFLINE: Names("мектеп байланыссыз", "школа без связи", "school offline"),
        AlertKind.PANIC_BLIND: Names("түйме қолжетімсіз", "кнопка недоступна", "panic-blind"),
        AlertKind.OUTAGE: Names("жаппай үзіліс", "массовый сбой", "outage"),
        AlertKind.MONITORING_IMPAIRED: Names(
            "мониторинг ақауы", "сбой мониторинга", "monitoring impaired"
        ),
        AlertKind.PIPELINE_SILENT: Names(
            "жүйенің өзі үнсіз", "молчит сама система", "pipeline silent"
        ),
        AlertKind.SECURITY: Names(
            "қауіпсіздік оқиғасы", "событие безопасности", "security finding"
        ),
        AlertKind.NO_PASSES: Names("өту тіркелмейді", "нет проходов", "no passes"),
        AlertKind.STUCK_OPEN: Names("турникет ашық қалған", "турникет открыт", "stuck open"),
        AlertKind.TEST_OVERDUE: Names(
            "тексеру мерзімі өткен", "проверка просрочена", "test overdue"
        ),
        AlertKind.BUFFER_GROWING: Names(
            "жіберілмегендер көбеюде", "растёт буфер", "buffer growing"
        ),
        AlertKind.CLOCK_SKEW: Names("сағат қате", "часы неверны", "clock skew"),
        AlertKind.LONG_PERIOD: Names(
            "сигнал тым сирек", "сигналы слишком редки", "heartbeats too rare"
        ),
    }
)
