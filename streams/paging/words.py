"""What people read in a page, in their language. What a kind of alert is called is in schemas.names."""

from types import MappingProxyType
from typing import Final

from schemas.names import KINDS, Language

TELEPHONE: Final = "telephone_school"
NO_MACHINE: Final = "no_machine"
SCHOOLS: Final = "schools"
PAGE: Final = "page"
MORE: Final = "more"

WORDS: Final = MappingProxyType(
    {
        "en": {
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
    names = KINDS.get(known)
    name = names.by(language) if names else WORDS[language].get(known, known.replace("_", " "))
    return name + colon + found.replace("_", " ")
