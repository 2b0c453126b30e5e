// The first step of set-up: servers found in clients, from the catalog, or by address.

import { aloud, host, make, put } from "./dom.js";
import { suggested } from "./dialogs.js";
import { say, WORDS } from "./section_words.js";
import { ask } from "./session.js";
import { button, footer, heading, line, sentence, status } from "./steps.js";

const SHOWN = 5;
const ADDRESS = /^(https?:\/\/\S+|localhost(:\d+)?(\/\S*)?|[^\s/:]+(\.[^\s/:]+)+(:\d+)?(\/\S*)?)$/i;

export class Choosing {
  constructor(flow) {
    this.flow = flow;
    this.items = flow.kept.items;
    this.asked = 0;
    this.latest = Promise.resolve();
    this.found = [];
    this.list = make("ul", { className: "picks", ariaLabel: WORDS.chosenServers });
    this.results = make("ul", { className: "found", ariaLabel: WORDS.found });
    this.state = status("p", "quiet");
    this.count = status("span", "hint");
    this.input = make("input", { id: "setup-search", type: "search", autocomplete: "off", spellcheck: false, maxLength: 200 });
    this.input.setAttribute("aria-describedby", "setup-search-hint");
    const label = make("label", { htmlFor: "setup-search", textContent: WORDS.chooseMore });
    const hint = make("span", { className: "hint", id: "setup-search-hint", textContent: WORDS.chooseMoreHint });
    this.primary = button("", () => this.add(), { primary: true });
    this.skip = button(WORDS.skipStep, () => flow.next(), { live: false });
    this.node = make("div", {}, ...heading(WORDS.chooseTitle, WORDS.chooseText), this.state, this.list,
      make("p", { className: "field" }, label, this.input, hint, this.count), this.results, footer(this.primary, this.skip));
    this.input.addEventListener("input", () => (this.latest = this.search(this.input.value.trim())));
    this.input.addEventListener("keydown", (event) => event.key === "Enter" && this.enter());
    this.draw();
    this.load();
  }

  // --- what is found in clients -------------------------------------------------------------------------------------

  async load() {
    put(this.state, WORDS.lookingForServers);
    try {
      const { offers } = await ask("GET", "/offers");
      const offered = new Set(offers.map(({ keys }) => keys.url));
      const kept = this.items.splice(0).filter((item) => !item.offered || offered.has(item.keys.url));
      this.items.push(...kept);
      const known = new Set(kept.map(url));
      const made = ({ name, host: at, places, keys, notes }) => ({ name, title: name, small: say.foundIn(at, places), keys, notes, chosen: true, offered: true });
      this.items.unshift(...offers.filter(({ keys }) => !known.has(keys.url)).map(made));
      put(this.state, "");
    } catch (error) {
      put(this.state, sentence(error));
    }
    this.draw();
  }

  // --- what is searched for -----------------------------------------------------------------------------------------

  async search(text) {
    const mine = ++this.asked;
    const found = ADDRESS.test(text) ? [address(text)] : [];
    let said = "";
    if (text && !found.length) {
      try {
        const { servers } = await ask("GET", `/catalog?q=${encodeURIComponent(text.slice(0, 100))}`);
        found.push(...servers.map(fromCatalog));
        said = found.length ? (found.length > SHOWN ? say.showing(SHOWN, found.length) : "") : WORDS.notInCatalogEnter;
      } catch (error) {
        said = sentence(error);
      }
    }
    if (mine !== this.asked) return;
    this.found = found;
    put(this.count, said);
    const row = (item) => make("li", {}, make("button", { type: "button", onclick: () => this.take(item) }, make("strong", { textContent: item.title }), " ", make("span", { className: "hint", textContent: item.small })));
    this.results.replaceChildren(...found.slice(0, SHOWN).map(row));
  }

  async enter() {
    await this.latest;
    if (this.found.length) this.take(this.found[0]);
  }

  take(item) {
    const known = this.items.find((each) => same(each, item));
    if (known) known.chosen = true;
    else this.items.push(item);
    aloud(say.chosen(item.title));
    this.input.value = "";
    this.search("");
    this.draw();
    this.input.focus();
  }

  // --- adding ---------------------------------------------------------------------------------------------------------

  get chosen() {
    return this.items.filter((item) => item.chosen);
  }

  draw() {
    this.list.replaceChildren(...this.items.map((item) => this.row(item)));
    this.label();
  }

  label() {
    const { length } = this.chosen;
    put(this.primary, say.addChosen(length));
    this.primary.hidden = !length;
  }

  row(item) {
    const box = make("input", { type: "checkbox", checked: item.chosen });
    box.addEventListener("change", () => {
      item.chosen = box.checked;
      this.label();
    });
    const row = make("li", {}, make("label", {}, ...line(box, item.title, item.small)));
    if (item.notes?.length) row.append(make("p", { className: "hint", textContent: item.notes.join(" ") }));
    if (item.error) row.append(make("p", { className: "wrong", textContent: item.error }));
    if (item.client) row.append(make("p", {}, button(WORDS.enterClientId, () => this.byHand(item))));
    return row;
  }

  async add() {
    if (this.primary.ariaDisabled === "true") return;
    this.primary.ariaDisabled = "true";
    put(this.primary, WORDS.adding);
    for (const item of this.chosen) {
      item.error = "";
      try {
        const body = { ...item.keys, name: this.free(item.name), check: true };
        const { name } = await ask("POST", "/workloads", body);
        this.done(item, name);
      } catch (error) {
        item.error = sentence(error);
        item.client = error.code === "client_id_needed" ? error.answer : null;
      }
    }
    this.primary.ariaDisabled = null;
    if (!this.flow.step || this.flow.step !== this) return;
    if (!this.chosen.length) return this.flow.next();
    this.draw();
    aloud(this.chosen[0].error);
    this.list.querySelector(".wrong")?.scrollIntoView({ block: "nearest" });
  }

  done(item, name) {
    this.items.splice(this.items.indexOf(item), 1);
    this.flow.kept.queue.push(name);
  }

  // The server wants a client of the person's own: the form asks for it.
  async byHand(item) {
    const { openAdd } = await import("./dialogs.js");
    const server = { name: this.free(item.name), url: url(item), keys: item.keys, needs_client_id: true };
    openAdd((name) => {
      this.done(item, name);
      if (this.chosen.length) this.draw();
      else this.flow.next();
    }, server, item.client);
  }

  free(name) {
    const used = new Set(this.flow.context.names());
    let made = name;
    for (let n = 2; used.has(made); n++) made = `${name.slice(0, 60)}-${n}`;
    return made;
  }
}

function fromCatalog(server) {
  const small = server.needs_client_id ? say.needsId(server.about) : server.about;
  return { name: server.name, title: server.title, small, keys: server.keys, chosen: true };
}

function same(a, b) {
  return url(a) ? url(a) === url(b) : a.name === b.name;
}

// Empty for an account, which has no address.
function url({ keys }) {
  return "url" in keys ? keys.url : "";
}

function address(text) {
  const url = /^https?:/i.test(text) ? text : `https://${text}`;
  const name = suggested(url) || "server";
  return { name, title: name, small: host(url), keys: { url }, chosen: true };
}
