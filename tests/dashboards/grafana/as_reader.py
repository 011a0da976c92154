"""Run as a program of its own: statements (a JSON list on standard input) on the engine at FOLDER, as a
user with these GRANTS; prints for each its answer or its error. The engine knows users only from its
configuration, so the owner makes the tables in one run and the reader asks in another."""

import json
import sys
from pathlib import Path

import chdb

USERS = """<clickhouse>
<profiles><default/></profiles>
<users>
  <default><password></password><networks><ip>::/0</ip></networks>
    <profile>default</profile><quota>default</quota>
    <grants>{grants}</grants></default>
  <owner><no_password/><networks><ip>::/0</ip></networks>
    <profile>default</profile><quota>default</quota></owner>
</users>
<quotas><default/></quotas>
</clickhouse>"""


def main(folder: Path, grants: list[str]) -> None:
    text = "".join(f"<query>{grant}</query>" for grant in grants)
    (folder / "users.xml").write_text(USERS.format(grants=text))
    (folder / "config.xml").write_text(
        f"<clickhouse><path>{folder}/data</path>"
        f"<users_config>{folder}/users.xml</users_config></clickhouse>"
    )
    connection = chdb.connect(f"{folder}/data?config-file={folder}/config.xml")
    answers = []
    for statement in json.load(sys.stdin):
        try:
            answers.append(str(connection.query(statement)))
        except RuntimeError as error:
            answers.append(f"error: {error}")
    connection.close()
    print(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
