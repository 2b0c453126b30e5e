// This tab's key, and all requests that are made with it.
//
// A one-time link (`/#once=…`) is traded for the key, which is kept in sessionStorage: a cookie would be sent to every
// port of this machine. The link's secret is removed from the address bar before anything else happens.

import { say } from "./words.js";

const KEY = "amberlight.key";
const BASE = "/api/v1beta";

// A failed request. `status` 0 means no response; `answer` is what the app says beyond code and sentence, such as the
// fields of a form that are wrong.
export class Failure extends Error {
  constructor(status, code, message, answer = {}) {
    super(message);
    Object.assign(this, { status, code, answer });
  }
}

// Remove a one-time link's secret from the address and return it; "" if there is none. `then` is the address's new hash.
export function takeOnce(then) {
  const found = /^#once=(.+)$/.exec(location.hash);
  if (!found) return "";
  history.replaceState(null, "", location.pathname + then);
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

// The API's path of a workload; another program's is called `OWNER/NAME`.
export function pathOf(name) {
  return `${name.includes("/") ? "/external" : "/workloads"}/${name.split("/").map(encodeURIComponent).join("/")}`;
}

function headers(more) {
  const key = sessionStorage.getItem(KEY);
  return { ...(key === null ? {} : { Authorization: `Bearer ${key}` }), ...more };
}

async function send(method, address, body, more = {}) {
  const request = { method, headers: headers(body ? { ...more, "Content-Type": "application/json" } : more), cache: "no-store" };
  if (body) request.body = JSON.stringify(body);
  try {
    return await fetch(address, request);
  } catch {
    throw new Failure(0, "gone", say.gone());
  }
}

// Call the API; returns the parsed response, null without a body. Throws `Failure` with the app's own sentence.
export async function ask(method, path, body, more) {
  const response = await send(method, `${BASE}${path}`, body, more);
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    // not JSON: the status says enough
  }
  if (response.ok) return answer;
  const { error = "http_error", message = say.refusedRequest(response.status), ...rest } = answer ?? {};
  throw new Failure(response.status, error, message, rest);
}

// Open the event stream; returns the response, whatever its status.
export function openEvents(lastId, signal) {
  const more = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
  return fetch(`${BASE}/events`, { headers: headers(more), signal, cache: "no-store" });
}
