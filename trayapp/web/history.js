// History of a workload: a day of it is loaded when its row becomes visible, more when its page asks; events add to it.
//
// A row states what began at its time and lasted until the next row. Hours in which the computer slept or the app didn't
// run are rows too and are drawn as gaps.

import { ask, pathOf } from "./session.js";
import { instant } from "./times.js";

export const DAY = 24 * 3_600_000; // ms
const LIMIT = 2000; // rows; a day of failing ticks is some 150
const AT_ONCE = 3; // requests in flight; a browser makes six connections to the app, and clicks need some

const KINDS = new Set(["green", "amber", "red", "blue", "grey"]);
const GAPS = new Set(["asleep", "not_running"]);

// How a row of the history is drawn: a colour, or "gap".
export function kindOf(row) {
  return GAPS.has(row.detail) || !KINDS.has(row.colour) ? "gap" : row.colour;
}

// A row from the app, converted for drawing.
export function fromTold(row) {
  const text = row.text === "Running." ? "" : row.text; // the state's label says it already
  return { ...row, text, at: instant(row.at), kind: kindOf(row) };
}

// Where there is no history: a row for the time since the workload's last change, from its row of the list.
export function fromRow({ status, colour, auth, status_context: text }) {
  return fromTold({ at: auth.since, status, colour, detail: auth.detail, text });
}

// The history of one workload since then (ms), oldest row first.
async function load(name, since) {
  const query = new URLSearchParams({ since: new Date(since).toISOString(), limit: String(LIMIT) });
  return (await ask("GET", `${pathOf(name)}/history?${query}`)).rows.map(fromTold);
}

// The same of the last 1, 7 or 30 days, and the attempts in them, newest first.
export async function loadDays(name, days) {
  const { rows, attempts } = await ask("GET", `${pathOf(name)}/history?days=${days}&limit=${LIMIT}`);
  return { rows: rows.map(fromTold), attempts };
}

// Add a row from an event to rows that were loaded; whether it belonged there.
export function append(rows, row, begin) {
  const last = rows.at(-1);
  if (last && last.at > row.at) return false;
  if (last?.at === row.at) rows.pop();
  rows.push(row);
  while (rows.length > 1 && rows[1].at < begin) rows.shift(); // the first row still covers the left edge
  return true;
}

// Loads histories, a few at a time, latest request first: that is what the person is looking at.
export class Loader {
  constructor() {
    this.wanted = new Map();
    this.busy = 0;
  }

  // `since` is in ms; `done(rows)` gets rows with `at` in ms, oldest first.
  want(name, since, done) {
    this.wanted.delete(name);
    this.wanted.set(name, { since, done });
    this.go();
  }

  async go() {
    if (this.busy >= AT_ONCE || !this.wanted.size) return;
    const [name, { since, done }] = [...this.wanted].at(-1);
    this.wanted.delete(name);
    this.busy += 1;
    try {
      done(await load(name, since));
    } catch {
      done(null); // loaded again when the row is next visible
    } finally {
      this.busy -= 1;
      this.go();
    }
    this.go();
  }
}
