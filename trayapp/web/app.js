// Main module of the dashboard: which view is shown, and which request each click makes.
//
// Nothing about a workload is decided here: the rows come from the app, the sentences from words.js. One timer serves the
// whole page, and runs only while the page is visible.

import { openConnect } from "./connect.js";
import { copyText, openAdd, openRemove, wireAdd } from "./dialogs.js";
import { fromTold, Loader, SPAN } from "./history.js";
import { List } from "./list.js";
import { picture, putSymbols, show } from "./marks.js";
import { ask, Failure, forgetKey, hasKey, takeOnce, unlock } from "./session.js";
import { Stream } from "./stream.js";
import { describe, KIND_WORDS, under, walk } from "./timeline.js";
import { clock, full, instant, zoneChanged } from "./times.js";
import { drawTrouble } from "./trouble.js";
import { codes, face, overall, rank, RANKS, summary, title } from "./words.js";

const $ = (id) => document.getElementById(id);
const FILTER_FROM = 7; // workloads; fewer need no filter
const NAMED = 3; // changes named in one announcement; more are only counted

const loader = new Loader();
const list = new List($("list"), {
  wantHistory: (card, since) => loader.want(card.name, since, (rows) => card.loaded(rows) && list.drawSoon(card)),
  onDone: changed,
});
let own = { broken: "", outage: null }; // how the app itself is
let told = false; // the first list has arrived
let wasGone = false;
let adding = false; // open the form for a new workload once the list has arrived
let connecting = null; // the same for the clients of this workload ("": of all)

// --- the page as a whole ---------------------------------------------------------------------------------------------

function changed(changes) {
  const rows = [...list.rows.values()];
  const worst = rows.reduce((a, b) => (a && RANKS[rank(a)].order <= RANKS[rank(b)].order ? a : b), null);
  write($("summary"), told ? overall(own) || summary(rows) : "Looking…");
  write(document, own.broken || own.outage ? `${overall(own)} · Amberlight` : title(rows), "title");
  const [glyph, colour] = face(own, worst);
  show($("face"), glyph, colour);
  icon(glyph, colour);
  $("welcome").hidden = !(told && !rows.length) || Boolean(own.broken);
  $("retry-all").hidden = !rows.length;
  $("connect-all").hidden = !rows.length;
  $("legend").hidden = !rows.length;
  counts(rows);
  if (told) announce(changes.filter(({ before, now }) => before && now && before !== now));
}

function write(node, text, key = "textContent") {
  if (node[key] !== text) node[key] = text;
}

function icon(glyph, colour) {
  const link = document.querySelector("link[rel=icon]");
  if (link.dataset.shows === `${glyph} ${colour}`) return;
  link.dataset.shows = `${glyph} ${colour}`;
  link.href = picture(glyph, colour);
}

function counts(rows) {
  $("filter").hidden = rows.length < FILTER_FROM && !list.group && !list.words;
  if ($("filter").hidden) return;
  for (const button of $("filter").querySelectorAll("[data-group]")) {
    const { group } = button.dataset;
    const count = group ? rows.filter((row) => RANKS[rank(row)].group === group).length : rows.length;
    write(button.firstElementChild, String(count));
    button.hidden = count === 0 && group !== list.group;
  }
  $("nothing").hidden = !rows.length || list.shown > 0;
}

function choose(group) {
  for (const each of $("filter").querySelectorAll("[data-group]")) each.ariaPressed = String(each.dataset.group === group);
  list.filter(group, $("find").value);
  counts([...list.rows.values()]);
}

// --- announcements for screen readers --------------------------------------------------------------------------------

const unsaid = new Map();
let saying = 0;

function announce(changes) {
  for (const { name, now } of changes) unsaid.set(name, `${name}: ${RANKS[now].badge}.`);
  if (unsaid.size && !saying) saying = setTimeout(sayNow, 700);
}

function sayNow() {
  saying = 0;
  const texts = [...unsaid.values()];
  unsaid.clear();
  $("says").textContent = texts.length > NAMED ? `${texts.length} workloads changed. ${summary([...list.rows.values()])}.` : texts.join(" ");
}

function aloud(text) {
  $("says").textContent = text;
}

// --- the connection --------------------------------------------------------------------------------------------------

const stream = new Stream({ onEvent: heard, onState: turned });

function heard(kind, value) {
  if (kind === "workload") list.put(value);
  else if (kind === "removed") list.drop(value.name);
  else if (kind === "history") list.happened(value.workload, fromTold(value));
  else if (kind === "app") complain(value);
  else if (kind === "reset") {
    told = true;
    if (adding) openAdd();
    else if (connecting !== null && value.workloads.some((row) => !connecting || row.name === connecting)) openConnect(connecting);
    adding = false;
    connecting = null;
    document.body.classList.remove("reading");
    list.reset(value.workloads);
    list.forgetHistory();
    checkUp();
  }
}

