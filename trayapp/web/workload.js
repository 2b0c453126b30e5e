// The page of one workload: one of ours, or another program's.

import { $, seen } from "./dom.js";
import { ExternalDetail } from "./external_detail.js";
import { OwnDetail } from "./own_detail.js";

export function open({ current }, name) {
  const row = current(name);
  seen($("detail"), Boolean(row));
  seen($("detail-unknown"), !row);
  if (!row) return null;
  return row.external ? new ExternalDetail(row) : new OwnDetail(row);
}
