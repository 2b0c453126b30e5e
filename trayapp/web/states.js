// The rules by which a workload's row of the list becomes words: rank, label, problem, heading. Nothing here touches the DOM.
//
// Names and ranking of the states follow the tray's menu. An unknown detail is shown in the app's own words.

import { date, instant, length } from "./times.js";
import { LABELS, PROBLEMS, say, WORDS } from "./words.js";

// Worst first, as in the tray's menu. `group` is what the filter above the list selects by.
export const RANKS = {
  signed_out: { order: 0, group: "you" },
  error: { order: 1, group: "you" },
  unhealthy: { order: 2, group: "you" },
  never: { order: 3, group: "you" },
  signing_in: { order: 4, group: "you" },
  retrying: { order: 5, group: "healing" },
  starting: { order: 6, group: "healing" },
  running: { order: 7, group: "good" },
  unknown: { order: 8, group: "" },
  ending: { order: 9, group: "rest" },
  stopped: { order: 10, group: "rest" },
};

const BY_STATUS = {
  unauthenticated: "signed_out",
  error: "error",
  unhealthy: "unhealthy",
  auth_retrying: "retrying",
  starting: "starting",
  running: "running",
  stopped: "stopped",
  policy_stopped: "stopped",
  stopping: "ending",
  removing: "ending",
};

const PERSON = new Set(["keyring_locked", "keyring_unavailable", "portal"]); // amber, and it waits for somebody
const MARKS = { [LABELS.locked]: "lock", [LABELS.unavailable]: "lock", [LABELS.offline]: "offline" };

// A workload's rank, from the way it is drawn: a key of RANKS.
export function rank(row) {
  if (row.colour === "amber") return "retrying";
  if (row.status === "unauthenticated" && row.colour === "blue") return row.auth.signing_in ? "signing_in" : "never";
  return BY_STATUS[row.status] ?? "unknown";
}

export function group(row) {
  const found = rank(row);
  return found === "retrying" && PERSON.has(row.auth.detail) ? "you" : RANKS[found].group;
}

// A workload's name for people: another program's says whose it is.
export function title({ name, owner, external }) {
  return external ? `${external.name} (${owner})` : name;
}

// Whether it is another program's and has stopped: such a row leaves the list quietly.
export function isAway(row) {
  return row.external !== null && !row.external.doing && ["ending", "stopped"].includes(rank(row));
}

// The state's label: one of a fixed set, or the word of another program that isn't in it.
export function label(row) {
  return row.label;
}

// The shape beside the label: that of the tray's icon, or one of the label's own.
export function mark(row) {
  return MARKS[label(row)] ?? row.glyph;
}

// The problem as a sentence; empty when all is well.
export function problem(row) {
  const { detail, last_error: error } = row.auth;
  if (row.external) return row.status_context || (rank(row) === "retrying" ? PROBLEMS.retrying : "");
  if (row.status === "removing" || waits(row)) return "";
  if (detail === "retrying" && error) return error.summary;
  if (row.status === "stopped" && detail === "not_stored") return `${PROBLEMS.paused} ${PROBLEMS.not_stored}`; // both are true
  return PROBLEMS[detail] ?? row.status_context;
}

// The last error, where the problem's sentence isn't already about it.
export function furtherError(row) {
  const { last_error: error, detail } = row.auth;
  if (!error || (row.colour === "green" && detail === "ok")) return "";
  return error.summary === row.status_context || error.summary === problem(row) ? "" : error.summary;
}

// "HTTP 403, invalid_grant" of a problem, where its sentence doesn't name them.
export function codes(error) {
  const status = error?.http_status;
  return [status && !error.summary.includes(`(${status})`) ? say.http(status) : "", error?.code ?? ""].filter(Boolean).join(", ");
}

// Whether a row needs more than its line: something is wrong, waits for a person, or should be known.
export function isOpen(row) {
  const found = rank(row);
  if (row.external) return row.external.doing !== null || row.help !== "" || (row.status_context !== "" && found !== "running" && !isAway(row));
  if (found === "ending" || (found === "stopped" && row.auth.detail === "paused")) return false;
  if (found !== "running") return true;
  const { detail, signing_in: signingIn, sign_in_error: error, sign_in_warning: warning } = row.auth;
  return detail !== "ok" || row.action !== "" || signingIn || warning !== null || shownError(error) !== null;
}

// A sign-in's error that a person should see; what they cancelled themselves is none.
export function shownError(error) {
  return error && error.kind !== "cancelled" ? error : null;
}

// Whether a sign-in is all that it waits for.
export function waits({ status, auth }) {
  return status === "unauthenticated" && auth.signing_in;
}

// What to know about a login without a refresh token; empty for any other. A red state has its own sentence, and the
// app's advice says when it is time to sign in again.
export function renewal({ status, auth }) {
  if (auth.renewable !== false || status === "unauthenticated") return "";
  const end = instant(auth.login_ends_at);
  return Number.isFinite(end) ? say.endsOn(date(end)) : say.noEnd();
}

// What couldn't be checked about the current login; irrelevant to a person who has to sign in anyway.
export function signInWarning({ status, auth }) {
  return status === "unauthenticated" ? "" : (auth.sign_in_warning?.summary ?? "");
}

// --- what can be done ------------------------------------------------------------------------------------------------

