// What a workload needs and what can be done about it: in its row while something is wrong, and on its page.
//
// It makes no requests: `actions.js` carries out the buttons' verbs. `tick` writes what depends on the time, once a second
// while it's in sight.

import { asked } from "./actions.js";
import { capitalized, make, parts, put, seen, stamp } from "./dom.js";
import { buttons, codes, furtherError, problem, rank, renewal, shownError, signInWarning, waits } from "./states.js";
import { clock, countdown, instant } from "./times.js";
import { say, WORDS } from "./words.js";

const READING = 8000; // ms
const CONSENT = new Set(["different_account", "different_server", "scope_lost", "not_renewable"]); // a person may agree to these

export class Trouble {
  // `title` is its name for people.
  constructor(name, title = name) {
    Object.assign(this, stamp("trouble"));
    Object.assign(this, { name, title });
    this.noteUntil = 0;
    this.panel = null;
    this.ref.actions.ariaLabel = say.actionsFor(title);
  }

  // Show a new row of the list. `extra` are buttons behind those that help.
  update(latest, now, extra = []) {
    const before = this.row;
    const row = asked.has(this.name) ? { ...latest, auth: { ...latest.auth, signing_in: true } } : latest; // the app's word may still be on its way
    this.row = row;
    const { ref } = this;
    const error = waits(row) ? "" : furtherError(row);
    const code = codes(row.auth.last_error);
    const text = problem(row);
    put(ref.problem, text);
    seen(ref.problem, text !== "");
    const lines = [
      error && say.lastError(error, code),
      renewal(row),
      signInWarning(row) && say.signInWarning(signInWarning(row)),
    ];
    this.lines(lines.filter(Boolean));
    put(ref.todo, row.help);
    seen(ref.todo, row.help !== "" && !waits(row));
    this.buttons([...buttons(row), ...extra]);
    this.signing(row);
    if (before && now > this.noteUntil) this.note("");
    this.tick(now);
  }

  lines(texts) {
    const { more } = this.ref;
    while (more.children.length > texts.length) more.lastElementChild.remove();
    while (more.children.length < texts.length) more.append(make("p"));
    for (const [i, text] of texts.entries()) put(more.children[i], text);
  }

  // The buttons are reused by verb, so that the focus stays where it is.
  buttons(wanted) {
    const { actions } = this.ref;
    const held = actions.contains(document.activeElement);
    const known = new Map([...actions.children].map((button) => [button.dataset.do, button]));
    const made = wanted.map(({ verb, text, primary, rests }) => {
      const button = known.get(verb) ?? make("button", { type: "button", data: { do: verb } });
      put(button, text);
      button.classList.toggle("primary", Boolean(primary));
      button.disabled = document.body.dataset.link === "gone";
      if (rests !== undefined) button.ariaDisabled = rests ? "true" : null;
      const label = say.labelled(text, this.title);
      if (button.ariaLabel !== label) button.ariaLabel = label;
      return button;
    });
    if (made.length !== actions.children.length || made.some((button, i) => actions.children[i] !== button)) actions.replaceChildren(...made);
    seen(actions, made.length > 0);
    if (held && !actions.contains(document.activeElement)) this.onFocusLost?.();
  }

  // The sign-in in progress, or the result of the last one.
  signing(row) {
    const answer = asked.get(this.name)?.answer ?? null;
    const { device, signing_in: under } = row.auth;
    const error = under ? null : shownError(row.auth.sign_in_error);
    const unopened = row.auth.browser_fault === "not_opened";
    if (!this.panel && !under && !error) return;
    this.panel ??= this.makePanel();
    const { ref } = this;
    seen(this.panel, under || error !== null);
    if (under) put(ref.signingText, unopened ? WORDS.noBrowser : device ? WORDS.waitingForCode : WORDS.waiting);
    else if (error) put(ref.signingText, say.couldNotSignIn(error.summary));
    seen(ref.acceptRow, !under && error !== null && CONSENT.has(error.kind));
    const page = answer?.authorization_url;
    seen(ref.pageRow, Boolean(under && page));
    if (page) ref.page.href = page;
    seen(ref.underRow, under);
    if (unopened && !this.unopened) this.unfold();
    this.unopened = unopened;
    seen(ref.codeRow, Boolean(under && device));
    seen(ref.deviceDo, !device);
    if (!device) return;
    ref.codePage.href = device.verification_uri_complete ?? device.verification_uri;
    put(ref.codePage, device.verification_uri);
    put(ref.code, device.user_code);
  }

  // Created on demand: few rows need it.
  makePanel() {
    const { node } = stamp("signing");
    Object.assign(this.ref, parts(node));
    for (const key of ["accept", "deviceDo", "cancel", "ways"]) this.ref[key].ariaLabel = say.labelled(this.ref[key].textContent, this.name);
    this.ref.note.before(node);
    return node;
  }

  // No browser could be opened: the other ways are in sight.
  unfold() {
    const { ways } = this.ref;
    ways.nextElementSibling.hidden = false;
    ways.ariaExpanded = "true";
  }

  // A message for the person who just pressed a button. The next change removes it; an error stays long enough to read.
  note(text, bad = false) {
    this.noteUntil = bad ? Date.now() + READING : 0;
    put(this.ref.note, text);
    this.ref.note.classList.toggle("wrong", bad);
    seen(this.ref.note, text !== "");
  }

  tick(now) {
    const { auth } = this.row;
    const said = [];
    const since = instant(auth.retrying_since ?? auth.since);
    const good = this.row.colour === "green";
    const code = codes(this.row.auth.last_error);
    if (code && !furtherError(this.row) && !good) said.push(code);
    if (!good && since > 0) said.push(say.since(clock(since, now)));
    const renewed = instant(auth.last_refreshed_at);
    if (!good && Number.isFinite(renewed)) said.push(say.lastRefreshed(clock(renewed, now)));
    if (auth.attempts) said.push(say.attempts(auth.attempts));
    const end = instant(auth.ceiling_at);
    if (Number.isFinite(end) && end > now) said.push(say.ceiling(clock(end, now)));
    put(this.ref.facts, capitalized(said.join(" · ")));
    seen(this.ref.facts, said.length > 0 && !waits(this.row));
    const next = nextText(this.row, now);
    put(this.ref.next, next);
    seen(this.ref.next, next !== "");
  }
}

// When the next attempt is made; empty if none is planned, or if all is well and nobody waits for it.
export function nextText(row, now) {
  const at = instant(row.auth.next_attempt_at);
  if (!Number.isFinite(at) || (rank(row) === "running" && row.auth.detail === "ok")) return "";
  if (at <= now) return say.nextNow();
  return say.nextIn(countdown(at, now), at > now + 90_000 ? clock(at, now) : "");
}
