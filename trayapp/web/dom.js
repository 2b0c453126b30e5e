// Helpers for the DOM: find, fill in texts, stamp templates, and write only differences.

import { WORDS } from "./words.js";

export const $ = (id) => document.getElementById(id);

// Write only differences: even the same text would count as a change for the browser and for screen readers.
export function put(node, text, key = "textContent") {
  if (node[key] !== text) node[key] = text;
}

export function seen(node, wanted) {
  if (node.hidden === wanted) node.hidden = !wanted;
}

export function make(tag, properties = {}, ...children) {
  const { data = {}, ...own } = properties;
  const made = Object.assign(document.createElement(tag), own);
  Object.assign(made.dataset, data);
  made.append(...children);
  return made;
}

// A text in which `code` in backticks is set as code.
export function rich(text) {
  return text.split("`").map((part, i) => (i % 2 ? make("code", { textContent: part }) : part));
}

// Fill in the texts of `data-t` (content), `data-label` (name for screen readers) and `data-hint` (placeholder).
export function translate(root) {
  for (const node of root.querySelectorAll("[data-t]")) node.prepend(...rich(WORDS[node.dataset.t]));
  for (const node of root.querySelectorAll("[data-label]")) node.ariaLabel = WORDS[node.dataset.label];
  for (const node of root.querySelectorAll("[data-hint]")) node.placeholder = WORDS[node.dataset.hint];
  for (const template of root.querySelectorAll("template")) translate(template.content);
}

// A copy of a template's element, and its parts by their `data-ref`.
export function stamp(id) {
  const node = $(id).content.firstElementChild.cloneNode(true);
  return { node, ref: parts(node) };
}

export function parts(node) {
  return Object.fromEntries([...node.querySelectorAll("[data-ref]")].map((each) => [each.dataset.ref, each]));
}

export function host(url) {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

// Say something to screen readers.
export function aloud(text) {
  $("says").textContent = text;
}

// Say something that stays in sight, above every section, until it is dismissed: what was done, and what is left to do.
export function tell(sentences) {
  const text = sentences.join(" ");
  if (!text) return;
  put($("told").firstElementChild, text);
  seen($("told"), true);
  aloud(text);
}

// Copy a text to the clipboard; false if the browser doesn't allow it.
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

export function capitalized(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
