// One workload's card: created once from the template; after that, only differences are written to the DOM.
//
// A card knows its row of the list, its history and the sign-in just requested; it makes no requests. Texts that depend
// on the time are written by `tick`, which the page calls once a second for the visible cards.

import { fromRow, SPAN } from "./history.js";
import { show } from "./marks.js";
import { draw, drawHours, KIND_WORDS, outline, segments } from "./timeline.js";
import { ago, clock, countdown, instant, length } from "./times.js";
import { badge, codes, rank, RANKS, renewal, signInLabel, wrong, wrongLabel } from "./words.js";

const READING = 8000; // ms
const TOLD = 60; // rows of the history list; enough for a day on one bad network
const CONSENT = new Set(["different_account", "different_server", "scope_lost", "not_renewable"]); // a person may agree to these
const template = document.getElementById("card");
const signingTemplate = document.getElementById("signing");

// Write only differences: even the same text would count as a change for the browser and for screen readers.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function seen(node, wanted) {
  if (node.hidden === wanted) node.hidden = !wanted;
}

function host(url) {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

export class Card {
  constructor(row) {
    this.node = template.content.firstElementChild.cloneNode(true);
    this.ref = {};
    for (const node of this.node.querySelectorAll("[data-ref]")) this.ref[node.dataset.ref] = node;
    this.node.card = this;
    this.name = row.name;
    this.rows = null; // the history's rows; null: not loaded
    this.inSight = false;
    this.drawnAt = 0;
    this.asked = null; // the response to the last Reauthorize
    this.noteUntil = 0;
    this.node.id = `workload-${row.name}`;
    say(this.ref.name, row.name);
    this.ref.segs.ariaLabel = `Last 24 hours of ${row.name}`;
    this.ref.actions.ariaLabel = `What to do with ${row.name}`;
    for (const key of ["retry", "pause", "connect", "details", "remove", "again", "signIn", "fold"]) this.label(this.ref[key]);
    this.update(row, Date.now());
  }

  // Screen readers read "Retry now: github" instead of "Retry now".
  label(button) {
    button.ariaLabel = `${button.textContent}: ${this.name}`;
  }

  get order() {
    return RANKS[rank(this.row)].order;
  }

  // Show a new row of the list.
  update(row, now) {
    const before = this.row;
    this.row = row;
    const found = rank(row);
    const { ref } = this;
    if (this.node.dataset.rank !== found) this.node.dataset.rank = found;
    show(ref.mark, row.glyph, row.colour);
    say(ref.badge, badge(row));
    say(ref.host, host(row.url));
    ref.host.title = row.url;
    say(ref.wrongWord, wrongLabel(row));
    this.fact("wrong", wrong(row));
    this.fact("todo", row.help);
    this.error(row);
    // What couldn't be checked about the current login; irrelevant to a person who has to sign in anyway.
    this.fact("signedIn", row.status === "unauthenticated" ? "" : (row.auth.sign_in_warning?.summary ?? ""));
    this.fact("renewal", renewal(row));
    const held = this.node.contains(document.activeElement) ? document.activeElement : null;
    this.buttons(row, found);
    this.signing(row);
    if (held?.closest("[hidden]")) ref.connect.focus(); // the focus stays on this card if the pressed button vanishes
    if (before && !row.auth.signing_in && before.auth.signing_in) this.asked = null;
    if (before && now > this.noteUntil) this.note("");
    this.tick(now);
  }

  fact(name, text) {
    say(this.ref[name], text);
    seen(this.ref[`${name}Row`], text !== "");
  }

  error(row) {
    const problem = row.auth.last_error;
    const good = row.colour === "green" && row.auth.detail === "ok";
    const shown = problem && !good && problem.summary !== row.status_context;
    this.fact("error", shown ? problem.summary : "");
    say(this.ref.codes, shown && codes(problem) ? `(${codes(problem)})` : "");
  }

  buttons(row, found) {
    const { reauthorize, retry, pause } = this.ref;
    const stopped = found === "stopped";
    say(reauthorize, signInLabel(row));
    say(retry, row.auth.detail === "config_error" ? "Check again" : "Retry now");
    say(pause, stopped ? "Resume" : "Pause");
    for (const button of [reauthorize, retry, pause]) this.label(button);
    pause.dataset.do = stopped ? "resume" : "pause";
    reauthorize.classList.toggle("primary", row.action === "reauthorize");
    retry.classList.toggle("primary", row.action === "retry");
    const may = row.auth.detail !== "config_error" && found !== "ending" && !stopped;
    // These two are rarely needed while all is well, so they move below the history.
    const calm = found === "running" && row.action !== "reauthorize";
    seen(reauthorize, may && !calm);
    seen(retry, !stopped && found !== "ending" && found !== "never" && !calm);
    seen(this.ref.again, calm && row.auth.renewable !== false);
    seen(this.ref.signIn, calm);
    seen(pause, found !== "ending");
    seen(this.ref.details, row.auth.last_error !== null);
  }

  // The sign-in in progress, or the result of the last one.
  signing(row) {
    const { asked } = this;
    const problem = row.auth.signing_in ? null : row.auth.sign_in_error;
    const under = row.auth.signing_in || asked !== null;
    const told = problem !== null && problem.kind !== "cancelled";
    if (!this.panel && !under && !told) return;
    const { ref } = this;
    this.panel ??= this.makePanel();
    seen(this.panel, under || told);
    const unopened = row.auth.browser_fault === "not_opened";
    if (under && unopened) say(ref.signingText, "Couldn't open a browser. Copy the sign-in address from the tray menu and open it yourself.");
    else if (under) say(ref.signingText, "Waiting for you to sign in in your browser…");
    else if (told) say(ref.signingText, `Couldn't sign in: ${problem.summary}`);
    seen(ref.acceptRow, !under && told && CONSENT.has(problem.kind));
    const page = asked?.authorization_url;
    seen(ref.pageRow, Boolean(under && page));
    if (page) ref.page.href = page;
    seen(ref.pasteRow, under);
    seen(ref.underRow, under);
    const { device } = row.auth;
    seen(ref.codeRow, Boolean(under && device));
    seen(ref.deviceDo, !device);
    if (!device) return;
    ref.codePage.href = device.verification_uri_complete ?? device.verification_uri;
    say(ref.codePage, device.verification_uri);
    say(ref.code, device.user_code);
  }

  // Created on demand: few cards need it, and a form field in each would make sorting two hundred cards slow.
  makePanel() {
    const panel = signingTemplate.content.firstElementChild.cloneNode(true);
    for (const node of panel.querySelectorAll("[data-ref]")) this.ref[node.dataset.ref] = node;
    for (const key of ["accept", "deviceDo", "cancel", "pasteFold"]) this.label(this.ref[key]);
    this.ref.note.before(panel);
    return panel;
  }

  // A sign-in was requested; `answer` is the app's response, null after a cancellation.
  signingIn(answer) {
    this.asked = answer;
    this.signing(this.row);
  }

  // A message for the person who just pressed a button. The next change removes it; an error stays long enough to read.
  note(text, bad = false) {
    this.noteUntil = bad ? Date.now() + READING : 0;
    say(this.ref.note, text);
    this.ref.note.classList.toggle("wrong", bad);
    seen(this.ref.note, text !== "");
  }

  // --- time ---------------------------------------------------------------------------------------------------------

  tick(now) {
    const { ref, row } = this;
    const { auth } = row;
    const since = instant(auth.retrying_since ?? auth.since);
    say(ref.since, `${clock(since, now)}, ${ago(since, now)}`);
    if (this.sinceWas !== since) {
      this.sinceWas = since;
      ref.since.dateTime = new Date(since).toISOString();
      ref.since.title = "";
    }
    const good = row.colour === "green";
    say(ref.sinceWord, good ? "Running since" : "Since");
    const renewed = instant(auth.last_refreshed_at);
    const told = Number.isFinite(renewed) ? (good ? `; renewed ${ago(renewed, now)}` : `; last renewed ${clock(renewed, now)}`) : "";
    say(ref.renewed, told);
    this.next(auth, good, now);
    if (this.inSight && this.drawnAt && now - this.drawnAt > 30_000) this.draw(now);
  }

  next(auth, good, now) {
    const at = instant(auth.next_attempt_at);
    const shown = Number.isFinite(at) && !(good && auth.detail === "ok");
    seen(this.ref.nextRow, shown);
    if (!shown) return;
    say(this.ref.next, at > now ? `in ${countdown(at, now)}` : "any moment now");
    const parts = at > now + 90_000 ? [`at ${clock(at, now)}`] : [];
    if (auth.attempts) parts.push(`${auth.attempts} failed so far`);
    const end = instant(auth.ceiling_at);
    if (Number.isFinite(end) && end > now) parts.push(`if nothing helps you are asked ${clock(end, now)}`);
    say(this.ref.tries, parts.length ? ` (${parts.join("; ")})` : "");
  }

  // --- history ------------------------------------------------------------------------------------------------------

  // Set the history, null if loading failed; returns whether to draw it now.
  loaded(rows) {
    if (rows === null) return false;
    this.rows = rows.length ? rows : [fromRow(this.row)];
    return this.inSight;
  }

  // Append a row from an event; returns whether to draw it now.
  happened(row) {
    if (!this.rows) return false; // it will be loaded with the others
    const last = this.rows.at(-1);
    if (last && last.at > row.at) return false;
    if (last?.at === row.at) this.rows.pop();
    this.rows.push(row);
    const begin = Date.now() - SPAN;
    while (this.rows.length > 1 && this.rows[1].at < begin) this.rows.shift(); // the first row still covers the left edge
    return this.inSight;
  }

  zoneChanged(now) {
    this.sinceWas = NaN;
    this.told = "";
    if (this.inSight) this.draw(now);
  }

  draw(now) {
    this.drawnAt = now;
    if (!this.rows) return;
    const found = segments(this.rows, now);
    draw(this.ref.segs, found, now);
    drawHours(this.ref.hours, now);
    const words = outline(found);
    say(this.ref.outline, words);
    this.tell(now);
  }

  // Open or close the section that follows this button. (Two hundred `details` elements in lazily laid out cards cost a
  // layout each when the cards are sorted; buttons cost nothing.)
  fold(button) {
    const body = button.nextElementSibling;
    body.hidden = !body.hidden;
    button.ariaExpanded = String(!body.hidden);
    this.tell(Date.now());
  }

  // The history as a list, newest first, while it is open.
  tell(now) {
    if (this.ref.story.hidden || !this.rows) return;
    const rows = this.rows.slice(-TOLD).reverse();
    const key = `${rows.length} ${rows[0]?.at} ${rows[0]?.status} ${clock(now, now)}`;
    if (this.told === key) return;
    this.told = key;
    this.ref.events.replaceChildren(...rows.map((row, i) => told(row, rows[i - 1]?.at ?? now, now)));
  }
}

function told(row, until, now) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = new Date(row.at).toISOString();
  time.textContent = clock(row.at, now);
  const what = document.createElement("strong");
  what.textContent = KIND_WORDS[row.kind];
  const why = document.createElement("span");
  why.textContent = `${until > row.at ? `for ${length(until - row.at)}` : ""}${row.text ? `: ${row.text}` : ""}`;
  item.className = row.kind;
  item.append(time, " ", what, " ", why);
  return item;
}

