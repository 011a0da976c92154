// One school: what the registry, the devices and ClickHouse know of it.
import { post } from "../api.js";
import { Flow } from "../chart.js";
import { Devices, Equipment, Reach, useSchool } from "../facts.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Data, Dialog, Empty, Link, Row, SchoolName, Status, Town, When, close } from "../parts.js";
import { href } from "../routes.js";
import { alerts, beat, dialog, may, nowMs, panics, school } from "../store.js";
import { clock, name, number, place, spot, t } from "../words.js";

const DRILL_MIN = 30,
  SHOWN_HISTORY = 15;

export function School({ id }) {
  const at = school(id),
    { status, body } = useSchool(id),
    ref = useRef(null);
  useEffect(() => ref.current?.focus({ preventScroll: true }), [id]);
  if (!at && (status === 404 || status === 403 || (beat.value.whole && status))) {
    return html`<section id="school" class="page" tabindex="-1" ref=${ref}><h1 translate=${false}>${id}</h1>
      <p>${t("not_yours")}</p><${Link} to="/">${t("back_to_map")}<//></section>`;
  }
  const own = [...panics.value, ...alerts.value].filter((alert) => alert.school === id);
  return html`<section id="school" class="page" tabindex="-1" ref=${ref}>
    <${Link} class="close" to="/">${t("back_to_map")}<//>
    <h1 translate=${false}>${at ? name(at) : id}</h1>
    ${
      at
        ? html`<p><${Data}>${id} · <${Town}
      of=${at} /> · ${place(at.region)} · <//>${t("pupils_n", number(at.pupils))} <${Data}>· ${
        at.provider}<//></p>
      <p><${Status} is=${at.status} />${
        at.since_ms
          ? html` ${t("since")} <${When}
        ms=${at.since_ms} />`
          : ""
      }</p>`
        : null
    }
    ${
      own.length
        ? html`<section><h2>${t("alerts")}</h2>
      <ol class="rows">${own.map(
        (alert) => html`<li key=${alert.id}>
      <${Link} to=${href("alarm", alert.id)}>${t(alert.kind)} · ${t(`state_${alert.state}`)} · <${When}
      ms=${alert.opened_ms} /><//></li>`,
      )}</ol></section>`
        : null
    }
    ${
      may("drill") && at
        ? html`<p class="drill"><button type="button" id="drill-open"
      onClick=${() => {
        dialog.value = { kind: "drill", id };
      }}>${t("declare_drill")}</button></p>`
        : null
    }
    ${
      body.school
        ? html`<${Told} body=${body}
      id=${id} />`
        : html`<p>${t(status ? "stale" : "loading")}</p>`
    }</section>`;
}

function Told({ body, id }) {
  const [seen, look] = useState(null),
    more = seen ?? body;
  const ask = async () => {
    const { status, body: told } = await post(`/api/schools/${encodeURIComponent(id)}/look`, {});
    if (status === 200) look({ ...body, ...told });
  };
  const hidden = body.contacts && !seen && may("step");
  return html`<${Reach} body=${more} />
    ${hidden ? html`<p><button type="button" id="look" onClick=${ask}>${t("look")}</button></p>` : null}
    <section><h2>${t("devices")}</h2><${Devices} of=${body.devices} /></section>
    ${
      body.flow
        ? html`<section><h2>${t("flow")}${body.stale ? ` (${t("stale")})` : ""}</h2>
      <p>${t("inside_now")}: ${number(body.inside)}</p>
      ${
        body.flow.length
          ? html`<${Flow} flow=${body.flow} expected=${body.expected} />`
          : html`<${Empty}
        text="no_flow" />`
      }</section>`
        : null
    }
    ${
      body.equipment
        ? html`<section><h2>${t("equipment")}</h2><ol class="rows">
      <${Row} label=${t("turnstiles")}>${body.equipment.turnstiles}<//><${Equipment} of=${body.equipment} />
      </ol></section>`
        : null
    }
    ${
      body.reports?.length
        ? html`<section><h2>${t("reports")}</h2>
      <ol class="rows">${body.reports.map(
        ([ms, type, category, , where, text]) =>
          html`<${Row} label=${html`<${When} ms=${ms} /> <${Data}>${category || type}<//>`}>
        <${Data}>${[spot(where), text].filter(Boolean).join(": ")}<//><//>`,
      )}</ol></section>`
        : null
    }
    <section><h2>${t("history")}</h2>${
      body.history.length
        ? html`<ol
      class="rows">${body.history.slice(0, SHOWN_HISTORY).map(
        ([device, status, , decided]) =>
          html`<${Row} label=${device ? html`<${Data}>${device}<//>` : t("school_itself")}>
        <${Status} is=${status} /> · <${When} ms=${decided} />
        <//>`,
      )}</ol>`
        : html`<${Empty} />`
    }</section>`;
}

export function DrillDialog({ id }) {
  const [minutes, set] = useState(DRILL_MIN),
    [said, tell] = useState("");
  const declare = async () => {
    const starts = Math.round(nowMs());
    const { status } = await post("/api/drills", {
      school: id,
      starts_ms: starts,
      lasting_s: Number(minutes) * 60,
    });
    tell(
      status === 200
        ? t("drill_until", clock(starts + minutes * 60_000))
        : status === 422
          ? t("drill_too_long")
          : t("refused"),
    );
  };
  const open = panics.value.some((panic) => panic.school === id && !panic.drill);
  return html`<${Dialog} id="drill-dialog" title=${t("declare_drill")} onClose=${close}><p><b>
    <${SchoolName} id=${id} /></b></p>
    ${open ? html`<p class="bad">${t("drill_over_panic")}</p>` : null}
    <label>${t("minutes")} <input type="number" min="1" max="60" value=${minutes}
      onInput=${(event) => set(event.target.value)} /></label>
    <p role="status">${said}</p>
    <div class="acts"><button type="button" class="firm" onClick=${declare}>${t("declare_drill")}</button>
      <button type="button" onClick=${close}>${t("cancel")}</button></div><//>`;
}
