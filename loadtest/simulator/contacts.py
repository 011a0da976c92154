"""Whom one would call at the simulated schools. Made up: numbers with 555 belong to nobody, and names are
of offices and of a short list.
"""

from collections.abc import Sequence
from typing import Final
from zlib import crc32

from loadtest.simulator.country import School, center_of
from schemas.contacts import CenterContact, Contact, ContactRole, Contacts, SchoolContacts
from schemas.regions import REGIONS

_GIVEN: Final = ("Айгерим", "Нурлан", "Сауле", "Ерлан", "Динара", "Бауыржан", "Мадина", "Тимур")
_FAMILY: Final = ("Ахмет", "Оспан", "Жумабек", "Сериккызы", "Нургали", "Касым", "Абай", "Токтар")
_STREETS: Final = ("Абая", "Сатпаева", "Мира", "Жамбыла", "Назарбаева", "Школьная")


def contacts_of(schools: Sequence[School]) -> Contacts:
    """The same for the same schools."""
    return Contacts(
        schools=tuple(_of(school) for school in schools),
        centers=tuple(
            CenterContact(
                center=center_of(region),
                name=f"{region}: дежурный ЦОУ",
                phone=_phone(region, "102"),
            )
            for region in sorted(REGIONS)
        ),
    )


def _of(school: School) -> SchoolContacts:
    drawn = crc32(school.id.encode())
    director, guard = (_person(drawn), _person(drawn >> 9))
    contacts = [
        Contact(
            role=ContactRole.DUTY, name="Дежурный администратор", phone=_phone(school.id, "duty")
        ),
        Contact(role=ContactRole.RECEPTION, name="Приёмная", phone=_phone(school.id, "reception")),
        Contact(
            role=ContactRole.DIRECTOR,
            name=director,
            phone=_phone(school.id, "director", mobile=True),
            mobile=True,
        ),
        Contact(role=ContactRole.PROVIDER, name=school.provider, phone=_phone(school.provider, "")),
    ]
    if school.contract is not None:
        phone = _phone(school.id, "guard", mobile=True)
        contacts.insert(2, Contact(role=ContactRole.GUARD, name=guard, phone=phone, mobile=True))
    address = (
        f"{school.ru.rpartition(', ')[2]}, ул. {_STREETS[drawn % len(_STREETS)]}, {drawn % 90 + 1}"
    )
    return SchoolContacts(school=school.id, address=address, contacts=tuple(contacts))


def _person(drawn: int) -> str:
    return f"{_GIVEN[drawn % len(_GIVEN)]} {_FAMILY[drawn // 8 % len(_FAMILY)]}"


def _phone(of: str, what: str, *, mobile: bool = False) -> str:
    number = crc32(f"{of}/{what}".encode()) % 10_000
    return f"+7 {'701' if mobile else '727'} 555 {number // 100:02} {number % 100:02}"
