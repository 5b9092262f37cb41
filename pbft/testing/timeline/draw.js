// The picture. A canvas, since twenty thousand arrows as elements are too many.
function sized(target, tall) {
  const scale = window.devicePixelRatio || 1, wide = target.clientWidth;
  if (target.width !== Math.round(wide * scale) || target.height !== Math.round(tall * scale)) {
    target.width = Math.round(wide * scale);
    target.height = Math.round(tall * scale);
    target.style.height = tall + "px";
  }
  const g = target.getContext("2d");
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, wide, tall);
  return g;
}

let waiting = false, now;
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; paint(); });
}

function paint() {
  const g = sized(canvas, height);
  g.font = "12px system-ui, sans-serif";
  g.textBaseline = "middle";
  g.save();
  g.beginPath();
  g.rect(GUTTER, 0, width() - GUTTER, height);
  g.clip();
  now = { from: timeOf(from), to: timeOf(to) };
  drawPauses(g);
  drawPartitions(g);
  drawAxis(g);
  for (const lane of order) {
    g.fillStyle = colours.line;
    g.fillRect(GUTTER, middle(lane), width(), 1);
  }
  spans.forEach((span) => { if (span.lane !== everybody) drawSpan(g, span); });
  const drawn = drawArrows(g);
  drawMarks(g);
  g.restore();
  drawNames(g);
  drawOverview();
  byId("range").textContent = `${seconds(Math.max(now.from, 0))} to ${seconds(now.to)}`;
  canvas.dataset.arrows = drawn;
  canvas.dataset.lanes = order.length;
}

function drawPauses(g) {
  g.textAlign = "center";
  for (const [begin, finish] of pauses) {
    const left = x(begin), right = x(finish);
    if (right < GUTTER || left > width()) continue;
    g.fillStyle = colours.back;
    g.fillRect(left, AXIS - 8, right - left, height);
    const text = `${((finish - begin) / 1e6).toFixed(0)} ms`;
    if (g.measureText(text).width > right - left - 4) continue;
    g.fillStyle = colours.soft;
    g.fillText(text, (left + right) / 2, height - 9);
  }
}

// A time about every 130 pixels.
function drawAxis(g) {
  g.textAlign = "center";
  for (let px = GUTTER + 50; px < width(); px += 130) {
    const time = timeAt(px), local = (timeAt(px + 1) - time) * 20;
    if (time < 0 || time > end) continue;
    const digits = Math.max(1, Math.min(6, 9 - Math.floor(Math.log10(local))));
    const round = Math.round(time / 10 ** (9 - digits)) * 10 ** (9 - digits);
    g.fillStyle = colours.line;
    g.fillRect(x(round), AXIS - 8, 1, height);
    g.fillStyle = colours.soft;
    g.fillText(seconds(round, digits), x(round), 12);
  }
}

function drawPartitions(g) {
  for (const span of spans) {
    if (span.kind !== "partition" || span.end < now.from || span.begin > now.to) continue;
    const left = Math.max(x(span.begin), GUTTER), right = Math.min(x(span.end), width());
    const top = middle(order.find((lane) => lanes[lane].replica)) - REPLICA / 2;
    g.save();
    g.globalAlpha = 0.12;
    g.fillStyle = colours.partition;
    g.fillRect(left, top, Math.max(right - left, 2), height);
    g.restore();
    label(g, span.text, left + 6, top + 10, right - left, colours.partition);
  }
}

// Text at `left`, where it fits into `room`.
function label(g, text, left, top, room, colour) {
  g.textAlign = "left";
  g.fillStyle = colour;
  if (g.measureText(text).width + 8 <= room) g.fillText(text, left, top);
}

function drawSpan(g, span) {
  if (span.end < now.from || span.begin > now.to) return;
  const left = Math.max(x(span.begin), GUTTER), right = Math.min(x(span.end), width());
  const wide = Math.max(right - left, 1), top = middle(span.lane) - BAND / 2;
  if (span.kind === "call") return drawCall(g, span, left, wide);
  const view = Number(span.text.split(" ").pop());
  g.fillStyle = span.kind === "view" ? colours.views[view % colours.views.length] : colours.panel;
  g.fillRect(left, top, wide, BAND);
  if (span.kind !== "view") hatched(g, left, top, wide, span.kind === "down" ? colours.down : colours.moving);
  const colour = span.kind === "down" ? colours.down : colours.text;
  if (wide > 30) backed(g, span.kind === "down" ? "down: " + span.text : span.text, left + 6, top + BAND / 2, wide, colour, span.kind !== "view");
}

