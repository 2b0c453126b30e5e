// The page of one of our workloads: its login, local address and key, clients, and what manages it.

import { Detail, page } from "./detail.js";
import { $, copyText, make, put, seen } from "./dom.js";
import { clientState } from "./links.js";
import { say, WORDS } from "./section_words.js";
import { rank, renewal } from "./states.js";
import { ago, instant } from "./times.js";

export class OwnDetail extends Detail {
  constructor(row) {
    super(row);
    for (const button of $("detail").querySelectorAll("[data-menu]")) button.ariaLabel = say.labelled(button.textContent, row.name);
    $("detail-clients").replaceChildren();
    put($("detail-no-clients"), "");
    seen($("detail-give-back"), false);
    $("detail-used").hidden = true;
    put($("detail-facts-title"), WORDS.login);
    put($("detail-keeper"), "");
    put($("detail-address-text"), WORDS.addressText);
    put($("detail-url"), "");
    for (const id of ["detail-secret", "detail-warning"]) seen($(id), true);
    this.hideKey();
    this.fetchSpec();
    if (row.kind === "account") return;
    this.fetchAddress();
    this.fetchClients();
  }

  // An account has no address, so no clients.
  get parts() {
    return this.row.kind === "account" ? ["manage", "tried"] : ["manage", "tried", "address", "its-clients"];
  }

  extra() {
    const { row } = this;
    const found = rank(row);
    for (const part of ["edit", "rename", "giveBack", "signOut", "remove"]) $("detail").querySelector(`[data-menu=${part}]`).disabled = found === "ending";
    const made = found === "ending" ? [] : [found === "stopped" ? null : { verb: "pause", text: WORDS.pause }, row.kind === "account" ? null : { verb: "connect", text: WORDS.connectClient }];
    if (found === "running" && row.auth.renewable !== false) made.unshift({ verb: "retry", text: WORDS.refresh });
    return made.filter(Boolean);
  }

  wanted(time) {
    const { auth, url } = this.row;
    return [
      [WORDS.address, url],
      [WORDS.account, auth.account],
      [WORDS.since, time(auth.since)],
      [WORDS.lastRefresh, time(auth.last_refreshed_at)],
      [WORDS.tokenExpires, time(auth.token_expires_at)],
      [WORDS.nextAttempt, time(auth.next_attempt_at)],
      [WORDS.loginEnds, renewal(this.row)],
      [WORDS.hosts, this.spec?.hosts?.join(" ")],
      [WORDS.issuer, this.spec?.issuer],
      [WORDS.clientId, this.spec?.client_id],
      [WORDS.scopes, this.spec?.scopes?.join(" ")],
    ];
  }

  fetchSpec() {
    this.fetch(`/workloads/${this.name}`, (spec) => {
      this.spec = spec;
      this.facts(Date.now());
      this.offerBack($("detail-give-back"), spec.taken_over_from);
    });
  }

  // Offer to give it back to the program that it was taken over from, if it was.
  offerBack(button, owner) {
    this.owner = owner;
    seen(button, owner !== null);
    if (owner === null) return;
    put(button, say.giveBack(owner));
    button.ariaLabel = say.labelled(button.textContent, this.name);
  }

  close() {
    super.close();
    this.hideKey();
  }

  // --- local address and key ----------------------------------------------------------------------------------------

  fetchAddress() {
    this.fetch(`/workloads/${this.name}/client`, ({ url }) => put($("detail-url"), url), $("detail-url"));
  }

  hideKey() {
    put($("detail-key"), "••••••••••••");
    put($("detail-show"), WORDS.showKey);
    put($("detail-copied"), "");
  }

  // The key is fetched when it is wanted, and not kept.
  async withKey(use) {
    await this.fetch(`/workloads/${this.name}/client`, ({ headers }) => use(Object.values(headers)[0]?.replace(/^Bearer /, "") ?? ""), $("detail-copied"));
  }

  toggleKey() {
    if ($("detail-show").textContent === WORDS.hideKey) return this.hideKey();
    return this.withKey((key) => {
      put($("detail-key"), key);
      put($("detail-show"), WORDS.hideKey);
    });
  }

  async copy(what) {
    if (what === "url") return super.copy();
    return this.withKey(async (key) => put($("detail-copied"), (await copyText(key)) ? WORDS.copied : say.cannotCopy()));
  }

  // --- clients ------------------------------------------------------------------------------------------------------

  fetchClients() {
    const none = $("detail-no-clients");
    this.fetch("/clients", ({ clients }) => {
      const found = clients.flatMap((client) => {
        const its = client.workloads.filter((each) => each.name === this.name && !["absent", "name_taken"].includes(each.state));
        return its.length || client.all === "connected" ? [[client, clientState(its, client.all)]] : [];
      });
      put(none, found.length ? "" : WORDS.noClients);
      $("detail-clients").replaceChildren(...found.map(([{ title }, state]) => client(title, state)));
    }, none);
    this.fetch(`/activity/clients?workload=${this.name}`, ({ rows }) => {
      seen($("detail-used"), rows.length > 0);
      const now = Date.now();
      const told = rows.map((use) => client(use.client || WORDS.unknownClient, { text: say.used(use.count, ago(instant(use.at), now)), kind: "quiet" }));
      $("detail-used").lastElementChild.replaceChildren(...told);
    });
  }
}

function client(title, { text, kind }) {
  return make("li", {}, make("strong", { textContent: title }), make("span", { className: kind, textContent: text }));
}

$("detail-show").addEventListener("click", () => page.toggleKey());
