// The live map. State comes from /events; nothing here is remembered beyond the page.
import { $ } from "./js/dom.js";
import { drawAlerts, drawNumbers, drawPanics, drawRegions } from "./js/lists.js";
import { drawPanicsOnMap, drawSchools, flyTo, paint, resized, startMap } from "./js/map.js";
import { listSchools, select, show, startSchool } from "./js/school.js";
import { drawShiftButtons, startShift } from "./js/shift.js";
import { ask, startSignIn } from "./js/signin.js";
import { bar, startSound } from "./js/sound.js";
import { forget, panics, schools, state } from "./js/state.js";
import { connect, disconnect, pulse } from "./js/stream.js";
import { choose, drawTakeover, signedOut, startTakeover } from "./js/takeover.js";
import { language, speak } from "./js/words.js";

// Each part is drawn when what it shows has changed, at once and then no sooner than after so many ms:
// the country has thousands of schools, and a press must not wait until they are drawn.
const parts = [
  soon(100, () => { drawPanics(choose); drawTakeover(); }, "snapshot", "whole", "schools", "panics", "panic", "life"),
  soon(250, drawPanicsOnMap, "snapshot", "whole", "schools", "panics", "panic", "life"),
  soon(250, () => drawAlerts(choose), "snapshot", "whole", "schools", "alert", "life", "panic"),
  soon(250, drawNumbers, "snapshot", "whole", "numbers", "beat"),
  soon(1000, drawRegions, "snapshot", "whole", "schools", "status"),
  soon(1000, drawSchools, "snapshot", "whole", "schools", "status"),
  soon(1000, listSchools, "snapshot", "whole", "schools"),
];

function soon(everyMs, drawPart, ...on) {
  let due = false, at = -Infinity;
  const now = () => { due = false; at = performance.now(); drawPart(); };
  const later = () => { if (!due) { due = true; setTimeout(now, Math.max(0, at + everyMs - performance.now())); } };
  return { on: new Set(on), later };
}
function drawAll() { bar(); for (const part of parts) part.later(); }

function told(what) {
  for (const part of parts) if (part.on.has(what)) part.later();
  if (what === "beat") pulse();
  if (what === "selected") show(state.selected);
}
function entered() { bar(); drawShiftButtons(); connect(told, left); }
function left() {
  disconnect(); forget(); signedOut(); drawAll();
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
