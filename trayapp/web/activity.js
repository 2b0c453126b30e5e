// The section of activity: which client used which workload, when, and what for. Nothing of what was asked or answered.

import { make, put, seen } from "./dom.js";
import { say, WORDS } from "./section_words.js";
import { ask, Failure } from "./session.js";
import { clock, full, instant, length } from "./times.js";

const LIMIT = 100;
const SOON = 1000; // ms; a busy client makes many requests, and one look covers them

const body = document.querySelector("#view-activity .body");
let part = {};
let last = 0; // id of the oldest row that is shown
let asked = 0; // counts requests, so that a late answer to an older one is dropped
let waiting = 0;

export function open(context) {
  const names = context.names();
  if (!part.rows) build();
  const option = (value, textContent) => make("option", { value, textContent });
  const { value } = part.workload;
  part.workload.replaceChildren(option("", WORDS.allWorkloads), ...names.map((name) => option(name, name)));
  part.workload.value = names.includes(value) ? value : "";
  load();
  return { close, activity };
}

function close() {
  asked += 1;
  clearTimeout(waiting);
  waiting = 0;
}

// The app says that there is more.
function activity() {
  waiting ||= setTimeout(() => {
    waiting = 0;
    if (!part.more.dataset.used) load();
  }, SOON);
}

function build() {
  part = {
    workload: make("select"),
    clear: make("button", { type: "button", textContent: WORDS.deleteActivity, data: { live: "" } }),
    said: make("p", { className: "quiet", role: "status" }),
    off: make("p", { className: "notice", hidden: true }, `${WORDS.activityOff} `, make("a", { href: "#settings", textContent: WORDS.settings })),
    rows: make("tbody", { role: "rowgroup" }),
    more: make("button", { type: "button", textContent: WORDS.showMore, hidden: true, data: { live: "" } }),
  };
  const heads = [WORDS.when, WORDS.client, WORDS.workload, WORDS.request, WORDS.result, WORDS.duration];
  // Roles are explicit, as a narrow window shows the rows as blocks, which would make them no table for a screen reader.
  const head = make("tr", { role: "row" }, ...heads.map((textContent) => make("th", { scope: "col", role: "columnheader", textContent })));
  part.table = make("table", { role: "table", className: "stacks" }, make("thead", { role: "rowgroup" }, head), part.rows);
  part.table.ariaLabel = WORDS.activity;
  const chooser = make("label", { className: "sort" }, `${WORDS.workload} `, part.workload);
  body.replaceChildren(
    make("p", { className: "sub", textContent: WORDS.activityText }),
    part.off,
    make("div", { className: "filter" }, chooser, part.clear),
    part.said,
    make("div", { className: "rows scroll", tabIndex: 0, role: "region", ariaLabel: WORDS.activity }, part.table),
    make("p", { className: "end" }, part.more),
  );
  part.workload.addEventListener("change", () => load());
  part.more.addEventListener("click", () => {
    part.more.dataset.used = "1";
    load(last);
  });
  part.clear.addEventListener("click", clear);
}

async function load(before = 0) {
  const mine = ++asked;
  const query = new URLSearchParams({ limit: String(LIMIT) });
  if (part.workload.value) query.set("workload", part.workload.value);
  if (before) query.set("before", String(before));
  else delete part.more.dataset.used;
  try {
    const { rows, more, recording, dropped } = await ask("GET", `/activity?${query}`);
    if (mine !== asked) return;
    last = rows.at(-1)?.id ?? last;
    const made = rows.map((each) => row(each, Date.now()));
    if (before) part.rows.append(...made);
    else part.rows.replaceChildren(...made);
    const some = part.rows.children.length > 0;
    put(part.said, dropped ? say.notRecorded(dropped) : some || !recording ? "" : WORDS.noActivity);
    seen(part.off, !recording);
    seen(part.table.parentNode, some);
    seen(part.clear, some);
    seen(part.more, more);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (mine === asked) put(part.said, error.message);
  }
}

function row(use, now) {
  const at = instant(use.at);
  const client = [use.client || WORDS.unknownClient, use.client_version].filter(Boolean).join(" ");
  const cell = (className, ...inside) => make("td", { role: "cell", className }, ...inside);
  const cells = [
    cell("clock", make("time", { dateTime: use.at, title: full(at), textContent: clock(at, now) })),
    cell("client", make("bdi", {}, client), use.via ? make("span", { className: "quiet", textContent: ` ${say.through(use.via)}` }) : ""),
    cell("workload", make("a", { href: `#workload/${use.workload}`, textContent: use.workload })),
    cell("request", make("bdi", {}, make("code", { textContent: use.method }), use.target ? ` ${use.target}` : "")),
    cell(bad(use) ? "result wrong" : "result", result(use)),
    cell("duration", use.duration < 1 ? `${Math.round(use.duration * 1000)} ms` : length(use.duration * 1000)),
  ];
  return make("tr", { role: "row" }, ...cells);
}

const bad = ({ status }) => status !== null && status >= 400;

function result({ status, served }) {
  if (status === null) return WORDS.leftEarly;
  const text = status < 400 ? WORDS.ok : say.http(status);
  return served ? text : [text, WORDS.byAmberlight].join(" ");
}

async function clear() {
  try {
    await ask("DELETE", "/activity", {});
    load();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    put(part.said, error.message);
  }
}
