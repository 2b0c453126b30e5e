// Problems of Amberlight itself, above every section: no configuration, no way for clients, warnings.

import { aloud, make, seen } from "./dom.js";
import { ask, Failure } from "./session.js";
import { WORDS } from "./words.js";

const paragraph = (textContent) => make("p", { textContent });

// Draw them into `node`.
export function drawOwn(node, { broken, outdated = "", outage, warnings }) {
  const parts = [broken, outdated, outage && `${outage.text} ${outage.help}`].filter(Boolean).map(paragraph);
  if (outage?.movable) parts.push(moveButton());
  parts.push(...warnings.map(paragraph));
  seen(node, parts.length > 0);
  node.replaceChildren(...parts);
}

// *Change port…*: the page follows to the new address.
function moveButton() {
  const button = make("button", { type: "button", textContent: WORDS.changePort, data: { live: "" } });
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const { message, url } = await ask("POST", "/port", {});
      aloud(message);
      location.assign(url);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      button.replaceWith(paragraph(error.message));
      aloud(error.message);
    }
  });
  return button;
}
