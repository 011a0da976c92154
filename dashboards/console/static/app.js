// The live map. State comes from /events; nothing here is remembered beyond the page.
import * as maplibregl from "./vendor/maplibre-gl.mjs";

const $ = (selector) => document.querySelector(selector);
const STATUSES = ["online", "degraded", "offline", "unknown"];
const SILENT_AFTER_MS = 5000;
const STALE_AFTER_MS = 10000;
const schools = new Map(), panics = new Map(), alerts = new Map();
const state = { numbers: {}, counts: {}, alertsOpen: 0, freshMs: {}, serverMs: 0, beatAt: -Infinity, words: {}, selected: "", live: false };
let map, mapReady = false, dirty = false;

const t = (key) => state.words[key] ?? key;
const name = (school) => school?.names?.[language()] ?? school?.id ?? "?";
const language = () => $("#language").value;
const serverNow = () => state.serverMs + (performance.now() - state.beatAt);
const clock = (ms) => new Date(ms).toLocaleTimeString(language(), { hour12: false });
const age = (ms) => { const s = Math.max(0, Math.floor(ms / 1000)); return `${String(Math.floor(s / 60)).padStart(2, "0")}:${String(s % 60).padStart(2, "0")}`; };
const element = (tag, attributes = {}, ...children) => { const made = Object.assign(document.createElement(tag), attributes); made.append(...children); return made; };

// Words and theme
async function speak(chosen) {
  state.words = await (await fetch(`/static/i18n/${chosen}.json`)).json();
  document.documentElement.lang = chosen;
  localStorage.setItem("language", chosen);
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-placeholder]")) { node.placeholder = t(node.dataset.tPlaceholder); node.ariaLabel = t(node.dataset.tPlaceholder); }
  for (const node of document.querySelectorAll("[data-t-label]")) node.ariaLabel = t(node.dataset.tLabel);
  draw();
}
function theme(chosen) { document.documentElement.dataset.theme = chosen; localStorage.setItem("theme", chosen); if (mapReady) paint(); }
const colour = (variable) => getComputedStyle(document.documentElement).getPropertyValue(`--${variable}`).trim();

// The stream
function connect() {
  const source = new EventSource("/events");
  const on = (event, handle) => source.addEventListener(event, (message) => handle(JSON.parse(message.data)));
  on("snapshot", (all) => {
    schools.clear(); panics.clear(); alerts.clear();
    for (const school of all.schools) schools.set(school.id, school);
    for (const panic of all.panics) panics.set(panic.id, panic);
    for (const alert of all.alerts) alerts.set(alert.id, alert);
    state.numbers = all.numbers; state.counts = all.counts;
    listSchools(); draw();
  });
  on("schools", (some) => { for (const school of some) schools.set(school.id, school); listSchools(); draw(); });
  on("status", (some) => {
    for (const [id, status, since] of some) { const school = schools.get(id); if (school) Object.assign(school, { status, since_ms: since }); }
    if (some.some(([id]) => id === state.selected)) show(state.selected);
    draw();
  });
  on("panic", (panic) => { change(panics, panic); drawPanics(); drawMap(); });
  on("alert", (alert) => { change(alerts, alert); draw(); });
  on("numbers", (numbers) => { state.numbers = numbers; draw(); });
  on("beat", (beat) => {
    Object.assign(state, { serverMs: beat.now_ms, beatAt: performance.now(), freshMs: beat.fresh_ms, counts: beat.counts, alertsOpen: beat.alerts_open, live: true });
    drawNumbers(); pulse();
  });
}
function change(into, alert) { if (alert.action === "resolved") into.delete(alert.id); else into.set(alert.id, alert); }