function turned(state) {
  document.body.dataset.link = state;
  $("link").textContent = state === "live" ? "Live" : state === "gone" ? "Not connected" : "";
  $("gone").hidden = state !== "gone";
  $("locked").hidden = state !== "refused";
  for (const part of ["list", "legend", "filter", "welcome"]) if (state === "refused") $(part).hidden = true;
  $("list").hidden = state === "refused";
  if (state === "gone") gone();
  if (state === "live" && wasGone) aloud("Amberlight is back.");
  wasGone = state === "gone";
  if (state === "refused") lock(told ? "Amberlight does not know this page any more." : "");
  else $("add").hidden = false;
}

function gone() {
  if (told) $("gone-since").textContent = `What you see is how it was at ${clock(Date.now(), Date.now())}.`;
  aloud("Can't reach Amberlight. Reconnecting…");
}

function lock(why) {
  forgetKey();
  document.body.dataset.link = "refused";
  show($("face"), "open", "grey");
  $("locked").hidden = false;
  $("locked-why").textContent = why;
  for (const part of ["add", "retry-all", "connect-all"]) $(part).hidden = true;
  $("link").textContent = "";
  document.body.classList.remove("reading");
  $("summary").textContent = "This page is locked";
  document.title = "Amberlight";
  icon("open", "grey");
}

// --- Amberlight itself -----------------------------------------------------------------------------------------------

// Problems of the app as a whole, shown above the cards; some decide the heading.
function complain(app) {
  own = app;
  drawTrouble($("app-trouble"), app, aloud);
  changed([]);
}

async function checkUp() {
  try {
    complain(await ask("GET", "/status"));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
  }
}

async function examine() {
  if (!$("doctor").open) return;
  try {
    const { checks } = await ask("GET", "/doctor");
    $("doctor").querySelector("ul").replaceChildren(...checks.map(shownCheck));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    $("doctor").querySelector("ul").replaceChildren(line("li", error.message));
  }
}

function shownCheck(check) {
  const item = line("li", `${check.state === "ok" ? "✔" : "✖"} ${check.name}: ${check.text} ${check.help}`);
  item.className = check.state;
  return item;
}

