// The stream of events, and the proof that it lives.
import { get } from "./api.js";
import { $, all } from "./dom.js";
import { begin, connected, know, put, schools, serverNow, state, whole } from "./state.js";
import { age, clock, t } from "./words.js";

const SILENT_AFTER_MS = 5000, STALE_AFTER_MS = 10000;
let source = null;

// `told` is called with the name of what changed; `out` when this browser is not signed in any more.
export function connect(told, out) {
  source?.close();
  source = new EventSource("/events");
  const on = (event, handle) => source.addEventListener(event, (message) => { handle(JSON.parse(message.data)); told(event); });
  source.addEventListener("open", connected);
  on("snapshot", begin);
  on("schools", know);
  on("status", (some) => {
    for (const [id, status, since] of some) { const school = schools.get(id); if (school) Object.assign(school, { status, since_ms: since }); }
    if (some.some(([id]) => id === state.selected)) told("selected");
  });
  on("panics", (some) => some.forEach(put));
  on("panic", put);
  on("alert", put);
  on("life", put);
  on("numbers", (numbers) => { state.numbers = numbers; });
  on("beat", (beat) => {
    Object.assign(state, { serverMs: beat.now_ms, beatAt: performance.now(), freshMs: beat.fresh_ms, counts: beat.counts, alertsOpen: beat.alerts_open, silentDevices: beat.silent_devices, live: true });
    if (beat.whole && !state.whole) { whole(); told("whole"); }
  });
  source.addEventListener("signed-out", out);
  source.addEventListener("error", async () => { if ((await get("/api/me").catch(() => ({ status: 0 }))).status === 401) out(); });
}

export function disconnect() { source?.close(); source = null; }

// Silence never looks like peace: judged by the browser's own monotonic clock.
export function pulse() {
  if (!state.me) return;
  const silentMs = performance.now() - state.beatAt;
  const kafkaAge = state.live ? serverNow() - (state.freshMs.kafka ?? 0) : Infinity;
  const dead = silentMs > SILENT_AFTER_MS || kafkaAge > STALE_AFTER_MS;
  $("#not-live").hidden = !dead; document.body.classList.toggle("dead", dead);
  if (dead) {
    const since = silentMs > SILENT_AFTER_MS ? state.serverMs : state.freshMs.kafka;
    $("#not-live-since").textContent = since ? `${t("since")} ${clock(since)}` : "";
  }
  const clickhouseAge = serverNow() - (state.freshMs.clickhouse ?? 0);
  for (const node of all(".from-clickhouse")) {
    node.classList.toggle("stale", clickhouseAge > STALE_AFTER_MS);
    node.dataset.age = state.freshMs.clickhouse ? `${t("stale")} ${age(clickhouseAge)}` : t("stale");
  }
  if (!dead) $("#clock").textContent = `${clock(serverNow())} UTC+5`;
  for (const node of all("[data-opened]")) node.textContent = age(serverNow() - node.dataset.opened);
}
