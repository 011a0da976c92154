// The wall: read from three metres by whoever is in the room. No control, nobody's name, nothing to press.
import { html, useEffect, useRef } from "../html.js";
import { ours } from "../desk.js";
import { urgent, waits, worstRegions } from "../order.js";
import { Age, Data, Town } from "../parts.js";
import { alerts, beat, life, panics, school, schools, second } from "../store.js";
import { age, clock, day, name, number, place, t } from "../words.js";

const SHOWN = 5; // more are a number: what is small on a wall is not read

export function Wall() {
  const { counts } = beat.value,
    known = life.value.heard,
    open = urgent(panics.value),
    waiting = open.filter(waits);
  const rows = open.slice(0, SHOWN),
    more = open.length - rows.length;
  const big = (is, value, kind = is) => html`<div class="counter ${kind}"><dt>${t(is)}</dt>
    <dd data-n=${is} translate=${false}>${known ? number(value ?? 0) : "–"}</dd></div>`;
  return html`<main id="wall" class=${waiting.length ? "waits" : ""}><h1 class="unseen">${t("wall")}</h1>
    <dl id="wall-numbers">${big("state_open", waiting.length, "panic")}${big(
      "offline",
      counts.offline,
    )}${big("degraded", counts.degraded)}${big("unknown", counts.unknown)}${big("online", counts.online)}
      <div class="counter"><dt translate=${false}>${second.value ? day(second.value) : "–"}</dt>
      <dd translate=${false}>${second.value ? clock(second.value).slice(0, 5) : "–"}</dd></div></dl>
    <section id="wall-panics" aria-labelledby="wall-panics-title">
      <h2 id="wall-panics-title">${t("panics")} <b translate=${false}>${open.length}</b></h2>
      <ol>${rows.map((panic) => html`<${Panic} key=${panic.id} of=${panic} />`)}</ol>
      ${more > 0 ? html`<p id="wall-more">${t("more", more)}</p>` : null}
      ${open.length ? null : html`<p>${t(beat.value.whole ? "no_panics" : "loading")}</p>`}</section>
    <section id="wall-regions" aria-labelledby="wall-regions-title">
      <h2 id="wall-regions-title">${t("regions")}</h2>
      <ol>${worstRegions(schools.value, panics.value).map((row) => html`<${Region} of=${row} />`)}</ol>
    </section>
    <${Health} /></main>`;
}

function Panic({ of }) {
  const at = school(of.school);
  return html`<li data-id=${of.id} class=${waits(of) ? "waits" : ""}><b><${Age} since=${of.opened_ms} /></b>
    <span><b><${Data}>${name(at) || of.school}<//></b> <${Data}><${Town} of=${at} /><//></span>
    <span>${of.duress ? html`<b class="flag bad">${t("duress")}</b> ` : ""}${of.drill
      ? html`<b class="flag">${t("drill")}</b> `
      : ""}${t(`state_${of.state}`)}</span></li>`;
}

const SIGNS = { panic: "◉", offline: "■", degraded: "▲", online: "●", unknown: "○" };
const short = (region) => region.replace(/ обл\.$|^область /, ""); // of a list of regions that is known
const Region = ({ of }) => html`<li data-region=${of.region} data-worst=${of.worst}>
  <b class="sign" aria-hidden="true" translate=${false}>${SIGNS[of.worst]}</b>
  <span translate=${false}>${short(place(of.region))}</span>
  <b translate=${false}>${of.panics || of.offline || ""}</b><span class="unseen">${t(of.worst)}</span></li>`;

// Whether what is shown is true, and what is wrong with us.
function Health() {
  const trouble = alerts.value.filter(ours),
    { clickhouseMs, stale } = life.value;
  return html`<div id="wall-health" role="status" class=${trouble.length || stale ? "bad" : ""}>
    ${
      trouble.length
        ? trouble.map((one) => html`<b>${t(one.kind)} · <${Age} since=${one.opened_ms} /></b> `)
        : html`<span>${t("wall_well")}</span> `
    }
    ${
      stale
        ? html`<b>${t("wall_numbers_old")} ${
            clickhouseMs ? html`<${Data}>${age(second.value - clickhouseMs)}<//>` : ""
          }</b>`
        : null
    }</div>`;
}

// Before its first sign-in, or after it was revoked: this screen shows nothing, and says so.
export function DarkWall({ ended }) {
  const ref = useRef(null);
  useEffect(() => ref.current?.focus(), []);
  return html`<main id="wall-dark" tabindex="-1" ref=${ref}><h1 translate=${false}>Saqshy</h1>
    <p role="alert">${t(ended ? "wall_revoked" : "wall_unknown")}</p><p>${t("shows_nothing")}</p></main>`;
}
