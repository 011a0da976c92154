"""Where the schools are: the 20 first-level units of Kazakhstan (ISO 3166-2) and their towns.

Towns and centres are real, rounded to a few kilometres; the numbers of schools are plausible
weights, not statistics. A town's schools lie within its radius, so that they stay inside the unit.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Town:
    """A town, or a district of a city. ``weight`` is its share of the region's schools."""

    kk: str
    ru: str
    en: str
    latitude: float
    longitude: float
    weight: float
    radius_km: float


@dataclass(frozen=True, slots=True)
class Region:
    """``schools`` weighs regions against each other, ``size`` the schools' mean of pupils."""

    code: str
    en: str
    schools: int
    size: float
    provider: str
    towns: tuple[Town, ...]

    @property
    def city(self) -> bool:
        return self.code in {"71", "75", "79"}


PROVIDERS: Final = ("steppe-net", "alatau-telecom", "caspian-link", "saryarqa-com", "turan-online")

_TABLE: Final = """
10 Abai 310 330 saryarqa-com
  Семей|Семей|Semey|50.41|80.25|4|14
  Аягөз|Аягоз|Ayagoz|47.96|80.43|2|50
  Шар|Чарск|Shar|49.59|81.05|1|35
  Үржар|Урджар|Urzhar|47.09|81.62|2|35
  Қарауыл|Караул|Karauyl|48.95|79.25|1|45
11 Akmola 540 230 steppe-net
  Көкшетау|Кокшетау|Kokshetau|53.28|69.39|3|35
  Степногорск|Степногорск|Stepnogorsk|52.35|71.89|1|35
  Щучинск|Щучинск|Shchuchinsk|52.94|70.19|2|30
  Атбасар|Атбасар|Atbasar|51.80|68.36|2|45
  Қосшы|Косшы|Kosshy|50.94|71.36|1|5
  Ерейментау|Ерейментау|Ereymentau|51.62|73.10|1|40
15 Aktobe 400 430 caspian-link
  Ақтөбе|Актобе|Aktobe|50.28|57.17|4|25
  Қандыағаш|Кандыагаш|Kandyagash|49.47|57.42|2|45
  Хромтау|Хромтау|Khromtau|50.25|58.45|1|25
  Шалқар|Шалкар|Shalkar|47.83|59.60|1|60
  Ембі|Эмба|Emba|48.83|58.14|1|40
19 Almaty-oblast 480 780 alatau-telecom
  Қонаев|Конаев|Konaev|43.87|77.06|2|20
  Талғар|Талгар|Talgar|43.33|77.24|3|9
  Қаскелең|Каскелен|Kaskelen|43.25|76.57|4|9
  Есік|Есик|Esik|43.36|77.46|2|14
  Ұзынағаш|Узынагаш|Uzynagash|43.22|76.31|2|15
  Шелек|Шелек|Shelek|43.60|78.25|1|30
  Кеген|Кеген|Kegen|43.02|79.22|1|12
23 Atyrau 210 720 caspian-link
  Атырау|Атырау|Atyrau|47.11|51.92|4|18
  Құлсары|Кульсары|Kulsary|46.96|54.01|2|40
  Индербор|Индербор|Inderbor|48.53|51.80|1|18
  Мақат|Макат|Makat|47.65|53.32|1|35
27 West-Kazakhstan 400 340 caspian-link
  Орал|Уральск|Oral|51.22|51.40|4|12
  Ақсай|Аксай|Aksay|51.17|53.00|1|14
  Жаңақала|Жангала|Zhanakala|49.21|50.32|1|45
  Жымпиты|Жымпиты|Zhympity|50.25|52.60|1|50
  Сайқын|Сайхин|Saykyn|48.82|46.95|1|14
31 Zhambyl 460 580 turan-online
  Тараз|Тараз|Taraz|42.90|71.37|4|12
  Шу|Шу|Shu|43.60|73.76|2|22
  Қордай|Кордай|Korday|43.12|74.70|2|6
  Қаратау|Каратау|Karatau|43.19|70.46|1|14
  Мерке|Мерке|Merke|42.88|73.18|2|8
  Мойынқұм|Мойынкум|Moyynkum|44.28|72.94|1|45
33 Zhetisu 330 430 alatau-telecom
  Талдықорған|Талдыкорган|Taldykorgan|45.02|78.37|3|25
  Жаркент|Жаркент|Zharkent|44.17|80.00|2|14
  Сарқан|Саркан|Sarkan|45.42|79.92|1|25
  Үшарал|Ушарал|Usharal|46.17|80.94|1|35
  Үштөбе|Уштобе|Ushtobe|45.25|77.98|1|30
35 Karaganda 410 560 saryarqa-com
  Қарағанды|Караганда|Karaganda|49.80|73.10|5|25
  Теміртау|Темиртау|Temirtau|50.06|72.96|2|15
  Балқаш|Балхаш|Balkhash|46.85|74.98|1|10
  Шахтинск|Шахтинск|Shakhtinsk|49.71|72.59|1|15
  Қарқаралы|Каркаралинск|Karkaraly|49.41|75.47|1|50
39 Kostanay 470 260 steppe-net
  Қостанай|Костанай|Kostanay|53.21|63.63|3|45
  Рудный|Рудный|Rudny|52.97|63.12|1|15
  Жітіқара|Житикара|Zhitikara|52.19|61.20|1|14
  Арқалық|Аркалык|Arkalyk|50.25|66.92|1|30
  Әулиекөл|Аулиеколь|Auliekol|52.37|64.12|1|50
43 Kyzylorda 310 620 turan-online
  Қызылорда|Кызылорда|Kyzylorda|44.85|65.50|4|35
  Арал|Аральск|Aral|46.80|61.67|1|20
  Қазалы|Казалинск|Kazaly|45.76|62.10|2|35
  Шиелі|Шиели|Shieli|44.17|66.75|2|25
  Жаңақорған|Жанакорган|Zhanakorgan|43.90|67.24|1|12
47 Mangystau 160 1200 caspian-link
  Ақтау|Актау|Aktau|43.67|51.21|4|4
  Жаңаөзен|Жанаозен|Zhanaozen|43.34|52.86|3|14
  Бейнеу|Бейнеу|Beyneu|45.32|55.19|1|25
  Шетпе|Шетпе|Shetpe|44.17|52.12|1|25
55 Pavlodar 340 350 steppe-net
  Павлодар|Павлодар|Pavlodar|52.29|76.97|4|35
  Екібастұз|Экибастуз|Ekibastuz|51.73|75.32|2|30
  Ақсу|Аксу|Aksu|52.04|76.92|1|20
  Баянауыл|Баянаул|Bayanaul|50.79|75.70|1|30
  Ертіс|Иртышск|Ertis|53.33|75.46|1|25
59 North-Kazakhstan 440 180 steppe-net
  Петропавл|Петропавловск|Petropavl|54.87|69.15|3|25
  Тайынша|Тайынша|Tayynsha|53.85|69.77|1|28
  Булаев|Булаево|Bulaevo|54.90|70.44|1|20
  Сергеевка|Сергеевка|Sergeevka|53.88|67.42|1|40
  Новоишим|Новоишимское|Novoishim|53.20|66.77|1|30
61 Turkistan 960 590 turan-online
  Түркістан|Туркестан|Turkistan|43.30|68.27|3|20
  Кентау|Кентау|Kentau|43.52|68.51|2|12
  Сарыағаш|Сарыагаш|Saryagash|41.52|69.20|4|6
  Жетісай|Жетысай|Zhetysay|40.78|68.33|4|8
  Арыс|Арысь|Arys|42.43|68.80|2|14
  Леңгір|Ленгер|Lenger|42.18|69.88|2|9
  Түлкібас|Тюлькубас|Tulkibas|42.48|70.29|2|12
  Шардара|Шардара|Shardara|41.26|67.97|2|12
62 Ulytau 90 450 saryarqa-com
  Жезқазған|Жезказган|Zhezkazgan|47.80|67.71|3|15
  Сәтбаев|Сатпаев|Satbaev|47.90|67.53|2|10
  Қаражал|Каражал|Karazhal|48.01|70.80|1|20
  Ұлытау|Улытау|Ulytau|48.63|67.02|1|50
63 East-Kazakhstan 300 390 saryarqa-com
  Өскемен|Усть-Каменогорск|Oskemen|49.95|82.61|4|20
  Риддер|Риддер|Ridder|50.34|83.51|1|12
  Алтай|Алтай|Altay|49.73|84.27|1|20
  Зайсан|Зайсан|Zaysan|47.47|84.87|1|15
  Самар|Самарское|Samar|49.03|83.38|1|30
71 Astana 150 1750 steppe-net
  Есіл|Есильский|Esil|51.12|71.43|3|3
  Алматы ауданы|район Алматы|Almaty district|51.15|71.50|3|3
  Сарыарқа|Сарыаркинский|Saryarqa|51.18|71.42|2|3
  Байқоңыр|Байконурский|Bayqonyr|51.17|71.46|2|2.5
  Нұра|Нура|Nura|51.11|71.39|2|2.5
75 Almaty-city 300 1250 alatau-telecom
  Алмалы|Алмалинский|Almaly|43.25|76.92|2|2
  Әуезов|Ауэзовский|Auezov|43.23|76.85|3|2.5
  Бостандық|Бостандыкский|Bostandyq|43.22|76.92|2|2.5
  Жетісу|Жетысуский|Zhetisu|43.29|76.93|1|2
  Медеу|Медеуский|Medeu|43.24|76.97|2|2.5
  Алатау|Алатауский|Alatau|43.28|76.83|2|2.5
  Түрксіб|Турксибский|Turksib|43.34|76.97|2|2.5
79 Shymkent 230 1150 turan-online
  Абай|Абайский|Abai district|42.31|69.56|2|3
  Әл-Фараби|Аль-Фарабийский|Al-Farabi|42.31|69.61|2|3
  Еңбекші|Енбекшинский|Enbekshi|42.34|69.66|2|3
  Қаратау|Каратауский|Karatau district|42.38|69.62|2|3
  Тұран|Туран|Turan|42.34|69.54|1|3
"""


def _parse(table: str) -> tuple[Region, ...]:
    regions: list[Region] = []
    for line in table.strip().splitlines():
        if not line.startswith(" "):
            code, en, schools, size, provider = line.split()
            regions.append(
                Region(code, en.replace("-", " "), int(schools), float(size), provider, ())
            )
            continue
        kk, ru, en, latitude, longitude, weight, radius_km = line.strip().split("|")
        town = Town(kk, ru, en, float(latitude), float(longitude), float(weight), float(radius_km))
        last = regions[-1]
        regions[-1] = Region(
            last.code, last.en, last.schools, last.size, last.provider, (*last.towns, town)
        )
    return tuple(regions)


REGIONS: Final = _parse(_TABLE)
