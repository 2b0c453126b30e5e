// The settings: each with its explanation and where its value comes from. In their section a change is saved at once; the
// settings of one workload are edited in a dialog and saved together.
//
// Kinds, choices and meanings come from the app, so that a new setting needs nothing here.

import { $, aloud, capitalized, make, put, seen, tell } from "./dom.js";
import { CHOICES, GROUPS, say, SOURCES, TITLES, WORDS } from "./section_words.js";
import { ask, Failure } from "./session.js";

const FOLDED = new Set(["timing"]); // rarely needed
const LISTS = new Set(["durations", "texts"]);

// One setting's field: reads and writes its value, and says what is wrong with it.
class Field {
  constructor(setting, prefix) {
    this.setting = setting;
    this.id = `${prefix}-${setting.name}`;
    this.control = this.makeControl();
    this.state = make("span", { className: "hint" });
    this.told = make("span", { className: "good", role: "status" });
    this.wrong = make("span", { className: "wrong", id: `${this.id}-wrong` });
    this.reset = make("button", { type: "button", className: "small", textContent: WORDS.useDefault, data: { live: "" } });
    const meaning = make("span", { className: "hint", id: `${this.id}-hint`, textContent: sentence(setting.kind === "choices" ? setting.meaning.split(":")[0] : setting.meaning) }); // they name themselves
    const many = setting.kind === "choices";
    const name = make(many ? "span" : "label", { textContent: titled(setting.name), id: `${this.id}-name` });
    if (many) {
      this.control.setAttribute("role", "group");
      this.control.setAttribute("aria-labelledby", name.id);
    } else name.htmlFor = this.id;
    this.reset.ariaLabel = say.labelled(WORDS.useDefault, titled(setting.name));
    this.node = make(
      "div",
      { className: `setting ${setting.kind}` },
      make("div", { className: "what" }, name, this.told, meaning),
      make("div", { className: "value" }, this.control, this.wrong, make("p", { className: "below" }, this.state, this.reset)),
    );
    this.show(setting);
  }

  makeControl() {
    const { kind, choices, minimum, maximum, help } = this.setting;
    const described = { id: this.id };
    if (kind === "choices") {
      const box = (choice) => make("label", {}, make("input", { type: "checkbox", value: choice }), ` ${CHOICES[choice] ?? titled(choice)}`);
      return make("div", { ...described, className: "boxes" }, ...choices.map(box));
    }
    const made =
      kind === "flag"
        ? make("input", { ...described, type: "checkbox" })
        : kind === "choice"
          ? make("select", described, ...choices.map((choice) => make("option", { value: choice, textContent: titled(choice) })))
          : make("input", { ...described, type: ["count", "number", "port"].includes(kind) ? "number" : "text", title: help, spellcheck: false, autocomplete: "off" });
    if (made.type === "number") Object.assign(made, { min: minimum ?? "", max: maximum ?? "", step: kind === "number" ? "any" : "1" });
    made.setAttribute("aria-describedby", `${this.id}-hint ${this.id}-wrong`);
    return made;
  }

  // Show what the app says.
  show(setting) {
    this.setting = setting;
    const { kind, value } = setting;
    const held = this.node?.contains(document.activeElement);
    if (kind === "flag") this.control.checked = value === true;
    else if (kind === "choices") for (const box of this.boxes) box.checked = (value ?? []).includes(box.value);
    else if (!held || this.text === this.shown) this.control.value = LISTS.has(kind) ? (value ?? []).join(kind === "texts" ? " " : ", ") : (value ?? "");
    this.shown = this.text;
    put(this.state, [SOURCES[setting.source] ?? "", setting.note].filter(Boolean).join(" "));
    seen(this.reset, setting.changed && !setting.required);
    this.complain("");
  }

  get boxes() {
    return [...this.control.querySelectorAll("input")];
  }

  get text() {
    return JSON.stringify(this.value);
  }

  get dirty() {
    return this.text !== this.shown;
  }

  // The value as the app wants it; null takes the setting out of the file.
  get value() {
    const { kind } = this.setting;
    const { control } = this;
    if (kind === "flag") return control.checked;
    if (kind === "choices") return this.boxes.filter((box) => box.checked).map((box) => box.value);
    const text = control.value.trim();
    if (LISTS.has(kind)) return text.split(/[\s,]+/).filter(Boolean);
    if (["count", "number", "port"].includes(kind)) return text === "" ? null : Number(text);
    return text === "" && this.setting.default === null ? null : text;
  }

  complain(text) {
    put(this.wrong, text);
    if (text) this.control.setAttribute("aria-invalid", "true");
    else this.control.removeAttribute("aria-invalid");
  }
}

// All settings of one table, drawn into `body`. `read` and `write` are the paths of the requests.
class Form {
  constructor(body, prefix, read, write) {
    Object.assign(this, { body, prefix, read, write, fields: new Map(), revision: "" });
  }

  async load() {
    try {
      this.took(await ask("GET", this.read));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.body.replaceChildren(make("p", { className: "wrong", textContent: error.message }));
    }
  }

