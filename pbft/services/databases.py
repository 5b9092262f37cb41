"""A replicated SQLite database. `RemoteDatabase(client)` is the proxy.

    database = RemoteDatabase(client)
    await database.run("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
    await database.run("INSERT INTO people (name) VALUES (?)", ["Ann"])
    await database.select("SELECT * FROM people ORDER BY id")

What could give another answer at another replica is refused: random numbers, the clock, what
depends on a connection, statements that reach outside the database. A statement that runs for too
long is stopped after a fixed number of steps, at every replica. All replicas must have the same
build of SQLite (versions compute some functions, and processors some floats, in other ways), and
what a SELECT does not order comes in an order of its choice.
"""

from pbft.services.sql_tables import Outcome, Rows, SqlTables, Value
from pbft.typed.methods import command, query
from pbft.typed.proxy import BlockingProxy, Proxy


class Database:
    """One statement per call; each is a transaction."""

    def __init__(self) -> None:
        self.tables = SqlTables()

    @command
    def run(self, sql: str, parameters: list[Value] | None = None) -> Outcome:
        """A statement that may change rows or the schema. Raises `SqlError`."""
        return self.tables.run(sql, parameters)

    @command
    def run_all(self, statements: list[tuple[str, list[Value]]]) -> list[Outcome]:
        """Several statements as one transaction: all take effect, or none. Raises `SqlError`."""
        return [self.tables.run(sql, parameters) for sql, parameters in statements]

    @query
    def select(self, sql: str, parameters: list[Value] | None = None) -> Rows:
        """Rows, in the order that the statement asks for. Raises `SqlError`."""
        return self.tables.select(sql, parameters)

    @query
    def schema(self) -> list[str]:
        """The statements that make the tables, indexes and views there are, sorted."""
        return self.tables.schema()


class RemoteDatabase(Proxy, Database):
    """From asyncio."""


class BlockingDatabase(BlockingProxy, Database):
    """Without asyncio."""
