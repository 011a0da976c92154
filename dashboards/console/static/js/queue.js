// All that waits, the most urgent first; and what came last.
import { html } from "./html.js";
import { newest, urgent, waits } from "./order.js";
import { Age, Data, Link, Looking, SchoolName, Town, When, flags } from "./parts.js";
import { href } from "./routes.js";
import { beat, panics, put, route, school } from "./store.js";
import { place, t } from "./words.js";

const SHOWN = 400;
const STATES = ["open", "acknowledged", "dispatched", "arrived"];

export function chosen(some, query) {
  return some.filter(
    (alert) =>
      (!query.state || alert.state === query.state) &&
      (!query.kind || alert.kind === query.kind) &&
      (!query.region || school(alert.school)?.region === query.region),
  );
}

export function Queue() {
  const { query, id, page } = route.value,
    all = panics.value,
    some = urgent(chosen(all, query));
  const last = newest(all),
    rows = some.slice(0, SHOWN),
    more = some.length - rows.length;
  return html`<section id="panics" class=${all.length ? "open" : ""} aria-labelledby="panics-title">
    <h2 id="panics-title"><span>${t("panics")}</span> <b id="panic-count" translate=${false}>${all.length}</b>
      </h2>
    ${
      all.length > 1
        ? html`<div class="filters"><${Choice} label="state" name="state" values=${STATES}
      text=${(state) => t(`state_${state}`)} />
      <${Regions} /></div>`
        : null
    }
    <p id="newest"
      aria-live="assertive">${
        last && waits(last) && all.length > 1
          ? html`${t("newest")}: <${Link}
      to=${href("alarm", last.id)}>
      <${SchoolName} id=${last.school} /> · <${When} ms=${last.opened_ms} /><//>`
          : ""
      }</p>
    <ol id="panic-list">${rows.map((panic) => row(panic, page === "alarm" && panic.id === id))}</ol>
    ${
      more > 0
        ? html`<p><${Link} id="panics-more"
      to=${href("alerts", "", { kind: "panic", state: query.state, region: query.region })}>${
        t("more", more)}<//></p>`
        : null
    }
    ${
      all.length
        ? null
        : html`<p
      id="no-panics">${t(beat.value.whole ? "no_panics" : "loading")}</p>`
    }</section>`;
}

// What stands as it stood is not compared again: hundreds may wait, and one of them changes.
const drawn = new WeakMap();
function row(panic, current) {
  const before = drawn.get(panic);
  if (before?.current === current) return before.node;
  const node = html`<${Waiting} key=${panic.id} panic=${panic} current=${current} />`;
  drawn.set(panic, { current, node });
  return node;
}

export function Waiting({ panic, current }) {
  const at = school(panic.school);
  return html`<li data-id=${panic.id} data-state=${panic.state} class=${waits(panic) ? "waits" : ""}>
    <${Link} to=${href("alarm", panic.id)}
    aria-current=${current ? "true" : undefined}>
    <span class="line"><b class="time"><${Age} since=${panic.opened_ms} /></b> <b class="who">
      <${SchoolName} id=${panic.school} /></b></span>
    <span class="line"><b><${Data}><${Town} of=${at} /><//>
      </b> <small translate=${false}>${panic.school}</small> <small><${When} ms=${panic.opened_ms} /></small>
      </span>
    <small class="line">${panic.state === "open" ? "" : html`${t(`state_${panic.state}`)} <${Data}>${
      panic.acknowledged_by}<//> `}
      ${flags(panic).map(
        ([text, data, kind = ""]) => html`<span class="flag ${kind}"
        translate=${!data}>${text}</span> `,
      )}
      <${Looking} id=${panic.id} /></small><//></li>`;
}

export function Choice({ label, name, values, text, data = false }) {
  return html`<label><span>${t(label)}</span><select name=${name} value=${route.value.query[name] ?? ""}
    onChange=${(event) => put({ [name]: event.target.value })}>
    <option value="">${t("all")}</option>${values.map(
      (value) => html`<option value=${value}
      translate=${!data}>${text(value)}</option>`,
    )}</select></label>`;
}
const codes = Array.from({ length: 100 }, (_, n) => `KZ-${String(n).padStart(2, "0")}`);
export const Regions = () => html`<${Choice} label="region" name="region" data=${true} text=${place}
  values=${codes.filter((code) => place(code) !== code)} />`;
