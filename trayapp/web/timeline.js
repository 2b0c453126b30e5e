// The line of the last 24 hours: rows become segments, segments become buttons that say from when to when, what and why.
//
// Colour, height and pattern each tell the kind by themselves. What would be too narrow to be seen is drawn together with
// its neighbours, in the worst of their kinds, so that a day of failing attempts is a few elements and not thousands.

import { SPAN } from "./history.js";
import { clock, HOUR, length } from "./times.js";

const FINEST = SPAN / 240; // ms; 6 min, about 3 px
const WORST = ["red", "amber", "blue", "green", "grey", "gap"];
export const KIND_WORDS = {
  green: "Signed in",
  amber: "Retrying by itself",
  red: "Needed you",
  blue: "Starting or signing in",
  grey: "Paused",
  gap: "Asleep or not running",
};

// Rows, oldest first → [{from, to, kind, text, count}] inside the last 24 hours; neighbours differ.
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
  return together(whole);
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

// One segment in words.
export function describe(segment, now) {
  const { from, to, kind, text, count } = segment;
  const until = to >= now ? "now" : clock(to, now);
  const when = `${clock(from, now)} to ${until} (${length(to - from)})`;
  const what = count > 1 ? `${count} changes, at worst: ${KIND_WORDS[kind]}` : KIND_WORDS[kind];
  return { when, what, why: text ?? "" };
}

// The whole line in one sentence, for those who do not walk through it.
export function outline(found) {
  const sums = new Map();
  for (const { kind, from, to } of found) sums.set(kind, (sums.get(kind) ?? 0) + to - from);
  const parts = WORST.filter((kind) => sums.has(kind)).map((kind) => `${KIND_WORDS[kind].toLowerCase()} ${length(sums.get(kind))}`);
  return parts.length ? `Last 24 hours: ${parts.join(", ")}.` : "Nothing is known of the last 24 hours.";
}

// Draw into `list`, an `ol`; what is there already is used again, so that focus stays where it is.
export function draw(list, found, now) {
  while (list.children.length > found.length) list.lastElementChild.remove();
  while (list.children.length < found.length) list.append(piece());
  for (const [i, segment] of found.entries()) {
    const item = list.children[i];
    const button = item.firstElementChild;
    item.style.left = `${percent(segment.from, now)}%`;
    item.style.width = `${((segment.to - segment.from) / SPAN) * 100}%`;
    const { when, what, why } = describe(segment, now);
    const label = `${what}, ${when}${why ? `: ${why}` : ""}`;
    if (button.className !== `seg ${segment.kind}`) button.className = `seg ${segment.kind}`;
    if (button.ariaLabel !== label) button.ariaLabel = label;
    button.segment = segment;
  }
  if (!list.querySelector("[tabindex='0']") && found.length) list.lastElementChild.firstElementChild.tabIndex = 0;
}

function piece() {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  item.append(button);
  return item;
}

function percent(at, now) {
  return ((at - now + SPAN) / SPAN) * 100;
}

// The hours below the line: 0, 6, 12 and 18 o'clock, and now.
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

// Arrow keys walk along the segments; one stop for the Tab key per line.
export function walk(event) {
  const button = event.target.closest(".seg");
  if (!button) return;
  const all = [...button.closest("ol").querySelectorAll(".seg")];
  const here = all.indexOf(button);
  const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined || !all[to]) return;
  event.preventDefault();
  for (const each of all) each.tabIndex = -1;
  all[to].tabIndex = 0;
  all[to].focus();
}