// Silence never looks like peace: judged by the browser's own monotonic clock.
function pulse() {
  const silentMs = performance.now() - state.beatAt;
  const kafkaAge = state.live ? serverNow() - (state.freshMs.kafka ?? 0) : Infinity;
  const dead = silentMs > SILENT_AFTER_MS || kafkaAge > STALE_AFTER_MS;
  $("#not-live").hidden = !dead; document.body.classList.toggle("dead", dead);
  if (dead) {
    const since = silentMs > SILENT_AFTER_MS ? state.serverMs : state.freshMs.kafka;
    $("#not-live-since").textContent = since ? `${t("since")} ${clock(since)}` : "";
  }
  const clickhouseAge = serverNow() - (state.freshMs.clickhouse ?? 0);
  for (const node of document.querySelectorAll(".from-clickhouse")) {
    node.classList.toggle("stale", clickhouseAge > STALE_AFTER_MS);
    node.dataset.age = state.freshMs.clickhouse ? `${t("stale")} ${age(clickhouseAge)}` : t("stale");
  }
  if (!dead) $("#clock").textContent = clock(serverNow());
  for (const node of document.querySelectorAll("[data-opened]")) node.textContent = age(serverNow() - node.dataset.opened);
}

// Drawing, at most four times a second whatever arrives
function draw() { if (!dirty) { dirty = true; setTimeout(() => { dirty = false; drawAll(); }, 250); } }
function drawAll() { drawNumbers(); drawPanics(); drawRegions(); drawAlerts(); drawMap(); }
function drawNumbers() {
  $("#alert-count").textContent = state.alertsOpen;
  for (const node of document.querySelectorAll("[data-n]")) {
    const key = node.dataset.n;
    const value = STATUSES.includes(key) ? state.counts[key] ?? 0 : state.numbers[key];
    node.textContent = value === undefined || value === null ? "–" : Number(value).toLocaleString(language());
  }
}
function drawPanics() {
  const open = [...panics.values()].sort((a, b) => b.opened_ms - a.opened_ms);
  $("#panics").classList.toggle("open", open.length > 0);
  $("#panic-count").textContent = open.length;
  $("#no-panics").hidden = open.length > 0;
  document.title = open.length ? `(${open.length}) ${t("panic")} · Saqshy` : "Saqshy";
  const list = $("#panic-list"), there = new Map([...list.children].map((node) => [node.dataset.id, node]));
  for (const panic of open.slice(0, 60).reverse()) {
    let item = there.get(panic.id);
    if (!item) {
      item = element("li", { className: "new" }); item.dataset.id = panic.id;
      const button = element("button", { type: "button" }); button.addEventListener("click", () => select(panic.school));
      item.append(button); list.prepend(item);
    }
    const school = schools.get(panic.school);
    const time = element("span", { className: "time" }); time.dataset.opened = panic.opened_ms; time.textContent = age(serverNow() - panic.opened_ms);
    const notes = [panic.count > 1 ? `${panic.count} ${t("presses")}` : "", panic.unidentified ? t("unidentified") : "", panic.note].filter(Boolean).join(" · ");
    item.firstChild.replaceChildren(time, element("b", { textContent: school ? name(school) : panic.school }),
      element("small", { textContent: `${panic.school} · ${school?.district ?? ""} · ${clock(panic.opened_ms)}${notes ? ` · ${notes}` : ""}` }));
    there.delete(panic.id);
  }
  for (const node of there.values()) node.remove();
}
function drawRegions() {
  const rows = new Map();
  for (const school of schools.values()) {
    const row = rows.get(school.region) ?? { online: 0, degraded: 0, offline: 0, unknown: 0 };
    row[STATUSES.includes(school.status) ? school.status : "unknown"] += 1; rows.set(school.region, row);
  }
  $("#regions tbody").replaceChildren(...[...rows].sort((a, b) => b[1].offline - a[1].offline || a[0].localeCompare(b[0])).map(([region, row]) =>
    element("tr", {}, element("td", { textContent: `${region} ${regionNames.get(region) ?? ""}` }), ...STATUSES.map((status) =>
      element("td", { textContent: row[status], className: status === "offline" && row[status] ? "bad" : "" })))));
}
function drawAlerts() {
  $("#alerts ol").replaceChildren(...[...alerts.values()].sort((a, b) => b.opened_ms - a.opened_ms).slice(0, 40).map((alert) => {
    const button = element("button", { type: "button", textContent: `${t(alert.kind)} · ${name(schools.get(alert.school)) } · ${clock(alert.opened_ms)}` });
    button.addEventListener("click", () => select(alert.school));
    return element("li", {}, button);
  }));
}

