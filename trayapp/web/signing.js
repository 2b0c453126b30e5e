// The second step of set-up: sign-ins, one after the other. The first begins by the click that led here, and by nothing else:
// not when the page is shown again.

import { act, asked, paste, settle } from "./actions.js";
import { aloud, host, make, put, seen } from "./dom.js";
import { show } from "./marks.js";
import { say, WORDS } from "./section_words.js";
import { button, footer, heading, line } from "./steps.js";
import { label, mark, rank } from "./states.js";
import { Trouble } from "./trouble.js";

const SVG = "http://www.w3.org/2000/svg";

export class SigningIn {
  constructor(flow, clicked) {
    this.flow = flow;
    this.rows = new Map();
    this.list = make("ul", { className: "picks", ariaLabel: WORDS.signIn });
    this.primary = button(WORDS.continueDo, () => flow.next(), { primary: true, live: false });
    this.skip = button(WORDS.skipStep, () => this.past(), { live: false });
    this.nothing = make("p");
    this.node = make("div", {}, ...heading(WORDS.signInTitle, WORDS.signInText), this.nothing, this.list, footer(this.primary, this.skip));
    const place = ({ name }) => (flow.kept.queue.indexOf(name) + 1 || 1000);
    for (const row of flow.rows().sort((a, b) => place(a) - place(b))) if (this.wants(row)) this.add(row);
    if (!clicked) flow.kept.queue.length = 0;
    this.current = "";
    this.draw();
    this.following();
  }

  wants(row) {
    return this.flow.kept.queue.includes(row.name) || this.flow.waiting().includes(row);
  }

  add(row) {
    const made = new Line(row, this);
    this.rows.set(row.name, made);
    this.list.append(made.node);
    return made;
  }

  past() {
    this.flow.kept.queue.length = 0;
    this.flow.next();
  }

  get open() {
    return [...this.rows.values()].filter((each) => !each.good);
  }

  draw() {
    const open = this.open;
    if (!open.some((each) => each.name === this.current)) this.current = open[0]?.name ?? "";
    for (const each of this.rows.values()) each.expand(each.name === this.current || each.row.auth.signing_in || Boolean(each.row.auth.sign_in_error));
    const waited = this.flow.kept.queue.some((name) => !this.rows.has(name));
    put(this.nothing, this.flow.rows().length ? WORDS.allSignedIn : WORDS.noneToSignIn);
    seen(this.nothing, !open.length && !waited);
    seen(this.primary, !open.length);
    seen(this.skip, open.length > 0);
  }

  // Begin the next of those that follow each other; the row of one that was just added may still be on its way.
  following() {
    const [name] = this.flow.kept.queue;
    const row = this.rows.get(name);
    if (!row || row.begun) return;
    if (row.good) return this.succeeded(name);
    this.current = name;
    this.draw();
    row.begin();
  }

  update(row) {
    const known = this.rows.get(row.name);
    if (!known && !this.wants(row)) return;
    const before = known?.row;
    (known ?? this.add(row)).update(row, Date.now());
    this.draw();
    if (!known) return this.following();
    if (before && !isGood(before) && isGood(row)) this.succeeded(row.name);
    else if (before.auth.signing_in && !row.auth.signing_in) this.flow.kept.queue.length = 0; // it failed: nothing more opens unasked
  }

  succeeded(name) {
    const { queue } = this.flow.kept;
    aloud(say.signedInTo(name));
    if (queue[0] === name) queue.shift();
    if (!this.open.length && !queue.length) return this.flow.next();
    return this.following();
  }

  removed(name) {
    this.rows.get(name)?.node.remove();
    this.rows.delete(name);
    this.draw();
  }

  tick(now) {
    for (const each of this.rows.values()) each.trouble?.tick(now);
  }
}

function isGood(row) {
  return rank(row) === "running";
}

// One workload: its state, and below it what is wrong and what to do.
class Line {
  constructor(row, step) {
    Object.assign(this, { name: row.name, row, step, begun: false, trouble: null });
    this.pill = make("span", { className: "pill" });
    this.glyph = document.createElementNS(SVG, "svg");
    this.glyph.setAttribute("class", "glyph");
    this.glyph.setAttribute("aria-hidden", "true");
    this.glyph.append(document.createElementNS(SVG, "use"));
    this.label = make("span");
    this.pill.append(this.glyph, this.label);
    this.go = make("button", { type: "button", className: "small", textContent: WORDS.signIn, ariaLabel: say.labelled(WORDS.signIn, row.name), hidden: true, data: { do: "reauthorize" } });
    this.node = make("li", {}, make("div", { className: "pick" }, ...line(null, row.name, host(row.url), this.go, this.pill)));
    this.node.addEventListener("click", (event) => this.clicked(event));
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      paste(this, event.target);
    });
    this.update(row, Date.now());
  }

  get good() {
    return isGood(this.row);
  }

  get said() {
    return this.trouble?.ref.note.textContent ?? "";
  }

  note(text, bad = false) {
    this.trouble?.note(text, bad);
  }

  update(row, now) {
    settle(row, this.row === row ? null : this.row);
    this.row = row;
    this.node.dataset.rank = rank(row);
    show(this.glyph, mark(row));
    put(this.label, label(row));
    this.trouble?.update(row, now);
    if (this.trouble && this.good) this.expand(false);
  }

  expand(wanted) {
    if (!this.trouble) {
      this.trouble = new Trouble(this.name);
      this.trouble.update(this.row, Date.now());
      this.node.append(this.trouble.node);
    }
    seen(this.trouble.node, !this.good && (wanted || asked.has(this.name)));
    seen(this.go, !this.good && this.trouble.node.hidden);
  }

  begin() {
    this.begun = true;
    this.expand(true);
    act(this, "reauthorize", null, (name) => this.step.flow.current(name));
  }

  clicked(event) {
    const fold = event.target.closest("[data-fold]");
    if (fold) {
      fold.nextElementSibling.hidden = !fold.nextElementSibling.hidden;
      fold.ariaExpanded = String(!fold.nextElementSibling.hidden);
    }
    const pressed = event.target.closest("[data-do]");
    if (!pressed || pressed.disabled) return;
    if (pressed.dataset.do === "cancel") this.step.flow.kept.queue.length = 0;
    act(this, pressed.dataset.do, pressed, (name) => this.step.flow.current(name));
  }
}
