"""A SQLite database replicated among parties that do not trust each other.

Statements that could give another answer elsewhere are refused, and what fails changes nothing.
Run it: `python examples/database.py`.
"""

import asyncio

from pbft.services.databases import Database, RemoteDatabase
from pbft.services.sql_tables import SqlError
from pbft.testing.cluster.local import local_cluster


async def main() -> None:
    async with local_cluster(Database) as cluster, cluster.client() as client:
        database = RemoteDatabase(client)
        await database.run(
            "CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER CHECK (balance >= 0))"
        )
        for name, balance in (("Ann", 10), ("Bob", 5)):
            await database.run("INSERT INTO accounts VALUES (?, ?)", [name, balance])
        move = "UPDATE accounts SET balance = balance + ? WHERE name = ?"
        await database.run_all([(move, [-4, "Ann"]), (move, [4, "Bob"])])
        for statement in (
            "UPDATE accounts SET balance = balance - 100 WHERE name = 'Ann'",
            "INSERT INTO accounts VALUES ('Eve', random())",
            "SELECT datetime('now')",
        ):
            try:
                await database.run(statement)
            except SqlError as error:
                print(f"refused: {statement}\n  {error}")
        print("agreed:", await database.select("SELECT * FROM accounts ORDER BY name"))


if __name__ == "__main__":
    asyncio.run(main())
