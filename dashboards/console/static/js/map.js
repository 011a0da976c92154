// The map follows the store. Statuses differ by shape and by colour; a cluster says how many of how many.
import { effect } from "./html.js";
import { pins, shapes } from "./map_images.js";
import { layers, sources } from "./map_style.js";
import { statusOf } from "./order.js";
import { href } from "./routes.js";
import { alarm, everywhere, go, me, panics, route, school, schools } from "./store.js";
import { language, place, t } from "./words.js";

const COUNTRY = [
    [46.4, 40.5],
    [87.4, 55.5],
  ],
  CLOSE_ZOOM = 9,
  EASE_MS = 400,
  PADDING_PX = 24;
const point = (at, properties) => ({
  type: "Feature",
  geometry: { type: "Point", coordinates: at },
  properties,
});
const collection = (features) => ({ type: "FeatureCollection", features });

export function startMap(container) {
  let map = null,
    undo = [],
    gone = false;
  begin(container)
    .then((begun) => {
      ({ map, undo } = begun);
      if (gone) end();
    })
    .catch((trouble) => {
      if (!gone) console.warn("no map", trouble);
    });
  const end = () => {
    undo.forEach((stop) => stop());
    map?.remove();
    delete document.body.dataset.map;
  };
  return () => {
    gone = true;
    end();
  };
}

// Loaded apart: without a map the desk still works.
async function begin(container) {
  const maplibregl = await import("../vendor/maplibre-gl.mjs");
  const regions = await (await fetch("/static/vendor/regions.geojson")).json();
  maplibregl.setWorkerUrl(new URL("../vendor/maplibre-gl-worker.mjs", import.meta.url).href);
  const map = new maplibregl.Map({
    container,
    bounds: home(regions),
    minZoom: 1.5,
    attributionControl: false,
    fitBoundsOptions: { padding: PADDING_PX },
    // Else each change draws the map for 0.3 s on end, which a machine without a graphics card can't.
    fadeDuration: 0,
    style: { version: 8, sources: sources(regions), layers: [] },
  });
  map.addControl(new maplibregl.AttributionControl({ compact: false }));
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }));
  map.addControl(
    homeButton(() => map.fitBounds(home(regions), { padding: PADDING_PX, duration: EASE_MS })),
  );
  await new Promise((loaded) => {
    map.once("load", loaded);
  });
  await document.fonts.ready;
  const undo = [];
  // The images are there before a layer asks for one.
  const paint = () => {
    pins(map);
    shapes(map);
    for (const { id } of map.getStyle().layers) map.removeLayer(id);
    for (const layer of layers()) map.addLayer(layer);
  };
  paint();
  addEventListener("themed", paint);
  undo.push(() => removeEventListener("themed", paint));
  follow(map, regions, undo);
  clicks(map);
  let moved = false;
  map.on("movestart", (event) => {
    moved ||= Boolean(event.originalEvent);
  });
  const watch = new ResizeObserver(() => {
    map.resize();
    if (!moved) aim(map, regions, false);
  });
  watch.observe(container);
  undo.push(() => watch.disconnect());
  document.body.dataset.map = "ready";
  return { map, undo };
}

// The reader's places; a center's are not known as a shape, then the country.
function home(regions) {
  const mine =
    me.value && !everywhere()
      ? regions.features.filter((f) => me.value.places.includes(f.properties.region))
      : [];
  return mine.length ? bounds(mine) : COUNTRY;
}
function bounds(features) {
  const all = features.flatMap((feature) =>
    feature.geometry.coordinates.flat(feature.geometry.type === "MultiPolygon" ? 2 : 1),
  );
  const [x, y] = [0, 1].map((axis) => all.map((at) => at[axis]));
  return [
    [Math.min(...x), Math.min(...y)],
    [Math.max(...x), Math.max(...y)],
  ];
}
function middle(feature) {
  const [[west, south], [east, north]] = bounds([feature]);
  return [(west + east) / 2, (south + north) / 2];
}

