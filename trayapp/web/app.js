// Main module of the dashboard: which section is shown, what the app's events change, and what each click leads to.
//
// Nothing about a workload is decided here: the rows come from the app, the words from states.js. One timer serves the
// whole page, and runs only while the page is visible.

import { act, asked, paste, settle } from "./actions.js";
import { $, aloud, make, put, rich, seen, translate } from "./dom.js";
import { fromTold, Loader } from "./history.js";
import { List } from "./list.js";
import { picture, putSymbols } from "./marks.js";
import { closeMenu, openMenu } from "./menu.js";
import { drawOwn } from "./own.js";
import { Sections } from "./sections.js";
import { ask, Failure, forgetKey, hasKey, takeOnce, unlock } from "./session.js";
import { face, group, heading, isAway, label, overall, rank, subheading, title, windowTitle } from "./states.js";
import { Stream } from "./stream.js";
import { clock, zoneChanged } from "./times.js";
import { wireTips } from "./tip.js";
import { KINDS, say, WORDS } from "./words.js";

const FILTER_FROM = 7; // workloads; fewer need no filter
const NAMED = 3; // changes named in one announcement; more are only counted

translate(document);
putSymbols($("symbols"));

const loader = new Loader();
const list = new List($("list"), {
  wantHistory: (row, since) => loader.want(row.name, since, (rows) => row.loaded(rows) && list.drawSoon(row)),
  onDone: changed,
});
let own = { broken: "", outage: null, warnings: [] }; // how the app itself is
let told = false; // the first list has arrived
let link = ""; // "live", "gone" or "refused"
let goneAt = 0;
let adding = false; // open the form for a new workload once the list has arrived

const current = (name) => list.rows.get(name);
const drawn = () => [...list.rows.values()].filter((row) => !isAway(row)); // as in the tray
const ours = () => [...list.rows.values()].filter((row) => !row.external).map((row) => row.name).sort();
const titled = (name) => (current(name) ? title(current(name)) : name);
const sections = new Sections({ current, names: ours, titled, empty: () => !drawn().length && !own.broken });
const onPage = () => (sections.view === "workload" ? sections.page : null);
const dialogs = () => import("./dialogs.js");

function navigate(moved) {
  if (!told) return;
  const { taken } = sections;
  if (taken) history.replaceState(null, "", `#workload/${encodeURI(taken)}`); // a reload doesn't ask again
  sections.show(moved);
  if (current(taken)?.external) takeOver(taken);
  $("gone").hidden = link !== "gone" || sections.view === "workloads";
  if (sections.view === "workloads") entitle();
}

// --- the list as a whole ---------------------------------------------------------------------------------------------

function changed(changes) {
  if (!told || link === "refused") return;
  const rows = drawn();
  summarize(rows);
  if (sections.view === "workloads") entitle();
  icon(...face(own, rows));
  if (sections.view === "workloads" && !rows.length && !own.broken) navigate(false);
  seen($("retry-all"), rows.some((row) => !row.external && ["retrying", "starting"].includes(rank(row))));
  counts();
  announce(changes.filter(({ before, now }) => before && now && before !== now));
}

function entitle() {
  put(document, overall(own) ? say.pageTitle(overall(own)) : windowTitle(drawn()), "title");
}

function summarize(rows) {
  const gone = link === "gone";
  const now = Date.now();
  put($("summary"), gone ? WORDS.unreachable : overall(own) || heading(rows));
  if (!gone) put($("more-summary"), subheading(rows, now));
  else if (!$("more-summary").dataset.gone) $("more-summary").replaceChildren(say.asOf(clock(goneAt, now)), " ", ...rich(WORDS.startIt));
  $("more-summary").dataset.gone = gone ? "1" : "";
}

function icon(glyph, colour) {
  const node = document.querySelector("link[rel=icon]");
  if (node.dataset.shows === `${glyph} ${colour}`) return;
  node.dataset.shows = `${glyph} ${colour}`;
  node.href = glyph === "logo" ? "/web/logo.svg" : picture(glyph, colour);
}

function counts() {
  const rows = [...list.rows.values()];
  const away = rows.filter(isAway);
  seen($("filter"), rows.length >= FILTER_FROM || Boolean(list.group || list.words));
  seen($("nothing"), rows.length > 0 && list.shown === 0);
  seen($("away"), away.length > 0 && !list.group && !list.words);
  put($("away"), away.length ? say.away(away.length, [...new Set(away.map((row) => row.owner))], list.away) : "");
  if ($("filter").hidden) return;
  for (const button of $("filter").querySelectorAll("[data-group]")) {
    const its = button.dataset.group;
    const count = its ? rows.filter((row) => group(row) === its).length : rows.length - (list.away ? 0 : away.length);
    put(button.lastElementChild, String(count));
    button.hidden = count === 0 && its !== list.group;
  }
}

function choose(wanted) {
  for (const each of $("filter").querySelectorAll("[data-group]")) each.ariaPressed = String(each.dataset.group === wanted);
  list.filter(wanted, $("find").value);
  counts();
}

