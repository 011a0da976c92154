// The map. Statuses differ by shape and by colour; clusters say how many schools they hold.
import * as maplibregl from "../vendor/maplibre-gl.mjs";
import { panics, schools, STATUSES } from "./state.js";

let map, ready = false, wanted = null, drawn = new Map();
const RATIO = 2, ICON = 14, BADGE = 30;
const colour = (variable) => getComputedStyle(document.documentElement).getPropertyValue(`--${variable}`).trim();
const point = (school, extra = {}) => ({ type: "Feature", geometry: { type: "Point", coordinates: school.at }, properties: { id: school.id, status: STATUSES.includes(school.status) ? school.status : "unknown", ...extra } });
const collection = (features) => ({ type: "FeatureCollection", features });
const WORST = ["case", [">", ["get", "offline"], 0], "offline", [">", ["get", "degraded"], 0], "degraded", [">", ["get", "online"], 0], "online", "unknown"];

// The whole country when schools came or went; else only those whose status has changed.
export function drawSchools() {
  if (!ready) return;
  const now = new Map([...schools.values()].map((school) => [school.id, school.status]));
  const changed = [...now].filter(([id, status]) => drawn.get(id) !== status);
  if (changed.some(([id]) => !drawn.has(id)) || now.size !== drawn.size) map.getSource("schools").setData(collection([...schools.values()].map((school) => point(school))));
  else if (changed.length) map.getSource("schools").updateData({ update: changed.map(([id]) => ({ id, addOrUpdateProperties: [{ key: "status", value: point(schools.get(id)).properties.status }] })) });
  else return;
  drawn = now;
  map.getSource("trouble").setData(collection([...schools.values()].filter((school) => school.status === "offline").map((school) => point(school))));
}

export function drawPanicsOnMap() {
  if (!ready) return;
  map.getSource("panics").setData(collection([...panics.values()].filter((panic) => schools.has(panic.school)).map((panic) => point(schools.get(panic.school), { alert: panic.id }))));
}

export function flyTo(school) { wanted = school; if (ready) map.easeTo({ center: school.at, zoom: Math.max(map.getZoom(), 8) }); }
export function resized() { if (ready) map.resize(); }

export async function startMap(selectSchool, choosePanic) {
  const regions = await (await fetch("/static/vendor/regions.geojson")).json();
  maplibregl.setWorkerUrl(new URL("../vendor/maplibre-gl-worker.mjs", import.meta.url).href);
  const empty = { type: "geojson", data: collection([]) };
  const icon = (prefix) => ({ "icon-image": ["concat", prefix, ["get", "status"]], "icon-allow-overlap": true, "icon-ignore-placement": true });
  map = new maplibregl.Map({
    container: "map", center: [67.5, 48.2], zoom: 3.7, minZoom: 2.5, attributionControl: false,
    fadeDuration: 0, // each change would draw the map for 0.3 s on end, which a machine without a graphics card can't
    style: { version: 8, sources: {
      regions: { type: "geojson", data: regions, attribution: '<a href="https://www.amcharts.com/" rel="noopener">Boundaries: amCharts</a>' },
      schools: { ...empty, promoteId: "id", cluster: true, clusterRadius: 34, clusterMaxZoom: 9, clusterProperties: Object.fromEntries(["online", "degraded", "offline"].map((status) => [status, ["+", ["case", ["==", ["get", "status"], status], 1, 0]]])) },
      // Alarms that would hide each other anyway are one ring, with more of a rim, until somebody zooms in.
      trouble: empty, panics: { ...empty, cluster: true, clusterRadius: 12, clusterMaxZoom: 14 } },
    layers: [
      { id: "land", type: "fill", source: "regions", paint: {} },
      { id: "borders", type: "line", source: "regions", paint: { "line-width": 1 } },
      { id: "single", type: "symbol", source: "schools", filter: ["!", ["has", "point_count"]], layout: icon("school-") },
      { id: "clusters", type: "symbol", source: "schools", filter: ["has", "point_count"], layout: { "icon-image": ["concat", "many-", WORST, "-", ["to-string", ["get", "point_count_abbreviated"]]], "icon-allow-overlap": true, "icon-ignore-placement": true } },
      { id: "trouble", type: "symbol", source: "trouble", minzoom: 6, layout: icon("school-") },
      { id: "panic-ring", type: "circle", source: "panics", paint: { "circle-radius": 17, "circle-opacity": 0.25, "circle-stroke-width": ["case", ["has", "point_count"], 6, 3] } },
      { id: "panic", type: "circle", source: "panics", paint: { "circle-radius": 6 } } ] },
  });
  map.addControl(new maplibregl.AttributionControl({ compact: false }));
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }));
  map.on("styleimagemissing", ({ id }) => draw(id));
  map.on("load", () => { ready = true; paint(); drawSchools(); drawPanicsOnMap(); if (wanted) flyTo(wanted); document.body.dataset.map = "ready"; });
  for (const layer of ["single", "trouble", "panic", "panic-ring"]) {
    map.on("click", layer, (event) => { const of = event.features[0].properties; if (of.alert) choosePanic(of.alert); else if (of.cluster) closer(event); else selectSchool(of.id); });
    map.on("mouseenter", layer, () => { map.getCanvas().style.cursor = "pointer"; });
    map.on("mouseleave", layer, () => { map.getCanvas().style.cursor = ""; });
  }
  map.on("click", "clusters", closer);
}

