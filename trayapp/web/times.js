// Formats times for people: wall milliseconds in, text out. The current time is always a parameter.

const FORMATS = {
  clock: { hour: "2-digit", minute: "2-digit" },
  day: { weekday: "short", hour: "2-digit", minute: "2-digit" },
  date: { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
  year: { day: "numeric", month: "short", year: "numeric" },
  weekday: { weekday: "short" },
  month: { day: "numeric", month: "short" },
  full: { dateStyle: "full", timeStyle: "long" },
};

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

// RFC 3339 → ms; NaN for null.
export function instant(text) {
  return text === null || text === undefined ? NaN : Date.parse(text);
}

const written = new Map(); // minute → text: timelines with many segments format the same minutes again and again
let day = [NaN, NaN]; // start and end of the current day

let zone = "";
let formats = {};

// Whether the machine's time zone has changed since the last call: what shows times then has to be drawn anew. A format
// keeps the zone of its creation.
export function zoneChanged() {
  const found = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (found === zone) return false;
  zone = found;
  formats = Object.fromEntries(Object.entries(FORMATS).map(([name, how]) => [name, new Intl.DateTimeFormat("en-GB", how)]));
  day = [NaN, NaN];
  return true;
}

zoneChanged();

function today(now) {
  if (now < day[0] || now >= day[1] || Number.isNaN(day[0])) {
    const begin = new Date(now).setHours(0, 0, 0, 0);
    day = [begin, new Date(begin).setDate(new Date(begin).getDate() + 1)];
    written.clear();
  }
  return day;
}

// "14:32", "Mon 14:32" on another day, "3 Nov, 14:32" further away.
export function clock(at, now) {
  const [begin, end] = today(now);
  const minute = Math.floor(at / MINUTE);
  const found = written.get(minute);
  if (found) return found;
  const format = at >= begin && at < end ? formats.clock : Math.abs(now - at) < 6 * 24 * HOUR ? formats.day : formats.date;
  const text = format.format(at);
  if (written.size > 5000) written.clear();
  written.set(minute, text);
  return text;
}

// "4 Mar 2027".
export function date(at) {
  return formats.year.format(at);
}

export function full(at) {
  return formats.full.format(at);
}

// "3 h 12 min": at most two units, the second only where it matters.
export function length(ms) {
  const minutes = Math.round(ms / MINUTE);
  if (ms < MINUTE) return `${Math.max(1, Math.round(ms / 1000))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 10 && minutes % 60) return `${hours} h ${minutes % 60} min`;
  if (hours < 48) return `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

export function ago(at, now) {
  return now - at < 45_000 ? "just now" : `${length(now - at)} ago`;
}

// "4:12", "1:04:12": the time left until `at`.
export function countdown(at, now) {
  const seconds = Math.max(0, Math.ceil((at - now) / 1000));
  const two = (value) => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

// The times that an axis over the last `span` ms may show: full hours of a day, else midnights.
export function axis(now, span) {
  const hourly = span <= 24 * HOUR;
  const at = new Date(now - span);
  if (hourly) at.setMinutes(0, 0, 0);
  else at.setHours(0, 0, 0, 0);
  const found = [];
  for (; at.getTime() < now; hourly ? at.setHours(at.getHours() + 1) : at.setDate(at.getDate() + 1)) {
    const time = at.getTime();
    if (time <= now - span || (hourly && at.getHours() % 6)) continue;
    found.push([time, hourly ? formats.clock.format(time) : span <= 7 * 24 * HOUR ? formats.weekday.format(time) : formats.month.format(time)]);
  }
  return found;
}
