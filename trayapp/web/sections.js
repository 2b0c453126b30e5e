// Which section is shown, by the address's hash. All but the list of workloads are loaded when somebody goes there.
//
// A section's module exports `open(context, name)`, which returns what is open or nothing: an object whose methods (`close`,
// `update`, `happened`, `workload`, `removed`, `added`, `activity`, `tick`, `zoneChanged`) are called if it has them.

import { $, make } from "./dom.js";
import { say, WORDS } from "./words.js";

const MODULES = {
  setup: () => import("./setup.js"),
  workload: () => import("./workload.js"),
  clients: () => import("./clients.js"),
  activity: () => import("./activity.js"),
  settings: () => import("./settings.js"),
  diagnostics: () => import("./diagnostics.js"),
};
const VIEWS = ["workloads", ...Object.keys(MODULES)];

let styled = null;

// The rules of all sections, which come with the first of them.
function style() {
  styled ??= new Promise((done, fail) => {
    const link = make("link", { rel: "stylesheet", href: "/web/sections.css", onload: done });
    link.onerror = (error) => {
      styled = null;
      link.remove();
      fail(error);
    };
    document.head.append(link);
  });
  return styled;
}

// A name as it was put into an address; one that isn't well-formed is nobody's.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

export class Sections {
  // `context` is what modules get: {current(name), names(), titled(name), empty()}, of which `names` has our own workloads only. With nothing to show, set-up takes the list's place.
  constructor(context) {
    this.context = context;
    this.view = "workloads";
    this.name = "";
    this.page = null; // what is open
    this.visit = 0; // counts visits, so that a module that arrives late is dropped
  }

  // "#workload/github" → ["workload", "github"]; anything unknown is the list.
  get wanted() {
    const [, view, name = ""] = /^#([a-z]+)(?:\/(.*))?$/.exec(location.hash) ?? ["", "workloads"];
    const found = VIEWS.includes(view) ? [view, decoded(name)] : ["workloads", ""];
    return found[0] === "workloads" && this.context.empty() ? ["setup", ""] : found;
  }

  // "#take-over=toolhive/github", by which the tray asks about it → "toolhive/github"; empty for any other.
  get taken() {
    return decoded(/^#take-over=(.+)$/.exec(location.hash)?.[1] ?? "");
  }

  // The page of this workload, if it is open.
  of(name) {
    return this.view === "workload" && this.name === name ? this.page : null;
  }

  // Show the section that the address names; `moved` if a person went there, who then finds the focus on its heading.
  async show(moved) {
    this.leave();
    const mine = this.visit;
    [this.view, this.name] = this.wanted;
    if (this.view === "setup" && location.hash !== "#setup") history.replaceState(null, "", "#setup"); // it stays when there is more
    const view = $(`view-${this.view}`);
    for (const each of VIEWS) $(`view-${each}`).hidden = each !== this.view;
    view.querySelector(".tools")?.append($("add")); // the list has it, and set-up
    for (const tab of $("sections").children) {
      const here = tab.hash === `#${this.view}` || (["workload", "setup"].includes(this.view) && tab.hash === "#workloads");
      tab.ariaCurrent = here ? "page" : null;
    }
    if (this.view !== "workloads") document.title = say.pageTitle(this.view === "workload" ? this.context.titled(this.name) : WORDS[this.view]);
    if (moved) {
      scrollTo(0, 0);
      view.querySelector("h1").focus();
    }
    if (!MODULES[this.view]) return;
    try {
      const [module] = await Promise.all([MODULES[this.view](), style()]);
      if (mine === this.visit) this.page = module.open(this.context, this.name) ?? null;
      if (moved && mine === this.visit) view.querySelector("h1:not(:empty)")?.focus();
    } catch (error) {
      if (document.body.dataset.link !== "gone") throw error; // else it is shown again once the app is back
    }
  }

  leave() {
    this.visit += 1;
    this.page?.close?.();
    this.page = null;
  }

  // Nothing is shown: the page is locked.
  hide() {
    this.leave();
    for (const each of VIEWS) $(`view-${each}`).hidden = true;
  }

  go(hash) {
    if (location.hash === hash) return this.show(true);
    history.pushState(null, "", hash);
    return this.show(true);
  }
}