// What the address names is in view.
function aim(map, regions, easing = true) {
  const { page, id } = route.peek(),
    duration = easing ? EASE_MS : 0;
  const at = page === "alarm" ? school(alarm(id)?.school) : page === "school" ? school(id) : null;
  const region = page === "region" && regions.features.find((f) => f.properties.region === id);
  if (at) map.easeTo({ center: at.at, zoom: Math.max(map.getZoom(), CLOSE_ZOOM), duration });
  else if (region) map.fitBounds(bounds([region]), { padding: PADDING_PX, duration });
  else map.fitBounds(home(regions), { padding: PADDING_PX, duration });
}

function follow(map, regions, undo) {
  let drawn = new Map(),
    aimed = "";
  undo.push(
    effect(() => {
      drawn = drawSchools(map, schools.value, drawn);
    }),
  );
  undo.push(
    effect(() => {
      const there = panics.value.filter((panic) => school(panic.school));
      map
        .getSource("panics")
        .setData(collection(there.map((panic) => point(school(panic.school).at, { alert: panic.id }))));
    }),
  );
  undo.push(
    effect(() => {
      // names in the reader's language
      language.value;
      const towns = new Map();
      for (const one of schools.value) if (!towns.has(one.district)) towns.set(one.district, one);
      map
        .getSource("names")
        .setData(
          collection([
            ...regions.features.map((f) => point(middle(f), { name: place(f.properties.region), rank: 0 })),
            ...[...towns.values()].map((one) => point(one.at, { name: place(one.district), rank: 1 })),
          ]),
        );
    }),
  );
  undo.push(
    effect(() => {
      const { page, id } = route.value,
        known = page === "alarm" ? alarm(id)?.school : id;
      const key = `${page} ${id} ${Boolean(known && school(known))}`;
      if (key !== aimed) {
        aimed = key;
        aim(map, regions);
      }
    }),
  );
}

// The whole country when schools came or went; else only those whose status has changed.
function drawSchools(map, all, drawn) {
  const now = new Map(all.map((one) => [one.id, statusOf(one)]));
  const changed = [...now].filter(([id, status]) => drawn.get(id) !== status);
  if (now.size !== drawn.size || changed.some(([id]) => !drawn.has(id))) {
    map
      .getSource("schools")
      .setData(collection(all.map((one) => point(one.at, { id: one.id, status: statusOf(one) }))));
  } else if (changed.length) {
    map
      .getSource("schools")
      .updateData({
        update: changed.map(([id, value]) => ({ id, addOrUpdateProperties: [{ key: "status", value }] })),
      });
  }
  if (changed.length) {
    const silent = all.filter((one) => statusOf(one) === "offline");
    map
      .getSource("trouble")
      .setData(collection(silent.map((one) => point(one.at, { id: one.id, status: "offline" }))));
  }
  return now;
}

function clicks(map) {
  const layersOf = ["panic", "trouble", "single", "clusters", "land"];
  map.on("click", (event) => {
    const [hit] = map.queryRenderedFeatures(event.point, { layers: layersOf });
    if (!hit) return;
    const { alert, cluster, id, region } = hit.properties;
    if (cluster) map.easeTo({ center: event.lngLat, zoom: map.getZoom() + 2 });
    else go(alert ? href("alarm", alert) : id ? href("school", id) : href("region", region));
  });
  map.on("mousemove", (event) => {
    map.getCanvas().style.cursor = map.queryRenderedFeatures(event.point, { layers: layersOf }).length
      ? "pointer"
      : "";
  });
}

function homeButton(whole) {
  const box = document.createElement("div"),
    button = document.createElement("button");
  let stop = () => {};
  box.className = "maplibregl-ctrl maplibregl-ctrl-group";
  Object.assign(button, { type: "button", id: "map-home", textContent: "⌂" });
  button.addEventListener("click", whole);
  box.append(button);
  return {
    onAdd: () => {
      stop = effect(() => {
        button.ariaLabel = button.title = t("whole_map");
      });
      return box;
    },
    onRemove: () => {
      stop();
      box.remove();
    },
  };
}
