// The menu behind ⋯: one for the whole page, filled for the workload whose button was pressed.

import { $, make } from "./dom.js";
import { menuItems, title } from "./states.js";
import { say } from "./words.js";

const menu = $("menu");
let opener = null;
let chosen = () => {};

const items = () => [...menu.children];

// `onChosen(verb, button)` is called for the item that was taken.
export function openMenu(button, row, onChosen) {
  if (opener === button) return closeMenu();
  closeMenu();
  [opener, chosen] = [button, onChosen];
  menu.ariaLabel = say.actionsFor(title(row));
  const gone = document.body.dataset.link === "gone";
  menu.replaceChildren(
    ...menuItems(row).map(([verb, textContent]) =>
      make("button", { type: "button", role: "menuitem", tabIndex: -1, textContent, disabled: gone && verb !== "open", data: { item: verb } }),
    ),
  );
  menu.hidden = false;
  button.ariaExpanded = "true";
  place(button);
  items()[0].focus();
  return undefined;
}

function place(button) {
  const box = button.getBoundingClientRect();
  const below = box.bottom + menu.offsetHeight + 8 < innerHeight || box.top < menu.offsetHeight;
  menu.style.top = `${below ? box.bottom + 4 : box.top - menu.offsetHeight - 4}px`;
  menu.style.left = `${Math.min(Math.max(8, box.right - menu.offsetWidth), document.documentElement.clientWidth - menu.offsetWidth - 8)}px`;
}

export function closeMenu(refocus = false) {
  if (!opener) return;
  const button = opener;
  opener = null;
  menu.hidden = true;
  button.ariaExpanded = "false";
  if (refocus) button.focus();
}

menu.addEventListener("click", (event) => {
  const item = event.target.closest("[data-item]");
  if (!item || item.disabled) return;
  const [button, then] = [opener, chosen];
  closeMenu(true);
  then(item.dataset.item, button);
});
menu.addEventListener("keydown", (event) => {
  const all = items().filter((item) => !item.disabled);
  const here = all.indexOf(document.activeElement);
  const to = { ArrowDown: (here + 1) % all.length, ArrowUp: (here - 1 + all.length) % all.length, Home: 0, End: all.length - 1 }[event.key];
  if (event.key === "Escape" || event.key === "Tab") closeMenu(true);
  else if (to !== undefined) all[to].focus();
  else if (event.key.length === 1) all.find((item, i) => i > here && item.textContent.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
  else return;
  if (event.key !== "Tab") event.preventDefault();
  event.stopPropagation();
});
addEventListener("pointerdown", (event) => !menu.contains(event.target) && !opener?.contains(event.target) && closeMenu());
addEventListener("scroll", () => closeMenu(), { passive: true });
addEventListener("resize", () => closeMenu());
addEventListener("hashchange", () => closeMenu());
