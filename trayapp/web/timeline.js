// The timeline of the last 24 hours: rows become segments, each with its period, state and reason.
//
// Colour, height and pattern each identify the state alone. Segments too narrow to be seen are merged with their
// neighbours, in the worst of their states. A timeline is six layers, however many segments it has; pointer and arrow
// keys find a segment by position. For screen readers it is a slider whose values are texts.

import { SPAN } from "./history.js";
import { clock, HOUR, length } from "./times.js";

const FINEST = SPAN / 240; // ms; 6 min, about 3 px
const WORST = ["red", "amber", "green", "blue", "grey", "gap"]; // blue comes after green, so that the second of a start doesn't hide a healthy hour
export const KIND_WORDS = {
  green: "Signed in",
  amber: "Retrying by itself",
  red: "Needed you",
  blue: "Starting or signing in",
  grey: "Paused",
  gap: "Asleep or not running",
};

// Rows, oldest first → [{from, to, kind, text, count}] within the last 24 hours; neighbours differ in kind.
export function segments(rows, now) {
  const begin = now - SPAN;
  const whole = [];
  for (const [i, row] of rows.entries()) {
    const from = Math.max(begin, row.at);
    const to = Math.min(now, rows[i + 1]?.at ?? now);
    if (to <= from) continue;
    const last = whole.at(-1);
    if (last && last.kind === row.kind && last.to >= from) Object.assign(last, { to, text: row.text || last.text });
    else whole.push({ from, to, kind: row.kind, text: row.text, count: 1 });
  }
  const made = together(whole);
  if (made.length) made.at(-1).open = true; // it is still going on
  return made;
}

function together(whole) {
  const made = [];
  for (const each of whole) {
    const last = made.at(-1);
    const narrow = each.to - each.from < FINEST;
    if (last && last.to === each.from && narrow && last.to - last.from < FINEST) absorb(last, each);
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
  const until = open ? "now" : clock(to, now);
  const when = `${clock(from, now)} to ${until} (${length(to - from)})`;
  const what = count > 1 ? `${count} changes, at worst: ${KIND_WORDS[kind]}` : KIND_WORDS[kind];
  return { when, what, why: text ?? "" };
}

// The whole timeline in one sentence, for those who don't step through it.
export function outline(found) {
  const sums = new Map();
  for (const { kind, from, to } of found) sums.set(kind, (sums.get(kind) ?? 0) + to - from);
  const parts = WORST.filter((kind) => sums.has(kind)).map((kind) => `${KIND_WORDS[kind].toLowerCase()} ${length(sums.get(kind))}`);
  return parts.length ? `Last 24 hours: ${parts.join(", ")}.` : "Nothing is known of the last 24 hours.";
}

// The clip path of all segments of one kind: rectangles in per cent, joined along the bottom edge.
function outlineOf(found, kind, now) {
  const points = [];
  for (const { from, to, kind: its } of found) {
    if (its !== kind) continue;
    const right = Math.max(percent(to, now), 0.3);
    const left = Math.min(percent(from, now), right - 0.3); // even a moment is visible
    const [x1, x2] = [left.toFixed(2), right.toFixed(2)];
    points.push(`${x1}% 100%,${x1}% 0,${x2}% 0,${x2}% 100%`);
  }
  return points.length ? `polygon(${points.join()})` : "";
}

// Draw into `box`: one layer per kind, clipped to the shape of its segments, whatever their number.
export function draw(box, found, now) {
  box.segments = found;
  if (!box.querySelector(".seg")) {
    // The worst is on top, so that segments drawn wider than they are hide nothing more important.
    box.append(...[...WORST].reverse().map(layer));
  }
  for (const each of box.querySelectorAll(".seg")) {
    const shape = outlineOf(found, each.dataset.kind, now);
    each.hidden = !shape;
    if (each.style.clipPath !== shape) each.style.clipPath = shape;
  }
  select(box, Math.min(box.chosen ?? Infinity, found.length - 1), now, box.chosen === undefined || box.chosen >= found.length - 1);
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
  const words = segment ? spoken(segment, now) : "Nothing is known yet";
  if (box.ariaValueText !== words) box.ariaValueText = words;
  if (!segment) return;
  cursor.style.left = `${percent(segment.from, now)}%`;
  cursor.style.width = `${((segment.to - segment.from) / SPAN) * 100}%`;
}

function spoken(segment, now) {
  const { when, what, why } = describe(segment, now);
  return `${what}, ${when}${why ? `: ${why}` : ""}`;
}

// The index of the segment under the pointer, or -1.
export function under(box, x, now) {
  const { left, width } = box.getBoundingClientRect();
  const at = now - SPAN + ((x - left) / width) * SPAN;
  return (box.segments ?? []).findLastIndex(({ from }) => from <= at);
}

function percent(at, now) {
  return ((at - now + SPAN) / SPAN) * 100;
}

// The hours below the timeline: 0, 6, 12 and 18 o'clock, and now.
export function drawHours(into, now) {
  const first = new Date(now - SPAN);
  first.setMinutes(0, 0, 0);
  const wanted = [];
  for (let at = first.getTime(); at < now - 1.4 * HOUR; at += HOUR) {
    if (at > now - SPAN + HOUR / 2 && new Date(at).getHours() % 6 === 0) wanted.push([at, `${String(new Date(at).getHours()).padStart(2, "0")}:00`]);
  }
  wanted.push([now, "now"]);
  while (into.children.length > wanted.length) into.lastElementChild.remove();
  while (into.children.length < wanted.length) into.append(document.createElement("span"));
  for (const [i, [at, text]] of wanted.entries()) {
    const mark = into.children[i];
    mark.style.left = `${percent(at, now)}%`;
    if (mark.textContent !== text) mark.textContent = text;
  }
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
