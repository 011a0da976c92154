import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.embedded.clickhouse.statements import (
    REFUSED_NAMES,
    StatementRefused,
    check,
    client_insert,
    tokens,
    without_format,
)

spaces = st.sampled_from([" ", "\n", "\t ", " /* file */ ", " -- outfile\n", "/**/"])
quotes = st.sampled_from(["{}", "`{}`", '"{}"'])


def spelled(name: str, upper: list[bool]) -> str:
    return "".join(
        letter.upper() if up else letter for letter, up in zip(name, upper, strict=False)
    )


@given(st.sampled_from(sorted(REFUSED_NAMES)), st.data())
def test_a_refused_name_is_found_however_it_is_written(name: str, data: st.DataObject) -> None:
    size = len(name)
    upper = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    written = data.draw(quotes).format(spelled(name, upper))
    before, after = data.draw(spaces), data.draw(spaces)
    for statement in (
        f"SELECT{before}{written}{after}('/etc/passwd')",
        f"SELECT * APPLY({written}) FROM t",
        f"SELECT arrayMap({written},{after}['/etc/passwd'])",
        f"INSERT INTO t VALUES ({written}{after}('/etc/passwd'))",
        f"CREATE VIEW v AS SELECT 'it''s', {written}(x){after}FROM t",
    ):
        with pytest.raises(StatementRefused):
            check(tokens(statement))


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = tokens(text)
        check(found)
        client_insert(text, found)
        without_format(text, found)
    except StatementRefused:
        return


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'file', \"files\", 'INTO OUTFILE' FROM profile -- file('x')",
        "SELECT file_name, toString(1) FROM t WHERE x = $$file('x')$$",
        "SELECT 1;",
        "SELECT disk_name FROM system.parts",
    ],
)
def test_what_only_looks_like_it_passes(statement: str) -> None:
    check(tokens(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1; DROP TABLE t",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        "SELECT `fi\\x6ce`('/etc/passwd')",
        "SELECT /* /* */ file('x') */ 1",
        "SELECT 'never ends",
        "SELECT `never ends",
        "SELECT 1 /* never ends",
        "CREATE TABLE t (a Int8) ENGINE = Executable('x', 'TSV')",
        "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = web)",
        "CREATE DATABASE d ENGINE = DataLakeCatalog('http://127.0.0.1')",
    ],
)
def test_what_reaches_out_or_cannot_be_read_is_refused(statement: str) -> None:
    with pytest.raises(StatementRefused):
        check(tokens(statement))


@pytest.mark.parametrize(
    ("statement", "table", "columns"),
    [
        ("INSERT INTO t VALUES", "t", "*"),
        ("insert into saqshy.`my t` (a, `b`) values;", "saqshy.`my t`", "a, `b`"),
        ("INSERT INTO TABLE t (a)\nSETTINGS x=1, y='VALUES' /* c */ VALUES", "t", "a"),
        ("INSERT INTO t (a) FORMAT Native", "t", "a"),
    ],
)
def test_an_insert_of_the_clients_rows_is_taken_apart(
    statement: str, table: str, columns: str
) -> None:
    insert = client_insert(statement, tokens(statement))
    assert insert is not None
    assert (insert.table, insert.columns) == (table, columns)
    assert statement.startswith(insert.into + insert.settings)
    assert "values" not in (insert.into + insert.settings).lower().replace("'values'", "")
    assert "SETTINGS" not in insert.into


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t SELECT 1",
        "INSERT INTO t (a) SELECT a FROM u",
        "INSERT INTO t (SELECT 1)",
        "INSERT INTO t (a) WITH 1 AS x SELECT x",
        "INSERT",
    ],
)
def test_other_statements_are_no_insert_of_the_clients_rows(statement: str) -> None:
    assert client_insert(statement, tokens(statement)) is None


def test_a_format_at_the_end_is_left_out() -> None:
    for statement, left in (
        ("SELECT 1 FORMAT TSV", "SELECT 1 "),
        ("SELECT format('{}', a) FROM t", "SELECT format('{}', a) FROM t"),
        ("SELECT 1 FORMAT JSON SETTINGS x = 1", "SELECT 1 SETTINGS x = 1"),
        ("SELECT 1", "SELECT 1"),
    ):
        assert without_format(statement, tokens(statement)) == left