// Map
const regionNames = new Map();
const point = (school, extra = {}) => ({ type: "Feature", geometry: { type: "Point", coordinates: school.at }, properties: { id: school.id, status: school.status, ...extra } });
const collection = (features) => ({ type: "FeatureCollection", features });
function drawMap() {
  if (!mapReady) return;
  const all = [...schools.values()];
  map.getSource("schools").setData(collection(all.map((school) => point(school))));
  map.getSource("trouble").setData(collection(all.filter((school) => school.status === "offline").map((school) => point(school))));
  map.getSource("panics").setData(collection([...panics.values()].map((panic) => schools.get(panic.school)).filter(Boolean).map((school) => point(school))));
}
async function startMap() {
  const regions = await (await fetch("/static/vendor/regions.geojson")).json();
  for (const feature of regions.features) regionNames.set(feature.properties.region, feature.properties.name);
  maplibregl.setWorkerUrl(new URL("./vendor/maplibre-gl-worker.mjs", import.meta.url).href);
  const empty = { type: "geojson", data: collection([]) };
  const worst = ["case", [">", ["get", "offline"], 0], "offline", [">", ["get", "degraded"], 0], "degraded", [">", ["get", "online"], 0], "online", "unknown"];
  map = new maplibregl.Map({
    container: "map", center: [67.5, 48.2], zoom: 3.7, minZoom: 2.5, attributionControl: false,
    style: { version: 8, sources: {
      regions: { type: "geojson", data: regions, attribution: '<a href="https://www.amcharts.com/" rel="noopener">Boundaries: amCharts</a>' },
      schools: { ...empty, cluster: true, clusterRadius: 26, clusterMaxZoom: 9, clusterProperties: Object.fromEntries(["online", "degraded", "offline"].map((status) => [status, ["+", ["case", ["==", ["get", "status"], status], 1, 0]]])) },
      trouble: empty, panics: empty },
    layers: [
      { id: "land", type: "fill", source: "regions", paint: {} },
      { id: "borders", type: "line", source: "regions", paint: { "line-width": 1 } },
      { id: "clusters", type: "circle", source: "schools", filter: ["has", "point_count"], metadata: { worst }, paint: { "circle-radius": ["interpolate", ["linear"], ["sqrt", ["get", "point_count"]], 1, 4, 20, 18], "circle-opacity": 0.55, "circle-stroke-width": 1 } },
      { id: "single", type: "circle", source: "schools", filter: ["!", ["has", "point_count"]], paint: { "circle-radius": 4, "circle-stroke-width": 1 } },
      { id: "trouble", type: "circle", source: "trouble", paint: { "circle-radius": 5, "circle-stroke-width": 2 } },
      { id: "panic-ring", type: "circle", source: "panics", paint: { "circle-radius": 17, "circle-opacity": 0.25, "circle-stroke-width": 3 } },
      { id: "panic", type: "circle", source: "panics", paint: { "circle-radius": 6 } } ] },
  });
  map.addControl(new maplibregl.AttributionControl({ compact: false }));
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }));
  map.on("load", () => { mapReady = true; paint(); drawMap(); document.body.dataset.map = "ready"; });
  for (const layer of ["single", "trouble", "panic", "panic-ring"]) {
    map.on("click", layer, (event) => select(event.features[0].properties.id));
    map.on("mouseenter", layer, () => { map.getCanvas().style.cursor = "pointer"; });
    map.on("mouseleave", layer, () => { map.getCanvas().style.cursor = ""; });
  }
  map.on("click", "clusters", (event) => map.easeTo({ center: event.lngLat, zoom: map.getZoom() + 2 }));
}
function paint() {
  const by = (expression) => ["match", expression, ...["online", "degraded", "offline"].flatMap((status) => [status, colour(status)]), colour("unknown")];
  const set = (layer, values) => { for (const [key, value] of Object.entries(values)) map.setPaintProperty(layer, key, value); };
  set("land", { "fill-color": colour("land") }); set("borders", { "line-color": colour("border") });
  const clusters = by(map.getLayer("clusters").metadata?.worst ?? ["literal", "unknown"]);
  set("clusters", { "circle-color": clusters, "circle-stroke-color": clusters });
  set("single", { "circle-color": by(["get", "status"]), "circle-stroke-color": colour("land") });
  set("trouble", { "circle-color": colour("offline"), "circle-stroke-color": colour("text") });
  set("panic-ring", { "circle-color": colour("panic"), "circle-stroke-color": colour("panic") }); set("panic", { "circle-color": colour("panic") });
}

