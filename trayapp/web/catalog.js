// The search for a known server in the dialog that adds a workload.

import { ask, Failure } from "./session.js";

const $ = (id) => document.getElementById(id);
const SHOWN = 5;

let asked = 0; // counts searches, so that a late answer to an older one is dropped
let found = [];
let latest = Promise.resolve(); // the search under way

function show(servers, said) {
  found = servers;
  $("add-found").replaceChildren(...servers.slice(0, SHOWN).map(row));
  $("add-count").textContent = said;
}

function row(server, index) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.found = index;
  const title = document.createElement("strong");
  title.textContent = server.title;
  const about = document.createElement("span");
  about.className = "hint";
  about.textContent = server.needs_client_id ? `${server.about} · needs a client id` : server.about;
  button.append(title, " ", about);
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function counted(servers) {
  if (!servers.length) return "Not in the catalog. Enter its name and address below.";
  const more = servers.length - SHOWN;
  return more > 0 ? `Showing ${SHOWN} of ${servers.length} servers.` : "";
}

async function search(text) {
  const mine = ++asked;
  if (!text) return show([], "");
  try {
    const { servers } = await ask("GET", `/catalog?q=${encodeURIComponent(text)}`);
    if (mine === asked) show(servers, counted(servers));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (mine === asked) show([], error.message);
  }
}

// What to know about the chosen server before it is added, and its vendor's page.
function note(server) {
  const said = [];
  if (server.needs_client_id) said.push(`Needs a client id of your own. Create one ${server.client_from} and enter it below.`);
  if (server.notes) said.push(server.notes);
  const link = document.createElement("a");
  Object.assign(link, { href: server.source, target: "_blank", rel: "noreferrer noopener" });
  link.textContent = `More from ${server.vendor}`;
  $("add-note").replaceChildren(said.join(" "), " ", link);
}

// Forget the last search and choice.
export function clearSearch() {
  asked += 1;
  $("add-search").value = "";
  $("add-note").replaceChildren();
  show([], "");
}

// Calls `onChosen(server)` when the person chose one.
export function wireSearch(onChosen) {
  const choose = (server) => {
    clearSearch();
    note(server);
    onChosen(server);
  };
  $("add-search").addEventListener("input", (event) => (latest = search(event.target.value.trim())));
  $("add-search").addEventListener("keydown", async (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it chooses, and does not send the form
    await latest;
    if (found.length) choose(found[0]);
  });
  $("add-url").addEventListener("input", () => $("add-note").replaceChildren()); // another server than the chosen one
  $("add-found").addEventListener("click", (event) => {
    const index = event.target.closest("[data-found]")?.dataset.found;
    if (index !== undefined) choose(found[index]);
  });
}
