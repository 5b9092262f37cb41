"""Pictures of the core's own tables: one turn of a replica, and who may write what."""

from docs.generator.drawing import COLOURS, Drawing
from docs.generator.runs import paper_name
from pbft.core.protocol.admission import HANDLERS
from pbft.core.replica import CLOSING, RULES, Rule
from pbft.core.state.replica_state import WRITERS

LINE = 17.0
COLUMN = 236.0
CELL = 46.0


def module_of(function: object) -> str:
    """The last part of its module's name."""
    return getattr(function, "__module__", "").rpartition(".")[2]


def turn() -> str:
    """Handlers absorb, rules act, closing rules send: the three tables, in the code's order."""
    drawing = Drawing(3 * COLUMN + 20, "One turn of a replica")
    colours = _colours()
    handlers = [
        (f"{paper_name(kind.__name__)}", module_of(handler)) for kind, handler in HANDLERS.items()
    ]
    columns = (
        ("ABSORB, by message", handlers),
        ("ACT, in order, until none acts", _named(RULES)),
        ("then once", _named(CLOSING)),
    )
    for index, (heading, rows) in enumerate(columns):
        x = index * COLUMN + 10
        drawing.text(x, 16, heading, bold=True)
        for row, (name, module) in enumerate(rows):
            y = 30 + row * (LINE + 5)
            drawing.box(x, y, COLUMN - 26, LINE, colours[module])
            drawing.text(x + 6, y + 12.5, name, size=11)
            drawing.text(
                x + COLUMN - 32, y + 12.5, module, size=10, anchor="end", colour=colours[module]
            )
        if index:
            drawing.arrow((x - 22, 38), (x - 4, 38), "currentColor")
    return drawing.render()


def writers() -> str:
    """A row for each part of the state, a column for each module that may change it."""
    modules = sorted({each for allowed in WRITERS.values() for each in allowed})
    colours = _colours()
    left, top = 130.0, 104.0
    drawing = Drawing(left + CELL * len(modules) + 60, "Who may write which part of the state")
    for column, module in enumerate(modules):
        x = left + column * CELL + CELL / 2
        for row, part in enumerate(module.split("_")):
            drawing.text(x, top - 34 + 12 * row - 28 * (column % 2), part, size=10, anchor="middle")
        drawing.line((x, top - 8), (x, top + LINE * len(WRITERS)), faint=True)
    for row, (noun, allowed) in enumerate(WRITERS.items()):
        y = top + row * LINE + LINE / 2
        drawing.text(left - 8, y + 4, noun, anchor="end", size=11)
        drawing.line((left, y), (left + CELL * len(modules), y), faint=True)
        for column, module in enumerate(modules):
            if module in allowed:
                drawing.dot(left + column * CELL + CELL / 2, y, colours.get(module, COLOURS[0]))
    return drawing.render()


def _named(rules: tuple[Rule, ...]) -> list[tuple[str, str]]:
    return [(rule.__name__.replace("_", " "), module_of(rule)) for rule in rules]


def _colours() -> dict[str, str]:
    modules = dict.fromkeys(module_of(each) for each in (*RULES, *CLOSING, *HANDLERS.values()))
    return {module: COLOURS[index % len(COLOURS)] for index, module in enumerate(modules)}