// --- announcements for screen readers --------------------------------------------------------------------------------

const unsaid = new Set();
let saying = 0;

function announce(changes) {
  for (const { name } of changes) unsaid.add(name);
  if (unsaid.size && !saying) saying = setTimeout(sayNow, 700);
}

function sayNow() {
  saying = 0;
  const rows = [...unsaid].map(current).filter(Boolean);
  unsaid.clear();
  const texts = rows.map((row) => say.state(title(row), label(row)));
  aloud(texts.length > NAMED ? say.changed(texts.length, heading(drawn())) : texts.join(" "));
}

// --- the connection --------------------------------------------------------------------------------------------------

const stream = new Stream({ onEvent: heard, onState: turned });

function heard(kind, value) {
  if (kind === "workload") took(value);
  else if (kind === "removed") dropped(value.name);
  else if (kind === "history") happened(value.workload, fromTold(value));
  else if (kind === "app") complain(value);
  else if (kind === "activity") sections.page?.activity?.();
  else if (kind === "reset") reset(value.workloads);
}

function took(row) {
  const page = sections.of(row.name);
  if (page) settle(row, page.row);
  page?.update(row, Date.now());
  list.put(row);
  if (!page && sections.of(row.name) === null && sections.name === row.name) sections.show(false); // it was awaited there
  sections.page?.workload?.(row);
}

function dropped(name) {
  list.drop(name);
  asked.delete(name);
  sections.page?.removed?.(name);
  if (sections.of(name) && $("rename-dialog").dataset.renames !== name) sections.go("#workloads"); // else the dialog leads on
}

function happened(name, row) {
  list.happened(name, row);
  sections.of(name)?.happened(row);
}

function reset(rows) {
  const first = !told;
  told = true;
  document.body.classList.remove("reading");
  list.reset(rows);
  list.forgetHistory();
  if (first || sections.view !== "workloads") navigate(false); // what is open may have gaps
  if (first && adding) openAdd();
  adding = false;
  changed([]);
  checkUp();
}

function turned(state) {
  const before = link;
  link = state;
  document.body.dataset.link = state;
  put($("link"), state === "live" ? WORDS.live : state === "gone" ? WORDS.notConnected : "");
  if (state === "refused") return lock(told ? WORDS.lockedForgotten : "");
  if (state === "gone" && before !== "gone") goneAt = Date.now();
  seen($("locked"), false);
  for (const id of ["add", "set-up"]) seen($(id), true);
  enable(state === "live");
  seen($("gone"), state === "gone" && (sections.view !== "workloads" || !told));
  if (told) changed([]);
  if (state === "gone") aloud(WORDS.unreachable);
  if (state === "live" && before === "gone") aloud(WORDS.back);
  if (told && before === "refused") navigate(false);
  return undefined;
}

// Buttons that ask the app for something rest while nobody answers.
function enable(live) {
  for (const button of document.querySelectorAll("[data-do], [data-live]")) button.disabled = !live;
  if (!live) closeMenu(true);
}

function lock(why) {
  forgetKey();
  link = "refused";
  told = false;
  list.reset([]);
  document.body.dataset.link = "refused";
  sections.hide();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  for (const part of ["gone", "app-trouble", "told", "add", "set-up"]) $(part).hidden = true;
  seen($("locked"), true);
  put($("locked-why"), why);
  put($("link"), "");
  document.body.classList.remove("reading");
  document.title = say.pageTitle("");
  icon("open", "grey");
}

// --- Amberlight itself -----------------------------------------------------------------------------------------------

// Problems of the app as a whole; some decide the heading.
function complain(app) {
  own = app;
  document.body.dataset.logins = app.this_run_only ? "this-run" : ""; // what style.css shows then
  if (app.broken && sections.view === "setup" && !drawn().length) sections.go("#workloads");
  drawOwn($("app-trouble"), app);
  changed([]);
}

async function checkUp() {
  const before = own;
  try {
    const answer = await ask("GET", "/status");
    if (own === before) complain(answer); // else there is newer news
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
  }
}

// --- clicks ----------------------------------------------------------------------------------------------------------

const GOES = { open: "workload", connect: "clients" };

// Carry out a button or menu item about a workload; `place` is its row or its page.
async function run(place, verb, button) {
  const { name } = place;
  if (GOES[verb]) sections.go(`#${GOES[verb]}/${encodeURI(name)}`);
  else if (verb === "remove" || verb === "signOut") (await dialogs()).openConfirm(verb, name);
  else if (verb === "rename") (await dialogs()).openRename(name);
  else if (verb === "take_over") takeOver(name);
  else if (verb === "giveBack") giveBack(place);
  else if (verb === "edit") (await import("./settings.js")).openEdit(name);
  else act(place, verb, button, current);
}

