"""What the embedded engine refuses: to reach files, the network or other programs. Pure.

The engine's own grants (config.py) are the first wall: this user has no source but tables. Here is what
grants don't cover: functions and statements that read or write files by themselves.
"""

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      (?P<comment>--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
    | (?P<string>'(?:\\.|''|[^'\\])*')
    | (?P<quoted>`(?:\\.|``|[^`\\])*`|"(?:\\.|""|[^"\\])*")
    | (?P<word>[A-Za-z_]\w*)
    | (?P<space>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_FUNCTIONS: Final = {
    *("file", "filecluster", "url", "urlcluster", "s3", "s3cluster", "gcs", "oss", "cosn", "hdfs"),
    *(
        "hdfscluster",
        "remote",
        "remotesecure",
        "cluster",
        "clusterallreplicas",
        "mysql",
        "postgresql",
    ),
    *("mongodb", "redis", "sqlite", "jdbc", "odbc", "executable", "python", "iceberg", "icebergs3"),
    *("iceberglocal", "deltalake", "deltalakelocal", "hudi", "azureblobstorage", "loop", "input"),
    *("azureblobstoragecluster", "ytsaurus", "arrowflight", "catboostevaluate"),
}
_STATEMENTS: Final = (
    ("into", "outfile"),
    ("from", "infile"),
    ("system", "shutdown"),
    ("system", "kill"),
    ("create", "dictionary"),
    ("create", "function"),
    ("create", "named"),
    ("backup", "table"),
    ("backup", "database"),
    ("backup", "all"),
    ("restore", "table"),
    ("restore", "database"),
    ("restore", "all"),
)
_ESCAPED: Final = re.compile(r"\\")


def refusal(query: str) -> str | None:
    """Why this statement is refused, or None. Judges words, whatever their case and quoting."""
    words = [
        (found.lastgroup or "", found[0])
        for found in _TOKEN.finditer(query)
        if found.lastgroup not in ("comment", "space")
    ]
    plain: list[str] = []
    for kind, word in words:
        if kind == "quoted":
            if _ESCAPED.search(word):
                return "an escaped identifier; write it plainly"
            word = word[1:-1]
        plain.append("''" if kind == "string" else word.lower())
    for at, word in enumerate(plain):
        after = plain[at + 1] if at + 1 < len(plain) else ""
        called = after == "(" or (at > 0 and plain[at - 1] in ("apply", "arraymap", "=>", ","))
        if word in _FUNCTIONS and words[at][0] != "string" and (called or after == ","):
            return f"the embedded engine doesn't reach outside: {word}() is refused"
        if (word, after) in _STATEMENTS and words[at][0] == "word":
            return f"the embedded engine doesn't reach outside: {word.upper()} {after.upper()} is refused"
    return None
