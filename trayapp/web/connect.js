// The dialog that connects MCP clients: the state of each installed one with a button to change it, and settings to copy
// for the others. For one workload or for all: as one server each, or as a single server with all tools.

import { copyText } from "./dialogs.js";
import { ask, Failure } from "./session.js";
import { clientState, clientSteps } from "./words.js";

const $ = (id) => document.getElementById(id);
const dialog = $("connect-dialog");
const template = $("client");
const PLAIN = "json"; // settings for a client that is not in the table

let workload = ""; // "": all
let clients = [];
let opened = 0; // counts openings, so that a late answer to an older one is dropped

export function openConnect(name) {
  workload = name;
  opened += 1;
  clients = [];
  $("connect-title").textContent = name ? `Connect clients to ${name}` : "Connect clients to all workloads";
  $("connect-how").hidden = Boolean(name);
  dialog.querySelector("[name=how][value=each]").checked = true;
  $("connect-list").replaceChildren();
  $("connect-hand").open = false;
  $("connect-hand").hidden = true;
  forgetCopied();
  dialog.showModal();
  load(opened);
}

// Whether it is about the single entry over all workloads.
function together() {
  return !workload && dialog.querySelector("[name=how][value=all]").checked;
}

async function load(mine) {
  say("Looking for clients…");
  try {
    const answer = await ask("GET", "/clients");
    if (mine !== opened) return;
    clients = answer.clients;
    const installed = clients.filter((client) => client.installed);
    say(installed.length ? "" : "No known clients are installed. Copy the settings for yours.");
    $("connect-list").replaceChildren(...installed.map(row));
    $("connect-hand").open = !installed.length;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (mine !== opened) return;
    say(error.message, true);
    $("connect-hand").open = true;
  }
  offer();
}

function say(text, bad = false) {
  $("connect-state").textContent = text;
  $("connect-state").className = bad ? "wrong" : "quiet";
}

// --- installed clients -----------------------------------------------------------------------------------------------

function row(client) {
  const node = template.content.firstElementChild.cloneNode(true);
  node.ref = {};
  for (const each of node.querySelectorAll("[data-ref]")) node.ref[each.dataset.ref] = each;
  node.ref.title.textContent = client.title;
  draw(node, client);
  return node;
}

// What the client has of what this dialog is about.
function entries(client) {
  if (together()) return client.all === null ? [] : [{ name: "", state: client.all, entry: "amberlight" }];
  return client.workloads.filter((each) => !workload || each.name === workload);
}

function draw(node, client) {
  const { ref } = node;
  const found = client.problem ? [] : entries(client);
  const { text, kind } = client.problem ? { text: client.problem, kind: "wrong" } : clientState(found, !together() && client.all);
  node.client = client;
  node.steps = clientSteps(found);
  ref.file.textContent = client.problem ? "" : client.file + (node.steps.connect?.replace ? " · a backup is kept" : "");
  ref.state.textContent = text;
  ref.state.className = `state ${kind}`;
  const held = node.contains(document.activeElement);
  for (const [key, step] of [["connect", node.steps.connect], ["disconnect", node.steps.disconnect]]) {
    ref[key].hidden = !step;
    ref[key].textContent = step?.label ?? "";
    ref[key].ariaLabel = step ? `${step.label}: ${client.title}` : null;
  }
  if (held) [ref.connect, ref.disconnect].find((button) => !button.hidden)?.focus(); // it stays on this row
}

function tell(node, sentences, bad = false) {
  node.ref.told.textContent = sentences.filter(Boolean).join(" ");
  node.ref.told.className = bad ? "told wrong" : "told good";
}

async function act(node, word, button) {
  if (button.ariaDisabled === "true") return;
  const step = node.steps[word];
  const mine = opened;
  const body = together() ? { all: true } : { names: step.names };
  if (step.replace) body.replace = true;
  for (const each of [node.ref.connect, node.ref.disconnect]) each.ariaDisabled = "true";
  tell(node, [word === "connect" ? "Connecting…" : "Disconnecting…"]);
  try {
    const answer = await ask("POST", `/clients/${node.client.name}/${word}`, body);
    if (mine !== opened) return;
    for (const each of [node.ref.connect, node.ref.disconnect]) each.ariaDisabled = null;
    clients = clients.map((each) => (each.name === answer.client.name ? answer.client : each));
    draw(node, answer.client);
    const { title, restart } = answer.client;
    const done = word === "connect" ? `${title} is connected. ${restart}` : `${title} is disconnected.`;
    tell(node, [answer.changed ? done : answer.message, ...answer.kept], !answer.message);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    tell(node, [error.message], true);
  } finally {
    for (const each of [node.ref.connect, node.ref.disconnect]) each.ariaDisabled = null;
  }
}

$("connect-list").addEventListener("click", (event) => {
  const button = event.target.closest("[data-client]");
  if (button) act(button.closest("li"), button.dataset.client, button);
});

$("connect-how").addEventListener("change", () => {
  for (const node of $("connect-list").children) {
    draw(node, clients.find((each) => each.name === node.client.name));
    tell(node, []);
  }
});

// --- by hand ---------------------------------------------------------------------------------------------------------

// Fill the list of clients; the first is one that is not installed, as the others have buttons.
function offer() {
  const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text });
  const group = (label, of) => {
    const made = Object.assign(document.createElement("optgroup"), { label });
    made.append(...of.map((client) => option(client.name, client.title)));
    return made;
  };
  const [here, away] = [clients.filter((each) => each.installed), clients.filter((each) => !each.installed)];
  const groups = [away.length && group("Not installed", away), here.length && group("Installed", here)];
  $("connect-client").replaceChildren(option(PLAIN, "Any other client"), ...groups.filter(Boolean));
  $("connect-hand").hidden = false;
  where();
}

function where() {
  const client = clients.find((each) => each.name === $("connect-client").value);
  const place = client ? `Paste into ${client.file}. ${client.restart}` : "Name, type, URL and header, as JSON.";
  $("connect-where").textContent = workload ? place : `One server with all tools. ${place}`;
  forgetCopied();
}

function forgetCopied() {
  $("connect-text").value = ""; // it holds a key
  $("connect-by-hand").hidden = true;
  copied("");
}

function copied(text, bad = false) {
  $("connect-copied").textContent = text;
  $("connect-copied").className = bad ? "wrong" : "good";
}

$("connect-client").addEventListener("change", where);
dialog.addEventListener("close", forgetCopied);
$("connect-copy").addEventListener("click", async () => {
  forgetCopied();
  try {
    const answer = await ask("GET", workload ? `/workloads/${workload}/client` : "/aggregate/client");
    const text = answer.settings[$("connect-client").value];
    if (await copyText(text)) return copied("Copied. The settings contain a key: keep them private.");
    $("connect-text").value = text;
    $("connect-by-hand").hidden = false;
    $("connect-text").focus();
    $("connect-text").select();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    copied(error.message, true);
  }
  return undefined;
});
