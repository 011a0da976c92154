"""What people read in a page, in their language. The console calls the same kinds of alerts the same."""

from types import MappingProxyType
from typing import Final, Literal

Language = Literal["kk", "ru", "en"]

TELEPHONE: Final = "telephone_school"
NO_MACHINE: Final = "no_machine"
SCHOOLS: Final = "schools"
PAGE: Final = "page"
MORE: Final = "more"

WORDS: Final = MappingProxyType(
    {
        "en": {
            "panic": "panic",
            "school_offline": "school offline",
            "panic_blind": "panic-blind",
            "outage": "outage",
            "monitoring_impaired": "monitoring impaired",
            "pipeline_silent": "pipeline silent",
            "security": "security finding",
            "no_passes": "no passes",
            "stuck_open": "stuck open",
            "test_overdue": "test overdue",
            "buffer_growing": "buffer growing",
            "clock_skew": "clock skew",
            "long_period": "heartbeats too rare",
            "test": "test page",
            "repeated": "repeated",
            "escalated": "escalated",
            "resolved": "resolved",
            "corrected": "corrected",
            "renewed": "renewed",
            "telephone": "telephone",
            SCHOOLS: "{count} schools",
            PAGE: "page {id}",
            MORE: "and {count} more: {link}",
            TELEPHONE: "The button cannot be heard: telephone the school now, then its police center.",
            NO_MACHINE: "No machine calls the police here: telephone whom the alert names, at its link.",
        },
        "ru": {
            "panic": "тревога",
            "school_offline": "школа без связи",
            "panic_blind": "кнопка недоступна",
            "outage": "массовый сбой",
            "monitoring_impaired": "сбой мониторинга",
            "pipeline_silent": "молчит сама система",
            "security": "событие безопасности",
            "no_passes": "нет проходов",
            "stuck_open": "турникет открыт",
            "test_overdue": "проверка просрочена",
            "buffer_growing": "растёт буфер",
            "clock_skew": "часы неверны",
            "long_period": "сигналы слишком редки",
            "test": "проверка оповещения",
            "repeated": "повторно",
            "escalated": "никто не ответил",
            "resolved": "завершено",
            "corrected": "уточнено",
            "renewed": "продлено",
            "telephone": "позвоните",
            SCHOOLS: "школ: {count}",
            PAGE: "сообщение {id}",
            MORE: "и ещё {count}: {link}",
            TELEPHONE: "Кнопка недоступна: позвоните в школу сейчас, затем в её центр полиции.",
            NO_MACHINE: "Полицию здесь не вызывает автоматика: позвоните тому, кто назван по ссылке.",
        },
        "kk": {
            "panic": "дабыл",
            "school_offline": "мектеп байланыссыз",
            "panic_blind": "түйме қолжетімсіз",
            "outage": "жаппай үзіліс",
            "monitoring_impaired": "мониторинг ақауы",
            "pipeline_silent": "жүйенің өзі үнсіз",
            "security": "қауіпсіздік оқиғасы",
            "no_passes": "өту тіркелмейді",
            "stuck_open": "турникет ашық қалған",
            "test_overdue": "тексеру мерзімі өткен",
            "buffer_growing": "жіберілмегендер көбеюде",
            "clock_skew": "сағат қате",
            "long_period": "сигнал тым сирек",
            "test": "хабарлауды тексеру",
            "repeated": "қайталап",
            "escalated": "ешкім жауап бермеді",
            "resolved": "аяқталды",
            "corrected": "нақтыланды",
            "renewed": "жаңартылды",
            "telephone": "қоңырау шалыңыз",
            SCHOOLS: "мектептер саны: {count}",
            PAGE: "хабарлама {id}",
            MORE: "тағы {count}: {link}",
            TELEPHONE: "Түйме қолжетімсіз: қазір мектепке, сосын оның полиция орталығына қоңырау шалыңыз.",
            NO_MACHINE: "Мұнда полицияны жүйе шақырмайды: сілтемеде аты аталған адамға қоңырау шалыңыз.",
        },
    }
)


def name_of(kind: str, language: Language) -> str:
    """An alert's kind in words. The watchdog's name what they found behind a colon, which stays."""
    known, colon, found = kind.partition(":")
    return WORDS[language].get(known, known.replace("_", " ")) + colon + found.replace("_", " ")
