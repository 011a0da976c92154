// Which of many comes first, and what is chosen of them. Pure.
import { STATUSES, isPanic } from "./world.js";

// Of a panic: nobody has answered it, and it is no drill.
export const waits = (alert) => isPanic(alert) && alert.state === "open" && !alert.drill;

// Who waits comes before who is answered; of these duress, then the score, then who has waited longest.
export function byUrgency(one, other) {
  return (
    waits(other) - waits(one) ||
    Boolean(other.duress) - Boolean(one.duress) ||
    (other.score ?? 0) - (one.score ?? 0) ||
    one.opened_ms - other.opened_ms ||
    (one.id < other.id ? -1 : Number(one.id > other.id))
  );
}
export const urgent = (panics) => [...panics].sort(byUrgency);
export const newest = (panics) =>
  [...panics].reduce((found, one) => (!found || one.opened_ms > found.opened_ms ? one : found), null);

// The one after (or before, by -1) this one in the queue of those that wait; the first when it is not
// there.
export function nextTo(panics, id, by = 1) {
  const queue = urgent([...panics].filter((panic) => waits(panic) || panic.id === id));
  const others = queue.filter((panic) => panic.id !== id);
  if (!others.length) return "";
  const at = queue.findIndex((panic) => panic.id === id);
  return (at < 0 ? others[0] : queue[(at + by + queue.length) % queue.length]).id;
}

// Presses of the same button at the same school, for one answer to all: no duress, no drill, no other
// button.
export const sameCause = (panics, alert) =>
  [...panics].filter(
    (panic) =>
      waits(panic) &&
      !panic.duress &&
      panic.id !== alert.id &&
      panic.school === alert.school &&
      panic.device === alert.device,
  );

// Alerts of one school are one line; what belongs to an outage is folded into it.
export function grouped(alerts) {
  const open = [...alerts],
    outages = new Map(open.filter((a) => a.kind === "outage").map((a) => [a.id, a]));
  const groups = new Map();
  for (const alert of open) {
    if (outages.has(alert.outage)) continue;
    const key = alert.school && alert.kind !== "outage" ? alert.school : alert.id;
    const group = groups.get(key) ?? { key, first: alert, alerts: [], members: [] };
    group.alerts.push(alert);
    if (alert.opened_ms < group.first.opened_ms) group.first = alert;
    groups.set(key, group);
  }
  for (const alert of open) if (outages.has(alert.outage)) groups.get(alert.outage).members.push(alert);
  return [...groups.values()].sort((a, b) => b.first.opened_ms - a.first.opened_ms);
}

export const statusOf = (school) => (STATUSES.includes(school.status) ? school.status : "unknown");

// Counts of each status by region, the worst region first.
export function regions(schools) {
  const rows = new Map();
  for (const school of schools) {
    if (!rows.has(school.region))
      rows.set(school.region, { online: 0, degraded: 0, offline: 0, unknown: 0 });
    rows.get(school.region)[statusOf(school)] += 1;
  }
  return [...rows].sort((a, b) => b[1].offline - a[1].offline || a[0].localeCompare(b[0]));
}

// Each region by the worst that is there, the worst first. It is red when a tenth of its schools is silent.
const BAD_SHARE = 0.1,
  WORST = ["panic", "offline", "degraded", "online", "unknown"];
export function worstRegions(schools, panics) {
  const of = new Map(),
    home = new Map();
  for (const school of schools) {
    home.set(school.id, school.region);
    if (!of.has(school.region))
      of.set(school.region, { region: school.region, total: 0, offline: 0, poor: 0, online: 0, panics: 0 });
    const row = of.get(school.region),
      status = statusOf(school);
    row.total += 1;
    row.offline += status === "offline";
    row.poor += status === "degraded";
    row.online += status === "online";
  }
  for (const panic of panics) if (waits(panic) && of.has(home.get(panic.school)))
    of.get(home.get(panic.school)).panics += 1;
  const worst = ({ panics: n, offline, poor, online, total }) => {
    if (n) return "panic";
    if (offline >= total * BAD_SHARE && offline) return "offline";
    return offline || poor ? "degraded" : online ? "online" : "unknown";
  };
  return [...of.values()]
    .map((row) => ({ ...row, worst: worst(row) }))
    .sort(
      (a, b) =>
        WORST.indexOf(a.worst) - WORST.indexOf(b.worst) ||
        b.offline / b.total - a.offline / a.total ||
        a.region.localeCompare(b.region),
    );
}

// Schools whose id, name or place, in any language, holds each word of what was typed.
export function found(index, typed, most) {
  const words = folded(typed).split(" ").filter(Boolean),
    hits = [];
  if (!words.length) return hits;
  for (const [id, text] of index) {
    if (words.every((word) => text.includes(word))) hits.push(id);
    if (hits.length === most) break;
  }
  return hits;
}
export const folded = (text) =>
  text
    .toLowerCase()
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[^\p{L}\p{N}-]+/gu, " ")
    .trim();
export const indexed = (schools, places) =>
  [...schools].map((school) => [
    school.id,
    folded(
      [
        school.id,
        ...Object.values(school.names ?? {}),
        ...[school.region, school.district].flatMap((key) => [key, ...Object.values(places[key] ?? {})]),
      ].join(" "),
    ),
  ]);

// Behind a silent gateway nobody knows of the devices: what was heard last of them is no news.
export function devicesOf(devices) {
  const silent = Object.values(devices).some((d) => d.kind === "gateway" && d.status === "offline");
  return Object.entries(devices)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([device, d]) => ({
      device,
      ...d,
      status: silent && d.kind !== "gateway" && d.status !== "offline" ? "unknown" : d.status,
      behind: silent && d.kind !== "gateway",
    }));
}

// The silent schools as /api/silent tells them, from what the page itself knows.
export function silentSchools(schools) {
  const silent = [...schools].filter((school) => school.status === "offline");
  const count = (key, value) => silent.filter((school) => school[key] === value).length - 1;
  return silent.map((school) => ({
    school: school.id,
    since_ms: school.since_ms,
    devices: [],
    provider: school.provider,
    district: school.district,
    same_provider: count("provider", school.provider),
    same_district: count("district", school.district),
  }));
}

const KM_PER_DEGREE = 111.2;
export const distanceKm = ([lon, lat], [otherLon, otherLat]) =>
  Math.hypot((lon - otherLon) * Math.cos((lat * Math.PI) / 180), lat - otherLat) * KM_PER_DEGREE;