  took(answer) {
    this.revision = answer.revision;
    const same = answer.settings.length === this.fields.size && answer.settings.every(({ name }) => this.fields.has(name));
    if (same && this.drawn) for (const setting of answer.settings) this.fields.get(setting.name).show(setting);
    else this.draw(answer);
  }

  draw({ settings, file, problem }) {
    this.drawn = true;
    this.fields = new Map(settings.map((setting) => [setting.name, new Field(setting, this.prefix)]));
    const groups = [...new Set([...Object.keys(GROUPS), ...settings.map((each) => each.group)])];
    this.body.replaceChildren(
      ...(problem ? [make("p", { className: "notice", textContent: problem })] : []),
      ...groups.flatMap((name) => this.group(name, settings.filter(({ group }) => group === name))),
      make("p", { className: "hint file" }, ...say.keptIn(file)),
    );
    if (problem) for (const control of this.body.querySelectorAll("input, select, button")) control.disabled = true;
  }

  group(name, its) {
    if (!its.length) return [];
    const nodes = its.map((setting) => this.fields.get(setting.name).node);
    const title = make("h2", { textContent: GROUPS[name] ?? titled(name) });
    if (FOLDED.has(name)) return make("details", { className: "card group" }, make("summary", {}, title), ...nodes);
    return make("section", { className: "card group" }, title, ...nodes);
  }

  of(target) {
    return [...this.fields.values()].find((field) => field.node.contains(target));
  }

  // Save these settings; false if they weren't, and every mistake stands at its field.
  async save(values, then = () => {}) {
    for (const field of this.fields.values()) field.complain("");
    try {
      const answer = await ask("PATCH", this.write, values, { "If-Match": `"${this.revision}"` });
      await then(answer);
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.refused(error, Object.keys(values));
      return false;
    }
  }

  refused({ status, message, answer }, names) {
    const found = answer.fields ?? { [answer.field ?? names[0]]: message };
    for (const [name, text] of Object.entries(found)) (this.fields.get(name) ?? this.fields.get(names[0]))?.complain(text);
    this.fields.get(Object.keys(found)[0])?.control.focus?.();
    if (status === 412) this.load();
  }
}

const titled = (name) => TITLES[name] ?? capitalized(name.replaceAll("_", " ").replace(/\b(url|id|mcp)\b/g, (word) => word.toUpperCase()));
const sentence = (text) => (text ? `${capitalized(text)}${/[.!?]$/.test(text) ? "" : "."}` : "");

// --- the section -----------------------------------------------------------------------------------------------------

let form = null;

export function open() {
  const body = document.querySelector("#view-settings .body");
  if (!form) {
    form = new Form(body, "set", "/settings", "/settings");
    body.addEventListener("change", (event) => change(form.of(event.target)));
    body.addEventListener("click", (event) => {
      const field = form.of(event.target);
      if (field && event.target === field.reset) change(field, null);
    });
  }
  form.load();
}

async function change(field, value = field?.value) {
  if (!field || (value !== null && !field.dirty)) return;
  put(field.told, WORDS.saving);
  const saved = await form.save({ [field.setting.name]: value }, (answer) => form.took(answer));
  put(field.told, saved ? WORDS.saved : "");
  if (!saved) return aloud(field.wrong.textContent);
  field.control.focus?.({ preventScroll: true });
  return setTimeout(() => put(field.told, ""), 4000);
}

// --- the dialog of one workload --------------------------------------------------------------------------------------

const dialog = $("edit-dialog");
let editing = null;

export async function openEdit(name) {
  put($("edit-title"), say.editTitle(name));
  const body = dialog.querySelector(".body");
  const wrong = make("p", { className: "wrong", role: "alert" });
  const inner = make("div");
  const buttons = [make("button", { type: "button", textContent: WORDS.cancel, data: { close: "" } }), make("button", { type: "submit", className: "primary", textContent: WORDS.saveDo })];
  editing = new Form(inner, "edit", `/workloads/${name}/settings`, `/workloads/${name}`);
  const whole = make("form", { method: "dialog", noValidate: true }, inner, wrong, make("p", { className: "buttons" }, ...buttons));
  whole.addEventListener("submit", (event) => {
    event.preventDefault();
    saveEdited(name, wrong);
  });
  whole.addEventListener("click", (event) => {
    const field = editing.of(event.target);
    if (field && event.target === field.reset) restore(field);
  });
  body.replaceChildren(whole);
  dialog.showModal();
  await editing.load();
}

function restore(field) {
  field.show({ ...field.setting, value: field.setting.default, changed: false, source: "default" });
  field.shown = "";
  field.cleared = true;
}

async function saveEdited(name, wrong) {
  const changed = [...editing.fields.values()].filter((field) => field.dirty);
  const values = Object.fromEntries(changed.map((field) => [field.setting.name, field.cleared && field.text === JSON.stringify(field.setting.default) ? null : field.value]));
  put(wrong, "");
  if (!changed.length) return dialog.close();
  const saved = await editing.save(values, ({ message, notes }) => (notes.length ? tell([message, ...notes]) : aloud(message)));
  return saved && dialog.close();
}
