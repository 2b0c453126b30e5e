// The event stream: read, monitored, and reopened when it ends, for as long as the page exists.
//
// EventSource can't send a key, so the stream is read with fetch. After an interruption the app sends what was missed,
// by the id of the last event; a new run of the app begins with a `reset`.

import { openEvents } from "./session.js";

const SILENCE = 40_000; // ms; the app sends a heartbeat every 15 s
const WAITS = [300, 600, 1000, 2000, 3000]; // ms between attempts, the last one repeated: asking this machine costs nothing

// Parses a text stream into events.
export class Parser {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.rest = "";
    this.begin();
  }

  begin() {
    Object.assign(this, { kind: "", data: [], id: "" });
  }

  feed(text) {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop();
    for (const line of lines) this.line(line);
  }

  line(line) {
    if (line === "") {
      if (this.data.length) this.onEvent(this.kind, this.data.join("\n"), this.id);
      this.begin();
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.data.push(value);
    else if (name === "event") this.kind = value;
    else if (name === "id") this.id = value;
  }
}

// Calls `onEvent(kind, value)` for each event and `onState("live" | "gone" | "refused")` when the connection changes.
export class Stream {
  constructor({ onEvent, onState }) {
    Object.assign(this, { onEvent, onState, lastId: "", state: "", running: false, resting: false, nudge: () => {} });
    this.stop = new AbortController();
    this.others = new BroadcastChannel("amberlight");
    this.others.onmessage = () => document.hidden && this.rest();
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  // Start, or start over with another key.
  start() {
    this.lastId = "";
    this.others.postMessage("here");
    if (!this.running) this.run();
  }

  // Another page is open and this one is hidden: disconnect, because a browser makes only six connections to a host.
  rest() {
    this.resting = true;
    this.stop.abort();
  }

  // Stop waiting: the page is visible again.
  hurry() {
    this.resting = this.resting && document.hidden;
    this.nudge();
  }

  async run() {
    this.running = true;
    for (let tries = 0; this.running; tries += 1) {
      const outcome = await this.once();
      if (outcome === "refused") this.running = false;
      else if (outcome === "ended") tries = 0; // it had worked, so the next attempt follows quickly
      if (!this.resting) this.turn(outcome === "refused" ? "refused" : "gone");
      while (this.resting) await this.pause();
      if (this.running) await this.pause(WAITS[Math.min(tries, WAITS.length - 1)]);
    }
  }

  // Wait until `hurry`, or for `ms` at most.
  pause(ms) {
    return new Promise((done) => {
      const timer = ms === undefined ? 0 : setTimeout(done, ms);
      this.nudge = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  turn(state) {
    if (state !== this.state) this.onState((this.state = state));
  }

  // One connection from start to end: "refused", "failed" (never opened) or "ended".
  async once() {
    const stop = (this.stop = new AbortController());
    let watch = 0;
    const heard = () => {
      clearTimeout(watch);
      watch = setTimeout(() => stop.abort(), SILENCE);
    };
    try {
      heard();
      const response = await openEvents(this.lastId, stop.signal);
      if (response.status === 403 || response.status === 401) return "refused";
      if (!response.ok) return "failed";
      await this.read(response.body.getReader(), heard);
      return "ended";
    } catch {
      return this.state === "live" ? "ended" : "failed";
    } finally {
      clearTimeout(watch);
      stop.abort();
    }
  }

  async read(reader, heard) {
    const parser = new Parser((kind, data, id) => {
      if (id) this.lastId = id;
      this.onEvent(kind, JSON.parse(data));
    });
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      this.turn("live");
      parser.feed(decoder.decode(value, { stream: true }));
    }
  }
}
