"""What the server must know of a statement before the engine sees it.

Most of what reaches files or the network is refused by the engine itself, for its user lacks the
grants (see engine.py). Refused here is the rest, which asks for no grant: the function `file`,
user scripts, Python objects of this process, disks made up in a statement, and INTO OUTFILE and
FROM INFILE, which the embedded engine would carry out as a client does.

The check reads tokens, not patterns: comments, case, white space and quoting do not matter. It
is strict rather than clever: the names are refused wherever they stand as a name.
"""

import re
from dataclasses import dataclass

REFUSED_NAMES = frozenset(
    {
        *("file", "infile", "outfile", "disk", "executable", "executablepool", "python"),
        *("catboostevaluate", "datalakecatalog", "loadmodel"),
    }
)

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>(?:--|\#!|\#\s)[^\n]*|/\*)
    | (?P<string>'(?:[^'\\]|\\.|'')*')
    | (?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*"|\u201c[^\u201d]*\u201d)
    | (?P<number>\d[\w.]*)
    | (?P<name>[^\W\d]\w*)
    | (?P<open>[(\[{]) | (?P<close>[)\]}])
    | (?P<end>;)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class StatementRefused(Exception):
    """The statement is not run; the message says why."""


@dataclass(frozen=True)
class Token:
    """One token. `name` is the lower-case name it stands for, or "" when it is no name."""

    kind: str
    text: str
    start: int
    depth: int
    name: str


@dataclass(frozen=True)
class Insert:
    """An INSERT that takes its rows from the client: `INSERT INTO table (columns) … VALUES`."""

    into: str
    """The statement up to and with the columns."""
    settings: str
    """What follows, up to and without VALUES or FORMAT."""
    table: str
    columns: str
    """The text of the columns' list, or "*" when there is none."""

    def from_file(self, path: str) -> str:
        """The same INSERT, of the rows in a file in FORMAT Native."""
        return f"{self.into} FROM INFILE '{path}' COMPRESSION 'none' {self.settings} FORMAT Native"


def tokens(text: str) -> list[Token]:
    """The tokens of a statement, comments left out. Raises StatementRefused on one without an end."""
    found: list[Token] = []
    position, depth = 0, 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise StatementRefused("unreadable statement")
        kind = match.lastgroup if match.lastgroup != "tag" else "heredoc"
        word = match.group()
        start, position = position, match.end()
        if kind == "comment" and word == "/*":
            position = _end_of_comment(text, position)
        if kind in ("space", "comment"):
            continue
        if kind == "other" and word in "'\"`\u201c":
            raise StatementRefused(f"a quote at {start} that does not end")
        if kind == "close":
            depth -= 1
        found.append(Token(kind, word, start, depth, _name(kind, word)))
        if kind == "open":
            depth += 1
    return found


def _end_of_comment(text: str, position: int) -> int:
    # Whether comments nest depends on the engine's version: one that reads differently in the
    # two ways is refused.
    end = text.find("*/", position)
    if end < 0:
        raise StatementRefused("a comment that does not end")
    if "/*" in text[position:end]:
        raise StatementRefused("a comment inside a comment")
    return end + 2


def _name(kind: str, word: str) -> str:
    if kind == "name":
        return word.lower()
    if kind != "quoted":
        return ""
    if "\\" in word:
        raise StatementRefused("an escape in a quoted name")
    return word[1:-1].lower()


def check(found: list[Token]) -> None:
    """Raises StatementRefused for a statement that must not reach the engine."""
    for index, token in enumerate(found):
        if token.kind == "end" and index + 1 < len(found):
            raise StatementRefused("more than one statement in a query")
        if token.name in REFUSED_NAMES:
            raise StatementRefused(
                f"`{token.name}` is refused: this engine reaches no files, scripts or network"
            )


def sets_role(found: list[Token]) -> bool:
    """Whether it is SET ROLE or SET DEFAULT ROLE, by which a session gets other rights."""
    return [token.name for token in found[:1]] == ["set"] and any(
        token.name == "role" for token in found[1:3]
    )


def client_insert(text: str, found: list[Token]) -> Insert | None:
    """The INSERT whose rows the client will send, or None for any other statement.

    Raises StatementRefused for rows in a format inside the text: they are to be sent as blocks.
    """
    if len(found) < 3 or found[0].name != "insert" or found[0].kind != "name":
        return None
    if found[1].name != "into":
        return None
    found = [token for token in found if token.kind != "end"]
    position = 3 if found[2].name == "table" and found[2].kind == "name" else 2
    table_start = found[position].start if position < len(found) else len(text)
    while position < len(found) and (
        found[position].text == "."
        or (
            found[position].kind in ("name", "quoted")
            and (found[position - 1].text == "." or found[position].start == table_start)
        )
    ):
        position += 1
    if position >= len(found):
        return None
    table = text[table_start : found[position].start].strip()
    columns = "*"
    if found[position].text == "(" and position + 1 < len(found):
        opening = found[position]
        closing = next(
            (
                i
                for i in range(position + 1, len(found))
                if found[i].kind == "close" and found[i].depth == opening.depth
            ),
            None,
        )
        if closing is None:
            return None
        columns = text[opening.start + 1 : found[closing].start]
        if found[position + 1].name in ("select", "with"):
            return None
        position = closing + 1
    return _rows_from_client(text, found, position, table, columns)


def _rows_from_client(
    text: str, found: list[Token], position: int, table: str, columns: str
) -> Insert | None:
    into = text[: found[position].start] if position < len(found) else text
    for index in range(position, len(found)):
        token = found[index]
        if token.depth != found[0].depth or token.kind != "name":
            continue
        if token.name in ("select", "with", "watch"):
            return None
        if token.name == "values":
            if index + 1 < len(found):
                return None  # the rows stand in the text
            return Insert(into, text[len(into) : token.start], table, columns)
        if token.name == "format":
            if index + 2 != len(found):
                raise StatementRefused(
                    "rows in the text of an INSERT … FORMAT: send them as blocks"
                )
            return Insert(into, text[len(into) : token.start], table, columns)
    return None


def without_format(text: str, found: list[Token]) -> str:
    """The statement without a FORMAT at its end: on this protocol rows travel as blocks."""
    words = [token for token in found if token.kind != "end"]
    for index in range(len(words) - 2, 0, -1):
        token, following = words[index], words[index + 1]
        if token.depth or token.kind != "name" or token.name != "format":
            continue
        rest = words[index + 2 :]
        if following.kind == "name" and (not rest or rest[0].name == "settings"):
            end = rest[0].start if rest else len(text)
            return text[: token.start] + text[end:]
    return text
