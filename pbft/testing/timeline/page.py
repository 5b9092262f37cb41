"""One HTML file of a recording: all that it needs is in it, and it may reach nothing else.

What replicas and clients have said is data in it, never markup or code: it stands in a block that
no `</script>` can end, and the page puts it on the screen as text. The policy of the page names the
digests of its own style and script, and allows nothing beside them.
"""

import html
from base64 import b64encode
from hashlib import sha256
from importlib import resources
from pathlib import Path

import msgspec

from pbft.testing.planfiles import write as write_file
from pbft.testing.timeline.recording import Recording

SCRIPTS = ("time.js", "draw.js", "act.js")
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; style-src {0}; script-src {1}"


def render(recording: Recording) -> str:
    """The page."""
    style, script = _resource("page.css"), _script()
    values = {
        "policy": POLICY.format(_source(style), _source(script)),
        "title": html.escape(recording.title),
        "story": _story(recording),
        "style": style,
        "script": script,
        "data": _embedded(recording),
    }
    page = _resource("page.html")
    head, *rest = page.split("{{")
    return head + "".join(_filled(part, values) for part in rest)


def write(path: Path, recording: Recording) -> None:
    """Put the page at `path`. Raises `PlanFileError`."""
    write_file(path, render(recording).encode())


def _script() -> str:
    parts = "".join(_resource(name) for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _filled(part: str, values: dict[str, str]) -> str:
    name, _, text = part.partition("}}")
    return values[name] + text


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _embedded(recording: Recording) -> str:
    """JSON without any `<`, so that nothing in it can end its block or begin another."""
    return msgspec.json.encode(recording).decode().replace("<", "\\u003c")


def _story(recording: Recording) -> str:
    """For readers without a script too."""
    items = []
    for line in recording.story:
        text, at = html.escape(line.text), ""
        if line.at is not None:
            at = f' <button type="button" data-at="{line.at}">{line.at / 1e9:.3f} s</button>'
        items.append(f'<li class="{html.escape(line.kind)}"><span>{text}</span>{at}</li>')
    return "\n".join(items)