// The buttons of a row in trouble, in order: [{verb, text, primary}]. At most one is primary.
export function buttons(row) {
  const found = rank(row);
  if (row.external) return externalButtons(row).filter(({ verb, rests }) => verb === row.action || (rests && verb === "restart"));
  if (found === "ending") return [];
  if (found === "stopped") return [{ verb: "resume", text: WORDS.resume, primary: row.action === "resume" }];
  const made = [];
  const calm = found === "running" && row.action === "";
  if (row.auth.detail !== "config_error" && !calm) made.push({ verb: "reauthorize", text: signInText(row) });
  if (!["never", "running"].includes(found) && !waits(row)) {
    made.push({ verb: "retry", text: row.auth.detail === "config_error" ? WORDS.checkAgain : WORDS.retry });
  }
  return made.map((each) => ({ ...each, primary: each.verb === row.action }));
}

// What can be done about another program's workload; it rests while something is being done. One that reconnects may well
// recover on its own.
export function externalButtons(row) {
  const { actions, doing } = row.external;
  const texts = { restart: WORDS.restart, take_over: WORDS.takeOver };
  return actions.map((verb) => ({ verb, text: texts[verb], primary: verb === row.action && rank(row) !== "retrying", rests: doing !== null }));
}

// What the menu of a row offers beyond its buttons.
export function menuItems(row) {
  const found = rank(row);
  const shown = new Set(buttons(row).map((each) => each.verb));
  if (row.external) {
    const more = externalButtons(row).filter(({ verb, rests }) => !rests && !shown.has(verb));
    return [["open", WORDS.details], ...more.map(({ verb, text }) => [verb, text])];
  }
  const may = found !== "ending" && found !== "stopped" && row.auth.detail !== "config_error";
  const items = [["open", WORDS.details]];
  if (row.kind !== "account") items.push(["connect", WORDS.connectClient]);
  if (may && !shown.has("retry") && found !== "never" && !waits(row) && row.auth.renewable !== false) items.push(["retry", WORDS.refresh]);
  if (may && !shown.has("reauthorize")) items.push(["reauthorize", WORDS.signInAgain]);
  if (found === "stopped") items.push(["resume", WORDS.resume]);
  else if (found !== "ending") items.push(["pause", WORDS.pause]);
  if (row.auth.last_error) items.push(["details", WORDS.copyError]);
  if (found !== "ending") items.push(["remove", WORDS.remove]);
  return items;
}

function signInText(row) {
  if (row.auth.signing_in) return WORDS.reopen;
  return row.auth.detail === "never_signed_in" ? WORDS.signIn : WORDS.reauthorize;
}

// --- all together ----------------------------------------------------------------------------------------------------

function sorted(rows) {
  const by = { you: [], reconnecting: [], starting: [], good: [], unknown: [], rest: [] };
  for (const row of rows) {
    const its = group(row) || "unknown";
    by[its === "healing" ? (rank(row) === "retrying" ? "reconnecting" : "starting") : its].push(row);
  }
  return by;
}

const called = (rows) => rows.map(title).sort();

// The heading: what a person wants to know first.
export function heading(rows) {
  if (!rows.length) return say.noWorkloads();
  const { you, reconnecting, starting, good, unknown, rest } = sorted(rows);
  if (you.length) return say.attention(you.length);
  if (reconnecting.length) return say.reconnecting(called(reconnecting));
  if (starting.length) return say.starting(called(starting));
  if (good.length) return say.connected(called(good));
  return unknown.length ? say.unknown(called(unknown)) : say.paused(called(rest));
}

// Below it: "3 connected · linear reconnecting, next attempt in 4 min".
export function subheading(rows, now) {
  const { you, reconnecting, starting, good, unknown, rest } = sorted(rows);
  const parts = [];
  const first = you.length || reconnecting.length || starting.length; // else the heading has said it
  if (good.length && first) parts.push(say.partConnected(good.length));
  if (reconnecting.length) parts.push(say.partReconnecting(called(reconnecting), wait(reconnecting, now)));
  if (starting.length && (you.length || reconnecting.length)) parts.push(say.partStarting(starting.length));
  if (unknown.length && (first || good.length)) parts.push(say.partUnknown(unknown.length));
  if (rest.length && (first || good.length || unknown.length)) parts.push(say.partPaused(rest.length));
  return parts.join(" · ");
}

function wait(rows, now) {
  const at = Math.min(...rows.map((row) => instant(row.auth.next_attempt_at)).filter(Number.isFinite));
  if (!Number.isFinite(at)) return "";
  if (at - now < 1000) return say.waitNow();
  return say.waitNext(length(at - now));
}

// The window's title: the important part comes first, because tabs are narrow.
export function windowTitle(rows) {
  const bad = rows.filter((row) => group(row) === "you");
  if (bad.length) return say.pageTitle(say.titleAttention(called(bad)));
  return say.pageTitle(rows.length ? heading(rows) : "");
}

// The heading where it isn't about workloads: no client can connect, or there is no configuration; empty otherwise.
export function overall({ broken, outage }) {
  if (broken) return WORDS.broken;
  return outage ? WORDS.outage : "";
}

// Glyph and colour of the tab's icon, as the tray's: the worst row decides, after the app itself; without rows it is the logo.
export function face({ broken, outage }, rows) {
  const worst = rows.reduce((a, b) => (a && RANKS[rank(a)].order <= RANKS[rank(b)].order ? a : b), null);
  if (broken) return ["cross", "red"];
  if (outage && worst?.colour !== "red") return ["warning", "amber"];
  return worst ? [worst.glyph, worst.colour] : ["logo", "grey"];
}
