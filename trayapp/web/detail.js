// The page of one workload: what every workload has, which are its state, its facts, its history and recent changes.
//
// A kind of workload is a class of its own (`own_detail.js`, `external_detail.js`) with {wanted(time), extra(), parts}.

import { $, copyText, host, make, put, seen, stamp } from "./dom.js";
import { append, DAY, fromRow, loadDays } from "./history.js";
import { show } from "./marks.js";
import { say, WORDS } from "./section_words.js";
import { ask, Failure } from "./session.js";
import { label, mark, rank, title } from "./states.js";
import { draw, drawAxis, outline, segments, spanText } from "./timeline.js";
import { ago, clock, full, instant, length } from "./times.js";
import { Trouble } from "./trouble.js";
import { KINDS } from "./words.js";

const TOLD = 40; // rows of the list of changes; enough for a day on one bad network
const PARTS = ["address", "manage", "tried", "its-clients"]; // of the page; which are shown depends on the kind

const segs = $("detail-segs");
export let page = null; // the open page

export class Detail {
  constructor(row) {
    Object.assign(this, { name: row.name, row, rows: null, attempts: [], days: 1, drawnAt: 0 });
    this.trouble = new Trouble(row.name, title(row));
    $("detail-trouble").replaceChildren(this.trouble.node);
    const short = row.external?.name ?? row.name;
    put($("detail-mono"), short.slice(0, 1).toUpperCase());
    put($("detail-name"), short);
    put($("detail-owner"), row.external ? row.owner : "");
    put($("detail-copied"), "");
    for (const part of PARTS) seen($(`detail-${part}`), this.parts.includes(part));
    $("detail-recent").replaceChildren();
    segs.chosen = undefined;
    segs.querySelectorAll(".seg").forEach((each) => (each.hidden = true));
    page = this;
    this.update(row, Date.now());
    this.period(1);
  }

  get said() {
    return this.trouble.ref.note.textContent;
  }

  note(text, bad = false) {
    this.trouble.note(text, bad);
  }

  update(row, now) {
    this.row = row;
    $("detail").dataset.rank = rank(row);
    show($("detail-mark"), mark(row));
    put($("detail-label"), label(row));
    put($("detail-host"), host(row.url) || (row.external ? "" : WORDS.account));
    this.trouble.update(row, now, this.extra());
    this.tick(now);
  }

  tick(now) {
    this.trouble.tick(now);
    this.facts(now);
    if (now - this.drawnAt > 30_000 && this.rows) this.draw(now);
  }

  facts(now) {
    const time = (text) => (instant(text) > 0 ? say.inUse(clock(instant(text), now), relative(instant(text), now)) : "");
    const wanted = this.wanted(time).filter(([, text]) => text);
    const list = $("detail-facts");
    const keys = wanted.map(([word]) => word).join();
    if (list.dataset.keys !== keys) {
      list.dataset.keys = keys;
      list.replaceChildren(...wanted.map(([word]) => make("div", {}, make("dt", { textContent: word }), make("dd"))));
    }
    for (const [i, [, text]] of wanted.entries()) put(list.children[i].lastElementChild, text);
  }

  // Run a request for this page; what fails is said in `into`. A late answer for a page that was left is dropped.
  async fetch(path, use, into) {
    try {
      const answer = await ask("GET", path);
      if (this.isOpen) use(answer);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (this.isOpen && into) put(into, error.message);
    }
  }

  get isOpen() {
    return page === this;
  }

  close() {
    page = null;
  }

  async copy() {
    put($("detail-copied"), (await copyText($("detail-url").textContent)) ? WORDS.copied : say.cannotCopy());
  }

  // --- history ------------------------------------------------------------------------------------------------------

  async period(days) {
    this.days = days;
    for (const button of $("detail-days").children) button.ariaPressed = String(Number(button.dataset.days) === days);
    segs.span = days * DAY;
    segs.chosen = undefined;
    segs.ariaLabel = say.history(title(this.row), spanText(segs.span));
    try {
      const { rows, attempts } = await loadDays(this.name, days);
      if (!this.isOpen || this.days !== days) return;
      this.rows = rows.length ? rows : [fromRow(this.row)];
      this.attempts = attempts;
      this.draw(Date.now());
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (this.isOpen) put($("detail-outline"), error.message);
    }
  }

  happened(row) {
    if (this.rows && append(this.rows, row, Date.now() - segs.span)) this.draw(Date.now());
  }

  zoneChanged(now) {
    if (this.rows) this.draw(now);
  }

  // The state in a row of the history.
  called({ kind }) {
    return KINDS[kind];
  }

  draw(now) {
    this.drawnAt = now;
    const found = segments(this.rows, now, segs.span);
    draw(segs, found, now);
    drawAxis($("detail-axis"), now, segs.span);
    put($("detail-outline"), outline(found, segs.span));
    const rows = this.rows.slice(-TOLD).reverse();
    $("detail-recent").replaceChildren(...rows.map((row, i) => change(row, this.called(row), rows[i - 1]?.at ?? now, now)));
    $("detail-attempts").replaceChildren(...this.attempts.map((each) => attempt(each, now)));
    put($("detail-no-attempts"), this.attempts.length ? "" : WORDS.unknownHistory);
    seen($("detail-attempts"), this.attempts.length > 0);
  }
}

function relative(at, now) {
  return at > now ? say.waitIn(length(at - now)) : ago(at, now);
}

function line(at, now, kind, what, why) {
  const { node, ref } = stamp("change");
  ref.at.dateTime = new Date(at).toISOString();
  ref.at.title = full(at);
  put(ref.at, clock(at, now));
  put(ref.what, what);
  put(ref.why, why);
  node.className = kind;
  return node;
}

// One change of the history: when, what, for how long and why.
function change({ at, kind, text }, what, until, now) {
  return line(at, now, kind, what, [until > at ? say.lasts(length(until - at)) : "", text].filter(Boolean).join(" · "));
}

function attempt({ at, good, text }, now) {
  return line(instant(at), now, good ? "green" : "amber", "", text);
}

new ResizeObserver(() => {
  if (segs.segments) drawAxis($("detail-axis"), Date.now(), segs.span ?? DAY);
}).observe($("detail-axis"));
$("detail-days").addEventListener("click", (event) => page.period(Number(event.target.dataset.days ?? page.days)));
for (const button of $("detail").querySelectorAll("[data-copy]")) button.addEventListener("click", () => page.copy(button.dataset.copy));