// A school
function listSchools() {
  $("#schools").replaceChildren(...[...schools.values()].slice(0, 9000).map((school) => element("option", { value: school.id, label: name(school) })));
  const wanted = location.hash.match(/school=(KZ-\d\d-\d{5})/)?.[1];
  if (wanted && wanted !== state.selected && schools.has(wanted)) select(wanted);
}
function select(id) {
  state.selected = id; history.replaceState(null, "", `#school=${id}`);
  const school = schools.get(id);
  if (school && mapReady) map.easeTo({ center: school.at, zoom: Math.max(map.getZoom(), 8) });
  show(id, true);
}
async function show(id, focus = false) {
  const panel = $("#school");
  const answer = await fetch(`/api/schools/${id}`);
  if (!answer.ok) return;
  const all = await answer.json(), school = all.school;
  const close = element("button", { type: "button", className: "close", textContent: t("close") });
  close.addEventListener("click", () => { panel.hidden = true; state.selected = ""; history.replaceState(null, "", "#"); });
  const list = (title, items) => [element("h2", { textContent: t(title) }), element("ol", {}, ...(items.length ? items : [element("li", { textContent: t("none") })]))];
  const row = (left, right, className = "") => element("li", {}, element("span", { textContent: left, className }), element("span", { textContent: right }));
  const equipment = all.equipment;
  panel.replaceChildren(close, element("h3", { textContent: name(school) }),
    element("p", { textContent: `${school.id} · ${school.district} · ${school.pupils} ${t("pupils")} · ${school.provider}` }),
    element("p", { className: school.status, textContent: `${t(school.status)}${school.since_ms ? ` ${t("since")} ${clock(school.since_ms)}` : ""}` }),
    ...list("devices", Object.entries(all.devices).sort().map(([device, d]) => row(` ${device}`, `${t(d.status)} · ${clock(d.since_ms)}`, d.status))),
    element("h2", { textContent: t("flow") + (all.stale ? ` (${t("stale")})` : "") }), chart(all.flow),
    ...list("equipment", equipment ? [row(t("turnstiles"), equipment.turnstiles), row(t("panic_buttons"), equipment.panic_buttons), row(t("police_link"), equipment.police_link ? "✓" : "—"), row(t("contract"), equipment.contract_number ? `${equipment.contract_number} → ${equipment.contract_expires}` : t("none"))] : []),
    ...list("history", all.history.slice(0, 15).map(([device, status, , decided]) => row(device || t("school_itself"), `${t(status)} · ${clock(decided)}`))));
  panel.hidden = false;
  if (focus) { panel.focus(); panel.scrollIntoView({ block: "start" }); }
}
function chart(flow) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), width = 360, height = 90, most = Math.max(1, ...flow.map(([, came, went]) => Math.max(came, went)));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`); svg.setAttribute("role", "img"); svg.setAttribute("aria-label", t("flow"));
  const bar = width / Math.max(24, flow.length);
  flow.forEach(([, came, went], at) => [["in", came, 0], ["out", went, bar / 2]].forEach(([kind, count, shift]) => {
    const rect = document.createElementNS(svg.namespaceURI, "rect"), tall = (count / most) * (height - 4);
    Object.entries({ x: at * bar + shift, y: height - tall, width: Math.max(1, bar / 2 - 1), height: tall, class: kind }).forEach(([key, value]) => rect.setAttribute(key, value));
    svg.append(rect);
  }));
  return svg;
}

$("#language").value = localStorage.getItem("language") ?? (["kk", "ru", "en"].find((code) => navigator.language.startsWith(code)) ?? "ru");
$("#language").addEventListener("change", () => speak(language()));
$("#theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
$("#search").addEventListener("change", () => { if (schools.has($("#search").value)) select($("#search").value); });
theme(localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark"));
await speak(language());
connect();
setInterval(pulse, 500);
await startMap();
