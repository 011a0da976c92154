"""A limit on dead letters: when nearly everything is diverted, the bug is more likely ours. Pure."""

from dataclasses import dataclass
from typing import Final

from schemas.alerts import Reason

WINDOW: Final = 5_000
MAX_SHARE: Final = 0.5
MAX_RUN: Final = 2_000


class TooManyDeadLetters(Exception):
    """The topic must stop before more is diverted; nothing of the block is committed."""


@dataclass(slots=True)
class DeadLetterLimit:
    """Counts over the last WINDOW records or so, and the run of dead letters without a good record.

    Duplicates don't count: a replayed buffer is full of them, and nothing is wrong with us then.
    """

    records: float = 0.0
    letters: float = 0.0
    run: int = 0

    def note(self, rows: int, reasons: list[Reason]) -> None:
        """Raises TooManyDeadLetters."""
        bad = sum(reason is not Reason.DUPLICATE for reason in reasons)
        self.records += rows + bad
        self.letters += bad
        self.run = 0 if rows else self.run + bad
        if self.run > MAX_RUN:
            raise TooManyDeadLetters(f"{self.run} dead letters in a row and no good record")
        if self.records >= WINDOW and self.letters > MAX_SHARE * self.records:
            share = self.letters / self.records
            raise TooManyDeadLetters(f"{share:.0%} of the last {self.records:.0f} records")
        if self.records > WINDOW:  # older records weigh less and less
            self.letters *= WINDOW / self.records
            self.records = WINDOW
