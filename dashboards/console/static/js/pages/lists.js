// Long lists: a region's schools, what is silent, all alerts. Their filters are in the address.
import { get } from "../api.js";
import { possible } from "../desk.js";
import { html, useEffect, useState } from "../html.js";
import { grouped, silentSchools, statusOf, urgent } from "../order.js";
import { Age, Data, Empty, Link, SchoolLink, Status, Town, When, Where } from "../parts.js";
import { Choice, Regions, chosen } from "../queue.js";
import { href } from "../routes.js";
import { alerts, beat, may, me, panics, put, route, school, schools } from "../store.js";
import { place, t } from "../words.js";
import { STATUSES } from "../world.js";
import { Kinds } from "./map.js";

const PAGE = 100,
  ASK_EVERY_MS = 5000,
  WORST = ["offline", "degraded", "unknown", "online"];

function cut(rows) {
  const most = Number(route.value.query.rows) || PAGE;
  return [rows.slice(0, most), rows.length - most, () => put({ rows: String(most + PAGE) })];
}
const More = ({ left, show }) =>
  left > 0
    ? html`<p><button type="button" class="more"
  onClick=${show}>${t("more", left)}</button></p>`
    : null;
const Head = ({ of }) => html`<thead><tr>${of.map((key) => html`<th scope="col">${t(key)}</th>`)}</tr>
  </thead>`;