function backed(g, text, left, top, room, colour, hide) {
  const wide = g.measureText(text).width;
  if (wide + 8 > room) return;
  if (hide) {
    g.fillStyle = colours.panel;
    g.fillRect(left - 3, top - 8, wide + 6, 16);
  }
  label(g, text, left, top, room, colour);
}

function hatched(g, left, top, wide, colour) {
  g.save();
  g.beginPath();
  g.rect(left, top, wide, BAND);
  g.clip();
  g.strokeStyle = colour;
  g.globalAlpha = 0.75;
  g.lineWidth = 2;
  g.beginPath();
  for (let at = left - BAND - (left % 8); at < left + wide; at += 8) {
    g.moveTo(at, top + BAND);
    g.lineTo(at + BAND, top);
  }
  g.stroke();
  g.strokeRect(left, top, wide, BAND);
  g.restore();
}

function drawCall(g, span, left, wide) {
  const top = middle(span.lane) - 9;
  g.fillStyle = colours.line;
  g.fillRect(left, top, Math.max(wide - 1, 2), 18);
  if (selected === span) {
    g.strokeStyle = colours.accent;
    g.strokeRect(left, top, wide - 1, 18);
  }
  label(g, span.text, left + 4, middle(span.lane), wide, colours.text);
}

function visible() {
  const found = [], [begin, finish] = [timeOf(from), timeOf(to)];
  let low = 0, high = arrows.length;
  while (low < high) {
    const half = (low + high) >> 1;
    if (arrows[half].sent < begin - longest) low = half + 1; else high = half;
  }
  for (; low < arrows.length && arrows[low].sent <= finish; low++) {
    if (shown[arrows[low].kind] && until(arrows[low]) >= begin) found.push(arrows[low]);
  }
  return found;
}

// From the edge of one lane's band to the edge of the other's; part of the way where it is lost.
function ends(arrow) {
  const down = middle(arrow.target) > middle(arrow.source) ? 1 : -1;
  const edge = (lane) => (lanes[lane].replica ? BAND / 2 : 9);
  const x0 = x(arrow.sent), x1 = x(until(arrow));
  const y0 = middle(arrow.source) + down * edge(arrow.source), y1 = middle(arrow.target) - down * edge(arrow.target);
  const part = arrow.fate === "lost" || arrow.fate === "cut" ? 0.55 : 1;
  return [x0, y0, x0 + (x1 - x0) * part, y0 + (y1 - y0) * part];
}

function drawArrows(g) {
  const found = visible();
  const faint = Math.min(0.9, Math.max(0.12, 260 / found.length));
  for (const arrow of found) {
    const same = selected && selected.content === arrow.content && selected.kind === arrow.kind;
    g.globalAlpha = arrow === selected || same ? 1 : selected ? faint * 0.45 : faint;
    g.strokeStyle = g.fillStyle = colours.kinds[arrow.kind];
    g.lineWidth = arrow === selected ? 3 : same ? 2 : 1.2;
    drawArrow(g, arrow, found.length < 4000);
  }
  g.globalAlpha = 1;
  g.setLineDash([]);
  return found.length;
}

function drawArrow(g, arrow, heads) {
  const [x0, y0, x1, y1] = ends(arrow);
  g.setLineDash(arrow.fate === "arrived" ? [] : [5, 3]);
  g.beginPath();
  g.moveTo(x0, y0);
  g.lineTo(x1, y1);
  g.stroke();
  if (!heads) return;
  g.setLineDash([]);
  if (arrow.fate === "arrived" || arrow.fate === "unseen") {
    const angle = Math.atan2(y1 - y0, x1 - x0);
    g.beginPath();
    g.moveTo(x1, y1);
    g.lineTo(x1 - 7 * Math.cos(angle - 0.4), y1 - 7 * Math.sin(angle - 0.4));
    g.lineTo(x1 - 7 * Math.cos(angle + 0.4), y1 - 7 * Math.sin(angle + 0.4));
    g.fill();
  } else {
    g.strokeStyle = colours.bad;
    g.beginPath();
    g.moveTo(x1 - 4, y1 - 4);
    g.lineTo(x1 + 4, y1 + 4);
    g.moveTo(x1 - 4, y1 + 4);
    g.lineTo(x1 + 4, y1 - 4);
    g.stroke();
  }
}

