// The key of this tab, and every request that is made with it.
//
// A one-time link (`/#once=…`) is traded for the key, which lives in sessionStorage: not in a cookie, which would reach
// every port of this machine. The link's secret leaves the address bar before anything else happens.

const KEY = "amberlight.key";
const BASE = "/api/v1beta";

// Why a request came to nothing. `status` 0: nobody answered. `field`: which field of a form it is about, if it says so.
export class Failure extends Error {
  constructor(status, code, message, field = "") {
    super(message);
    Object.assign(this, { status, code, field });
  }
}

// Take the secret of a one-time link out of the address; "" if there is none.
export function takeOnce() {
  const found = /^#once=(.+)$/.exec(location.hash);
  if (!found) return "";
  history.replaceState(null, "", location.pathname);
  return found[1];
}

// Trade it for a key; false if it was used before or is too old.
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
    throw new Failure(0, "gone", "Amberlight does not answer: it is not running, or just starting.");
  }
}

// Ask the API; the parsed answer, or null where it has no body. Raises `Failure` with the app's own sentence.
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

// Open the event stream; the response, whatever its status.
export function openEvents(lastId, signal) {
  const more = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
  return fetch(`${BASE}/events`, { headers: headers(more), signal, cache: "no-store" });
}