function line(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

// --- clicks ----------------------------------------------------------------------------------------------------------

const NOTES = {
  retry: "Trying…",
  pause: "Pausing…",
  resume: "Starting…",
  reauthorize: "Opening the sign-in page…",
  accept: "One moment…",
  device: "Asking for a code…",
  cancel: "Cancelling…",
};
const POSTS = { retry: "retry", pause: "stop", resume: "restart", cancel: "cancel" };
const WISHES = { reauthorize: { browser: true }, accept: { accept: true }, device: { browser: false, flow: "device" } };

async function act(card, verb, button) {
  if (verb === "connect") return openConnect(card.name);
  if (verb === "remove") return openRemove(card.name);
  if (verb === "details") return copyDetails(card);
  if (button.ariaDisabled === "true") return undefined;
  button.ariaDisabled = "true";
  card.note(NOTES[verb]);
  try {
    await post(card, verb);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    card.note(error.message, true);
    aloud(`${card.name}: ${error.message}`);
  } finally {
    button.ariaDisabled = null;
  }
  return undefined;
}

async function post(card, verb) {
  const path = `/workloads/${card.name}`;
  if (POSTS[verb]) {
    await ask("POST", `${path}/${POSTS[verb]}`, {});
    if (verb === "cancel") card.signingIn(null);
    setTimeout(() => card.ref.note.textContent === NOTES[verb] && card.note(""), 4000);
    return;
  }
  const answer = await ask("POST", `${path}/reauthorize`, WISHES[verb]);
  card.note("");
  if (verb !== "accept") card.signingIn(answer);
  if (verb === "reauthorize") {
    aloud(`The sign-in page of ${card.name} was opened in your browser.`);
  }
}

async function copyDetails(card) {
  const { row } = card;
  const { last_error: error, detail, attempts } = row.auth;
  const lines = [`${row.name}: ${row.status} (${detail})`, row.status_context];
  if (error) lines.push(`Last error: ${error.kind}: ${error.summary}`, codes(error));
  if (attempts) lines.push(`Failed attempts: ${attempts}`);
  const done = await copyText(lines.filter(Boolean).join("\n"));
  card.note(done ? "Copied." : "The browser did not let us copy.", !done);
  aloud(card.ref.note.textContent);
}

async function paste(card, form) {
  try {
    await ask("POST", `/workloads/${card.name}/callback`, { url: form.elements.url.value.trim() });
    form.reset();
    card.note("Thank you. One moment…");
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    card.note(error.message, true);
  }
}

$("list").addEventListener("click", (event) => {
  const fold = event.target.closest("[data-fold]");
  if (fold) fold.closest(".card").card.fold(fold);
  const button = event.target.closest("[data-do]");
  if (button) act(button.closest(".card").card, button.dataset.do, button);
});
$("list").addEventListener("submit", (event) => {
  event.preventDefault();
  paste(event.target.closest(".card").card, event.target);
});
$("list").addEventListener("keydown", step);
for (const id of ["add", "first"]) $(id).addEventListener("click", openAdd);
$("connect-all").addEventListener("click", () => openConnect(""));
$("retry-all").addEventListener("click", () => ask("POST", "/workloads/retry", {}).then(() => aloud("Retrying all."), (error) => aloud(error.message)));
$("filter").addEventListener("click", (event) => {
  const button = event.target.closest("[data-group]");
  if (button) choose(button.dataset.group);
});
$("find").addEventListener("input", () => choose(list.group));
$("doctor").addEventListener("toggle", examine);

// After a workload was added: show its card as soon as it exists, and open its sign-in page.
wireAdd((name) => {
  aloud(`${name} was added.`);
  choose("");
  const end = Date.now() + 10_000;
  const look = () => {
    const card = list.cards.get(name);
    if (!card?.node.isConnected) return Date.now() < end ? setTimeout(look, 50) : undefined;
    card.node.scrollIntoView({ block: "nearest" });
    const { reauthorize, connect } = card.ref;
    (reauthorize.hidden ? connect : reauthorize).focus();
    return act(card, "reauthorize", reauthorize);
  };
  look();
});

// --- segment tooltips, for pointer and keyboard ----------------------------------------------------------------------

function point(event) {
  const box = event.target.closest?.(".segs");
  const now = Date.now();
  const index = !box ? -1 : event.type === "pointermove" ? under(box, event.clientX, now) : box.chosen ?? (box.segments ?? []).length - 1;
  const segment = box?.segments?.[index];
  $("tip").hidden = !segment;
  if (!segment) return;
  const { what, when, why } = describe(segment, now);
  for (const [i, text] of [what, when, why].entries()) write($("tip").children[i], text);
  const { left, top, width } = box.getBoundingClientRect();
  const place = event.type === "pointermove" ? event.clientX : left + ((segment.from + segment.to) / 2 - now + SPAN) * (width / SPAN);
  const half = $("tip").offsetWidth / 2;
  const middle = Math.min(Math.max(place, half + 8), document.documentElement.clientWidth - half - 8);
  $("tip").style.left = `${middle - half}px`;
  $("tip").style.top = `${top - $("tip").offsetHeight - 8}px`;
}

function step(event) {
  const box = event.target.closest(".segs");
  if (!box || !walk(box, event.key, Date.now())) return;
  event.preventDefault();
  point(event);
}

// Fill in the exact time when somebody points at one: two hundred of them needn't be formatted in advance.
function dates(event) {
  const time = event.target.closest?.("time");
  if (time && !time.title) time.title = full(instant(time.dateTime));
}

$("list").addEventListener("pointerover", dates);
for (const name of ["pointermove", "focusin"]) $("list").addEventListener(name, point);
for (const name of ["pointerleave", "focusout"]) $("list").addEventListener(name, () => ($("tip").hidden = true));
for (const name of ["keydown", "scroll"]) addEventListener(name, (event) => (event.type === "scroll" || event.key === "Escape") && ($("tip").hidden = true), { passive: true });

// --- start -----------------------------------------------------------------------------------------------------------

let timer = 0;

function tick() {
  clearTimeout(timer);
  if (document.hidden) return;
  const now = Date.now();
  if (zoneChanged()) list.zoneChanged(now);
  list.tick(now);
  timer = setTimeout(tick, 1000 - (now % 1000) + 5);
}

function legend() {
  for (const [kind, words] of Object.entries(KIND_WORDS)) {
    const item = line("li", words);
    const [box, swatch] = [document.createElement("span"), document.createElement("i")];
    box.className = "box";
    swatch.className = `seg ${kind}`;
    box.append(swatch);
    item.prepend(box, " ");
    $("legend").querySelector("ul").append(item);
  }
}

async function begin() {
  const wanted = new URLSearchParams(location.search); // the tray's Add workload… and Connect a client…
  adding = adding || wanted.has("add");
  connecting ??= wanted.get("connect");
  const once = takeOnce();
  if (once) {
    try {
      if (!(await unlock(once)) && !hasKey()) return lock("This link was used before, or it is too old.");
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      turned("gone");
    }
  }
  if (!hasKey()) return lock("");
  stream.start();
  return undefined;
}

putSymbols($("symbols"));
show($("face"), "open", "grey");
legend();
document.addEventListener("visibilitychange", tick);
addEventListener("hashchange", begin);
tick();
begin();
