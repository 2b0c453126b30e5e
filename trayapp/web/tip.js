// The tip over a timeline's segment, for pointer and keyboard, and the exact time that a pointer over a time shows.

import { $, put } from "./dom.js";
import { describe, middle, under, walk } from "./timeline.js";
import { full, instant } from "./times.js";

function hide() {
  $("tip").hidden = true;
}

function point(event) {
  const box = event.target.closest?.(".segs");
  const now = Date.now();
  const moved = event.type === "pointermove";
  const index = !box ? -1 : moved ? under(box, event.clientX, now) : box.chosen ?? (box.segments ?? []).length - 1;
  const segment = box?.segments?.[index];
  const tip = $("tip");
  tip.hidden = !segment;
  if (!segment) return;
  const { what, when, why } = describe(segment, now);
  for (const [i, text] of [what, when, why].entries()) put(tip.children[i], text);
  const half = tip.offsetWidth / 2;
  const place = Math.min(Math.max(moved ? event.clientX : middle(box, segment, now), half + 8), document.documentElement.clientWidth - half - 8);
  tip.style.left = `${place - half}px`;
  tip.style.top = `${box.getBoundingClientRect().top - tip.offsetHeight - 8}px`;
}

function step(event) {
  const box = event.target.closest('.segs[role="slider"]');
  if (!box || !walk(box, event.key, Date.now())) return;
  event.preventDefault();
  point(event);
}

// Fill in the exact time when somebody points at one: a thousand of them needn't be formatted in advance.
function dates(event) {
  const time = event.target.closest?.("time");
  if (time && !time.title) time.title = full(instant(time.dateTime));
}

export function wireTips(root) {
  root.addEventListener("keydown", step);
  root.addEventListener("pointerover", dates);
  for (const name of ["pointermove", "focusin"]) root.addEventListener(name, point);
  for (const name of ["pointerleave", "focusout"]) root.addEventListener(name, hide);
  addEventListener("scroll", hide, { passive: true });
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
}