function closer(event) { map.easeTo({ center: event.lngLat, zoom: map.getZoom() + 2 }); }

export function paint() {
  if (!ready) return;
  const set = (layer, values) => { for (const [key, value] of Object.entries(values)) map.setPaintProperty(layer, key, value); };
  set("land", { "fill-color": colour("land") }); set("borders", { "line-color": colour("border") });
  set("panic-ring", { "circle-color": colour("panic"), "circle-stroke-color": colour("panic") }); set("panic", { "circle-color": colour("panic") });
  for (const id of map.listImages()) draw(id);
}

// Images are drawn as they are asked for: no font and no sprite is fetched.
function draw(id) {
  const [kind, status, count] = id.split("-");
  const size = (kind === "many" ? BADGE : ICON) * RATIO;
  const context = new OffscreenCanvas(size, size).getContext("2d");
  if (kind === "many") badge(context, size, status, count); else shape(context, size, status, 0.36);
  const image = context.getImageData(0, 0, size, size);
  if (map.hasImage(id)) map.updateImage(id, image); else map.addImage(id, image, { pixelRatio: RATIO });
}

function badge(context, size, status, count) {
  shape(context, size, status, 0.46);
  context.fillStyle = colour(status === "unknown" ? "text" : "land");
  context.font = `700 ${size * (count.length > 3 ? 0.26 : 0.32)}px system-ui, sans-serif`;
  context.textAlign = "center"; context.textBaseline = "middle";
  context.fillText(count, size / 2, size * (status === "degraded" ? 0.62 : 0.52));
}

// Round, triangle, square, ring: the same shapes as in the legend.
function shape(context, size, status, share) {
  const middle = size / 2, reach = size * share;
  context.beginPath();
  if (status === "offline") context.rect(middle - reach * 0.9, middle - reach * 0.9, reach * 1.8, reach * 1.8);
  else if (status === "degraded") { context.moveTo(middle, middle - reach); context.lineTo(middle + reach, middle + reach * 0.85); context.lineTo(middle - reach, middle + reach * 0.85); context.closePath(); }
  else context.arc(middle, middle, reach * 0.9, 0, 2 * Math.PI);
  context.lineWidth = size * 0.07;
  context.fillStyle = colour(status === "unknown" ? "land" : status);
  context.strokeStyle = colour(status === "unknown" ? "unknown" : status === "offline" ? "text" : "land");
  context.fill(); context.stroke();
}
