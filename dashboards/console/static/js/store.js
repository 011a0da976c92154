// The page's state as signals: the world, the desk, the address, who is signed in. All that changes them
// is here.
import { get, keepToken, post } from "./api.js";
import * as desks from "./desk.js";
import { batch, computed, signal } from "./html.js";
import { indexed, nextTo, sameCause, waits } from "./order.js";
import { href, parse } from "./routes.js";
import { allPlaces, t } from "./words.js";
import { EVENTS, alertById, fold, liveness, newWorld, serverNow } from "./world.js";

const now = () => performance.now();
const here = () => parse(location.pathname, location.search, location.hash);

export let world = newWorld();
let desk = desks.newDesk(),
  source = null,
  connectedAt = now();

export const route = signal(here());
export const me = signal(null);
export const session = signal("asking"); // asking, out (not signed in yet), ended (signed in before), in
export const endedMs = signal(0);
export const oidc = signal(false);
export const life = signal(liveness(world, connectedAt, now()));
export const second = signal(0); // the server's clock, ms
export const dialog = signal(null); // {kind, id, ...}: the one that is open
export const said = signal(""); // what a reader of the screen is told
export const offers = signal([]); // shifts that wait for somebody to accept them
const deskVersion = signal(0);
const deskChanged = () => {
  deskVersion.value += 1;
};

// Each part is published at once and then no sooner than after so many ms: the country has thousands of
// schools, and a press must not wait until they are drawn.
const EVERY_MS = { panics: 100, alerts: 250, beat: 250, presence: 250, schools: 1000 };
const versions = Object.fromEntries(Object.keys(EVERY_MS).map((part) => [part, signal(0)]));
const publish = Object.fromEntries(
  Object.entries(EVERY_MS).map(([part, ms]) => [
    part,
    soon(ms, () => {
      versions[part].value += 1;
      if (part === "panics") takeOver();
    }),
  ]),
);
function soon(everyMs, act) {
  let due = false,
    at = -Infinity;
  const run = () => {
    due = false;
    at = now();
    act();
  };
  return () => {
    if (!due) {
      due = true;
      setTimeout(run, Math.max(0, at + everyMs - now()));
    }
  };
}

const seen = (part, choose) =>
  computed(() => {
    versions[part].value;
    return choose(world);
  });
// Arrays and copies, so that a change is a change; the maps themselves stay the same.
export const panics = seen("panics", (w) => [...w.panics.values()]);
export const alerts = seen("alerts", (w) => [...w.alerts.values()]);
export const recent = computed(() => {
  versions.panics.value;
  versions.alerts.value;
  return [...world.recent.values()].reverse();
});
export const schools = seen("schools", (w) => [...w.schools.values()]);
export const beat = seen("beat", ({ counts, numbers, alertsOpen, silentDevices, whole }) => ({
  counts,
  numbers,
  alertsOpen,
  silentDevices,
  whole,
}));
export const presence = seen("presence", (w) => new Map(w.presence));
export const names = computed(() => indexed(schools.value, allPlaces()));
export const waiting = computed(() => panics.value.filter(waits));
export const school = (id) => {
  versions.schools.value;
  return world.schools.get(id);
};
export const alarm = (id) => {
  versions.panics.value;
  versions.alerts.value;
  return alertById(world, id);
};
export const nowMs = () => serverNow(world, now());

export const may = (act) => me.value?.does.includes(act) ?? false;
// There nothing acts and nothing takes over, whoever looks at it.
export const onWall = () => route.value.page === "wall" || me.value?.role === "wall";
export const sees = (data) => me.value?.sees.includes(data) ?? false;
export const everywhere = () => me.value?.places?.includes("*") ?? false;

// The desk, as what draws it may read it.
export const draftOf = (id) => {
  deskVersion.value;
  return desks.draft(desk, id);
};
export const answerOf = (id) => {
  deskVersion.value;
  return desk.answers.get(id);
};
export const settling = () => {
  deskVersion.value;
  return desks.settling(desk, now());
};
export const answersElsewhere = () => {
  deskVersion.value;
  return [...desk.answers].filter(([id]) => id !== desk.shown);
};
export function forgetAnswer(id) {
  desk.answers.delete(id);
  deskChanged();
}
export function writeDraft(id, text) {
  desks.write(desk, id, text);
  deskChanged();
}
export function touch() {
  desks.touch(desk, now());
}

