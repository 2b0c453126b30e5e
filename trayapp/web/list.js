// The list of cards: keyed by name, worst first, updated incrementally and never rebuilt.
//
// Changes are collected and applied between frames, a few milliseconds at a time, so that two hundred workloads changing
// together don't delay a click. A card under the pointer or with the focus doesn't move; it takes its new place when the
// person has left it.

import { Card } from "./card.js";
import { SPAN } from "./history.js";
import { rank, RANKS } from "./words.js";

const BUDGET = 8; // ms of work between two frames
const FEW = 10; // up to so many cards are moved one by one
const NEAR = "300px"; // margin around the window in which cards are drawn before they are scrolled to

// Wait for the next frame, or a short time if there is none: the page may be hidden at any time.
function pause() {
  return new Promise((done) => {
    requestAnimationFrame(done);
    setTimeout(done, document.hidden ? 20 : 250);
  });
}

export class List {
  // `wantHistory(card, since)` is called for a visible card without history; `onDone(changed)` after each round.
  constructor(node, { wantHistory, onDone }) {
    Object.assign(this, { node, wantHistory, onDone });
    this.rows = new Map(); // the latest rows from the app
    this.cards = new Map();
    this.changed = new Set();
    this.undrawn = new Set(); // cards that became visible
    this.moved = new Set(); // cards in the wrong place
    this.late = new Set(); // cards that move once the person has left them
    this.group = "";
    this.words = "";
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
    const names = new Set(rows.map((row) => row.name));
    for (const name of this.rows.keys()) if (!names.has(name)) this.drop(name);
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
    this.onDone([]); // the summary doesn't wait for two hundred cards
    const done = [];
    let begin = performance.now();
    while (this.changed.size) {
      const [name] = this.changed;
      this.changed.delete(name);
      done.push(this.apply(name));
      if (performance.now() - begin > BUDGET) {
        if (!this.node.children.length) this.arrange(); // show the first cards early
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
    const card = this.cards.get(name);
    if (!row) return card ? this.removeCard(card) : null;
    if (!card) return this.addCard(row);
    const before = rank(card.row);
    card.update(row, Date.now());
    const now = rank(row);
    if (before !== now) this.moved.add(card);
    this.choose(card);
    return { name, before, now };
  }

  addCard(row) {
    const card = new Card(row);
    this.cards.set(row.name, card);
    this.moved.add(card);
    this.choose(card);
    this.sight.observe(card.node);
    return { name: row.name, before: "", now: rank(row) };
  }

  removeCard(card) {
    const before = rank(card.row);
    const focused = card.node.contains(document.activeElement);
    const next = card.node.nextElementSibling ?? card.node.previousElementSibling;
    this.cards.delete(card.name);
    this.late.delete(card);
    this.moved.delete(card);
    this.sight.unobserve(card.node);
    card.node.remove();
    if (focused) (next?.querySelector("button:not([hidden])") ?? document.getElementById("main")).focus();
    return { name: card.name, before, now: "" };
  }

  // --- order --------------------------------------------------------------------------------------------------------

  // Put moved cards in their places: one by one if they are few, which touches no other card, else in one pass.
  arrange() {
    for (const card of this.moved) {
      this.late.delete(card);
      if (busy(card) && !document.hidden) this.late.add(card);
    }
    const moved = [...this.moved].filter((card) => !this.late.has(card));
    this.moved.clear();
    if (moved.length <= FEW) moved.forEach((card) => this.place(card));
    else this.walk();
  }

  walk() {
    const skip = (node) => {
      while (node && this.late.has(node.card)) node = node.nextElementSibling;
      return node;
    };
    let here = skip(this.node.firstElementChild);
    for (const card of [...this.cards.values()].sort((a, b) => (before(a, b) ? -1 : 1))) {
      if (this.late.has(card)) continue;
      if (card.node === here) here = skip(here.nextElementSibling);
      else this.node.insertBefore(card.node, here);
    }
  }

  settle() {
    for (const card of [...this.late]) {
      if (busy(card)) continue;
      this.late.delete(card);
      this.place(card);
    }
  }

  // Insert a card among those already in order, by binary search: lists of hundreds are searched often.
  place(card) {
    const others = [...this.node.children].filter((node) => node !== card.node);
    let [low, high] = [0, others.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (before(others[middle].card, card)) low = middle + 1;
      else high = middle;
    }
    if (others[low] !== card.node.nextElementSibling || card.node.parentNode !== this.node) {
      this.node.insertBefore(card.node, others[low] ?? null);
    }
  }

  // --- filter and visibility ----------------------------------------------------------------------------------------

  filter(group, words) {
    this.group = group;
    this.words = words.trim().toLowerCase();
    for (const card of this.cards.values()) this.choose(card);
  }

  choose(card) {
    const { row } = card;
    const fits = !this.group || RANKS[rank(row)].group === this.group;
    const found = !this.words || `${row.name} ${row.url}`.toLowerCase().includes(this.words);
    if (card.node.hidden !== !(fits && found)) card.node.hidden = !(fits && found);
  }

  get shown() {
    return [...this.cards.values()].filter((card) => !card.node.hidden).length;
  }

  see({ target, isIntersecting }) {
    const { card } = target;
    if (isIntersecting === card.inSight) return;
    card.inSight = isIntersecting;
    if (!isIntersecting) return;
    if (card.rows === null) this.wantHistory(card, Date.now() - SPAN);
    else this.drawSoon(card);
    card.tick(Date.now());
  }

  // Draw one timeline per frame, so that fast scrolling isn't delayed by timelines nobody looks at.
  async drawSoon(card) {
    this.undrawn.add(card);
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
    const card = this.cards.get(name);
    if (card?.happened(row)) this.drawSoon(card);
  }

  // The histories may have gaps now: each is loaded again when its card is visible.
  forgetHistory() {
    for (const card of this.cards.values()) {
      card.rows = null;
      if (card.inSight) this.wantHistory(card, Date.now() - SPAN);
    }
  }

  // The machine's time zone has changed: what is written with times is drawn anew, at the latest when it is visible.
  zoneChanged(now) {
    for (const card of this.cards.values()) card.zoneChanged(now);
  }

  tick(now) {
    this.settle();
    for (const card of this.cards.values()) if (card.inSight) card.tick(now);
  }
}

// Whether the card is under the pointer or has the focus.
function busy({ node }) {
  return node.isConnected && (node.matches(":hover") || node.contains(document.activeElement));
}

function before(a, b) {
  return a.order !== b.order ? a.order < b.order : a.name < b.name;
}