export function Region({ id }) {
  const own = schools.value.filter((one) => one.region === id);
  const count = (status) => own.filter((one) => statusOf(one) === status).length;
  const some = own
    .filter((one) => !route.value.query.status || statusOf(one) === route.value.query.status)
    .sort((a, b) => WORST.indexOf(statusOf(a)) - WORST.indexOf(statusOf(b)) || a.id.localeCompare(b.id));
  const [rows, left, show] = cut(some);
  const open = [...urgent(panics.value), ...alerts.value].filter(
    (alert) => school(alert.school)?.region === id,
  );
  return html`<section class="page" id="region" data-id=${id}><h1 translate=${false}>${place(id)}</h1>
    ${
      own.length
        ? html`<p>${STATUSES.map(
            (status) => html`<span class="status ${status}">${t(status)} <b
      translate=${false}>${count(status)}</b></span> `,
          )}</p>
      ${
        open.length
          ? html`<h2>${t("alerts")}</h2><ol
        class="rows">${open.slice(0, PAGE).map(
          (alert) => html`<li key=${alert.id}>
        <${Link} to=${href("alarm", alert.id)}>${t(alert.kind)} · <${Where} of=${alert} /> · <${Age}
        since=${alert.opened_ms} /><//></li>`,
        )}</ol>`
          : null
      }
      <div class="filters"><${Choice} label="status" name="status" values=${STATUSES} text=${t} /></div>
      <div class="scroll" tabindex="0" role="group" aria-label=${t("schools")}><table>
        <${Head} of=${["school_itself", "town", "status", "since"]} />
        <tbody>${rows.map(
          (one) => html`<tr key=${one.id}><td><${SchoolLink} id=${one.id} /></td>
        <td translate=${false}><${Town} of=${one} /></td><td><${Status} is=${statusOf(one)} /></td><td>
          <${When} ms=${one.since_ms} /></td></tr>`,
        )}</tbody></table></div>
      <${More} left=${left}
        show=${show} />`
        : html`<p>${t(beat.value.whole ? "not_yours" : "loading")}</p>`
    }</section>`;
}

export function Silent() {
  const [told, tell] = useState(null);
  useEffect(() => {
    let wanted = true;
    const ask = async () => {
      const { status, body } = await get("/api/silent");
      if (wanted) tell(status === 200 && Array.isArray(body) ? body : null);
    };
    ask();
    const timer = setInterval(ask, ASK_EVERY_MS);
    return () => {
      wanted = false;
      clearInterval(timer);
    };
  }, []);
  const { region, provider } = route.value.query,
    all = told ?? silentSchools(schools.value);
  const some = all
    .filter(
      (one) =>
        (!region || school(one.school)?.region === region) && (!provider || one.provider === provider),
    )
    .sort((a, b) => a.since_ms - b.since_ms);
  const [rows, left, show] = cut(some),
    providers = [...new Set(all.map((one) => one.provider))].filter(Boolean).sort();
  return html`<section class="page" id="silent">
    <h1>${t("silent")} <b translate=${false}>${all.length}</b></h1>
    <div class="filters"><${Regions} /><${Choice} label="provider" name="provider" values=${providers}
      text=${(one) => one} data=${true} /></div>
    ${
      some.length
        ? html`<ol class="cards">${rows.map(
            (one) => html`<${SilentSchool} key=${one.school}
      of=${one} />`,
          )}</ol>`
        : html`<${Empty} text=${beat.value.whole ? "none_silent" : "loading"} />`
    }
    <${More} left=${left} show=${show} /></section>`;
}

const silenceable = (alert) => possible(alert, me.value).silenced && may("step");
export function SilentSchool({ of }) {
  const own = alerts.value.filter((alert) => alert.school === of.school);
  const heard = of.devices.reduce((last, d) => Math.max(last, d.last_heard_ms ?? 0), 0);
  return html`<li class="card" data-school=${of.school}><h2><${SchoolLink} id=${of.school} /></h2>
    <p translate=${false}><${Town} of=${school(of.school)} /></p>
    <p><b>${t("silent_for")} <${Age} since=${of.since_ms} />
      </b> · ${t("since")} <${When} ms=${of.since_ms} />${
        heard
          ? html` · ${t("last_heard")} <${When}
      ms=${heard} />`
          : ""
      }</p>
    <p><${Data}>${of.provider}<//>: ${t("also_silent", of.same_provider)} · <${Data}>${
      place(of.district)}<//>: ${t("also_silent", of.same_district)}</p>
    ${
      of.devices.length
        ? html`<details><summary>${t("devices")}</summary>
      <ol class="rows">${of.devices.map(
        (d) => html`<li class="row"><${Data}>${d.device}<//>
      <span>${t(d.state)}${
        d.last_heard_ms
          ? html` · ${t("last_heard")} <${When}
        ms=${d.last_heard_ms} />`
          : html` · ${t("never_heard")}`
      }${d.period_s ? html` · ${t("period", d.period_s)} · ${t("missed", d.misses)}` : ""}</span></li>`,
      )}</ol></details>`
        : null
    }
    <p class="acts"><${Link} class="act"
      to=${href("school", of.school)}>${t("call_school")}<//>${of.provider_phone
        ? html`<a class="act" href="tel:${of.provider_phone.replace(/[^\d+]/g, "")}">
          ${t("call_provider")} <${Data}>${of.provider_phone}<//></a>`
        : null}${own.filter(silenceable).slice(0, 1).map(
          (alert) => html`<${Link} class="act" to=${href("alarm", alert.id)}>${t("plan_work")}<//>`,
        )}${own.map(
        (alert) => html`<${Link} class="act"
      to=${href("alarm", alert.id)}>${t(alert.kind)}: ${t(`state_${alert.state}`)}<//>`,
      )}</p></li>`;
}

export function Alerts() {
  const { query } = route.value,
    every = [...panics.value, ...alerts.value],
    kinds = [...new Set(every.map((alert) => alert.kind))].sort();
  const groups =
    query.kind === "panic"
      ? urgent(chosen(panics.value, query)).map((alert) => ({
          key: alert.id,
          first: alert,
          alerts: [alert],
          members: [],
        }))
      : grouped(chosen(alerts.value, query));
  const [rows, left, show] = cut(groups),
    untold = beat.value.alertsOpen - alerts.value.length;
  return html`<section class="page" id="all-alerts"><h1>${t("alerts")} <b
    translate=${false}>${groups.length}</b></h1>
    <div class="filters"><${Choice} label="kind" name="kind" values=${kinds} text=${t} />
      <${Choice} label="state" name="state" values=${["open", "acknowledged", "dispatched", "arrived"]}
      text=${(state) => t(`state_${state}`)} /><${Regions} /></div>
    ${untold > 0 ? html`<p class="note">${t("not_loaded", untold)}</p>` : null}
    ${
      rows.length
        ? html`<div class="scroll" tabindex="0" role="group" aria-label=${t("alerts")}><table>
      <${Head} of=${["kind", "where", "town", "state", "open_for", "since"]} />
      <tbody>${rows.map(
        ({ key, first, alerts: some, members }) => html`<tr key=${key}
      data-severity=${first.severity}>
      <td><${Link} to=${href("alarm", first.id)}><${Kinds} of=${some} /><//></td>
        <td>${
          first.school && first.kind !== "outage"
            ? html`<${SchoolLink}
        id=${first.school} />`
            : html`<${Where} of=${first} />`
        }
        ${
          members.length
            ? html`<details><summary>${t("schools_n", members.length)}</summary>
          <ol class="rows">${[...new Set(members.map((a) => a.school))].map(
            (id) => html`<li>
          <${SchoolLink} id=${id} /></li>`,
          )}</ol></details>`
            : null
        }</td>
      <td translate=${false}><${Town} of=${school(first.school)} /></td>
        <td>${t(`state_${first.state}`)} <${Data}>${first.acknowledged_by}<//></td><td>
        <${Age} since=${first.opened_ms} /></td><td><${When} ms=${first.opened_ms} /></td></tr>`,
      )}</tbody>
        </table></div>`
        : html`<${Empty} text=${beat.value.whole ? "none" : "loading"} />`
    }<${More} left=${left} show=${show} />
      </section>`;
}