// Addresses.

const announced = new Set(); // panics of which the audit log knows that they were put before this person
function arrive(next, chosen) {
  lookingElsewhere = false;
  const wasAlarm = route.value.page === "alarm";
  batch(() => {
    route.value = next;
    if (next.page === "alarm") {
      desks.show(desk, next.id, now(), chosen);
      beSeen(next.id);
    } else if (wasAlarm || chosen) desks.lookElsewhere(desk, world, now());
    deskChanged();
  });
  bePresent();
}
// An alarm was drawn: a second later it counts as read.
export function drawn(id) {
  desks.drawn(desk, id, now());
  setTimeout(deskChanged, desks.MEANT_AFTER_MS);
}
export function go(address, chosen = true) {
  if (address === location.pathname + location.search) return;
  history.pushState(null, "", address);
  arrive(here(), chosen);
}
export function put(query) {
  // filters, in the same place
  const { page, id, query: old } = route.value;
  history.replaceState(null, "", href(page, id, { ...old, ...query }));
  route.value = here();
}
addEventListener("popstate", () => {
  dialog.value = null;
  arrive(here(), true);
});
// The address that a wall was given holds its token: it is changed for a cookie, and shown no longer.
const hung = route.value.page === "wall" ? location.hash.slice(1) : "";
if (location.hash)
  history.replaceState(null, "", href(route.value.page, route.value.id, route.value.query));

function beSeen(id) {
  if (!may("step") || announced.has(id) || !alertById(world, id)) return;
  announced.add(id);
  post(`/api/alerts/${encodeURIComponent(id)}/seen`, {});
}
// Who is on it: said when it changes, and again so often that nobody seems to be gone.
const PRESENT_EVERY_MS = 10_000;
let presentAt = null,
  presentSaidAt = -Infinity;
function bePresent() {
  const at = session.value === "in" && alertById(world, desk.shown) ? desk.shown : null;
  const again = at !== null && now() - presentSaidAt > PRESENT_EVERY_MS;
  if (!may("step") || (at === presentAt && !again)) return;
  presentAt = at;
  presentSaidAt = now();
  post("/api/presence", { alarm: at });
}

// The alarm that is shown.

const writing = () =>
  document.activeElement?.matches("input:not([type=checkbox]), textarea, select") ?? false;
// Who opens an address looks at that; what waits already may wait for a minute.
let lookingElsewhere = !["map", "alarm"].includes(route.value.page);
function takeOver() {
  if (onWall()) return;
  if (lookingElsewhere) {
    if (!world.whole) return;
    lookingElsewhere = false;
    desks.lookElsewhere(desk, world, now());
  }
  const screen = {
    login: may("step") ? me.value.login : "",
    dialog: dialog.value !== null,
    writing: writing(),
  };
  const id = desks.due(desk, world, screen, now());
  if (id) {
    history.pushState(null, "", href("alarm", id));
    arrive(here(), false);
  } else if (desk.shown) {
    beSeen(desk.shown);
    bePresent();
  }
}
export function leaveAlarm() {
  desks.leave(desk, now());
  desks.touch(desk, now());
  history.pushState(null, "", "/");
  batch(() => {
    route.value = here();
    deskChanged();
  });
  bePresent();
}
export function nextAlarm(by = 1) {
  const id = nextTo(world.panics.values(), desk.shown, by);
  if (id) {
    dialog.value = null;
    go(href("alarm", id));
  }
}

// Acts. Each names its alarm and the moment of the hand, an event's `timeStamp`; one that was meant for
// another is dropped.

export const read = (id, at) => desks.read(desk, id, at);
export async function act(id, took, at, more = {}) {
  const alert = alertById(world, id);
  if (!alert || !may("step") || !desks.meant(desk, id, at) || !desks.possible(alert, me.value)[took]) return;
  const sent = desks.wish(desk, alert, took, more);
  desk.sending.add(id);
  desks.touch(desk, now());
  deskChanged();
  const answer = await post(`/api/alerts/${encodeURIComponent(id)}/steps`, sent);
  if (answer.status === 401) {
    out();
    return;
  }
  desks.answered(desk, id, sent, answer);
  deskChanged();
}

