"""Every kind of adapter by its name in the centers file; the one place where one is added."""

from collections.abc import Callable
from typing import Final

from streams.dispatch.alarm import Adapter
from streams.dispatch.cap import Cap
from streams.dispatch.centers import AdapterKind, Center
from streams.dispatch.dc09 import Dc09
from streams.dispatch.webhook import Webhook

ADAPTERS: Final[dict[AdapterKind, Callable[[Center], Adapter]]] = {
    it.kind: it for it in (Dc09, Cap, Webhook)
}


def adapter_of(center: Center) -> Adapter:
    return ADAPTERS[center.adapter](center)
