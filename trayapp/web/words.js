// All sentences about a workload on the page, and the rules that choose between them.
//
// A card has separate rows for problem, time and remedy, so its sentences are shorter than the menu's; names and ranking
// of the states follow the menu. Nothing here touches the DOM. An unknown detail is shown in the app's own words.

import { date, instant } from "./times.js";

// The problem, by detail; null means the app's own sentence (`status_context`). What to do is the app's `help`.
export const WRONG = {
  not_stored: "The newest login could not be saved in the keyring and is held in memory only.",
  keyring_locked: "The keyring that holds its login is locked.",
  keyring_unavailable: "The keyring that holds its login cannot be used.",
  config_error: null,
  confirm_change: "Its server or client was changed in the configuration. Nothing is sent there until you agree.",
  upstream_rejects: "The service rejects even fresh tokens.",
  refused: "The server ended this login.",
  lost_rotation: "The server replaced this login, but its answer was lost on the way. You did nothing wrong.",
  ended: "Its login couldn't be renewed and has ended.",
  ceiling: "Its token could not be renewed for a long time. The login is kept.",
  never_signed_in: "Nobody has signed in here yet.",
  paused: "Paused by you. Programs get no token.",
  sleeping: "The computer is about to sleep.",
  portal: "This network wants you to sign in to it first.",
  offline: "There is no network.",
  settling: "The network has just changed.",
  server_said_wait: "The server asked to wait.",
  retrying: "Its token cannot be renewed right now.",
  refresh_delayed: "It works, but its token could not be renewed yet.",
  starting: "Starting with the saved login.",
  permission_needed: null,
  stronger_sign_in: null,
  ok: "",
};

