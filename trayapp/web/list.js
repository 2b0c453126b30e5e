// The list of workloads: keyed by name, sorted, updated incrementally and never rebuilt.
//
// Changes are collected and applied between frames, a few milliseconds at a time, so that a thousand workloads changing
// together don't delay a click. A row under the pointer or with the focus doesn't move; it takes its new place when the
// person has left it.

import { settle } from "./actions.js";
import { DAY } from "./history.js";
import { Row } from "./row.js";
import { group, isAway, rank, RANKS, title } from "./states.js";

const BUDGET = 8; // ms of work between two frames
const FEW = 10; // up to so many rows are moved one by one
const NEAR = "300px"; // margin around the window in which rows are drawn before they are scrolled to

// Orders by the person's choice; what is equal goes by name.
const ORDERS = {
  state: (a, b) => a.order - b.order,
  name: () => 0,
  fresh: (a, b) => b.fresh - a.fresh,
};

// Wait for the next frame, or a short time if there is none: the page may be hidden at any time.
function pause() {
  return new Promise((done) => {
    requestAnimationFrame(done);
    setTimeout(done, document.hidden ? 20 : 250);
  });
}

export class List {
  // `wantHistory(item, since)` is called for a visible row without history; `onDone(changed)` after each round.
  constructor(node, { wantHistory, onDone }) {
    Object.assign(this, { node, wantHistory, onDone });
    this.rows = new Map(); // the latest rows from the app
    this.items = new Map();
    this.changed = new Set();
    this.undrawn = new Set(); // items that became visible
    this.moved = new Set(); // items in the wrong place
    this.late = new Set(); // items that move once the person has left them
    this.group = "";
    this.words = "";
    this.away = false; // whether the stopped ones of other programs are shown
    this.sort = "state";
    this.working = false;
    this.sight = new IntersectionObserver((entries) => entries.forEach((each) => this.see(each)), { rootMargin: NEAR });
    for (const left of ["focusout", "pointerleave"]) node.addEventListener(left, () => setTimeout(() => this.settle()), true);
  }

  // --- changes from the app -----------------------------------------------------------------------------------------

  put(row) {
    this.rows.set(row.name, row);
    this.changed.add(row.name);
    this.plan();
  }

  drop(name) {
    this.rows.delete(name);
    this.changed.add(name);
    this.plan();
  }

  // The full list: workloads it lacks are removed, unchanged ones are left alone.
  reset(rows) {
    const known = new Set(rows.map((row) => row.name));
    for (const name of this.rows.keys()) if (!known.has(name)) this.drop(name);
    const worstFirst = [...rows].sort((a, b) => RANKS[rank(a)].order - RANKS[rank(b)].order || (a.name < b.name ? -1 : 1));
    for (const row of worstFirst) if (JSON.stringify(this.rows.get(row.name)) !== JSON.stringify(row)) this.put(row);
    this.plan();
  }

  plan() {
    if (this.working) return;
    this.working = true;
    pause().then(() => this.work());
  }

  async work() {
    this.onDone([]); // the heading doesn't wait for a thousand rows
    const done = [];
    let begin = performance.now();
    while (this.changed.size) {
      const [name] = this.changed;
      this.changed.delete(name);
      done.push(this.apply(name));
      if (performance.now() - begin > BUDGET) {
        if (!this.node.children.length) this.arrange(); // show the first rows early
        await pause();
        begin = performance.now();
      }
    }
    this.arrange();
    this.working = false;
    this.onDone(done.filter(Boolean));
  }

  // Apply one workload's change; its rank before and now, or null for one that was never shown.
  apply(name) {
    const row = this.rows.get(name);
    const item = this.items.get(name);
    if (!row) return item ? this.removeItem(item) : null;
    if (!item) return this.addItem(row);
    const before = rank(item.row);
    settle(row, item.row);
    item.update(row, Date.now());
    const now = rank(row);
    if (before !== now || this.sort === "fresh") this.moved.add(item);
    this.choose(item);
    return { name, before, now };
  }

  addItem(row) {
    const item = new Row(row);
    this.items.set(row.name, item);
    this.moved.add(item);
    this.choose(item);
    this.sight.observe(item.node);
    return { name: row.name, before: "", now: rank(row) };
  }

  removeItem(item) {
    const before = rank(item.row);
    const focused = item.node.contains(document.activeElement);
    const next = item.node.nextElementSibling ?? item.node.previousElementSibling;
    this.items.delete(item.name);
    this.late.delete(item);
    this.moved.delete(item);
    this.sight.unobserve(item.node);
    item.node.remove();
    if (focused) (next?.querySelector("a") ?? document.getElementById("main")).focus();
    return { name: item.name, before, now: "" };
  }

