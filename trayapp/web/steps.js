// What the steps of set-up are made of.

import { make } from "./dom.js";
import { Failure } from "./session.js";

// Footer of a step: the one accent button, and the way past it.
export function footer(...buttons) {
  return make("p", { className: "actions foot" }, ...buttons);
}

export function button(text, onclick, { primary = false, live = true } = {}) {
  const made = make("button", { type: "button", textContent: text, className: primary ? "primary" : "", onclick });
  if (live) {
    made.dataset.live = "";
    made.disabled = document.body.dataset.link === "gone";
  }
  return made;
}

export function heading(title, text) {
  return [make("h2", { tabIndex: -1, textContent: title }), make("p", { className: "quiet", textContent: text })];
}

// A line of a list: what leads it, a monogram, a title with a smaller line below it, and what is at its end.
export function line(lead, title, small, ...end) {
  const mono = make("span", { className: "mono", ariaHidden: "true", textContent: title.slice(0, 1).toUpperCase() });
  const who = make("span", { className: "who" }, make("strong", { textContent: title, dir: "auto" }), make("span", { className: "hint", textContent: small }));
  return [lead, mono, who, ...end].filter(Boolean);
}

// A failed request is said by its sentence; anything else is a fault of ours.
export function sentence(error) {
  if (!(error instanceof Failure)) throw error;
  return error.message;
}

// A text that a screen reader says when it changes.
export function status(tag, className) {
  const made = make(tag, { className });
  made.setAttribute("role", "status");
  return made;
}
