// What happened in the last 24 hours, per workload: asked for when a card comes into sight, kept up by the events.
//
// A row says what began at its instant and held until the next one. The app writes what it did; the hours in which the
// computer slept or the app did not run come as rows too and are drawn as gaps. Beyond a day nothing is asked for, so
// thirty days of history cost the page nothing.

import { ask } from "./session.js";
import { instant } from "./times.js";

export const SPAN = 24 * 3_600_000; // ms
const LIMIT = 2000; // rows; a day of failing ticks is some 150
const AT_ONCE = 3; // requests in flight: a browser has six connections for this app, and clicks need some

const KINDS = new Set(["green", "amber", "red", "blue", "grey"]);
const GAPS = new Set(["asleep", "not_running"]);

// How a row of the history is drawn.
export function kindOf(row) {
  return GAPS.has(row.detail) || !KINDS.has(row.colour) ? "gap" : row.colour;
}

// A row as the app tells it, ready to be drawn.
export function fromTold(row) {
  const text = row.text === "Running." ? "" : row.text; // the colour's own word says it
  return { ...row, text, at: instant(row.at), kind: kindOf(row) };
}

// What a row of the list says of the time since its last change, where there is no history.
export function fromRow({ status, colour, auth, status_context: text }) {
  return fromTold({ at: auth.since, status, colour, detail: auth.detail, text });
}

// Loads what is wanted, a few at a time, newest wish first: that is what the person looks at now.
export class Loader {
  constructor() {
    this.wanted = new Map();
    this.busy = 0;
  }

  // `since` in ms; `done(rows)` gets rows with `at` in ms, oldest first.
  want(name, since, done) {
    this.wanted.delete(name);
    this.wanted.set(name, { since, done });
    this.go();
  }

  forget(name) {
    this.wanted.delete(name);
  }

  async go() {
    if (this.busy >= AT_ONCE || !this.wanted.size) return;
    const [name, { since, done }] = [...this.wanted].at(-1);
    this.wanted.delete(name);
    this.busy += 1;
    try {
      const query = new URLSearchParams({ since: new Date(since).toISOString(), limit: String(LIMIT) });
      const answer = await ask("GET", `/workloads/${name}/history?${query}`);
      done(answer.rows.map(fromTold));
    } catch {
      done(null); // asked again when it is next looked at
    } finally {
      this.busy -= 1;
      this.go();
    }
    this.go();
  }
}
