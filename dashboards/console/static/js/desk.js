// What one operator has before them, and what may change it. Pure: each `now` is the browser's monotonic
// clock.
//
// A draft, an answer and an act carry the id of the alarm that they belong to, never "the one that is
// shown".
import { byUrgency, waits } from "./order.js";
import { alertById } from "./world.js";

export const BACK_AFTER_MS = 60_000; // what was left unanswered comes again
export const MEANT_AFTER_MS = 1000; // an act so soon after a change was meant for the alarm before
const SETTLED_AFTER_MS = 1000; // presses of one moment come in any order; nobody has read one in that time
const KEPT_AFTER_TOUCH_MS = 1000;
const IDLE_AFTER_MS = 10_000; // an answered alarm makes way when nobody has done anything for so long

export const newDesk = () => ({
  shown: "",
  shownAt: -Infinity,
  readableAt: Infinity, // when it was drawn; a page that stands still decides long before anybody reads
  touched: false,
  touchedAt: -Infinity,
  left: new Map(),
  drafts: new Map(),
  acts: new Map(), // by alarm, how many acts of people there are, this person's last one included
  answers: new Map(),
  sending: new Set(),
});

export function show(desk, id, now, chosen) {
  if (desk.shown === id) return;
  Object.assign(desk, { shown: id, shownAt: now, readableAt: Infinity, touched: chosen });
  if (chosen) desk.left.delete(id);
}

// What is shown is before one's eyes now.
export function drawn(desk, id, now) {
  if (desk.shown === id && desk.readableAt === Infinity) desk.readableAt = now;
}

// Any key or press: what is shown was seen, and stays.
export function touch(desk, now) {
  Object.assign(desk, { touched: true, touchedAt: now });
}

// This one only; the others stay where they are in the queue.
export function leave(desk, now) {
  if (desk.shown) desk.left.set(desk.shown, now);
  desk.shown = "";
}

// Somebody wants to look at something else: what waits now may wait for a minute, what comes new may not.
export function lookElsewhere(desk, world, now) {
  for (const panic of world.panics.values()) desk.left.set(panic.id, now);
  desk.shown = "";
}

const leftAlone = (desk, id, now) => now - (desk.left.get(id) ?? -Infinity) < BACK_AFTER_MS;

function mostUrgent(desk, world, now) {
  let best = null;
  for (const panic of world.panics.values()) {
    if (!waits(panic) || panic.id === desk.shown || leftAlone(desk, panic.id, now)) continue;
    if (!best || byUrgency(panic, best) < 0) best = panic;
  }
  return best;
}

// The alarm that has to take over the screen now, or nothing. `screen`: whether a `dialog` is open, whether
// the cursor is in a field (`writing`), and the `login` of who may act, empty for who only looks on.
export function due(desk, world, screen, now) {
  const idle = now - Math.max(desk.shownAt, desk.touchedAt) > IDLE_AFTER_MS;
  if (!screen.login || screen.dialog || now - desk.touchedAt < KEPT_AFTER_TOUCH_MS) return "";
  if (screen.writing && (desk.shown || !idle)) return "";
  const next = mostUrgent(desk, world, now),
    shown = alertById(world, desk.shown);
  if (!next) return "";
  if (!shown) return !desk.shown || idle ? next.id : ""; // what an address names may be told yet
  const settled =
    desk.touched ||
    (world.whole && now - Math.max(desk.readableAt, world.wholeAt) > SETTLED_AFTER_MS);
  if (waits(shown)) return !settled && byUrgency(next, shown) < 0 ? next.id : "";
  const mine =
    [shown.acknowledged_by, shown.assigned_to].includes(screen.login) && shown.state !== "closed";
  return idle && !mine && !draft(desk, shown.id) && shown.kind === "panic" ? next.id : "";
}

// Whether who did something at the moment `at` had this alarm before their eyes for long enough to read it.
// `at` is the hand's moment, not that of the answer to it: a key waits while the page stands still.
export const read = (desk, id, at) =>
  id !== "" && desk.shown === id && at - desk.readableAt >= MEANT_AFTER_MS;
// Whether an act that names this alarm is what its author wants.
export const meant = (desk, id, at) => read(desk, id, at) && !desk.sending.has(id);
export const settling = (desk, now) => desk.shown !== "" && now - desk.readableAt < MEANT_AFTER_MS;

export const draft = (desk, id) => desk.drafts.get(id) ?? "";
export function write(desk, id, text) {
  if (text) desk.drafts.set(id, text);
  else desk.drafts.delete(id);
}

// What the server says to a wish; what was sent of the draft is not a draft any more.
export function answered(desk, id, sent, { status, body }) {
  desk.sending.delete(id);
  if (status === 200 && sent.seen !== undefined) acted(desk, id, sent.seen);
  if (status === 200 && sent.note && draft(desk, id) === sent.note) write(desk, id, "");
  desk.answers.set(id, { took: sent.took, outcome: sent.outcome ?? "", status, body });
}

export function acted(desk, id, seen) {
  desk.acts.set(id, Math.max(desk.acts.get(id) ?? 0, seen + 1));
}
// How many acts of people the author of a wish knows of: those that were shown, and their own, which the
// stream may tell later than the answer to it. One more, and somebody else was first.
export const known = (desk, id, seen) => Math.max(seen, desk.acts.get(id) ?? 0);

// The wish for an alarm as it was shown: `seen` and `number` are those of what its author looked at.
export const wish = (desk, alert, took, { seen = alert.seen, ...more } = {}) => ({
  took,
  seen: known(desk, alert.id, seen),
  number: alert.number,
  note: draft(desk, alert.id),
  ...more,
});

const OURS = new Set(["monitoring_impaired", "pipeline_silent"]); // trouble of ours and of no school
export const ours = (alert) => OURS.has(alert.kind);

// What may be done about an alarm as it stands. Police is for panics alone.
export function possible(alert, me) {
  const open = alert.state !== "closed" && alert.state !== "resolved",
    panic = alert.kind === "panic";
  return {
    acknowledged: open && !alert.acknowledged_ms,
    dispatched: open && panic && !alert.dispatched_ms,
    arrived: open && panic && !alert.arrived_ms,
    closed: open,
    noted: true,
    assigned: open,
    verified: open && panic,
    silenced: open && !panic && alert.kind !== "panic_blind",
    promoted: open && Boolean(alert.drill) && me?.role === "supervisor",
    reopened: alert.state === "closed",
  };
}
