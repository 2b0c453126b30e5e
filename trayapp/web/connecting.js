// The third step of set-up: one click connects all chosen clients to the workloads that they lack.

import { aloud, make, put } from "./dom.js";
import { clientState, clientSteps } from "./links.js";
import { say, WORDS } from "./section_words.js";
import { ask } from "./session.js";
import { button, footer, heading, line, sentence, status } from "./steps.js";

export class Connecting {
  // The clients that lack a workload, each with what to connect: {client, names, replace}. An entry with a login of the
  // client's own is replaced where ours is there; a foreign server of the same name never is.
  static lacking(clients) {
    const made = [];
    for (const client of clients.filter((each) => !each.problem)) {
      const of = (...states) => client.workloads.filter((each) => states.includes(each.state)).map((each) => each.name);
      const [missing, direct] = [of("absent", "old_port", "old_key"), of("direct")];
      if (missing.length || direct.length) made.push({ client, names: [...missing, ...direct], replace: direct.length > 0 });
    }
    return made;
  }

  constructor(flow) {
    this.flow = flow;
    this.rows = [];
    this.list = make("ul", { className: "picks", ariaLabel: WORDS.installedClients });
    this.state = status("p", "quiet");
    this.caution = make("p", { className: "hint", textContent: WORDS.replacesOwn, hidden: true });
    this.primary = button("", () => this.connect(), { primary: true });
    this.primary.hidden = true;
    this.skip = button(WORDS.skipStep, () => flow.next(), { live: false });
    this.node = make("div", {}, ...heading(WORDS.connectTitle, WORDS.connectText), this.state, this.list, this.caution, footer(this.primary, this.skip));
    this.load();
  }

  async load() {
    put(this.state, WORDS.lookingForClients);
    try {
      const { clients } = await ask("GET", "/clients");
      this.flow.clients = clients.filter((client) => client.installed);
      this.show(this.flow.clients);
    } catch (error) {
      put(this.state, sentence(error));
    }
  }

  show(clients) {
    const lacking = new Map(Connecting.lacking(clients).map((each) => [each.client.name, each]));
    this.rows = clients.map((client) => new ClientLine(client, lacking.get(client.name), () => this.label()));
    this.list.replaceChildren(...this.rows.map((row) => row.node));
    this.caution.hidden = ![...lacking.values()].some((each) => each.replace);
    put(this.state, clients.length ? (lacking.size ? "" : WORDS.allClientsConnected) : WORDS.noneInstalledHere);
    this.label();
  }

  get chosen() {
    return this.rows.filter((row) => row.box?.checked);
  }

  label() {
    const { length } = this.chosen;
    put(this.primary, say.connectChosen(length));
    this.primary.hidden = !length;
    const left = this.rows.some((row) => row.box);
    put(this.skip, left ? WORDS.skipStep : WORDS.continueDo);
    this.skip.className = left ? "" : "primary";
  }

  async connect() {
    if (this.primary.ariaDisabled === "true") return;
    this.primary.ariaDisabled = "true";
    put(this.primary, say.connecting());
    let failed = false;
    for (const row of this.chosen) {
      try {
        const { client, names, replace } = row.wanted;
        const answer = await ask("POST", `/clients/${client.name}/connect`, { names, replace });
        this.flow.kept.told.push({ title: client.title, text: [answer.message, ...answer.kept].join(" ") });
        row.done(answer.client);
      } catch (error) {
        failed = true;
        row.tell(sentence(error));
        aloud(row.told.textContent);
      }
    }
    this.primary.ariaDisabled = null;
    if (this.flow.step !== this) return;
    if (failed) this.label();
    else this.flow.next();
  }
}

class ClientLine {
  constructor(client, wanted, onChange) {
    this.wanted = wanted;
    this.box = wanted ? make("input", { type: "checkbox", checked: true, onchange: onChange }) : null;
    this.state = make("span", {});
    this.told = make("p", { className: "wrong" });
    const parts = line(this.box ?? make("span", { className: "gap" }), client.title, client.problem ? "" : client.file, this.state);
    this.node = make("li", {}, make(wanted ? "label" : "div", { className: "pick" }, ...parts), this.told);
    this.draw(client);
  }

  draw(client) {
    const { text, kind } = client.problem ? { text: "", kind: "" } : clientState(client.workloads, client.all);
    this.tell(client.problem ?? "");
    put(this.state, text);
    this.state.className = `state ${kind}`;
    if (this.box && !clientSteps(client.workloads).connect) this.box.checked = false;
  }

  done(client) {
    this.draw(client);
    this.box.checked = false;
    this.box.disabled = true;
  }

  tell(text) {
    put(this.told, text);
  }
}
