// The section of diagnostics: the checks of `amberlight doctor` with what fixes them, the log, and a report to copy.

import { capitalized, copyText, make, put, rich, seen } from "./dom.js";
import { show } from "./marks.js";
import { LEVELS, say, WORDS } from "./section_words.js";
import { ask, Failure } from "./session.js";
import { clock, full, instant } from "./times.js";

const MARKS = { ok: "tick", warning: "warning", problem: "cross" };
const RANKS = { ok: "running", warning: "retrying", problem: "error" };
const ORDER = { problem: 0, warning: 1, ok: 2 };

let part = null;
let entries = []; // of the log
let asked = 0; // counts requests for the log, so that a late answer to an older one is dropped

export function open(context) {
  const names = context.names();
  if (!part) build(document.querySelector("#view-diagnostics .body"));
  const option = (value, textContent) => make("option", { value, textContent });
  part.workload.replaceChildren(option("", WORDS.allWorkloads), ...names.map((name) => option(name, name)));
  check();
  loadLog();
  return { close };
}

function close() {
  asked += 1;
  part.report.value = "";
  seen(part.report, false);
}

const button = (textContent) => make("button", { type: "button", textContent, data: { live: "" } });

function build(body) {
  part = {
    again: button(WORDS.checkAgain),
    fix: button(WORDS.fix),
    said: make("p", { className: "quiet", role: "status" }),
    checks: make("ul", { className: "rows checks" }),
    level: make("select", {}, ...Object.entries(LEVELS).map(([value, textContent]) => make("option", { value, textContent }))),
    workload: make("select"),
    words: make("input", { type: "search", placeholder: WORDS.search, ariaLabel: WORDS.searchLog, autocomplete: "off", spellcheck: false }),
    reload: button(WORDS.reload),
    logSaid: make("p", { className: "quiet", role: "status" }),
    log: make("ol", { className: "log" }),
    copy: button(WORDS.copyReport),
    copied: make("span", { className: "good", role: "status" }),
    report: make("textarea", { rows: 12, readOnly: true, hidden: true, spellcheck: false, ariaLabel: WORDS.report }),
    file: make("p", { className: "hint" }),
  };
  part.checks.ariaLabel = WORDS.checks;
  part.level.value = "info";
  part.fix.classList.add("primary");
  part.fix.hidden = true;
  const frame = make("div", { className: "scroll log-frame", tabIndex: 0, role: "region", ariaLabel: WORDS.log }, part.log);
  body.replaceChildren(
    make("div", { className: "filter" }, part.again, part.fix, part.copy, part.copied),
    part.report,
    part.said,
    part.checks,
    make(
      "section",
      { className: "card spaced" },
      make("h2", { textContent: WORDS.log }),
      make("div", { className: "filter" }, make("label", { className: "sort" }, `${WORDS.level} `, part.level), make("label", { className: "sort" }, `${WORDS.workload} `, part.workload), part.words, part.reload),
      part.logSaid,
      frame,
      part.file,
    ),
  );
  part.again.addEventListener("click", () => check());
  part.fix.addEventListener("click", () => check("POST"));
  part.copy.addEventListener("click", copyReport);
  part.reload.addEventListener("click", loadLog);
  for (const each of [part.level, part.workload]) each.addEventListener("change", loadLog);
  part.words.addEventListener("input", drawLog);
}

async function check(method = "GET") {
  put(part.said, method === "GET" ? WORDS.checking : WORDS.fixing);
  part.again.ariaDisabled = "true";
  try {
    const { checks, fixable } = await (method === "GET" ? ask("GET", "/diagnostics") : ask("POST", "/diagnostics/fix", {}));
    const bad = checks.filter(({ state }) => state !== "ok").length;
    put(part.said, bad ? say.checksFailed(bad) : WORDS.allWell);
    part.checks.replaceChildren(...checks.toSorted((a, b) => ORDER[a.state] - ORDER[b.state]).map(shown));
    seen(part.fix, fixable);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    put(part.said, error.message);
  } finally {
    part.again.ariaDisabled = null;
  }
}

// Where the dashboard does what a command does.
const AT_HAND = { connect: "clients", disconnect: "clients", add: "workloads", reauthorize: "workloads" };

// What to do about a check, by what is at hand here instead of a command.
function remedy({ help, fixable }) {
  if (fixable) return [WORDS.chooseFix];
  const [, text, command] = /^(.*?)amberlight (\w+)\b/.exec(help) ?? [];
  const section = AT_HAND[command];
  return section ? [text, make("a", { href: `#${section}`, textContent: WORDS[section] })] : rich(help);
}

function shown(check) {
  const { name, state, text } = check;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  svg.setAttribute("class", "glyph");
  svg.ariaHidden = "true";
  show(svg, MARKS[state] ?? "question");
  const pill = make("span", { className: "pill" }, svg, make("span", { textContent: WORDS[state] ?? state }));
  const what = make("div", {}, make("p", { textContent: text }), make("p", { className: "hint" }, ...remedy(check)));
  return make("li", { className: "row check", data: { rank: RANKS[state] ?? "" } }, make("strong", { textContent: capitalized(name) }), what, pill);
}

// --- the log ---------------------------------------------------------------------------------------------------------

async function loadLog() {
  const mine = ++asked;
  const query = new URLSearchParams({ level: part.level.value, limit: "500" });
  if (part.workload.value) query.set("workload", part.workload.value);
  try {
    const answer = await ask("GET", `/log?${query}`);
    if (mine !== asked) return;
    ({ entries } = answer);
    put(part.file, answer.file);
    drawLog();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (mine === asked) put(part.logSaid, error.message);
  }
}

function drawLog() {
  const wanted = part.words.value.trim().toLowerCase();
  const now = Date.now();
  const found = entries.filter(({ text, logger }) => !wanted || `${logger} ${text}`.toLowerCase().includes(wanted));
  put(part.logSaid, found.length ? "" : wanted ? WORDS.noMatches : WORDS.emptyLog);
  seen(part.log.parentNode, found.length > 0);
  part.log.replaceChildren(
    ...found.map(({ at, level, logger, text }) =>
      make(
        "li",
        { className: level },
        make("time", { dateTime: at, title: full(instant(at)), textContent: clock(instant(at), now) }),
        make("b", { textContent: level }),
        make("span", { className: "logger", textContent: logger.replace(/^(amberlight|trayapp)\./, "") }),
        make("span", { className: "text", textContent: text }),
      ),
    ),
  );
}

async function copyReport() {
  put(part.copied, WORDS.collecting);
  try {
    const { text } = await ask("GET", "/report");
    const done = await copyText(text);
    put(part.copied, done ? WORDS.reportCopied : "");
    seen(part.report, !done);
    if (done) return;
    part.report.value = text;
    part.report.focus();
    part.report.select();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    put(part.copied, "");
    put(part.said, error.message);
  }
}
