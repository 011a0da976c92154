// A panic takes over the screen of who can act on it, until somebody has answered it.
import { get, post } from "./api.js";
import { $, all, element, row } from "./dom.js";
import { flags } from "./lists.js";
import { alertById, may, panics, schools, sees, serverNow, state } from "./state.js";
import { sound } from "./sound.js";
import { age, clock, moment, name, place, reason, t } from "./words.js";

const NEAR_KM = 50, SHOWN_NEAR = 5, KM_PER_DEGREE = 111.2, SILENCE_MS = 3_600_000;
const left = new Set(), reported = new Set();
// What is wrong with us and with no school: nobody drives anywhere for it.
const OURS = new Set(["monitoring_impaired", "pipeline_silent"]);
// A panic that took over is replaced by an older one as long as the page is not told all, and for a moment
// longer: presses of one moment come in any order. Nobody has read it in that time; whoever touches it keeps it.
const SETTLED_AFTER_MS = 1000;
// An act at the moment when one panic takes the place of another was meant for the one before.
const NOT_MEANT_WITHIN_MS = 500;
let shown = "", shownAt = -Infinity, touched = false, changing = 0, fly = () => {}, schoolOf = "", flown = "";

const waiting = (panic) => panic.state === "open" && !panic.drill;

export function startTakeover(flyTo) {
  fly = flyTo;
  for (const touch of ["pointerdown", "keydown", "input"]) $("#takeover").addEventListener(touch, () => { touched = true; });
  $("#takeover-back").addEventListener("click", leave);
  for (const button of all("#takeover-actions [data-took]")) button.addEventListener("click", () => take(button.dataset.took, button.dataset.outcome));
  document.addEventListener("keydown", (event) => {
    if (!shown || event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (event.key === "Escape") leave();
    else if (key === "a") take("acknowledged");
    else if (key === "d") take("dispatched");
    else if (key === "p" && alertById(shown)?.drill) take("promoted");
  });
}

// Called after every change: the oldest panic that nobody has answered comes first.
export function drawTakeover() {
  let open = false, next = null;
  for (const panic of panics.values()) {
    if (!waiting(panic)) continue;
    open = true;
    if (!left.has(panic.id) && (!next || panic.opened_ms < next.opened_ms)) next = panic;
  }
  sound(may("step") && open);
  const now = alertById(shown);
  if (!now) shown = "";
  const mine = now && now.acknowledged_by === state.me?.login;
  const older = now && next && now.kind === "panic" && next.opened_ms < now.opened_ms && !settled();
  if (may("step") && next && (!now || older || (now.kind === "panic" && !waiting(now) && !mine))) {
    if (now) change();
    open_(next.id);
  }
  draw();
}

function change() {
  clearTimeout(changing);
  const now = (is) => $("#takeover-actions").classList.toggle("changing", is);
  now(true);
  changing = setTimeout(now, NOT_MEANT_WITHIN_MS, false);
}

function settled() {
  return touched || (state.whole && performance.now() - Math.max(shownAt, state.wholeAt) > SETTLED_AFTER_MS);
}

export function choose(id) { left.delete(id); open_(id); touched = true; draw(); $("#takeover").focus(); }

function open_(id) {
  shown = id; shownAt = performance.now(); touched = false;
  $("#takeover-said").textContent = ""; $("#takeover-note").value = "";
  if (may("step") && !reported.has(id)) { reported.add(id); post(`/api/alerts/${encodeURIComponent(id)}/seen`, {}); }
}

function leave() {
  for (const panic of panics.values()) left.add(panic.id);
  shown = "";
  draw();
}

export function signedOut() { shown = ""; left.clear(); reported.clear(); sound(false); draw(); }

function draw() {
  const alert = alertById(shown);
  $("#takeover").hidden = !alert; document.body.classList.toggle("alarm", Boolean(alert));
  if (!alert) { schoolOf = flown = ""; return; }
  const school = schools.get(alert.school);
  if (school && flown !== alert.id) { flown = alert.id; fly(school); }
  $("#takeover").dataset.id = alert.id; $("#takeover").dataset.state = alert.state;
  $("#takeover-kind").textContent = alert.drill ? `${t("drill")} · ${t(alert.kind)}` : t(alert.kind);
  $("#takeover-title").textContent = OURS.has(alert.kind) ? t("ours") : school ? name(school) : alert.school;
  $("#takeover-where").textContent = [alert.school, place(school?.region ?? ""), place(school?.district ?? ""), place(alert.scope), alert.device, ...(alert.places ?? [])].filter(Boolean).join(" · ");
  const time = element("b", { textContent: age(serverNow() - alert.opened_ms) }); time.dataset.opened = alert.opened_ms;
  $("#takeover-since").replaceChildren(time, ` · ${moment(alert.opened_ms, serverNow())}`);
  $("#takeover-flags").replaceChildren(...[...flags(alert), ...(OURS.has(alert.kind) && alert.note ? [alert.note] : []), ...alert.why.map(reason), ...alert.delivered_to.map((center) => `${t("delivered")} ${center}`)].map((flag) => element("li", { textContent: flag })));
  $("#takeover-call").hidden = !alert.call.length || alert.state !== "open";
  $("#takeover-call").textContent = `${t("call_now")}: ${alert.call.join(" · ")}`;
  $("#takeover-state").textContent = [t(`state_${alert.state}`), alert.acknowledged_by && `${t("took_acknowledged")} ${alert.acknowledged_by} ${clock(alert.acknowledged_ms)}`,
    alert.assigned_to && `${t("assigned_to")} ${alert.assigned_to}`, alert.closed_by && `${t(`outcome_${alert.outcome || "none"}`)} · ${alert.closed_by}`].filter(Boolean).join(" · ");
  drawActions(alert); drawTimeline(alert); drawNear(alert, school);
  if (schoolOf !== alert.school) { schoolOf = alert.school; drawSchool(alert.school); }
}

function drawActions(alert) {
  $("#takeover-actions").hidden = !may("step");
  const ended = alert.state === "closed" || alert.state === "resolved";
  const possible = {
    acknowledged: !ended && !alert.acknowledged_ms, dispatched: !ended && !OURS.has(alert.kind) && !alert.dispatched_ms, arrived: !ended && !OURS.has(alert.kind) && !alert.arrived_ms,
    noted: true, verified: !ended, assigned: !ended, closed: !ended, reopened: alert.state === "closed",
    silenced: !ended && alert.kind !== "panic" && alert.kind !== "panic_blind", promoted: !ended && alert.drill && state.me?.role === "supervisor",
  };
  for (const button of all("#takeover-actions [data-took]")) {
    button.hidden = !possible[button.dataset.took];
  }
  $("#takeover-score").hidden = ended;
  const people = $("#takeover-people");
  people.hidden = !possible.assigned;
  if (people.options.length !== (state.me?.people?.length ?? 0)) people.replaceChildren(...(state.me?.people ?? []).map((login) => element("option", { value: login, textContent: login })));
}

function drawTimeline(alert) {
  const lines = [[alert.opened_ms, alert.kind === "panic" ? t("pressed") : t("state_open"), alert.device], ...alert.timeline.map((s) => [s.ms, t(`took_${s.took}`), [s.actor, s.target !== s.actor ? s.target : "", s.outcome && t(`outcome_${s.outcome}`), s.note].filter(Boolean).join(" · ")])];
  $("#takeover-timeline").replaceChildren(...lines.map(([ms, what, who]) => row(`${clock(ms)} ${what}`, who)));
}

function drawNear(alert, school) {
  if (!school) { $("#takeover-near").replaceChildren(element("li", { textContent: t("none") })); return; }
  const near = [...panics.values()].filter((p) => p.id !== alert.id && schools.has(p.school))
    .map((p) => [distanceKm(school.at, schools.get(p.school).at), p]).filter(([km]) => km <= NEAR_KM).sort((a, b) => a[0] - b[0]).slice(0, SHOWN_NEAR);
  $("#takeover-near").replaceChildren(...(near.length ? near.map(([km, p]) => {
    const button = element("button", { type: "button", textContent: `${Math.round(km)} km · ${name(schools.get(p.school))} · ${clock(p.opened_ms)}` });
    button.addEventListener("click", () => choose(p.id));
    return element("li", {}, button);
  }) : [element("li", { textContent: t("none") })]));
}

function distanceKm([lon, lat], [otherLon, otherLat]) {
  return Math.hypot((lon - otherLon) * Math.cos((lat * Math.PI) / 180), lat - otherLat) * KM_PER_DEGREE;
}

async function drawSchool(id) {
  const list = $("#takeover-school");
  list.replaceChildren();
  if (!schools.has(id)) return;
  const { status, body } = await get(`/api/schools/${encodeURIComponent(id)}`).catch(() => ({ status: 0 }));
  if (schoolOf !== id || status !== 200) return;
  const school = body.school, silent = Object.entries(body.devices).filter(([, d]) => d.status !== "online");
  const stale = body.stale ? ` (${t("stale")})` : "";
  list.replaceChildren(
    ...(sees("people") ? [row(t("inside_now") + stale, body.inside ?? "–")] : []),
    row(t("pupils"), school.pupils), row(t("status"), t(school.status)), row(t("center"), school.center || t("no_center")),
    ...(sees("security") && body.equipment ? [row(t("panic_buttons"), body.equipment.panic_buttons), row(t("police_link"), body.equipment.police_link ? "✓" : "—"), row(t("contract"), body.equipment.contract_company || t("none"))] : []),
    ...Object.entries(body.devices).filter(([, d]) => d.place).map(([device, d]) => row(device, d.place)),
    ...silent.slice(0, 6).map(([device, d]) => row(device, d.since_ms ? t(d.status) : t("never_heard"), d.status)),
  );
}

async function take(took, outcome = "") {
  const alert = alertById(shown);
  if (!alert || !may("step") || $("#takeover-actions").classList.contains("changing")) return;
  touched = true;
  const wish = { took, seen: alert.seen, number: alert.number, note: $("#takeover-note").value };
  if (took === "closed") wish.outcome = outcome;
  if (took === "assigned") wish.target = $("#takeover-people").value;
  if (took === "verified") wish.score = Number($("#takeover-score").value);
  if (took === "silenced") wish.until_ms = Math.round(serverNow()) + SILENCE_MS;
  const { status, body } = await post(`/api/alerts/${encodeURIComponent(alert.id)}/steps`, wish);
  const said = $("#takeover-said");
  said.className = status === 200 ? "" : "refused";
  if (status === 200) { said.textContent = `${t(`took_${took}`)} ✓${body.kept === "kafka" ? "" : ` · ${t(`kept_${body.kept}`)}`}`; $("#takeover-note").value = ""; }
  else if (status === 409 && body.by) said.textContent = `${t("somebody_was_first")}: ${body.by} · ${t(`took_${body.took}`)} · ${clock(body.ms)}`;
  else said.textContent = `${t("refused")}${body.error ? `: ${body.error}` : ""}`;
}
