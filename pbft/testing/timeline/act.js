// What people do: move, zoom, choose, filter. What was recorded reaches the page as text only.
// -- what is shown --------------------------------------------------------------------------

function show(begin, finish) {
  const least = Math.max(finish - begin, CLOSEST), room = 0.05 * drawnAt(end);
  const [first, last] = [-room, drawnAt(end) + room];
  const span = Math.min(least, last - first);
  from = Math.min(Math.max((begin + finish - span) / 2, first), last - span);
  to = from + span;
  draw();
}

function zoom(factor, around = (from + to) / 2) {
  show(around - (around - from) * factor, around + (to - around) * factor);
}

const pan = (part) => show(from + (to - from) * part, to + (to - from) * part);

function choose(thing) {
  selected = thing;
  const detail = byId("detail");
  detail.replaceChildren();
  delete canvas.dataset.selected;
  if (!thing) {
    say(detail, "p", "Click an arrow, a call or a band. n and p go from message to message.");
  } else if (thing.source !== undefined) {
    chooseArrow(detail, thing);
  } else {
    say(detail, "h3", thing.lane === everybody ? thing.kind : `${lanes[thing.lane].name}: ${thing.kind}`);
    say(detail, "p", thing.at === undefined ? `${seconds(thing.begin, 6)} to ${seconds(thing.end, 6)}` : seconds(thing.at, 6));
    say(detail, "pre", thing.content >= 0 ? contents[thing.content] : thing.text);
  }
  draw();
}

function chooseArrow(detail, arrow) {
  const at = drawnAt(arrow.sent), half = (to - from) / 2;
  if (at < from || drawnAt(until(arrow)) > to) show(at - half, at + half);
  say(detail, "h3", kinds[arrow.kind]);
  say(detail, "p", `${lanes[arrow.source].name} → ${lanes[arrow.target].name}`);
  say(detail, "p", `sent at ${seconds(arrow.sent, 6)}` + (arrow.arrived === null ? "" : `, arrived ${((arrow.arrived - arrow.sent) / 1e6).toFixed(3)} ms later`));
  if (FATES[arrow.fate]) say(detail, "p", FATES[arrow.fate]).className = "bad";
  say(detail, "pre", contents[arrow.content]);
  const [x0, y0, x1, y1] = ends(arrow);
  canvas.dataset.selected = `${(x0 + x1) / 2},${(y0 + y1) / 2}`;
}

function say(parent, tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return parent.appendChild(made);
}

function step(by) {
  const found = arrows.filter((each) => shown[each.kind]);
  const at = found.indexOf(selected);
  const next = at < 0 ? found.find((each) => drawnAt(each.sent) >= from) : found[at + by];
  if (next) choose(next);
}

// -- finding what is under the pointer --------------------------------------------------------

function distance(px, py, [x0, y0, x1, y1]) {
  const dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
  const part = length ? Math.max(0, Math.min(1, ((px - x0) * dx + (py - y0) * dy) / length)) : 0;
  return Math.hypot(px - x0 - part * dx, py - y0 - part * dy);
}

function under(px, py) {
  const on = marks.find((mark) => mark.kind !== "executed" && mark.lane !== everybody && Math.abs(x(mark.at) - px) < 6 && Math.abs(middle(mark.lane) - BAND / 2 - 8 - py) < 8);
  if (on) return on;
  let best = null, nearest = 7;
  for (const arrow of visible()) {
    const away = distance(px, py, ends(arrow));
    if (away < nearest) [best, nearest] = [arrow, away];
  }
  if (best) return best;
  const time = timeAt(px), close = timeAt(px + 4) - time;
  const tick = marks.find((mark) => mark.lane !== everybody && Math.abs(mark.at - time) < close && py > middle(mark.lane) && py < middle(mark.lane) + 26);
  return tick || spans.find((span) => span.lane !== everybody && span.begin <= time && time <= span.end && Math.abs(middle(span.lane) - py) < BAND / 2)
    || spans.find((span) => span.lane === everybody && span.begin <= time && time <= span.end && py > AXIS - 12) || null;
}

// -- input ----------------------------------------------------------------------------------

function listen() {
  let start = null;
  const local = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", (event) => { start = { x: event.clientX, from, to, moved: false }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (!start) return;
    const by = event.clientX - start.x;
    if (Math.abs(by) > 3) start.moved = true;
    if (!start.moved) return;
    canvas.classList.add("dragging");
    const time = (by / (width() - GUTTER)) * (start.to - start.from);
    show(start.from - time, start.to - time);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (start && !start.moved) choose(under(...local(event)));
    start = null;
    canvas.classList.remove("dragging");
  });
  canvas.addEventListener("dblclick", (event) => zoom(0.4, drawnUnder(local(event)[0])));
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) zoom(Math.exp(event.deltaY * 0.002), drawnUnder(local(event)[0]));
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX || event.deltaY) / width());
    else return;
    event.preventDefault();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const act = {
      ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1.6),
      0: () => show(...whole()), n: () => step(1), p: () => step(-1), Escape: () => choose(null),
    }[event.key];
    if (act && !event.ctrlKey && !event.metaKey) { act(); event.preventDefault(); }
  });
  const move = (event) => {
    if (!event.buttons) return;
    const at = drawnAt(((event.offsetX - GUTTER) / (overview.clientWidth - GUTTER)) * end), half = (to - from) / 2;
    show(at - half, at + half);
  };
  overview.addEventListener("pointerdown", move);
  overview.addEventListener("pointermove", move);
  const clicks = { closer: () => zoom(0.5), farther: () => zoom(2), all: () => show(...whole()), before: () => step(-1), after: () => step(1), pauses: (event) => remeasure(() => { skipping = !skipping; event.target.setAttribute("aria-pressed", skipping); }) };
  for (const [id, act] of Object.entries(clicks)) byId(id).addEventListener("click", act);
  for (const button of document.querySelectorAll("#story button")) {
    button.addEventListener("click", () => { const at = drawnAt(Number(button.dataset.at)); show(at - 6 * usual, at + 6 * usual); canvas.focus(); });
  }
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); makeLegend(); draw(); });
}

// As a request meets them; what is not of every day comes last.
const USUAL = ["Request", "Proposal", "Prepare", "Commit", "Reply", "Checkpoint", "ViewChange", "NewView"];
const place = (kind) => (USUAL.indexOf(kind) + USUAL.length + 1) % (USUAL.length + 1);

function makeLegend() {
  const legend = byId("legend"), counts = kinds.map(() => 0);
  arrows.forEach((arrow) => counts[arrow.kind]++);
  legend.replaceChildren();
  for (const at of [...kinds.keys()].sort((a, b) => place(kinds[a]) - place(kinds[b]))) {
    const kind = kinds[at];
    const button = say(legend, "button", "");
    button.type = "button";
    button.setAttribute("aria-pressed", shown[at]);
    button.dataset.kind = kind;
    say(button, "i", "").style.background = colours.kinds[at];
    button.append(kind);
    say(button, "small", counts[at]);
    button.addEventListener("click", () => {
      remeasure(() => { shown[at] = !shown[at]; });
      button.setAttribute("aria-pressed", shown[at]);
    });
  }
}

const left = recording.left_out ? ` (the ${recording.left_out.toLocaleString("en")} before them are left out)` : "";
byId("size").textContent = `${arrows.length.toLocaleString("en")} messages${left}, ${seconds(end)}`;
readColours();
measure();
[from, to] = whole();
makeLegend();
listen();
choose(null);
paint();
