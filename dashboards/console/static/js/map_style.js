// Sources and layers of the map. Letters are drawn by the browser's own fonts: nothing is fetched.
export const colour = (token) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${token}`).trim();
const BOUNDARIES = '<a href="https://www.amcharts.com/" rel="noopener">Boundaries: amCharts</a>';
const FONT = ["Inter, Segoe UI, Noto Sans, system-ui, sans-serif"],
  BAD_SHARE = 0.1;
const empty = { type: "geojson", data: { type: "FeatureCollection", features: [] } };
const sum = (status) => ["+", ["case", ["==", ["get", "status"], status], 1, 0]];
const STATUSES = ["online", "degraded", "offline"];

export const sources = (regions) => ({
  regions: { type: "geojson", data: regions, attribution: BOUNDARIES },
  names: empty,
  trouble: empty,
  schools: {
    ...empty,
    promoteId: "id",
    cluster: true,
    clusterRadius: 38,
    clusterMaxZoom: 9,
    clusterProperties: Object.fromEntries(STATUSES.map((status) => [status, sum(status)])),
  },
  // Alarms that would hide each other anyway are one pin with their number, until somebody zooms in.
  panics: { ...empty, cluster: true, clusterRadius: 16, clusterMaxZoom: 14 },
});

// A cluster is red when a tenth of it is silent: one silent school of a thousand is no red thousand.
const SHARE = ["/", ["get", "offline"], ["get", "point_count"]];
export const WORST = [
  "case",
  [">=", SHARE, BAD_SHARE],
  "offline",
  [">", ["+", ["get", "offline"], ["get", "degraded"]], 0],
  "degraded",
  [">", ["get", "online"], 0],
  "online",
  "unknown",
];
export const HOW_MANY = [
  "case",
  [">", ["get", "offline"], 0],
  ["concat", ["get", "offline"], "/", ["get", "point_count"]],
  ["to-string", ["get", "point_count"]],
];

export function layers() {
  const scale = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const over = { "icon-allow-overlap": true }; // names make way for them
  const halo = { "text-color": colour("text"), "text-halo-color": colour("land"), "text-halo-width": 1.6 };
  const text = (size) => ({ "text-font": FONT, "text-size": size * scale });
  const status = { "icon-image": ["concat", "school-", ["get", "status"]], "icon-size": scale, ...over };
  return [
    { id: "land", type: "fill", source: "regions", paint: { "fill-color": colour("land") } },
    {
      id: "borders",
      type: "line",
      source: "regions",
      paint: { "line-width": 1.2 * scale, "line-color": colour("map-border") },
    },
    {
      id: "names",
      type: "symbol",
      source: "names",
      paint: { ...halo, "text-color": colour("soft") },
      filter: ["any", ["==", ["get", "rank"], 0], [">=", ["zoom"], 6]],
      layout: {
        ...text(12),
        "text-field": ["get", "name"],
        "symbol-sort-key": ["get", "rank"],
        "text-padding": 2,
        "text-variable-anchor": ["center", "top", "bottom", "left", "right"],
        "text-radial-offset": 0.9,
      },
    },
    {
      id: "single",
      type: "symbol",
      source: "schools",
      filter: ["!", ["has", "point_count"]],
      layout: status,
    },
    {
      id: "clusters",
      type: "symbol",
      source: "schools",
      filter: ["has", "point_count"],
      paint: { ...halo, "text-halo-width": 2 },
      layout: {
        "icon-image": ["concat", "school-", WORST],
        "icon-size": 1.25 * scale,
        ...over,
        ...text(12),
        "text-field": HOW_MANY,
        "text-anchor": "left",
        "text-offset": [0.8, 0],
        "text-optional": false,
        "text-allow-overlap": true,
      },
    },
    { id: "trouble", type: "symbol", source: "trouble", minzoom: 6, layout: status },
    // A pin stands over its place, so that the number beneath can be read.
    {
      id: "panic",
      type: "symbol",
      source: "panics",
      paint: { "text-color": colour("on-panic") },
      layout: {
        "icon-image": "panic",
        "icon-size": scale,
        "icon-anchor": "bottom",
        "icon-offset": [0, -6],
        ...over,
        ...text(12),
        "text-allow-overlap": true,
        "text-ignore-placement": true,
        "text-anchor": "center",
        "text-offset": [0, -2.15],
        "text-field": ["case", ["has", "point_count"], ["to-string", ["get", "point_count"]], "!"],
      },
    },
  ];
}
