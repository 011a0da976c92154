// The live map. State comes from /events; nothing here is remembered beyond the page.
import { $ } from "./js/dom.js";
import { drawAlerts, drawNumbers, drawPanics, drawRegions } from "./js/lists.js";
import { drawMap, flyTo, paint, resized, startMap } from "./js/map.js";
import { listSchools, select, show, startSchool } from "./js/school.js";
import { drawShiftButtons, startShift } from "./js/shift.js";
import { ask, startSignIn } from "./js/signin.js";
import { bar, startSound } from "./js/sound.js";
import { forget, panics, schools, state } from "./js/state.js";
import { connect, disconnect, pulse } from "./js/stream.js";
import { choose, drawTakeover, signedOut, startTakeover } from "./js/takeover.js";
import { language, speak } from "./js/words.js";

const DRAW_EVERY_MS = 250, PANICS_EVERY_MS = 100;
let dirty = false, panicsAt = -Infinity, panicsDue = false;

// Everything at most four times a second, panics at once and then ten times a second.
function draw() { if (!dirty) { dirty = true; setTimeout(() => { dirty = false; drawAll(); }, DRAW_EVERY_MS); } }
function drawAll() { drawNumbers(); drawRegions(); drawAlerts(choose); drawMap(); bar(); panicsNow(); }
function panicsSoon() {
  if (panicsDue) return;
  panicsDue = true;
  setTimeout(() => { panicsNow(); drawMap(); }, Math.max(0, panicsAt + PANICS_EVERY_MS - performance.now()));
}
function panicsNow() { panicsDue = false; panicsAt = performance.now(); drawPanics(choose); drawTakeover(); }

function told(what) {
  if (what === "beat") { drawNumbers(); pulse(); return; }
  if (what === "selected") { show(state.selected); return; }
  if (what === "snapshot" || what === "schools") listSchools();
  if (what === "panic" || what === "life" || what === "snapshot") panicsSoon();
  draw();
}
function entered() { bar(); drawShiftButtons(); connect(told, left); }
function left() {
  disconnect(); forget(); signedOut(); draw();
  $("#school").hidden = true; $("#schools").replaceChildren(); $("#not-live").hidden = true; $("#sound-bar").hidden = true;
  for (const dialog of ["#shift", "#audit"]) $(dialog).close();
  ask();
}
function theme(chosen) { document.documentElement.dataset.theme = chosen; localStorage.setItem("theme", chosen); paint(); }

$("#language").value = localStorage.getItem("language") ?? (["kk", "ru", "en"].find((code) => navigator.language.startsWith(code)) ?? "ru");
$("#language").addEventListener("change", async () => { await speak(language()); drawAll(); });
$("#theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
$("#search").addEventListener("change", () => { if (schools.has($("#search").value)) select($("#search").value); });
theme(localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark"));
startSound(); startShift(); startSchool(flyTo); startTakeover(flyTo);
new ResizeObserver(resized).observe($("#map"));
await speak(language());
await startSignIn(entered, left);
setInterval(pulse, 500);
await startMap(select, (id) => { if (panics.has(id)) choose(id); });
