// The page of a workload that another program keeps signed in: its state there, where clients reach it, and what can be
// done about it from here.

import { Detail } from "./detail.js";
import { $, put, seen } from "./dom.js";
import { say, STATES, WORDS } from "./section_words.js";
import { buttons, externalButtons } from "./states.js";

export class ExternalDetail extends Detail {
  get parts() {
    return ["address"];
  }

  update(row, now) {
    super.update(row, now);
    const { client_url: url } = row.external;
    put($("detail-facts-title"), row.owner);
    put($("detail-keeper"), say.keeps(row.owner));
    put($("detail-address-text"), say.reachedThrough(row.owner));
    put($("detail-url"), url ?? "");
    seen($("detail-address"), url !== null);
    for (const id of ["detail-secret", "detail-warning"]) seen($(id), false);
  }

  // What its buttons in the list leave to its menu there.
  extra() {
    const shown = new Set(buttons(this.row).map((each) => each.verb));
    return externalButtons(this.row).filter(({ verb }) => !shown.has(verb));
  }

  wanted(time) {
    const { auth, url, status } = this.row;
    return [
      [WORDS.address, url],
      [WORDS.itsState, status],
      [WORDS.since, time(auth.since)],
    ];
  }

  called(row) {
    return row.kind === "gap" ? super.called(row) : (STATES[row.status] ?? row.status);
  }
}