// Worst first, as in the tray's menu. `group` is what the filter buttons above the list select by.
export const RANKS = {
  signed_out: { order: 0, badge: "Needs you", group: "you" },
  error: { order: 1, badge: "Configuration error", group: "you" },
  unhealthy: { order: 2, badge: "Rejected by the service", group: "you" },
  never: { order: 3, badge: "Not signed in yet", group: "you" },
  signing_in: { order: 4, badge: "Signing in", group: "you" },
  retrying: { order: 5, badge: "Retrying by itself", group: "healing" },
  starting: { order: 6, badge: "Starting", group: "healing" },
  unknown: { order: 7, badge: "Unknown", group: "rest" },
  running: { order: 8, badge: "Signed in", group: "good" },
  ending: { order: 9, badge: "Being removed", group: "rest" },
  stopped: { order: 10, badge: "Paused", group: "rest" },
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

const BEYOND_LOGIN = new Set(["permission_needed", "stronger_sign_in"]); // the login is good, and a request needed more

const AMBER_BADGES = {
  keyring_locked: "Keyring locked",
  keyring_unavailable: "No keyring",
  portal: "Network wants a sign-in",
  offline: "Offline",
};

// A workload's rank, from the way it is drawn: a key of RANKS.
export function rank(row) {
  if (row.colour === "amber") return "retrying";
  if (row.status === "unauthenticated" && row.colour === "blue") return row.auth.signing_in ? "signing_in" : "never";
  return BY_STATUS[row.status] ?? "unknown";
}

// The state in two or three words.
export function badge(row) {
  const found = rank(row);
  if (found === "retrying") return AMBER_BADGES[row.auth.detail] ?? RANKS.retrying.badge;
  if (found === "unknown") return row.status;
  if (found === "ending" && row.status === "stopping") return "Stopping";
  return RANKS[found].badge;
}

// The problem as a sentence; empty when all is well.
export function wrong(row) {
  const { detail, signing_in: signingIn } = row.auth;
  if (row.status === "removing") return "Its login is revoked and deleted.";
  if (row.status === "unauthenticated" && signingIn) return "";
  if (detail === "refresh_delayed" && row.colour === "amber") return "Its token is being renewed.";
  if (row.status === "stopped" && detail === "not_stored") return `${WRONG.paused} ${WRONG.not_stored}`; // both are true
  return WRONG[detail] ?? row.status_context;
}

// The label of that sentence: not every state is a problem.
export function wrongLabel(row) {
  if (BEYOND_LOGIN.has(row.auth.detail)) return "State";
  return ["signed_out", "error", "unhealthy", "retrying", "running"].includes(rank(row)) ? "What is wrong" : "State";
}

// What to know about a login without a refresh token; empty for any other. A red state has its own sentence, and the
// app's advice says when it is time to sign in again.
export function renewal({ status, auth }) {
  if (auth.renewable !== false || status === "unauthenticated") return "";
  const end = instant(auth.login_ends_at);
  if (!Number.isFinite(end)) return "Can't be renewed; no known end.";
  return `Can't be renewed; ends on ${date(end)}.`;
}

export function signInLabel(row) {
  if (row.auth.signing_in) return "Reopen sign-in page";
  return row.auth.detail === "never_signed_in" ? "Sign in" : "Reauthorize";
}

// "HTTP 403, invalid_grant" of a problem; empty if it has neither.
export function codes(problem) {
  return [problem.http_status ? `HTTP ${problem.http_status}` : "", problem.code ?? ""].filter(Boolean).join(", ");
}

// --- clients ---------------------------------------------------------------------------------------------------------

const STALE = { old_port: "Has an old port", old_key: "Has an old key" };

// How a client stands to one workload or to several, and how that looks. `found` are the entries of its file, `all` is the
// state of the single entry for all workloads if it is not among them.
export function clientState(found, all) {
  const by = (...states) => found.filter((each) => states.includes(each.state));
  const [good, stale, foreign] = [by("connected"), by("old_port", "old_key"), by("direct", "name_taken")];
  const parts = [];
  if (good.length && good.length === found.length) parts.push(found.length > 1 ? `All ${found.length} connected` : "Connected");
  else if (good.length) parts.push(`Connected: ${listed(good)}`);
  for (const [state, words] of Object.entries(STALE)) {
    if (by(state).length) parts.push(found.length > 1 ? `${words}: ${listed(by(state))}` : words);
  }
  for (const each of foreign) parts.push(foreignText(each));
  if (["connected", "old_port", "old_key"].includes(all)) parts.push("Has the server with all tools");
  const kind = stale.length || foreign.length ? "stale" : good.length ? "good" : "quiet";
  return { text: parts.join(". ") || "Not connected", kind };
}

function foreignText({ name, state, entry }) {
  if (state === "name_taken") return `Has another server called ${entry}`;
  return `Signs in to ${name} separately${entry === name ? "" : ` (entry ${entry})`}`;
}

function listed(of) {
  return names(of.map((each) => each.name));
}

// What can be done: label, names and `replace` of each button, or null. An entry that is not ours is replaced only by a
// click of its own.
export function clientSteps(found) {
  const of = (...states) => found.filter((each) => states.includes(each.state)).map((each) => each.name);
  const [good, stale] = [of("connected"), of("old_port", "old_key")];
  const [absent, foreign] = [of("absent"), of("direct", "name_taken")];
  const ours = [...good, ...stale];
  let connect = null;
  if (stale.length) connect = { label: "Reconnect", names: [...stale, ...absent] };
  else if (absent.length) connect = { label: good.length ? "Connect the rest" : "Connect", names: absent };
  else if (foreign.length) connect = { label: "Replace", names: foreign, replace: true };
  return { connect, disconnect: ours.length ? { label: "Disconnect", names: ours } : null };
}

function names(of) {
  if (of.length === 1) return of[0];
  if (of.length <= 3) return `${of.slice(0, -1).join(", ")} and ${of.at(-1)}`;
  return `${of.slice(0, 2).join(", ")} and ${of.length - 2} more`;
}

// The heading: "3 of 5 signed in; github needs you; linear is retrying by itself".
export function summary(rows) {
  if (!rows.length) return "No workloads yet";
  const by = (group) => rows.filter((row) => RANKS[rank(row)].group === group).map((row) => row.name).sort();
  const [you, good] = [by("you"), by("good")];
  const ranked = (wanted) => rows.filter((row) => rank(row) === wanted).map((row) => row.name).sort();
  const [retrying, starting] = [ranked("retrying"), ranked("starting")];
  const paused = rows.filter((row) => rank(row) === "stopped").length;
  const total = rows.length - paused;
  const parts = [];
  if (total === 0) parts.push(paused === 1 ? `${rows[0].name} is paused` : `All ${paused} are paused`);
  else if (good.length === total) parts.push(total === 1 ? `${good[0]} is signed in` : `All ${total} signed in`);
  else parts.push(`${good.length} of ${total} signed in`);
  if (you.length) parts.push(`${names(you)} ${you.length === 1 ? "needs" : "need"} you`);
  if (retrying.length) parts.push(`${names(retrying)} ${retrying.length === 1 ? "is retrying by itself" : "are retrying by themselves"}`);
  if (starting.length) parts.push(`${names(starting)} ${starting.length === 1 ? "is" : "are"} starting`);
  return parts.join("; ");
}

// The heading where it isn't about workloads: no client can connect, or there is no configuration; empty otherwise.
export function overall({ broken, outage }) {
  if (broken) return "Can't read the configuration";
  return outage ? "Clients can't connect" : "";
}

// Glyph and colour of the page, as the tray icon's; `worst` is the workload that decides.
export function face({ broken, outage }, worst) {
  if (broken) return ["cross", "red"];
  if (outage && worst?.colour !== "red") return ["warning", "amber"];
  return worst ? [worst.glyph, worst.colour] : ["open", "grey"];
}

// The window title: the important part comes first, because tabs are narrow.
export function title(rows) {
  const bad = rows.filter((row) => RANKS[rank(row)].group === "you");
  if (bad.length === 1) return `${bad[0].name} needs you · Amberlight`;
  if (bad.length) return `${bad.length} need you · Amberlight`;
  return rows.length ? `${summary(rows)} · Amberlight` : "Amberlight";
}
