// The search for a known server in the dialog that adds a workload.

import { $, make } from "./dom.js";
import { say, WORDS } from "./section_words.js";
import { ask, Failure } from "./session.js";

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
  const about = server.needs_client_id ? say.needsId(server.about) : server.about;
  const button = make("button", { type: "button", data: { found: index } });
  button.append(make("strong", { textContent: server.title }), " ", make("span", { className: "hint", textContent: about }));
  return make("li", {}, button);
}

function counted(servers) {
  if (!servers.length) return WORDS.notInCatalog;
  return servers.length > SHOWN ? say.showing(SHOWN, servers.length) : "";
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
  const said = [server.needs_client_id ? say.needsClientId(server.client_from) : "", server.notes].filter(Boolean);
  const link = make("a", { href: server.source, target: "_blank", rel: "noreferrer noopener", textContent: say.moreFrom(server.vendor) });
  $("add-note").replaceChildren(said.join(" "), " ", link);
}

// Forget the last search, and its choice unless it stays.
export function clearSearch(choice = false) {
  asked += 1;
  $("add-search").value = "";
  if (!choice) $("add-note").replaceChildren();
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
