// How a client stands to workloads, in words, and what can be done about it. Nothing here touches the DOM.

import { say, STALE } from "./section_words.js";

// How a client stands to one workload or to several, and how that looks. `found` are the entries of its file, `all` is the
// state of the single entry for all workloads if it is not among them.
export function clientState(found, all) {
  const by = (...states) => found.filter((each) => states.includes(each.state));
  const listed = (of) => of.map((each) => each.name);
  const [good, stale, foreign] = [by("connected"), by("old_port", "old_key"), by("direct", "name_taken")];
  const parts = [];
  if (good.length && good.length === found.length) parts.push(say.allConnected(found.length));
  else if (good.length) parts.push(say.clientConnected(listed(good)));
  for (const [state, words] of Object.entries(STALE)) {
    if (by(state).length) parts.push(found.length > 1 ? say.stale(words, listed(by(state))) : words);
  }
  for (const { name, state, entry } of foreign) parts.push(state === "name_taken" ? say.nameTaken(entry) : say.separately(name, entry));
  if (["connected", "old_port", "old_key"].includes(all)) parts.push(say.hasAll());
  const kind = stale.length || foreign.length ? "stale" : good.length ? "good" : "quiet";
  return { text: parts.join(". ") || say.clientNothing(), kind };
}

// What can be done: label, names and `replace` of each button, or null. An entry that is not ours is replaced only by a
// click of its own.
export function clientSteps(found) {
  const of = (...states) => found.filter((each) => states.includes(each.state)).map((each) => each.name);
  const [good, stale] = [of("connected"), of("old_port", "old_key")];
  const [absent, foreign] = [of("absent"), of("direct", "name_taken")];
  const ours = [...good, ...stale];
  let connect = null;
  if (stale.length) connect = { label: say.reconnect(), names: [...stale, ...absent] };
  else if (absent.length) connect = { label: good.length ? say.connectRest() : say.connect(), names: absent };
  else if (foreign.length) connect = { label: say.replace(), names: foreign, replace: true };
  return { connect, disconnect: ours.length ? { label: say.disconnect(), names: ours } : null };
}
