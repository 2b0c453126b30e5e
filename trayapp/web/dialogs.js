// The dialogs about one workload: add it, edit it, rename it, sign out of it, remove it.

import { clearSearch, wireSearch } from "./catalog.js";
import { $, copyText, host, put, seen, tell } from "./dom.js";
import { say, WORDS } from "./section_words.js";
import { ask, Failure } from "./session.js";

const FIELDS = ["name", "url", "issuer", "client_id", "client_secret", "scopes"];
const ADVANCED = new Set(["issuer", "scopes"]);
const CLIENT = new Set(["client_id", "client_secret"]);
const OF_ERROR = { bad_name: "name", name_taken: "name", exists: "name", bad_url: "url", client_id_needed: "client_id" };
const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

// Run a request for a form: its button rests meanwhile; false if it failed, and `onFailure` has said so.
async function submit(form, job, onFailure) {
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  try {
    await job();
    return true;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    onFailure(error);
    return false;
  } finally {
    button.disabled = false;
  }
}

// --- add -------------------------------------------------------------------------------------------------------------

const form = $("add-dialog").querySelector("form");

let added = () => {};
let account = null; // the keys of the chosen account, which has no address

// Calls `onAdded(name)` when the app has accepted the workload. `server` fills the form, with what the app says its client
// needs.
export function openAdd(onAdded, server = null, client = null) {
  added = onAdded;
  forgive();
  needClient(false);
  choose(null);
  clearSearch();
  form.elements.name.placeholder = "";
  $("add-dialog").showModal();
  $("add-search").focus();
  if (!server) return;
  chosen(server);
  if (client) needClient(true, client);
}

function forgive() {
  for (const name of [...FIELDS, "form"]) complain(name, "");
}

// Client id and secret stand among what is rarely needed, or in sight where they are.
function needClient(needed, { redirect_uri: redirect = "", redirect_port: port = "", client_secret: secret = "optional" } = {}) {
  if (needed) $("add-more").before($("add-client-fields"));
  else $("add-more").append($("add-client-fields"));
  form.elements.client_id.required = redirect !== ""; // before, adding tells the redirect address to register
  seen($("hint-client_id"), !needed);
  seen($("add-secret-field"), secret !== "none");
  seen($("add-redirect"), redirect !== "");
  $("add-redirect-uri").value = redirect;
  form.dataset.port = port; // the redirect's, which has to be the one that was registered
}

function choose(keys) {
  account = keys && "kind" in keys ? keys : null;
  seen($("add-url-field"), !account);
}

// Fill in what the catalog knows, and go to what is still missing.
function chosen(server) {
  forgive();
  form.elements.name.value = server.name;
  form.elements.url.value = server.url ?? "";
  choose(server.keys);
  needClient(server.needs_client_id, { client_secret: server.client_secret });
  (server.needs_client_id ? form.elements.client_id : form.querySelector("[type=submit]")).focus();
}

