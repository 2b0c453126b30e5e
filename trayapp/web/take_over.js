// The dialog that asks before a workload is taken over from another program, or given back: it shows what would change;
// nothing changes until the button is pressed.

import { asked } from "./actions.js";
import { aloud, make, put, rich, seen, tell } from "./dom.js";
import { say, WORDS } from "./section_words.js";
import { ask, Failure, pathOf } from "./session.js";

let dialog = null; // made when it is first wanted
let part = {};
let open = 0; // counts openings, so that a late answer to an earlier one is dropped

// Ask about another program's workload, a row of the list. Calls `onTaken(name)` with its name here once it is ours;
// `current(name)` is the newest row of a workload.
export async function openTakeOver(row, current, onTaken) {
  const path = `${pathOf(row.name)}/take-over`;
  const names = [row.external.name, row.owner];
  const mine = show(say.takeOverTitle(...names), WORDS.takeOverDo, "primary", () => take(path, current, onTaken));
  put(part.state, WORDS.readingPlan);
  seen(part.yes, false);
  try {
    const plan = await ask("GET", path);
    if (mine !== open) return;
    put(part.wrong, plan.problem ?? "");
    const known = plan.configured_as === null ? null : current(plan.configured_as);
    const signsIn = known === null || (known?.status === "unauthenticated" && !known.auth.signing_in);
    if (!plan.problem) part.plan.replaceChildren(...planned(plan, ...names, signsIn));
    seen(part.yes, !plan.problem);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (mine === open) put(part.wrong, error.message);
  }
  if (mine === open) put(part.state, "");
}

// Ask whether `name` is to be given back to `owner`, who had it before. Calls `onGiven()` once it was.
export function openGiveBack(name, owner, onGiven) {
  show(say.giveBackTitle(name, owner), WORDS.giveBackDo, "danger", () => give(name, onGiven));
  part.plan.replaceChildren(
    make("h3", { textContent: WORDS.whatChanges }),
    make("ul", { className: "bullets" }, ...say.givenBack(name, owner).map((textContent) => make("li", { textContent }))),
  );
}

// Open the dialog without a plan; returns the number of this opening.
function show(title, yes, kind, job) {
  dialog ??= build();
  put(part.title, title);
  put(part.yes, yes);
  put(part.yes, kind, "className");
  part.plan.replaceChildren();
  put(part.state, "");
  put(part.wrong, "");
  seen(part.yes, true);
  if (!dialog.open) dialog.showModal();
  part.form.onsubmit = (event) => {
    event.preventDefault();
    job();
  };
  return ++open;
}

function build() {
  part = {
    title: make("h2", { id: "take-over-title" }),
    plan: make("div", { className: "planned" }),
    state: make("p", { className: "quiet", role: "status" }),
    wrong: make("p", { className: "wrong", role: "alert" }),
    yes: make("button", { type: "submit" }),
  };
  const no = make("button", { type: "button", textContent: WORDS.cancel, data: { close: "" } });
  const buttons = make("p", { className: "buttons" }, no, " ", part.yes);
  part.form = make("form", { method: "dialog", noValidate: true }, part.title, part.plan, part.state, part.wrong, buttons);
  const made = make("dialog", { id: "take-over-dialog" }, part.form);
  made.setAttribute("aria-labelledby", part.title.id);
  made.addEventListener("close", () => (open += 1));
  document.body.append(made);
  return made;
}

// What would change, and how to undo it. `signsIn`: a sign-in page opens.
function planned({ name, url, configured_as: known, clients, notes, needs_secret: secret }, theirs, owner, signsIn) {
  const fact = (term, text) => make("div", {}, make("dt", { textContent: term }), make("dd", { textContent: text }));
  const signIn = secret ? [say.secretFirst(name, owner)] : signsIn ? [WORDS.signInOpens] : [];
  const texts = [say.stops(theirs, owner), ...(known === null ? [] : [say.takesPlace(known)]), ...signIn];
  const steps = [...texts.map((text) => make("li", {}, ...rich(text))), ...notes.map((text) => make("li", { textContent: text }))];
  if (clients.length) steps.splice(1, 0, make("li", {}, WORDS.repointed, make("ul", { className: "bullets" }, ...clients.map((client) => pointed(client, name)))));
  return [
    make("p", { textContent: say.keptHere(owner) }),
    make("dl", { className: "facts" }, fact(WORDS.name, name), fact(WORDS.address, url)),
    make("h3", { textContent: WORDS.whatChanges }),
    make("ul", { className: "bullets" }, ...steps),
    make("p", { className: "hint" }, ...rich(say.goBack(name, owner))),
  ];
}

function pointed({ title, file, entry }, name) {
  return make("li", {}, make("strong", { textContent: title }), " ", make("code", { textContent: file }), entry === name ? "" : ` ${say.entry(entry)}`);
}

function take(path, current, onTaken) {
  return carryOut(path, WORDS.takingOver, (answer) => {
    const { name, message, failed, authorization_url: page } = answer;
    if (page !== null) asked.set(name, { answer, row: current(name) ?? null });
    tell([message, ...failed]);
    return () => onTaken(name);
  });
}

function give(name, onGiven) {
  return carryOut(`${pathOf(name)}/give-back`, WORDS.givingBack, ({ message, failed }) => {
    tell([message, ...failed]);
    return onGiven;
  });
}

// Have it done; `use(answer)` returns what comes after the dialog.
async function carryOut(path, doing, use) {
  if (part.yes.ariaDisabled === "true") return;
  const mine = open;
  part.yes.ariaDisabled = "true";
  put(part.wrong, "");
  put(part.state, doing);
  try {
    const after = use(await ask("POST", path, {}));
    if (mine === open) dialog.close();
    after();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const text = error.code === "client_id_needed" ? `${error.message} ${WORDS.addItFirst}` : error.message;
    if (mine === open) put(part.wrong, text);
    else aloud(text);
  } finally {
    part.yes.ariaDisabled = null;
    if (mine === open) put(part.state, "");
  }
}
