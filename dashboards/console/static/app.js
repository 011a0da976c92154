// The live map and the panic desk. State comes from /events; nothing here is remembered beyond the page.
import { AnswersElsewhere, Dialogs } from "./js/dialogs.js";
import { Header, NotLive, Sound } from "./js/header.js";
import { effect, html, render, useEffect, useRef } from "./js/html.js";
import { startKeys } from "./js/keys.js";
import { startMap } from "./js/map.js";
import { Alarm } from "./js/pages/alarm.js";
import { Components } from "./js/pages/components.js";
import { Alerts, Region, Silent } from "./js/pages/lists.js";
import { Side } from "./js/pages/map.js";
import { School } from "./js/pages/school.js";
import { Audit, Shift } from "./js/pages/shift.js";
import { SignIn } from "./js/pages/signin.js";
import { DarkWall, Wall } from "./js/pages/wall.js";
import { Announce, Link } from "./js/parts.js";
import { Queue } from "./js/queue.js";
import { startSound } from "./js/sound.js";
import { life, onWall, panics, pulse, route, session, whoAmI } from "./js/store.js";
import { LANGUAGES, speak, t } from "./js/words.js";

const PULSE_MS = 500;
const PAGES = {
  map: Side,
  silent: Silent,
  alerts: Alerts,
  shift: Shift,
  audit: Audit,
  nowhere: Nowhere,
  alarm: ({ id }) => html`<${Alarm} key=${id} id=${id} />`,
  school: ({ id }) => html`<${School} key=${id} id=${id} />`,
  region: ({ id }) => html`<${Region} key=${id} id=${id} />`,
};

function App() {
  const { page, id } = route.value;
  if (page === "components") return html`<${Components} />`;
  if (session.value === "asking") return html`<main class="out"><p>${t("loading")}</p></main>`;
  const wall = onWall();
  if (wall && session.value !== "in") return html`<${DarkWall} ended=${session.value === "ended"} />`;
  if (session.value !== "in") return html`<${SignIn} />`;
  if (wall) return html`<div class="on-wall"><${NotLive} /><${Wall} /></div>`;
  const skip = (event) => {
    event.preventDefault();
    document.querySelector("#content")?.focus();
  };
  return html`<div class="page-of" data-page=${page}>
    <a class="skip" href="#content" onClick=${skip}>${t("skip")}</a>
    <div class="bars"><${NotLive} /><${Sound} />
      ${page === "map" ? null : html`<${Announce} />`}<${AnswersElsewhere} /></div>
    <${Header} />
    <main><div id="content" tabindex="-1"><${PAGES[page]} id=${id} /></div><${Queue} /><${MapFrame} />
      </main>
    <${Dialogs} /></div>`;
}

function Nowhere() {
  return html`<section class="page"><h1>${t("nowhere")}</h1>
  <${Link} to="/">${t("back_to_map")}<//></section>`;
}

// The map draws itself: this element is made once and is never given children.
function MapFrame() {
  const box = useRef(null);
  useEffect(() => startMap(box.current), []);
  return html`<div id="map-frame"><div id="map" role="region" aria-label=${t("map")} tabindex="0"
    ref=${box}></div>
    <ul id="legend" aria-hidden="true">${["online", "degraded", "offline", "unknown", "panic"].map(
      (is) => html`<li class="status ${is}">${t(is)}</li>`,
    )}</ul></div>`;
}

function title() {
  if (session.value === "ended") return `(!) ${t("signed_out")} · Saqshy`;
  if (session.value !== "in") return "Saqshy";
  if (life.value.dead) return `(!) ${t("not_live")} · Saqshy`;
  return panics.value.length ? `(${panics.value.length}) ${t("panic")} · Saqshy` : "Saqshy";
}

const own = ["kk", "ru", "en"].find((code) => navigator.language.startsWith(code)) ?? "ru";
// A wall has no control: its address says in which language it speaks (?language=kk), and in which theme.
const asked = new URLSearchParams(location.search);
const remembered = asked.get("language") ?? localStorage.getItem("language");
document.documentElement.dataset.theme =
  (["dark", "light"].includes(asked.get("theme")) ? asked.get("theme") : null) ??
  localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
await speak(remembered in LANGUAGES ? remembered : own);
effect(() => {
  document.title = title();
});
effect(() => {
  document.body.classList.toggle("dead", session.value === "in" && life.value.dead);
});
effect(() => {
  document.body.classList.toggle("alarm", session.value === "in" && route.value.page === "alarm");
});
startKeys();
startSound();
render(html`<${App} />`, document.querySelector("#app"));
setInterval(pulse, PULSE_MS);
await whoAmI();
