// Two dialogs: add a workload, remove it.

import { clearSearch, wireSearch } from "./catalog.js";
import { ask, Failure } from "./session.js";

const $ = (id) => document.getElementById(id);
const FIELDS = ["name", "url", "issuer", "client_id", "scopes"];
const FOLDED = new Set(["issuer", "client_id", "scopes"]);
const OF_ERROR = { bad_name: "name", name_taken: "name", exists: "name", bad_url: "url" };
const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });
}

// Copy a text to the clipboard; false if the browser doesn't allow it.
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

// --- add -------------------------------------------------------------------------------------------------------------

const form = $("add-dialog").querySelector("form");

export function openAdd() {
  for (const name of [...FIELDS, "form"]) complain(name, "");
  clearSearch();
  $("add-dialog").showModal();
  $("add-search").focus();
}

// Fill in what the catalog knows, and go to what is still missing.
function chosen(server) {
  for (const name of [...FIELDS, "form"]) complain(name, "");
  form.elements.name.value = server.name;
  form.elements.url.value = server.url;
  $("add-more").open ||= server.needs_client_id;
  (server.needs_client_id ? form.elements.client_id : form.querySelector("[type=submit]")).focus();
}

function complain(name, text) {
  $(`error-${name}`).textContent = text;
  const field = form.elements[name];
  if (!field) return;
  if (text) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

// Mistakes that can be found without the app: [field, sentence] pairs.
function mistakes(given) {
  const found = [];
  if (!given.name) found.push(["name", "Enter a name."]);
  else if (!NAME.test(given.name)) found.push(["name", "Use lowercase letters, numbers, - and _. Start with a letter or number."]);
  if (!given.url) found.push(["url", "Enter an address."]);
  else if (!/^https?:\/\/[^/\s]/i.test(given.url)) found.push(["url", "Enter an address that starts with https:// (or http:// on this computer)."]);
  return found;
}

function refuse(found) {
  for (const [name, text] of found) complain(name, text);
  const [first] = found[0];
  if (FOLDED.has(first)) $("add-more").open = true;
  form.elements[first]?.focus();
}

// The form field that an error of the app is about: named by the error itself, its code or its sentence.
function place(failure) {
  const named = FIELDS.find((name) => failure.field === name || new RegExp(`\\bfield ${name}\\b`).test(failure.message));
  return named ?? OF_ERROR[failure.code] ?? "form";
}

// Calls `onAdded(name)` when the app has accepted the workload.
export function wireAdd(onAdded) {
  wireSearch(chosen);
  for (const name of FIELDS) form.elements[name].addEventListener("input", () => complain(name, ""));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    for (const name of [...FIELDS, "form"]) complain(name, "");
    const given = Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim()]));
    const found = mistakes(given);
    if (found.length) return refuse(found);
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      const body = { name: given.name, url: given.url };
      if (given.issuer) body.issuer = given.issuer;
      if (given.client_id) body.client_id = given.client_id;
      if (given.scopes) body.scopes = given.scopes.split(/[\s,]+/);
      await ask("POST", "/workloads", body);
      $("add-dialog").close();
      form.reset();
      onAdded(given.name);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const where = place(error);
      if (where === "form") complain("form", error.message);
      else refuse([[where, error.message]]);
    } finally {
      button.disabled = false;
    }
  });
}

// --- remove ----------------------------------------------------------------------------------------------------------

let removing = "";

export function openRemove(name) {
  removing = name;
  $("remove-title").textContent = `Remove ${name}?`;
  $("remove-error").textContent = "";
  $("remove-dialog").showModal();
}

$("remove-yes").addEventListener("click", async () => {
  try {
    await ask("DELETE", `/workloads/${removing}`);
    $("remove-dialog").close();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    $("remove-error").textContent = error.message;
  }
});
