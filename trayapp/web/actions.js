// What each button and menu item asks of the app, and the sign-ins that were just begun from this page.

import { aloud, copyText } from "./dom.js";
import { ask, Failure, pathOf } from "./session.js";
import { codes, title } from "./states.js";
import { NOTES, say, WORDS } from "./words.js";

const POSTS = { retry: "retry", pause: "stop", resume: "restart", cancel: "cancel", restart: "restart" };
const REQUESTS = { reauthorize: { browser: true }, accept: { accept: true }, device: { browser: false, flow: "device" } };

// Sign-ins begun here: name → {answer, row}: the app's response, and how the workload was then; null: its row hasn't come yet.
export const asked = new Map();

// Call with each new row before it is shown: a sign-in that has ended is forgotten.
export function settle(row, before) {
  const known = asked.get(row.name);
  if (!known || row.auth.signing_in) return;
  known.row ??= row; // its workload is newer than the sign-in
  if (before?.auth.signing_in || JSON.stringify(trace(row)) !== JSON.stringify(trace(known.row))) asked.delete(row.name);
}

// What a sign-in changes when it ends.
function trace({ status, auth }) {
  return [status, auth.detail, auth.last_refreshed_at, auth.sign_in_error];
}

// `place` is a row of the list or a workload's page: {name, row, note(text, bad), update(row, now)}. `current(name)` is the
// workload's newest row.
export async function act(place, verb, button, current) {
  if (verb === "details") return copyDetails(place);
  if (button?.ariaDisabled === "true") return undefined;
  if (button) button.ariaDisabled = "true";
  place.note(NOTES[verb]);
  try {
    await post(place, verb, current);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    place.note(error.message, true);
    aloud(say.labelled(title(place.row), error.message));
  } finally {
    if (button) button.ariaDisabled = place.row.external?.doing ? "true" : null;
  }
  return undefined;
}

async function post(place, verb, current) {
  const path = pathOf(place.name);
  const { row } = place;
  if (POSTS[verb]) {
    await ask("POST", `${path}/${POSTS[verb]}`, {});
    if (verb === "cancel") redraw(place, null, row, current);
    const said = () => place.said === NOTES[verb];
    setTimeout(() => said() && place.note(""), 4000);
    return;
  }
  const answer = await ask("POST", `${path}/reauthorize`, REQUESTS[verb]);
  place.note("");
  if (verb !== "accept") redraw(place, answer, row, current);
  if (verb === "reauthorize") aloud(say.opened(place.name));
}

function redraw(place, answer, then, current) {
  const row = current(place.name);
  if (answer) asked.set(place.name, { answer, row: then });
  else asked.delete(place.name);
  if (!row) return;
  if (row !== then) settle(row, null); // it may have ended before the response came
  place.update(row, Date.now());
}

async function copyDetails(place) {
  const { row } = place;
  const { last_error: error, detail, attempts } = row.auth;
  const lines = [`${row.name}: ${row.status} (${detail})`, row.status_context];
  if (error) lines.push(say.lastError(`${error.kind}: ${error.summary}`), codes(error));
  if (attempts) lines.push(say.failedAttempts(attempts));
  const done = await copyText(lines.filter(Boolean).join("\n"));
  place.note(done ? WORDS.copied : say.cannotCopy(), !done);
  aloud(done ? WORDS.copied : say.cannotCopy());
}

// Pass on the address that another computer's browser ended at.
export async function paste(place, form) {
  try {
    await ask("POST", `/workloads/${place.name}/callback`, { url: form.elements.url.value.trim() });
    form.reset();
    place.note(NOTES.paste);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    place.note(error.message, true);
  }
}
