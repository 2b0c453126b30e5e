// The last step of set-up: each workload is asked for its tools as a client does it, and what is left to do is said.

import { aloud, make, put, seen } from "./dom.js";
import { say, WORDS } from "./section_words.js";
import { ask } from "./session.js";
import { button, footer, heading, sentence } from "./steps.js";
import { rank } from "./states.js";

const AT_ONCE = 4; // requests

export class Finished {
  constructor(flow) {
    this.flow = flow;
    this.title = heading(WORDS.finishChecking, WORDS.finishText);
    this.list = make("ul", { className: "picks answers", ariaLabel: WORDS.workloads });
    this.clients = make("ul", { className: "picks answers", ariaLabel: WORDS.clients });
    this.clients.append(...flow.kept.told.map(({ title, text }) => make("li", { className: "yes" }, ...signed(make("strong", { textContent: title }), make("span", { className: "hint", textContent: text })))));
    this.again = button(WORDS.checkAgain, () => this.check());
    this.back = button(WORDS.signIn, () => flow.go("signIn"), { live: false });
    const lasts = make("p", { className: "caution run-only", textContent: WORDS.thisRunOnly });
    this.node = make("div", {}, ...this.title, this.list, this.clients, lasts, footer(button(WORDS.openDashboard, () => flow.leave(), { primary: true, live: false }), this.back, this.again));
    this.check();
  }

  async check() {
    if (this.again.ariaDisabled === "true") return;
    this.again.ariaDisabled = "true";
    seen(this.back, false);
    const rows = this.flow.rows().filter((row) => !["stopped", "ending"].includes(rank(row)));
    this.lines = rows.map((row) => new Answer(row.name));
    this.list.replaceChildren(...this.lines.map((each) => each.node));
    const left = [...this.lines];
    const work = async () => {
      for (let each = left.shift(); each; each = left.shift()) await each.ask();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this.again.ariaDisabled = null;
    this.result();
  }

  result() {
    const [title, text] = this.title;
    const bad = this.lines.filter((each) => !each.good).length;
    if (!this.lines.length) put(title, WORDS.finishNothing);
    else put(title, bad ? say.attention(bad) : WORDS.finishGood);
    seen(this.again, this.lines.length > 0);
    seen(this.back, this.flow.waiting().length > 0);
    put(text, !this.lines.length ? WORDS.finishNothingText : bad ? WORDS.finishBadText : WORDS.finishGoodText);
    aloud([title.textContent, ...this.lines.map((each) => each.text.textContent)].join(". "));
  }
}

// A line behind a sign that says how it went.
function signed(...texts) {
  return [make("span", { className: "sign", ariaHidden: "true" }), make("span", { className: "who" }, ...texts)];
}

class Answer {
  constructor(name) {
    this.name = name;
    this.good = false;
    this.text = make("strong", { textContent: say.asking(name) });
    this.help = make("span", { className: "hint" });
    this.node = make("li", {}, ...signed(this.text, this.help));
  }

  async ask() {
    try {
      const { tools, message, help } = await ask("POST", `/workloads/${this.name}/check`, {});
      this.good = tools !== null;
      this.say(message, help);
    } catch (error) {
      this.say(sentence(error), "");
    }
  }

  say(text, help) {
    put(this.text, text);
    put(this.help, help);
    this.node.className = this.good ? "yes" : "no";
  }
}
