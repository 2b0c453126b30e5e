// Problems of Amberlight itself, above the workloads: no configuration, no way for clients, warnings.

import { ask, Failure } from "./session.js";

// Draw them into `node`; `said` gets a sentence for screen readers.
export function drawTrouble(node, { broken, outage, warnings }, said) {
  const parts = [broken, outage && `${outage.text} ${outage.help}`, ...warnings].filter(Boolean).map(paragraph);
  if (outage?.movable) parts.splice(broken ? 2 : 1, 0, moveButton(said));
  node.hidden = !parts.length;
  node.replaceChildren(...parts);
}

// *Change port…*: the page follows to the new address.
function moveButton(said) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Change port…";
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const { message, url } = await ask("POST", "/port", {});
      said(message);
      location.assign(url);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      button.replaceWith(paragraph(error.message));
      said(error.message);
    }
  });
  return button;
}

function paragraph(text) {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
}
