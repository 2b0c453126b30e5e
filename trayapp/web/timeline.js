// Timelines: rows of a history become segments, each with its period, state and reason.
//
// Colour, height and pattern each identify the state alone. Segments too narrow to be seen are merged with their
// neighbours, in the worst of their states. A timeline is six layers, however many segments it has; pointer and arrow
// keys find a segment by position. For screen readers it is a slider whose values are texts, or in a row an image.

import { DAY } from "./history.js";
import { axis, clock, length } from "./times.js";
import { KINDS, say, WORDS } from "./words.js";

const FINEST = 1 / 240; // of the whole, about 3 px
const WORST = ["red", "amber", "green", "blue", "grey", "gap"]; // blue comes after green, so that the second of a start doesn't hide a healthy hour
const APART = 56; // px between two labels of the axis

// Rows, oldest first → [{from, to, kind, text, count}] within the last `span` ms; neighbours differ in kind.
export function segments(rows, now, span = DAY) {
  const begin = now - span;
  const whole = [];
  for (const [i, row] of rows.entries()) {
    const from = Math.max(begin, row.at);
    const to = Math.min(now, rows[i + 1]?.at ?? now);
    if (to <= from) continue;
    const last = whole.at(-1);
    if (last && last.kind === row.kind && last.to >= from) Object.assign(last, { to, text: row.text || last.text });
    else whole.push({ from, to, kind: row.kind, text: row.text, count: 1 });
  }
  const made = together(whole, span * FINEST);
  if (made.length) made.at(-1).open = true; // it is still going on
  return made;
}

function together(whole, finest) {
  const made = [];
  for (const each of whole) {
    const last = made.at(-1);
    const narrow = each.to - each.from < finest;
    if (last && last.to === each.from && narrow && last.to - last.from < finest) absorb(last, each);
    else if (last && last.kind === each.kind && last.to === each.from) Object.assign(last, { to: each.to, text: each.text || last.text });
    else made.push({ ...each });
  }
  return made;
}

function absorb(into, each) {
  if (WORST.indexOf(each.kind) < WORST.indexOf(into.kind)) Object.assign(into, { kind: each.kind, text: each.text });
  Object.assign(into, { to: each.to, count: into.count + each.count });
}

// One segment as text.
export function describe(segment, now) {
  const { from, kind, text, count, open } = segment;
  const to = open ? now : segment.to;
  const when = say.spanFrom(clock(from, now), open ? say.now() : clock(to, now), length(to - from));
  return { when, what: count > 1 ? say.several(count, KINDS[kind]) : KINDS[kind], why: text ?? "" };
}

// The whole timeline in one sentence, for those who don't step through it.
export function outline(found, span = DAY) {
  const sums = new Map();
  for (const { kind, from, to } of found) sums.set(kind, (sums.get(kind) ?? 0) + to - from);
  const parts = WORST.filter((kind) => sums.has(kind)).map((kind) => `${KINDS[kind].toLowerCase()} ${length(sums.get(kind))}`);
  return say.outline(spanText(span), parts);
}

export function spanText(span) {
  return span === DAY ? "24 hours" : `${Math.round(span / DAY)} days`;
}

function percent(box, at, now) {
  const span = box.span ?? DAY;
  return ((at - now + span) / span) * 100;
}

// The clip path of all segments of one kind: rectangles in per cent, joined along the bottom edge.
function outlineOf(box, kind, now) {
  const points = [];
  for (const { from, to, kind: its } of box.segments) {
    if (its !== kind) continue;
    const right = Math.max(percent(box, to, now), 0.3);
    const left = Math.min(percent(box, from, now), right - 0.3); // even a moment is visible
    const [x1, x2] = [left.toFixed(2), right.toFixed(2)];
    points.push(`${x1}% 100%,${x1}% 0,${x2}% 0,${x2}% 100%`);
  }
  return points.length ? `polygon(${points.join()})` : "";
}

// Draw into `box`: one layer per kind, clipped to the shape of its segments, whatever their number. `box.span` is the
// period in ms, a day if it isn't set.
export function draw(box, found, now) {
  box.segments = found;
  if (!box.querySelector(".seg")) {
    // The worst is on top, so that segments drawn wider than they are hide nothing more important.
    box.append(...[...WORST].reverse().map(layer));
  }
  for (const each of box.querySelectorAll(".seg")) {
    const shape = outlineOf(box, each.dataset.kind, now);
    each.hidden = !shape;
    if (each.style.clipPath !== shape) each.style.clipPath = shape;
  }
  if (box.role === "slider") select(box, Math.min(box.chosen ?? Infinity, found.length - 1), now, box.chosen === undefined || box.chosen >= found.length - 1);
  else if (box.ariaLabel !== outline(found, box.span)) box.ariaLabel = outline(found, box.span);
}

function layer(kind) {
  const made = document.createElement("i");
  made.className = `seg ${kind}`;
  made.dataset.kind = kind;
  return made;
}

// Select a segment with the keyboard: a slider whose value is a text. `follow`: stay at the newest one.
export function select(box, index, now, follow = false) {
  const segment = box.segments?.[index];
  box.chosen = follow ? undefined : index;
  const cursor = box.querySelector(".at");
  cursor.hidden = !segment;
  const last = Math.max(0, (box.segments?.length ?? 1) - 1);
  const values = [last, Math.max(0, index)];
  if (`${box.ariaValueMax} ${box.ariaValueNow}` !== values.join(" ")) [box.ariaValueMax, box.ariaValueNow] = values.map(String);
  const words = segment ? spoken(segment, now) : WORDS.unknownHistory;
  if (box.ariaValueText !== words) box.ariaValueText = words;
  if (!segment) return;
  cursor.style.left = `${percent(box, segment.from, now)}%`;
  cursor.style.width = `${percent(box, segment.to, now) - percent(box, segment.from, now)}%`;
}

function spoken(segment, now) {
  const { when, what, why } = describe(segment, now);
  return `${what}, ${when}${why ? `: ${why}` : ""}`;
}

// The index of the segment under the pointer, or -1.
export function under(box, x, now) {
  const { left, width } = box.getBoundingClientRect();
  const span = box.span ?? DAY;
  const at = now - span + ((x - left) / width) * span;
  return (box.segments ?? []).findLastIndex(({ from }) => from <= at);
}

// Where in the window a segment's middle is.
export function middle(box, segment, now) {
  const { left, width } = box.getBoundingClientRect();
  return left + (percent(box, (segment.from + segment.to) / 2, now) / 100) * width;
}

// The times below the timeline, no two of them on each other, and now.
export function drawAxis(into, now, span) {
  const width = into.clientWidth || 640;
  const place = (at) => ((at - now + span) / span) * width;
  const wanted = [];
  for (const [at, text] of axis(now, span)) {
    const here = place(at);
    if (here < APART / 2 || here > width - APART || (wanted.length && here - place(wanted.at(-1)[0]) < APART)) continue;
    wanted.push([at, text]);
  }
  wanted.push([now, say.now()]);
  into.replaceChildren(
    ...wanted.map(([at, text]) => {
      const mark = document.createElement("span");
      mark.style.left = `${(place(at) / width) * 100}%`;
      mark.textContent = text;
      return mark;
    }),
  );
}

// Move along the segments with the keyboard; returns whether the key was handled.
export function walk(box, key, now) {
  const last = (box.segments?.length ?? 0) - 1;
  const here = box.chosen ?? last;
  const to = { ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1, Home: 0, End: last }[key];
  if (to === undefined) return false;
  select(box, Math.min(Math.max(to, 0), last), now);
  return true;
}
