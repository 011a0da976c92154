// What the stream has told, folded into one world. Pure: no document, no clock of its own, no request.
export const STATUSES = ["online", "degraded", "offline", "unknown"];
const MOST_RECENT = 50;

export const newWorld = () => ({
  schools: new Map(),
  panics: new Map(),
  alerts: new Map(),
  recent: new Map(),
  presence: new Map(),
  numbers: {},
  counts: {},
  alertsOpen: 0,
  silentDevices: 0,
  freshMs: {},
  serverMs: 0,
  beatAt: -Infinity, // on the browser's own monotonic clock, as each `now` here
  told: null,
  whole: false,
  wholeAt: Infinity,
});

// Each event of the stream, and the parts of the world that it changes.
const FOLDS = {
  open: (world) => {
    connected(world);
    return [];
  },
  snapshot: begin,
  schools: (world, some) => {
    some.forEach((school) => know(world, school));
    return ["schools"];
  },
  status: (world, some) => {
    for (const [id, status, since] of some) {
      const school = world.schools.get(id);
      if (school) Object.assign(school, { status, since_ms: since });
    }
    return ["schools"];
  },
  panics: (world, some) => {
    some.forEach((alert) => put(world, alert));
    return ["panics"];
  },
  panic: (world, alert) => put(world, alert),
  alert: (world, alert) => put(world, alert),
  life: (world, alert) => put(world, alert),
  presence: (world, said) => {
    if (said.people?.length) world.presence.set(said.alarm, said.people);
    else world.presence.delete(said.alarm);
    return ["presence"];
  },
  numbers: (world, numbers) => {
    world.numbers = numbers;
    return ["beat"];
  },
  beat: (world, beat, now) => {
    Object.assign(world, {
      serverMs: beat.now_ms,
      beatAt: now,
      freshMs: beat.fresh_ms,
      counts: beat.counts,
      alertsOpen: beat.alerts_open,
      silentDevices: beat.silent_devices,
    });
    return beat.whole && !world.whole ? ["beat", ...allTold(world, now)] : ["beat"];
  },
};
export const EVENTS = Object.keys(FOLDS).filter((name) => name !== "open");

// Folds one event in; returns the names of the parts that changed. An event that is not known changes
// nothing.
export function fold(world, event, data, now) {
  return FOLDS[event]?.(world, data, now) ?? [];
}

function connected(world) {
  Object.assign(world, { told: null, whole: false, wholeAt: Infinity });
}

function know(world, school) {
  world.told?.add(school.id);
  world.schools.set(school.id, school);
}

// While a snapshot arrives the page keeps what it had, so that nothing on the screen goes and comes back.
function begin(world, snapshot) {
  connected(world);
  world.told = new Set();
  snapshot.schools.forEach((school) => know(world, school));
  const recent = [...snapshot.recent].reverse();
  for (const some of [snapshot.panics, snapshot.alerts, recent]) some.forEach((alert) => put(world, alert));
  const presence = new Map(Object.entries(snapshot.presence ?? {}));
  Object.assign(world, { numbers: snapshot.numbers, counts: snapshot.counts, presence });
  return ["schools", "panics", "alerts", "beat", "presence"];
}

// What a snapshot did not tell is not there any more.
function allTold(world, now) {
  for (const where of world.told ? [world.schools, world.panics, world.alerts, world.recent] : []) {
    for (const id of where.keys()) if (!world.told.has(id)) where.delete(id);
  }
  Object.assign(world, { told: null, whole: true, wholeAt: now });
  return ["schools", "panics", "alerts"];
}

export const over = (alert) => alert.state === "closed" || alert.state === "resolved";
export const isPanic = (alert) => alert.kind === "panic";

function put(world, alert) {
  world.told?.add(alert.id);
  for (const where of [world.panics, world.alerts, world.recent]) where.delete(alert.id);
  if (!over(alert)) (isPanic(alert) ? world.panics : world.alerts).set(alert.id, alert);
  else {
    world.recent.set(alert.id, alert);
    while (world.recent.size > MOST_RECENT) world.recent.delete(world.recent.keys().next().value);
  }
  return isPanic(alert) ? ["panics"] : ["alerts"];
}

export const alertById = (world, id) =>
  world.panics.get(id) ?? world.alerts.get(id) ?? world.recent.get(id);
export const serverNow = (world, now) => world.serverMs + (now - world.beatAt);

const SILENT_AFTER_MS = 5000,
  STALE_AFTER_MS = 10000;

// How fresh all is. `connectedAt`: when the stream was asked for; before its first beat nothing is known.
export function liveness(world, connectedAt, now) {
  const heard = world.beatAt > -Infinity;
  const silentMs = now - (heard ? world.beatAt : connectedAt);
  const nowMs = heard ? serverNow(world, now) : 0;
  const kafkaMs = world.freshMs.kafka ?? 0,
    clickhouseMs = world.freshMs.clickhouse ?? 0;
  const silent = silentMs > SILENT_AFTER_MS;
  const dead = silent || (heard && nowMs - kafkaMs > STALE_AFTER_MS);
  return {
    heard,
    dead,
    sinceMs: dead ? (silent ? world.serverMs : kafkaMs) : 0,
    stale: !heard || nowMs - clickhouseMs > STALE_AFTER_MS,
    clickhouseMs,
  };
}
