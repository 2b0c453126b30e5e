// The page of one workload: state, login, local address, history, recent changes, clients, and what manages it.

import { $, copyText, host, make, put, seen, stamp } from "./dom.js";
import { append, DAY, fromRow, loadDays } from "./history.js";
import { clientState } from "./links.js";
import { show } from "./marks.js";
import { say, WORDS } from "./section_words.js";
import { ask, Failure } from "./session.js";
import { label, mark, rank, renewal } from "./states.js";
import { draw, drawAxis, outline, segments, spanText } from "./timeline.js";
import { ago, clock, full, instant, length } from "./times.js";
import { Trouble } from "./trouble.js";
import { KINDS } from "./words.js";

const TOLD = 40; // rows of the list of changes; enough for a day on one bad network

const segs = $("detail-segs");
let page = null; // the open page

export function open({ current }, name) {
  const row = current(name);
  seen($("detail"), Boolean(row));
  seen($("detail-unknown"), !row);
  page = row ? new Detail(row) : null;
  return page;
}

class Detail {
  constructor(row) {
    Object.assign(this, { name: row.name, rows: null, attempts: [], days: 1, drawnAt: 0, spec: null, begun: Date.now() });
    this.trouble = new Trouble(row.name);
    $("detail-trouble").replaceChildren(this.trouble.node);
    put($("detail-mono"), row.name.slice(0, 1).toUpperCase());
    put($("detail-name"), row.name);
    for (const button of $("detail").querySelectorAll("[data-menu]")) button.ariaLabel = say.labelled(button.textContent, row.name);
    for (const id of ["detail-recent", "detail-clients"]) $(id).replaceChildren();
    put($("detail-no-clients"), "");
    $("detail-used").hidden = true;
    put($("detail-url"), "");
    this.hideKey();
    segs.chosen = undefined;
    segs.querySelectorAll(".seg").forEach((each) => (each.hidden = true));
    page = this;
    this.update(row, Date.now());
    this.period(1);
    this.fetchSpec();
    const account = row.kind === "account"; // it has no address, so no clients
    for (const id of ["detail-address", "detail-its-clients"]) seen($(id), !account);
    if (account) return;
    this.fetchAddress();
    this.fetchClients();
  }

  get said() {
    return this.trouble.ref.note.textContent;
  }

  note(text, bad = false) {
    this.trouble.note(text, bad);
  }

  update(row, now) {
    this.row = row;
    $("detail").dataset.rank = rank(row);
    show($("detail-mark"), mark(row));
    put($("detail-label"), label(row));
    put($("detail-host"), host(row.url) || WORDS.account);
    const found = rank(row);
    const extra = found === "ending" ? [] : [found === "stopped" ? null : { verb: "pause", text: WORDS.pause }, row.kind === "account" ? null : { verb: "connect", text: WORDS.connectClient }];
    if (found === "running" && row.auth.renewable !== false) extra.unshift({ verb: "retry", text: WORDS.refresh });
    this.trouble.update(row, now, extra.filter(Boolean));
    for (const part of ["edit", "rename", "signOut", "remove"]) $("detail").querySelector(`[data-menu=${part}]`).disabled = found === "ending";
    this.tick(now);
  }

  tick(now) {
    this.trouble.tick(now);
    this.facts(now);
    if (now - this.drawnAt > 30_000 && this.rows) this.draw(now);
  }

  facts(now) {
    const { auth, url } = this.row;
    const time = (text) => (Number.isFinite(instant(text)) ? say.inUse(clock(instant(text), now), relative(instant(text), now)) : "");
    const wanted = [
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
    ].filter(([, text]) => text);
    const list = $("detail-facts");
    const keys = wanted.map(([word]) => word).join();
    if (list.dataset.keys !== keys) {
      list.dataset.keys = keys;
      list.replaceChildren(...wanted.map(([word]) => make("div", {}, make("dt", { textContent: word }), make("dd"))));
    }
    for (const [i, [, text]] of wanted.entries()) put(list.children[i].lastElementChild, text);
  }

  // Run a request for this page; what fails is said in `into`. A late answer for a page that was left is dropped.
  async fetch(path, use, into) {
    try {
      const answer = await ask("GET", path);
      if (this.isOpen) use(answer);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (this.isOpen && into) put(into, error.message);
    }
  }

  get isOpen() {
    return page === this;
  }

  close() {
    page = null;
    this.hideKey();
  }

  fetchSpec() {
    this.fetch(`/workloads/${this.name}`, (spec) => {
      this.spec = spec;
      this.facts(Date.now());
    });
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
    const done = async (text) => put($("detail-copied"), (await copyText(text)) ? WORDS.copied : say.cannotCopy());
    if (what === "url") await done($("detail-url").textContent);
    else await this.withKey(done);
  }

  // --- history ------------------------------------------------------------------------------------------------------

  async period(days) {
    this.days = days;
    for (const button of $("detail-days").children) button.ariaPressed = String(Number(button.dataset.days) === days);
    segs.span = days * DAY;
    segs.chosen = undefined;
    segs.ariaLabel = say.history(this.name, spanText(segs.span));
    try {
      const { rows, attempts } = await loadDays(this.name, days);
      if (!this.isOpen || this.days !== days) return;
      this.rows = rows.length ? rows : [fromRow(this.row)];
      this.attempts = attempts;
      this.draw(Date.now());
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (this.isOpen) put($("detail-outline"), error.message);
    }
  }

  happened(row) {
    if (this.rows && append(this.rows, row, Date.now() - segs.span)) this.draw(Date.now());
  }

  zoneChanged(now) {
    if (this.rows) this.draw(now);
  }

  draw(now) {
    this.drawnAt = now;
    const found = segments(this.rows, now, segs.span);
    draw(segs, found, now);
    drawAxis($("detail-axis"), now, segs.span);
    put($("detail-outline"), outline(found, segs.span));
    const rows = this.rows.slice(-TOLD).reverse();
    $("detail-recent").replaceChildren(...rows.map((row, i) => change(row, rows[i - 1]?.at ?? now, now)));
    $("detail-attempts").replaceChildren(...this.attempts.map((each) => attempt(each, now)));
    put($("detail-no-attempts"), this.attempts.length ? "" : WORDS.unknownHistory);
    seen($("detail-attempts"), this.attempts.length > 0);
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

function relative(at, now) {
  return at > now ? say.waitIn(length(at - now)) : ago(at, now);
}

function line(at, now, kind, what, why) {
  const { node, ref } = stamp("change");
  ref.at.dateTime = new Date(at).toISOString();
  ref.at.title = full(at);
  put(ref.at, clock(at, now));
  put(ref.what, what);
  put(ref.why, why);
  node.className = kind;
  return node;
}

// One change of the history: when, what, for how long and why.
function change({ at, kind, text }, until, now) {
  return line(at, now, kind, KINDS[kind], [until > at ? say.lasts(length(until - at)) : "", text].filter(Boolean).join(" · "));
}

function attempt({ at, good, text }, now) {
  return line(instant(at), now, good ? "green" : "amber", "", text);
}

new ResizeObserver(() => {
  if (segs.segments) drawAxis($("detail-axis"), Date.now(), segs.span ?? DAY);
}).observe($("detail-axis"));
$("detail-days").addEventListener("click", (event) => page.period(Number(event.target.dataset.days ?? page.days)));
$("detail-show").addEventListener("click", () => page.toggleKey());
for (const button of $("detail").querySelectorAll("[data-copy]")) button.addEventListener("click", () => page.copy(button.dataset.copy));