  // --- order --------------------------------------------------------------------------------------------------------

  // Put moved items in their places: one by one if they are few, which touches no other item, else in one pass.
  arrange() {
    for (const item of this.moved) {
      this.late.delete(item);
      if (busy(item) && !document.hidden) this.late.add(item);
    }
    const moved = [...this.moved].filter((item) => !this.late.has(item));
    this.moved.clear();
    if (moved.length <= FEW) moved.forEach((item) => this.place(item));
    else this.walk();
  }

  // Sort by "state", "name" or "fresh", which is the time of the last refresh.
  order(by) {
    this.sort = by;
    this.late.clear();
    this.walk();
  }

  compare = (a, b) => ORDERS[this.sort](a, b) || (a.short === b.short ? (a.name < b.name ? -1 : 1) : a.short < b.short ? -1 : 1);

  walk() {
    const skip = (node) => {
      while (node && this.late.has(node.owner)) node = node.nextElementSibling;
      return node;
    };
    let here = skip(this.node.firstElementChild);
    for (const item of [...this.items.values()].sort(this.compare)) {
      if (this.late.has(item)) continue;
      if (item.node === here) here = skip(here.nextElementSibling);
      else this.node.insertBefore(item.node, here);
    }
  }

  settle() {
    for (const item of [...this.late]) {
      if (busy(item)) continue;
      this.late.delete(item);
      this.place(item);
    }
  }

  // Insert an item among those already in order, by binary search: lists of hundreds are searched often.
  place(item) {
    const others = [...this.node.children].filter((node) => node !== item.node);
    let [low, high] = [0, others.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compare(others[middle].owner, item) < 0) low = middle + 1;
      else high = middle;
    }
    if (others[low] !== item.node.nextElementSibling || item.node.parentNode !== this.node) {
      this.node.insertBefore(item.node, others[low] ?? null);
    }
  }

  // --- filter and visibility ----------------------------------------------------------------------------------------

  // A kind or words find also those that are away.
  filter(group, words, away = this.away) {
    Object.assign(this, { group, away });
    this.words = words.trim().toLowerCase();
    for (const item of this.items.values()) this.choose(item);
  }

  choose(item) {
    const { row } = item;
    const fits = !this.group || group(row) === this.group;
    const found = this.words ? `${title(row)} ${row.owner} ${row.url}`.toLowerCase().includes(this.words) : this.away || this.group || !isAway(row);
    if (item.node.hidden !== !(fits && found)) item.node.hidden = !(fits && found);
  }

  get shown() {
    return [...this.items.values()].filter((item) => !item.node.hidden).length;
  }

  see({ target, isIntersecting }) {
    const item = target.owner;
    if (isIntersecting === item.inSight) return;
    item.inSight = isIntersecting;
    if (!isIntersecting) return;
    if (item.rows === null) this.wantHistory(item, Date.now() - DAY);
    else this.drawSoon(item);
    item.tick(Date.now());
  }

  // Draw one timeline per frame, so that fast scrolling isn't delayed by timelines nobody looks at.
  async drawSoon(item) {
    this.undrawn.add(item);
    if (this.undrawn.size > 1) return;
    while (this.undrawn.size) {
      await pause();
      const next = [...this.undrawn].at(-1);
      if (next.inSight) next.draw(Date.now());
      this.undrawn.delete(next);
    }
  }

  // A new segment of a workload's timeline.
  happened(name, row) {
    const item = this.items.get(name);
    if (item?.happened(row)) this.drawSoon(item);
  }

  // The histories may have gaps now: each is loaded again when its item is visible.
  forgetHistory() {
    for (const item of this.items.values()) {
      item.rows = null;
      if (item.inSight) this.wantHistory(item, Date.now() - DAY);
    }
  }

  // The machine's time zone has changed: what is written with times is drawn anew, at the latest when it is visible.
  zoneChanged(now) {
    for (const item of this.items.values()) item.zoneChanged(now);
  }

  // Move the focus along the rows: the same control in the next one, or its name.
  step(from, by) {
    const at = from.closest(".row");
    const shown = [...this.node.children].filter((node) => !node.hidden);
    const to = by === "first" ? 0 : by === "last" ? shown.length - 1 : shown.indexOf(at) + by;
    const target = shown[to];
    if (!target || target === at) return false;
    const { more, link } = target.owner.ref;
    (from === at.owner.ref.more ? more : link).focus();
    return true;
  }

  tick(now) {
    this.settle();
    for (const item of this.items.values()) if (item.inSight) item.tick(now);
  }
}

// Whether the row is under the pointer or has the focus.
function busy({ node }) {
  return node.isConnected && (node.matches(":hover") || node.contains(document.activeElement));
}
