// What a recording holds, which part of it is shown, and where a time is on the screen.
// The three scripts are one: `page.py` puts them together, in this order, inside a function.
const byId = (id) => document.getElementById(id);
const recording = JSON.parse(byId("recording").textContent);
const { lanes, kinds, contents, end } = recording;
const arrows = recording.arrows
  .map(([source, target, sent, arrived, kind, fate, content]) => ({ source, target, sent, arrived, kind, fate, content }))
  .sort((a, b) => a.sent - b.sent);
const spans = recording.spans.map(([lane, begin, end, kind, text, content]) => ({ lane, begin, end, kind, text, content }));
const marks = recording.marks.map(([lane, at, kind, text]) => ({ lane, at, kind, text }));
const FATES = {
  arrived: "", lost: "lost on the way", cut: "cut off by a partition",
  down: "its receiver was down", unseen: "its end was not recorded",
};
const QUIET = new Set(["Status", "Witness"]);  // so many that they hide the rest: off at first
const GUTTER = 128, AXIS = 34, REPLICA = 84, CLIENT = 52, BAND = 20, CLOSEST = 20e3;
const travels = arrows.filter((each) => each.arrived > each.sent).map((each) => each.arrived - each.sent).sort((a, b) => a - b);
const typical = travels[travels.length >> 1] || 1e6;  // ns: also how long an arrow without an end is
const longest = Math.max(typical, travels[travels.length - 1] || 0);
const usual = Math.max(4 * typical, 1e5);  // a pause above is a long one
const everybody = -1;

function until(arrow) { return arrow.arrived === null ? arrow.sent + typical : arrow.arrived; }

// -- state ----------------------------------------------------------------------------------

const canvas = byId("lanes"), overview = byId("overview");
const shown = kinds.map((kind) => !QUIET.has(kind));
const order = [...lanes.keys()].sort((a, b) => lanes[a].replica - lanes[b].replica || a - b);
const tops = [];
let height = AXIS;
for (const lane of order) {
  tops[lane] = height;
  height += lanes[lane].replica ? REPLICA : CLIENT;
}
height += 10;
let selected = null, colours = {}, skipping = true;

// -- time on the screen -----------------------------------------------------------------------

// Runs are quiet most of the time. A pause that is much longer than a message takes is shown
// shorter: `knots` are places where time and its length on the screen ("drawn time") are known,
// and between two of them both go on evenly.
let knots, pauses, from, to;

function measure() {
  const times = [0, end];
  for (const each of arrows) if (shown[each.kind]) times.push(each.sent, Math.min(until(each), end));
  for (const each of marks) times.push(each.at);
  times.sort((a, b) => a - b);
  knots = [[0, 0]];
  pauses = [];
  for (const time of times) {
    const [before, drawn] = knots[knots.length - 1], gap = time - before;
    if (gap <= 0) continue;
    const long = skipping && gap > usual;
    knots.push([time, drawn + (long ? usual * (1 + 0.4 * Math.log2(gap / usual)) : gap)]);
    if (long && gap > 2 * usual) pauses.push([before, time]);
  }
}

function between(value, at, other) {
  let low = 0, high = knots.length - 1;
  if (value <= knots[0][at]) return value - knots[0][at] + knots[0][other];
  if (value >= knots[high][at]) return value - knots[high][at] + knots[high][other];
  while (high - low > 1) {
    const half = (low + high) >> 1;
    if (knots[half][at] <= value) low = half; else high = half;
  }
  const [a, b] = [knots[low], knots[high]];
  return a[other] + ((value - a[at]) / (b[at] - a[at])) * (b[other] - a[other]);
}

const drawnAt = (time) => between(time, 0, 1);
const timeOf = (drawn) => between(drawn, 1, 0);

// Without the quiet kinds: before the first call they are all there is.
function whole() {
  const first = arrows.find((each) => shown[each.kind]);
  const begin = drawnAt(first ? first.sent : 0), finish = drawnAt(end);
  const room = Math.max(finish - begin, CLOSEST) * 0.02;
  return [begin - room, finish + room];
}

// Measure anew, with the same part of the run in view.
function remeasure(change) {
  const times = [timeOf(from), timeOf(to)];
  change();
  measure();
  show(...times.map(drawnAt));
}

const middle = (lane) => tops[lane] + (lanes[lane].replica ? REPLICA : CLIENT) / 2;
const width = () => canvas.clientWidth;
const x = (time) => GUTTER + ((drawnAt(time) - from) / (to - from)) * (width() - GUTTER);
const drawnUnder = (px) => from + ((px - GUTTER) / (width() - GUTTER)) * (to - from);
const timeAt = (px) => timeOf(drawnUnder(px));
const seconds = (time, digits = 3) => (time / 1e9).toFixed(digits) + " s";

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue("--" + name).trim();
  colours = { kinds: kinds.map((kind) => read(kind) || read("other")), views: [0, 1, 2, 3, 4, 5].map((n) => read("view-" + n)) };
  for (const name of ["back", "panel", "text", "soft", "line", "bad", "accent", "down", "moving", "partition", "Request"]) colours[name] = read(name);
}
