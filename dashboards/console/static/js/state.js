// What this browser holds: told by the stream, never remembered beyond the page.
export const STATUSES = ["online", "degraded", "offline", "unknown"];
export const schools = new Map(), panics = new Map(), alerts = new Map(), recent = new Map();
export const state = {
  numbers: {}, counts: {}, alertsOpen: 0, silentDevices: 0, freshMs: {}, serverMs: 0, beatAt: -Infinity,
  selected: "", live: false, me: null, whole: false, wholeAt: Infinity,
};
// What a snapshot that still arrives has told. Until it is whole the page keeps what it had, so that nothing
// on the screen goes and comes back, and a panic that is shown stays.
let told = null;
export const serverNow = () => state.serverMs + (performance.now() - state.beatAt);
export const may = (act) => state.me?.does.includes(act) ?? false;
export const sees = (data) => state.me?.sees.includes(data) ?? false;
export const over = (alert) => alert.state === "closed" || alert.state === "resolved";
const MOST_RECENT = 50;

// The newest few in order. There may be ten thousand: they are walked once and not sorted.
export function newest(some, most) {
  const found = [];
  for (const one of some.values()) {
    if (found.length === most && one.opened_ms <= found[most - 1].opened_ms) continue;
    let at = found.length;
    while (at > 0 && found[at - 1].opened_ms < one.opened_ms) at -= 1;
    found.splice(at, 0, one);
    if (found.length > most) found.pop();
  }
  return found;
}

export function alertById(id) { return panics.get(id) ?? alerts.get(id) ?? recent.get(id); }

export function put(alert) {
  told?.add(alert.id);
  for (const where of [panics, alerts, recent]) where.delete(alert.id);
  if (!over(alert)) (alert.kind === "panic" ? panics : alerts).set(alert.id, alert);
  else if (alert.kind === "panic") {
    recent.set(alert.id, alert);
    while (recent.size > MOST_RECENT) recent.delete(recent.keys().next().value);
  }
}

export function know(some) { for (const school of some) { told?.add(school.id); schools.set(school.id, school); } }

export function connected() { told = null; Object.assign(state, { whole: false, wholeAt: Infinity }); }

export function begin(snapshot) {
  connected();
  told = new Set();
  know(snapshot.schools);
  for (const some of [snapshot.panics, snapshot.alerts, [...snapshot.recent].reverse()]) some.forEach(put);
  Object.assign(state, { numbers: snapshot.numbers, counts: snapshot.counts });
}

// All is told: what a snapshot did not tell is not there any more.
export function whole() {
  if (state.whole) return;
  if (told) for (const where of [schools, panics, alerts, recent]) for (const id of where.keys()) if (!told.has(id)) where.delete(id);
  told = null;
  Object.assign(state, { whole: true, wholeAt: performance.now() });
}

export function forget() {
  for (const where of [schools, panics, alerts, recent]) where.clear();
  connected();
  Object.assign(state, { selected: "", live: false, me: null, beatAt: -Infinity });
}
