// One alarm: what it is, whom to call, what to do, what was done. Its key is its id, so that no field
// and no
// button of one is ever drawn for another.
import { html, useEffect, useRef } from "../html.js";
import { Actions } from "../acts.js";
import { Flow } from "../chart.js";
import { ours } from "../desk.js";
import { Reach, Situation, useSchool } from "../facts.js";
import { distanceKm, grouped, nextTo } from "../order.js";
import {
  Age,
  Data,
  Empty,
  Ended,
  Flags,
  Link,
  Looking,
  Row,
  SchoolLink,
  Timeline,
  ToCall,
  Town,
  When,
} from "../parts.js";
import { href } from "../routes.js";
import { alarm, alerts, beat, drawn, go, leaveAlarm, nextAlarm, panics, school, sees } from "../store.js";
import { name, scope, spot, t } from "../words.js";
import { over } from "../world.js";

const NEAR_KM = 50,
  SHOWN_NEAR = 5;

export function Alarm({ id }) {
  const alert = alarm(id),
    ref = useRef(null);
  useEffect(() => {
    if (
      !document.activeElement ||
      document.activeElement === document.body ||
      !document.activeElement.matches("input, select, textarea")
    )
      ref.current?.focus();
  }, [id]);
  useEffect(() => {
    if (alert) drawn(id);
  }, [id, Boolean(alert)]);
  if (!alert) {
    return html`<section id="takeover" class="page" tabindex="-1" ref=${ref} data-id=${id}>
      <h1>${t("alarm")}</h1>
      <p>${beat.value.whole ? t("alarm_gone") : t("loading")}</p><${Link} to="/">${t("back_to_map")}<//>
        </section>`;
  }
  const at = school(alert.school);
  return html`<section id="takeover" aria-labelledby="takeover-title" tabindex="-1" ref=${ref} data-id=${id}
    data-state=${alert.state}
      data-kind=${alert.kind} class=${alert.drill ? "drill" : ""}>
    <div class="steps"><button id="takeover-back" type="button"
      onClick=${() => go("/")}>${t("back_to_map")}</button>
      <button id="takeover-leave" type="button" onClick=${leaveAlarm}>${t("leave_this")}</button>
      ${
        nextTo(panics.value, id)
          ? html`<button id="takeover-next" type="button"
        onClick=${() => nextAlarm()}>${t("next")}</button>`
          : null
      }</div>
    <div class="alarm-head">
      <p id="takeover-kind">${alert.drill ? `${t("drill")} · ${t(alert.kind)}` : t(alert.kind)}</p>
      <h1 id="takeover-title"><${Title} of=${alert} at=${at} /></h1>
      <p id="takeover-where">${
        at
          ? html`<b translate=${false}><${Town} of=${at} />
        </b> · `
          : ""
      }<${Data}>${[
        alert.school,
        alert.kind !== "outage" && alert.scope,
        alert.device,
        ...(alert.places ?? []).map(spot),
      ]
        .filter(Boolean)
        .join(" · ")}<//></p>
      <p id="takeover-since"><b>${
        over(alert)
          ? html`<${Ended} since=${alert.opened_ms}
        at=${alert.closed_ms || alert.decided_ms} />`
          : html`<${Age} since=${alert.opened_ms} />`
      }</b> <${When} ms=${alert.opened_ms} /> <${Looking}
          id=${id} /></p>
      <${Flags} of=${alert} />
      ${ours(alert) && alert.note ? html`<p class="note"><${Data}>${alert.note}<//></p>` : null}
      ${
        alert.call.length && alert.state === "open"
          ? html`<p id="takeover-call"
        role="status">${t("call_now")}: ${alert.call.map(
          (text, n) => html`${n ? " · " : ""}<${ToCall} text=${text} />`,
        )}</p>`
          : null
      }
      <${State} of=${alert} />
    </div>
    <${Actions} key=${`act-${id}`} alert=${alert} />
    <${OfSchool} alert=${alert} at=${at} />
    <section><h2>${t("timeline")}</h2><${Timeline} of=${alert} /></section>
  </section>`;
}

function Title({ of, at }) {
  if (ours(of)) return t("ours");
  if (of.kind === "outage") return html`<${Data}>${scope(of.scope)}<//>`;
  return html`<${Data}>${at ? name(at) : of.school}<//>`;
}

const State = ({ of }) => html`<p id="takeover-state" aria-live="polite">${t(`state_${of.state}`)}
  ${
    of.acknowledged_by
      ? html` · ${t("took_acknowledged")} <${Data}>${of.acknowledged_by}<//> <${When}
    ms=${of.acknowledged_ms} />`
      : ""
  }
  ${of.assigned_to ? html` · ${t("assigned_to")} <${Data}>${of.assigned_to}<//>` : ""}
  ${of.closed_by ? html` · ${t(`outcome_${of.outcome || "none"}`)} · <${Data}>${of.closed_by}<//>`
    : ""}</p>`;

function OfSchool({ alert, at }) {
  const { status, body } = useSchool(at ? alert.school : "", alert.id);
  const of = body.school ? body : null;
  return html`${
    of
      ? html`<${Reach} body=${of}
    pressed=${alert.kind === "panic" ? [alert.device] : []} alarm=${alert.id} />`
      : null
  }
    ${alert.kind === "outage" ? html`<${Members} of=${alert} />` : null}
    ${
      at
        ? html`<section class="facts"><h2>${t("school_itself")}</h2><p><${SchoolLink} id=${alert.school} />
      </p>
      ${of ? html`<${Situation} body=${of} />` : html`<p>${t(status ? "unknown" : "loading")}</p>`}
      ${of?.flow?.length && sees("people")
        ? html`<${Flow} flow=${of.flow} expected=${of.expected} />`
        : null}</section>`
        : null
    }
    ${alert.kind === "panic" ? html`<${Near} alert=${alert} at=${at} />` : null}`;
}

function Near({ alert, at }) {
  const near = at
    ? panics.value
        .filter((p) => p.id !== alert.id && school(p.school))
        .map((p) => [distanceKm(at.at, school(p.school).at), p])
        .filter(([km]) => km <= NEAR_KM)
        .sort((a, b) => a[0] - b[0])
        .slice(0, SHOWN_NEAR)
    : [];
  return html`<section><h2>${t("nearest_panics")}</h2>${
    near.length
      ? html`<ol class="rows"
    id="takeover-near">${near.map(
      ([km, p]) =>
        html`<li key=${p.id}><${Link} to=${href("alarm", p.id)}>
      <${Data}>${Math.round(km)} km · ${name(school(p.school))}<//> · <${When} ms=${p.opened_ms} /><//>
      </li>`,
    )}</ol>`
      : html`<${Empty} />`
  }</section>`;
}

function Members({ of }) {
  const folded = grouped(alerts.value).find((group) => group.key === of.id)?.members ?? [];
  const ids = [...new Set([...of.members, ...folded.map((alert) => alert.school)])].filter((id) =>
    school(id),
  );
  return html`<section><h2>${t("members")} <span translate=${false}>${of.members_count}</span></h2>
    <ol class="rows">${ids.map(
      (id) =>
        html`<${Row} key=${id} label=${html`<${SchoolLink} id=${id} />`}>
          <${Data}><${Town} of=${school(id)} /><//><//>`,
    )}</ol></section>`;
}
