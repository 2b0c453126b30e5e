// The section of MCP clients: the state of each installed one with a button to change it, and settings to copy for the
// others. For one workload or for all: as one server each, or as a single server with all tools.

import { $, copyText, make, put, seen, stamp } from "./dom.js";
import { clientState, clientSteps } from "./links.js";
import { say, WORDS } from "./section_words.js";
import { ask, Failure } from "./session.js";

const PLAIN = "json"; // settings for a client that is not in the table
const EACH = "*"; // all workloads, an entry each; "": a single entry for all

const list = $("connect-list");
const what = $("connect-what");

let clients = [];
let asked = 0; // counts requests, so that a late answer to an older one is dropped

// Show the section for this workload, or for all if it is empty.
export function open(context, name) {
  const names = context.names().filter((each) => context.current(each).kind !== "account");
  const option = (value, text) => make("option", { value, textContent: text });
  what.replaceChildren(option(EACH, WORDS.connectEach), option("", WORDS.connectTogether), ...names.map((each) => option(each, each)));
  what.value = names.includes(name) ? name : EACH;
  list.replaceChildren();
  $("connect-hand").hidden = true;
  forgetCopied();
  load();
  return { close };
}

function close() {
  asked += 1;
  forgetCopied();
}

// Whether it is about the single entry over all workloads.
const together = () => what.value === "";
const workload = () => (what.value === EACH ? "" : what.value);

async function load() {
  const mine = ++asked;
  tellAll(WORDS.lookingForClients);
  try {
    const answer = await ask("GET", "/clients");
    if (mine !== asked) return;
    clients = answer.clients;
    const installed = clients.filter((client) => client.installed);
    tellAll(installed.length ? "" : WORDS.noneInstalled);
    list.replaceChildren(...installed.map(row));
    $("connect-hand").open = !installed.length;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (mine !== asked) return;
    tellAll(error.message, true);
    $("connect-hand").open = true;
  }
  offer();
}

function tellAll(text, bad = false) {
  put($("connect-state"), text);
  $("connect-state").className = bad ? "wrong" : "quiet";
}

// --- installed clients -----------------------------------------------------------------------------------------------

function row(client) {
  const { node, ref } = stamp("client");
  node.ref = ref;
  put(ref.mono, client.title.slice(0, 1));
  put(ref.title, client.title);
  draw(node, client);
  return node;
}

// What the client has of what the section is about.
function entries(client) {
  if (together()) return client.all === null ? [] : [{ name: "", state: client.all, entry: "amberlight" }];
  return client.workloads.filter((each) => !workload() || each.name === workload());
}

function draw(node, client) {
  const { ref } = node;
  const found = client.problem ? [] : entries(client);
  const { text, kind } = client.problem ? { text: client.problem, kind: "wrong" } : clientState(found, !together() && client.all);
  node.client = client;
  node.steps = clientSteps(found);
  put(ref.file, client.problem ? "" : [client.file, node.steps.connect?.replace ? say.backup() : ""].filter(Boolean).join(" · "));
  put(ref.state, text);
  ref.state.className = `state ${kind}`;
  const held = node.contains(document.activeElement);
  for (const [key, step] of [["connect", node.steps.connect], ["disconnect", node.steps.disconnect]]) {
    seen(ref[key], Boolean(step));
    put(ref[key], step?.label ?? "");
    ref[key].ariaLabel = step ? say.labelled(step.label, client.title) : null;
  }
  if (held) [ref.connect, ref.disconnect].find((button) => !button.hidden)?.focus(); // it stays on this row
}

function tell(node, sentences, bad = false) {
  put(node.ref.told, sentences.filter(Boolean).join(" "));
  node.ref.told.className = bad ? "told wrong" : "told good";
}

async function act(node, word, button) {
  if (button.ariaDisabled === "true") return;
  const step = node.steps[word];
  const mine = asked;
  const body = together() ? { all: true } : { names: step.names };
  if (step.replace) body.replace = true;
  const rest = (value) => [node.ref.connect, node.ref.disconnect].forEach((each) => (each.ariaDisabled = value));
  rest("true");
  tell(node, [word === "connect" ? say.connecting() : say.disconnecting()]);
  try {
    const answer = await ask("POST", `/clients/${node.client.name}/${word}`, body);
    clients = clients.map((each) => (each.name === answer.client.name ? answer.client : each));
    if (mine !== asked) return;
    draw(node, answer.client);
    tell(node, [answer.message, ...answer.kept]); // its warnings are in it
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    tell(node, [error.message], true);
  } finally {
    rest(null);
  }
}

list.addEventListener("click", (event) => {
  const button = event.target.closest("[data-client]");
  if (button) act(button.closest("li"), button.dataset.client, button);
});

what.addEventListener("change", () => {
  for (const node of list.children) {
    draw(node, clients.find((each) => each.name === node.client.name));
    tell(node, []);
  }
  where();
});

// --- by hand ---------------------------------------------------------------------------------------------------------

// Fill the list of clients; the first is one that is not installed, as the others have buttons.
function offer() {
  const option = (value, text) => make("option", { value, textContent: text });
  const grouped = (label, of) => make("optgroup", { label }, ...of.map((client) => option(client.name, client.title)));
  const [here, away] = [clients.filter((each) => each.installed), clients.filter((each) => !each.installed)];
  const groups = [away.length && grouped(WORDS.notInstalled, away), here.length && grouped(WORDS.installed, here)];
  $("connect-client").replaceChildren(option(PLAIN, WORDS.anyClient), ...groups.filter(Boolean));
  $("connect-hand").hidden = false;
  where();
}

function where() {
  const client = clients.find((each) => each.name === $("connect-client").value);
  const place = client ? say.pasteInto(client.file, client.restart) : WORDS.pasteJson;
  put($("connect-where"), workload() ? place : `${WORDS.allTools} ${place}`);
  forgetCopied();
}

function forgetCopied() {
  $("connect-text").value = ""; // it holds a key
  $("connect-by-hand").hidden = true;
  copied("");
}

function copied(text, bad = false) {
  put($("connect-copied"), text);
  $("connect-copied").className = bad ? "wrong" : "good";
}

$("connect-client").addEventListener("change", where);
$("connect-copy").addEventListener("click", async () => {
  forgetCopied();
  try {
    const answer = await ask("GET", workload() ? `/workloads/${workload()}/client` : "/aggregate/client");
    const text = answer.settings[$("connect-client").value];
    if (await copyText(text)) return copied(WORDS.copied);
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
