// This tab's key, and all requests that are made with it.
//
// A one-time link (`/#once=…`) is traded for the key, which is kept in sessionStorage: a cookie would be sent to every
// port of this machine. The link's secret is removed from the address bar before anything else happens.

const KEY = "amberlight.key";
const BASE = "/api/v1beta";

// A failed request. `status` 0 means no response; `field` is the form field that is wrong, if the app names one.
export class Failure extends Error {
  constructor(status, code, message, field = "") {
    super(message);
    Object.assign(this, { status, code, field });
  }
}

// Remove a one-time link's secret from the address and return it; "" if there is none.
export function takeOnce() {
  const found = /^#once=(.+)$/.exec(location.hash);
  if (!found) return "";
  history.replaceState(null, "", location.pathname);
  return found[1];
}

// Trade the secret for a key; false if it was used before or has expired.
export async function unlock(once) {
  const response = await send("POST", `${BASE}/session`, { once });
  if (!response.ok) return false;
  sessionStorage.setItem(KEY, (await response.json()).key);
  return true;
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

export function forgetKey() {
  sessionStorage.removeItem(KEY);
}

function headers(more) {
  const key = sessionStorage.getItem(KEY);
  return { ...(key === null ? {} : { Authorization: `Bearer ${key}` }), ...more };
}

async function send(method, address, body) {
  const request = { method, headers: headers(body ? { "Content-Type": "application/json" } : {}), cache: "no-store" };
  if (body) request.body = JSON.stringify(body);
  try {
    return await fetch(address, request);
  } catch {
    throw new Failure(0, "gone", "Can't reach Amberlight. Start it: amberlight run");
  }
}

// Call the API; returns the parsed response, null without a body. Throws `Failure` with the app's own sentence.
export async function ask(method, path, body) {
  const response = await send(method, `${BASE}${path}`, body);
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    // not JSON: the status says enough
  }
  if (response.ok) return answer;
  const { error = "http_error", message = `The request was refused (HTTP ${response.status}).`, field = "" } = answer ?? {};
  throw new Failure(response.status, error, message, field);
}

// Open the event stream; returns the response, whatever its status.
export function openEvents(lastId, signal) {
  const more = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
  return fetch(`${BASE}/events`, { headers: headers(more), signal, cache: "no-store" });
}
