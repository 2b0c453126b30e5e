// One workload's row: created once from the template; after that, only differences are written to the DOM.
//
// All is well: one line. Otherwise the line opens, with what is wrong and what to do.

import { host, make, put, seen, stamp } from "./dom.js";
import { append, DAY, fromRow } from "./history.js";
import { show } from "./marks.js";
import { isOpen, label, mark, RANKS, rank, title } from "./states.js";
import { draw, segments } from "./timeline.js";
import { ago, instant, length } from "./times.js";
import { asked } from "./actions.js";
import { Trouble } from "./trouble.js";
import { say, WORDS } from "./words.js";

export class Row {
  constructor(row) {
    Object.assign(this, stamp("row"));
    this.node.owner = this;
    this.name = row.name;
    this.rows = null; // the history's rows; null: not loaded
    this.inSight = false;
    this.drawnAt = 0;
    this.trouble = null;
    this.node.id = `workload-${row.name}`;
    const { ref } = this;
    this.short = row.external?.name ?? row.name; // without its owner, which has a tag
    put(ref.mono, this.short.slice(0, 1).toUpperCase());
    put(ref.link, this.short);
    ref.link.href = `#workload/${encodeURI(row.name)}`;
    ref.segs.ariaLabel = say.day(title(row));
    ref.more.ariaLabel = say.labelled(WORDS.more, title(row));
    if (row.external) ref.link.after(make("span", { className: "tag", textContent: row.owner }));
    this.update(row, Date.now());
  }

  get order() {
    return RANKS[rank(this.row)].order;
  }

  get fresh() {
    return instant(this.row.auth.last_refreshed_at) || 0;
  }

  // The message that is shown now.
  get said() {
    return this.trouble?.ref.note.textContent ?? "";
  }

  // Show a new row of the list.
  update(row, now) {
    this.row = row;
    const { ref, node } = this;
    if (node.dataset.rank !== rank(row)) node.dataset.rank = rank(row);
    show(ref.mark, mark(row));
    put(ref.label, label(row));
    put(ref.host, host(row.url) || row.auth.account || WORDS.account);
    ref.host.title = [row.url, row.auth.account].filter(Boolean).join("\n"); // two workloads may be at the same host
    const open = isOpen(row) || asked.has(row.name);
    if (open && !this.trouble) this.makeTrouble();
    if (this.trouble) {
      const held = this.trouble.node.contains(document.activeElement);
      this.trouble.update(row, now);
      seen(this.trouble.node, open || this.trouble.ref.note.textContent !== "");
      if (held && this.trouble.node.hidden) ref.link.focus(); // the focus stays on this row
    }
    node.classList.toggle("open", Boolean(this.trouble && !this.trouble.node.hidden));
    this.tick(now);
  }

  makeTrouble() {
    this.trouble = new Trouble(this.name, title(this.row));
    this.trouble.onFocusLost = () => this.ref.link.focus();
    this.node.append(this.trouble.node);
  }

  // A message below the line, which opens for it.
  note(text, bad = false) {
    if (!this.trouble) this.makeTrouble();
    if (!this.trouble.row) this.trouble.update(this.row, Date.now());
    this.trouble.note(text, bad);
    this.trouble.node.hidden = !isOpen(this.row) && !asked.has(this.name) && text === "";
    this.node.classList.toggle("open", !this.trouble.node.hidden);
  }

  tick(now) {
    const { ref, row } = this;
    const good = rank(row) === "running";
    const at = instant(good ? (row.auth.last_refreshed_at ?? row.auth.since) : (row.auth.retrying_since ?? row.auth.since));
    const text = good && row.auth.last_refreshed_at ? say.refreshed(ago(at, now)) : say.lasts(length(now - at));
    put(ref.when, at > 0 ? text : ""); // another program may not say since when
    if (at > 0 && this.whenWas !== at) {
      this.whenWas = at;
      ref.when.dateTime = new Date(at).toISOString();
      ref.when.title = "";
    }
    if (this.trouble && !this.trouble.node.hidden) this.trouble.tick(now);
    if (this.inSight && this.drawnAt && now - this.drawnAt > 30_000) this.draw(now);
  }

  // --- history ------------------------------------------------------------------------------------------------------

  // Set the history, null if loading failed; returns whether to draw it now.
  loaded(rows) {
    if (rows === null) return false;
    this.rows = rows.length ? rows : [fromRow(this.row)];
    return this.inSight;
  }

  // A row from an event; returns whether to draw it now. What isn't loaded yet will come with the others.
  happened(row) {
    return this.rows !== null && append(this.rows, row, Date.now() - DAY) && this.inSight;
  }

  zoneChanged(now) {
    this.whenWas = NaN;
    if (this.inSight) this.draw(now);
  }

  draw(now) {
    this.drawnAt = now;
    if (this.rows) draw(this.ref.segs, segments(this.rows, now), now);
  }
}