function clicked(event, place) {
  const fold = event.target.closest("[data-fold]");
  if (fold) {
    fold.nextElementSibling.hidden = !fold.nextElementSibling.hidden;
    fold.ariaExpanded = String(!fold.nextElementSibling.hidden);
  }
  const button = event.target.closest("[data-do]");
  if (button && !button.disabled && button.ariaDisabled !== "true") run(place, button.dataset.do, button);
}

$("list").addEventListener("click", (event) => {
  const row = event.target.closest(".row")?.owner;
  if (!row) return;
  const more = event.target.closest(".more");
  if (more) openMenu(more, row.row, (verb) => run(row, verb, null));
  else clicked(event, row);
});
$("detail").addEventListener("click", (event) => {
  const page = onPage();
  const item = event.target.closest("[data-menu]");
  if (item) run(page, item.dataset.menu, null);
  else clicked(event, page);
});
for (const [id, place] of [["list", (event) => event.target.closest(".row").owner], ["detail", onPage]]) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    paste(place(event), event.target);
  });
}
addEventListener("click", ({ target }) => (target.matches("dialog") || target.closest("[data-close]")) && target.closest("dialog").close());
$("told").lastElementChild.addEventListener("click", () => seen($("told"), false));
$("add").addEventListener("click", openAdd);
$("set-up").addEventListener("click", () => sections.go("#setup"));
$("retry-all").addEventListener("click", () => ask("POST", "/workloads/retry", {}).then(() => aloud(say.reconnectingAll()), (error) => aloud(error.message)));
$("filter").addEventListener("click", (event) => {
  const button = event.target.closest("[data-group]");
  if (button) choose(button.dataset.group);
});
$("find").addEventListener("input", () => choose(list.group));
$("away").addEventListener("click", () => {
  list.away = !list.away;
  choose(list.group);
});
$("sort").addEventListener("change", (event) => list.order(event.target.value));

const STEPS = { ArrowDown: 1, ArrowUp: -1, Home: "first", End: "last" };

$("list").addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (STEPS[key] === undefined || !target.matches("a, .more") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (list.step(target, STEPS[key])) event.preventDefault();
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select") || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  if (sections.view !== "workloads") sections.go("#workloads");
  if (!$("filter").hidden) $("find").focus();
});
$("find").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") $("list").querySelector(".row:not([hidden]) a")?.focus();
  else return;
  event.preventDefault();
});

async function takeOver(name) {
  (await import("./take_over.js")).openTakeOver(current(name), current, (mine) => sections.go(`#workload/${mine}`));
}

async function giveBack(place) {
  (await import("./take_over.js")).openGiveBack(place.name, place.owner, () => {
    if (place.isOpen) place.fetchSpec(); // it stays if it was here before
    if (document.activeElement.matches("body, dialog:not([open]) *, #detail-give-back")) $(`view-${sections.view}`).querySelector("h1").focus();
  });
}

async function openAdd() {
  (await dialogs()).openAdd(added);
}

// After a workload was added: show its row as soon as it exists, and open its sign-in page.
function added(name) {
  aloud(say.added(name));
  if (sections.page?.added) return sections.page.added(name);
  if (sections.view !== "workloads") sections.go("#workloads");
  $("find").value = "";
  choose("");
  const end = Date.now() + 10_000;
  const look = () => {
    const row = list.items.get(name);
    if (!row?.node.isConnected) return Date.now() < end ? setTimeout(look, 50) : undefined;
    row.node.scrollIntoView({ block: "nearest" });
    row.ref.link.focus();
    return run(row, "reauthorize", null);
  };
  look();
}

// --- start -----------------------------------------------------------------------------------------------------------

let timer = 0;

function tick() {
  clearTimeout(timer);
  if (document.hidden) return;
  const now = Date.now();
  if (zoneChanged()) {
    list.zoneChanged(now);
    sections.page?.zoneChanged?.(now);
  }
  list.tick(now);
  sections.page?.tick?.(now);
  if (told && link === "live") put($("more-summary"), subheading(drawn(), now));
  timer = setTimeout(tick, 1000 - (now % 1000) + 5);
}

function legend() {
  for (const [kind, words] of Object.entries(KINDS)) {
    $("legend").append(make("li", {}, make("span", { className: "box" }, make("i", { className: `seg ${kind}` })), " ", words));
  }
}

async function begin() {
  const wanted = new URLSearchParams(location.search); // the tray's Add workload… and Connect a client…
  adding ||= wanted.has("add");
  const places = { connect: "#clients/", "take-over": "#take-over=", setup: "#setup" };
  const [place] = Object.keys(places).filter((each) => wanted.has(each));
  const once = takeOnce(place ? places[place] + wanted.get(place) : "");
  if (once) {
    try {
      if (!(await unlock(once)) && !hasKey()) return lock(WORDS.lockedUsed);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      turned("gone");
    }
  }
  if (!hasKey()) return lock("");
  stream.start();
  return undefined;
}

legend();
wireTips(document);
document.addEventListener("visibilitychange", tick);
addEventListener("hashchange", () => (location.hash.startsWith("#once=") ? begin() : navigate(true)));
tick();
begin();