function complain(name, text) {
  put($(`error-${name}`), text);
  const field = form.elements[name];
  if (!field) return;
  if (text) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

// Write a name and an address as they are meant: "Notion" → "notion", "mcp.notion.com/mcp" → with https://. The address
// suggests a name, which is taken if none is given.
function tidy() {
  const { name, url } = form.elements;
  url.value = url.value.trim();
  if (/^(localhost|127\.0\.0\.1|\[::1\])(?=[:/]|$)/i.test(url.value)) url.value = `http://${url.value}`;
  else if (/^[^\s/:]+\.[^\s/]+/.test(url.value)) url.value = `https://${url.value}`;
  name.value = name.value.trim().toLowerCase().replace(/[\s.]+/g, "-");
  name.placeholder = suggested(url.value);
}

export function suggested(url) {
  const labels = host(url).split(":")[0].split(".");
  const found = labels.length > 1 ? labels.at(-2) : labels[0];
  return NAME.test(found) && !/^\d+$/.test(found) ? found : "";
}

// Mistakes that can be found without the app: [field, sentence] pairs.
function mistakes(given) {
  const found = [];
  if (!given.name) found.push(["name", WORDS.enterName]);
  else if (!NAME.test(given.name)) found.push(["name", WORDS.badName]);
  if (!account && !/^https?:\/\/[^/\s]/i.test(given.url)) found.push(["url", WORDS.enterUrl]);
  return found;
}

function refuse(found) {
  for (const [name, text] of found) complain(name, text);
  const [first] = found[0];
  if (ADVANCED.has(first) || (CLIENT.has(first) && $("add-more").contains($("add-client-fields")))) $("add-more").open = true;
  form.elements[first]?.focus();
}

// Which fields a refusal of the app is about: what it names, or what its code or sentence does.
function places({ code, message, answer }) {
  if (answer.fields && Object.keys(answer.fields).some((name) => FIELDS.includes(name))) {
    return Object.entries(answer.fields).map(([name, text]) => [FIELDS.includes(name) ? name : "form", text]);
  }
  const named = FIELDS.find((name) => answer.field === name || new RegExp(`\\bfield ${name}\\b`).test(message));
  return [[named ?? OF_ERROR[code] ?? "form", message]];
}

function body(given) {
  const made = { ...(account ?? { url: given.url }), name: given.name, check: true };
  for (const key of ["issuer", "client_id", "client_secret"]) if (given[key]) made[key] = given[key];
  if (given.client_id && form.dataset.port) made.redirect_port = Number(form.dataset.port);
  if (given.scopes) made.scopes = given.scopes.split(/[\s,]+/);
  return made;
}

wireSearch(chosen);
for (const name of FIELDS) form.elements[name].addEventListener("input", () => complain(name, ""));
for (const name of ["name", "url"]) form.elements[name].addEventListener("change", tidy);
$("add-redirect-copy").addEventListener("click", async () => {
  const done = await copyText($("add-redirect-uri").value);
  if (!done) $("add-redirect-uri").select();
  put($("add-redirect-done"), done ? WORDS.copied : say.cannotCopy());
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  forgive();
  tidy();
  form.elements.name.value ||= form.elements.name.placeholder;
  const given = Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim()]));
  const found = mistakes(given);
  if (found.length) return refuse(found);
  const done = await submit(form, () => ask("POST", "/workloads", body(given)), (error) => {
    if (error.code === "client_id_needed") needClient(true, error.answer);
    clearSearch(true);
    refuse(places(error));
  });
  if (!done) return undefined;
  $("add-dialog").close();
  form.reset();
  return added(given.name);
});

// --- rename ----------------------------------------------------------------------------------------------------------

const renaming = $("rename-dialog").querySelector("form");

export function openRename(name) {
  renaming.dataset.name = name;
  put($("rename-title"), say.renameTitle(name));
  put($("rename-error"), "");
  renaming.elements.name.value = name;
  $("rename-dialog").showModal();
  renaming.elements.name.select();
}

renaming.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [from, to] = [renaming.dataset.name, renaming.elements.name.value.trim().toLowerCase()];
  const failed = ({ message }) => put($("rename-error"), message);
  if (!NAME.test(to)) return failed({ message: WORDS.badName });
  if (from === to) return $("rename-dialog").close();
  $("rename-dialog").dataset.renames = from;
  const done = await submit(renaming, () => ask("PATCH", `/workloads/${from}`, { name: to }).then(({ message, notes }) => tell([message, ...notes])), failed);
  delete $("rename-dialog").dataset.renames;
  if (!done) return undefined;
  $("rename-dialog").close();
  if (location.hash.startsWith(`#workload/${from}`)) location.replace(`#workload/${to}`);
  return undefined;
});

// --- sign out, remove ------------------------------------------------------------------------------------------------

const confirming = $("confirm-dialog").querySelector("form");
const QUESTIONS = {
  remove: { title: say.removeTitle, text: WORDS.removeText, yes: WORDS.removeDo, job: (name) => ask("DELETE", `/workloads/${name}`).then(({ notes }) => tell(notes)) },
  signOut: { title: say.signOutTitle, text: WORDS.signOutText, yes: WORDS.signOutDo, job: (name) => ask("POST", `/workloads/${name}/sign-out`, {}) },
};
let question = null;
let about = "";

export function openConfirm(kind, name) {
  [question, about] = [QUESTIONS[kind], name];
  put($("confirm-title"), question.title(name));
  put($("confirm-text"), question.text);
  put($("confirm-yes"), question.yes);
  put($("confirm-error"), "");
  $("confirm-dialog").showModal();
}

confirming.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await submit(confirming, () => question.job(about), ({ message }) => put($("confirm-error"), message))) $("confirm-dialog").close();
});