// One answer to all presses of one button.
export async function actOnAll(id, at, list) {
  if (!desks.meant(desk, id, at)) return;
  const shown = alertById(world, id);
  const still = new Set([shown, ...sameCause(world.panics.values(), shown)].filter(waits).map((a) => a.id));
  const wishes = list
    .filter((a) => still.has(a.id))
    .map(({ id: one, seen: had, number }) => ({ id: one, seen: desks.known(desk, one, had), number }));
  let answer = await post("/api/alarms/acknowledge", { school: shown.school, alarms: wishes });
  for (const { id: one, seen } of wishes)
    if (answer.body.alarms?.find((a) => a.id === one)?.status === 200) desks.acted(desk, one, seen);
  // One that was refused is told; the others tell it themselves.
  const refused = answer.body.alarms?.find(({ status }) => status !== 200);
  if (refused) answer = { status: refused.status, body: refused };
  desks.answered(desk, id, { took: "acknowledged" }, answer);
  deskChanged();
}

// The stream.

const AGAIN_AFTER_MS = 2000;
function connect() {
  source?.close();
  const mine = new EventSource("/events");
  source = mine;
  source.addEventListener("open", () => fold(world, "open"));
  for (const event of EVENTS) {
    source.addEventListener(event, (message) => {
      for (const part of fold(world, event, JSON.parse(message.data), now())) publish[part]();
      if (event === "beat") pulse();
    });
  }
  source.addEventListener("signed-out", out);
  // A newer page of the same person took this one's place; to come again would throw that one out.
  source.addEventListener("replaced", () => {
    mine.close();
    source = null;
  });
  // A browser comes back to a stream that broke off, and not to one that was refused (HTML, 9.2.3): by a
  // proxy while the console starts, or since so much was read at once.
  source.addEventListener("error", async () => {
    if ((await get("/api/me")).status === 401) out();
    else if (mine.readyState === EventSource.CLOSED)
      setTimeout(() => {
        if (source === mine) connect();
      }, AGAIN_AFTER_MS);
  });
}

export function pulse() {
  if (session.value !== "in") return;
  const next = liveness(world, connectedAt, now());
  if (JSON.stringify(next) !== JSON.stringify(life.value)) life.value = next;
  if (next.heard && !next.dead) second.value = nowMs();
  takeOver();
}

const ASK_SHIFT_MS = 30_000;
export async function askShift() {
  if (!may("shift")) return;
  const { status, body } = await get("/api/shift");
  if (status === 200) offers.value = body.offers;
}
setInterval(askShift, ASK_SHIFT_MS);

// Who is signed in.

export async function whoAmI() {
  if (hung) await post("/api/wall", { token: hung });
  const { status, body } = await get("/api/me");
  if (status !== 200) {
    oidc.value = Boolean(body.oidc);
    if (session.value === "asking") session.value = "out";
    return;
  }
  keepToken(body.csrf);
  batch(() => {
    me.value = body;
    session.value = "in";
    // Also of who signs in again, with a desk on which nothing is.
    if (route.value.page === "alarm") desks.show(desk, route.value.id, now(), true);
  });
  connectedAt = now();
  connect();
  askShift();
}
export async function signIn(login, password) {
  const { status, body } = await post("/api/sign-in", { login, password });
  if (status === 200) {
    await whoAmI();
    return "";
  }
  if (status === 401) return t("wrong_password");
  return status === 429 ? `${t("too_many_tries")} ${body.retry_after_s} s` : t("refused");
}
export async function signOut() {
  const { body } = await post("/api/sign-out", {});
  out();
  if (body.location) location.assign(body.location); // signed in there, too
}
// Nothing of what was seen stays: not on the screen, not in memory.
export function out() {
  if (session.value !== "in") return;
  source?.close();
  source = null;
  batch(() => {
    endedMs.value = world.serverMs;
    world = newWorld();
    desk = desks.newDesk();
    announced.clear();
    presentAt = null;
    session.value = "ended";
    me.value = null;
    offers.value = [];
    dialog.value = null;
    life.value = liveness(world, now(), now());
    for (const version of Object.values(versions)) version.value += 1;
    deskChanged();
  });
}
export const shown = () => {
  deskVersion.value;
  return desk.shown;
};
