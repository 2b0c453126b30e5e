// Set-up: choose servers, sign in to them, connect the clients, and see each server answer. It shows what is missing; every
// step can be skipped, and what was begun is still there when somebody comes back to it.
//
// A step is an object {node, update(row), removed(name), tick(now), close()}, of which only `node` is needed.

import { Choosing } from "./choosing.js";
import { Connecting } from "./connecting.js";
import { $, aloud, make } from "./dom.js";
import { Finished } from "./finished.js";
import { say, WORDS } from "./section_words.js";
import { ask, Failure } from "./session.js";
import { rank } from "./states.js";
import { SigningIn } from "./signing.js";

const STEPS = { choose: Choosing, signIn: SigningIn, connect: Connecting, finish: Finished };
const ORDER = Object.keys(STEPS);
const NEEDS = new Set(["never", "signed_out", "signing_in"]);

// What outlives a visit: the step, what was chosen, the sign-ins that follow each other, and what was done to clients.
const kept = { step: "", items: [], queue: [], told: [] };

// What the steps use of the whole.
class Flow {
  constructor(context) {
    this.context = context;
    this.kept = kept;
    this.step = null;
    this.offers = [];
    this.clients = [];
  }

  rows() {
    return this.context.names().map((name) => this.context.current(name));
  }

  current(name) {
    return this.context.current(name);
  }

  // The workloads that wait for a sign-in.
  waiting() {
    return this.rows().filter((row) => NEEDS.has(rank(row)));
  }

  async load() {
    const [offers, clients] = await Promise.allSettled([ask("GET", "/offers"), ask("GET", "/clients")]);
    for (const each of [offers, clients]) if (each.status === "rejected" && !(each.reason instanceof Failure)) throw each.reason;
    this.offers = offers.value?.offers ?? [];
    this.clients = (clients.value?.clients ?? []).filter((client) => client.installed);
  }

  missing() {
    if (!this.rows().length || this.offers.length) return "choose";
    if (this.waiting().length) return "signIn";
    return Connecting.lacking(this.clients).length ? "connect" : "finish";
  }

  // Show a step. `moved` if a person went there, who then finds the focus on its heading.
  go(step, moved = true) {
    this.step?.close?.();
    kept.step = step;
    this.step = new STEPS[step](this, moved);
    $("setup-body").replaceChildren(this.step.node);
    this.mark();
    if (!moved) return;
    const heading = this.step.node.querySelector("h2");
    scrollTo(0, 0);
    heading.focus();
    aloud(say.step(ORDER.indexOf(step) + 1, heading.textContent));
  }

  next() {
    const at = ORDER.indexOf(kept.step);
    this.go(ORDER[at + 1]);
  }

  // Everything is done: the next visit begins with what is missing then.
  leave() {
    kept.step = "";
    kept.told = [];
    location.hash = "#workloads";
  }

  // Whether a step that was left has nothing more to do, rather than being skipped.
  done(step) {
    if (step === "choose") return this.rows().length > 0;
    if (step === "signIn") return this.rows().length > 0 && !this.waiting().length;
    return kept.told.length > 0 || (this.clients.length > 0 && !Connecting.lacking(this.clients).length);
  }

  mark() {
    for (const [i, button] of [...$("setup-steps").querySelectorAll("button")].entries()) {
      const here = ORDER[i] === kept.step;
      button.ariaCurrent = here ? "step" : null;
      button.parentNode.classList.toggle("past", i < ORDER.indexOf(kept.step) && this.done(ORDER[i]));
    }
  }
}

let flow = null;

export function open(context) {
  const mine = (flow = new Flow(context));
  if (!$("setup-steps").children.length) {
    const item = (step, i) => make("li", {}, make("button", { type: "button", onclick: () => flow.go(step) }, make("b", { ariaHidden: "true", textContent: String(i + 1) }), WORDS[step]));
    $("setup-steps").append(...ORDER.map(item));
  }
  if (kept.step || !mine.rows().length) mine.go(kept.step || "choose", false);
  else start(mine);
  return {
    close: () => {
      mine.step?.close?.();
      mine.step = null;
    },
    workload: (row) => mine.step?.update?.(row),
    removed: (name) => mine.step?.removed?.(name),
    added: (name) => {
      kept.queue.push(name);
      mine.go("signIn");
    },
    tick: (now) => mine.step?.tick?.(now),
  };
}

async function start(mine) {
  $("setup-body").replaceChildren(make("p", { className: "quiet", textContent: WORDS.lookingForServers }));
  await mine.load();
  if (mine === flow && !mine.step && !$("view-setup").hidden) mine.go(mine.missing(), false);
}