function drawMarks(g) {
  const taken = {}, violations = new Map();
  for (const mark of marks) {
    if (mark.at < now.from || mark.at > now.to) continue;
    const at = x(mark.at);
    if (mark.kind === "violation") {
      const names = violations.get(Math.round(at)) || new Set();
      violations.set(Math.round(at), names.add(mark.text.split(":")[0]));
    } else if (mark.lane !== everybody && mark.kind === "executed") {
      g.fillStyle = colours.text;
      g.fillRect(at, middle(mark.lane) + BAND / 2 - 5, 1.5, 8);
      const number = mark.text.split(" ")[1].replace(":", "");
      if (!(at < taken[mark.lane])) {
        g.textAlign = "left";
        g.fillText(number, at + 3, middle(mark.lane) + BAND / 2 + 8);
        taken[mark.lane] = at + g.measureText(number).width + 6;
      }
    } else if (mark.kind === "fault" || mark.kind === "evidence") {
      const y = mark.lane === everybody ? AXIS : middle(mark.lane) - BAND / 2 - 4;
      g.fillStyle = mark.kind === "fault" ? colours.down : colours.bad;
      g.beginPath();
      g.moveTo(at - 5, y - 8);
      g.lineTo(at + 5, y - 8);
      g.lineTo(at, y);
      g.fill();
    }
  }
  let free = 0;
  violations.forEach((names, at) => { free = drawViolation(g, at, [...names].join(", "), free); });
}

// A red line through all lanes, and a flag at its top where there is room for one.
function drawViolation(g, at, text, free) {
  const wide = g.measureText(text).width + 12, left = at + wide > width() ? at - wide : at;
  g.fillStyle = colours.bad;
  g.fillRect(at - 1, AXIS - 12, 2, height);
  if (left < free) return free;
  g.fillRect(left, AXIS - 12, wide, 18);
  g.fillStyle = colours.panel;
  g.textAlign = "left";
  g.fillText(text, left + 6, AXIS - 3);
  return left + wide;
}

function drawNames(g) {
  g.textAlign = "left";
  for (const lane of order) {
    const { name, note } = lanes[lane];
    g.font = "600 13px system-ui, sans-serif";
    g.fillStyle = note ? colours.bad : colours.text;
    g.fillText(name, 12, middle(lane) - (note ? 8 : 0), GUTTER - 18);
    g.font = "12px system-ui, sans-serif";
    if (note) g.fillText(note, 12, middle(lane) + 9, GUTTER - 18);
  }
}

function drawOverview() {
  const tall = 36, g = sized(overview, tall), wide = overview.clientWidth - GUTTER;
  const bins = new Float64Array(Math.max(1, Math.floor(wide / 2)));
  for (const each of arrows) {
    if (shown[each.kind]) bins[Math.min(bins.length - 1, Math.floor((each.sent / end) * bins.length))]++;
  }
  const most = Math.max(1, ...bins);
  g.fillStyle = colours.soft;
  bins.forEach((count, at) => { if (count) g.fillRect(GUTTER + at * 2, tall, 1.5, -2 - (tall - 8) * Math.sqrt(count / most)); });
  const place = (time) => GUTTER + (Math.min(Math.max(time, 0), end) / end) * wide;
  g.fillStyle = colours.bad;
  marks.filter((mark) => mark.kind === "violation").forEach((mark) => g.fillRect(place(mark.at) - 1, 0, 2, tall));
  g.globalAlpha = 0.18;
  g.fillStyle = colours.accent;
  g.fillRect(place(now.from), 0, Math.max(3, place(now.to) - place(now.from)), tall);
  g.globalAlpha = 1;
  g.textBaseline = "middle";
  g.font = "12px system-ui, sans-serif";
  g.fillStyle = colours.soft;
  g.fillText("the whole run", 12, tall / 2);
}
