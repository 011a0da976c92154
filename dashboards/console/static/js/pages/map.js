// Beside the map: the country in numbers, its regions, what else is open, what was closed.
import { html } from "../html.js";
import { grouped, regions } from "../order.js";
import { Age, Counter, Data, Empty, Link, When, Where } from "../parts.js";
import { href } from "../routes.js";
import { alerts, beat, everywhere, life, recent, schools, second, sees } from "../store.js";
import { age, place, t } from "../words.js";
import { STATUSES, isPanic } from "../world.js";

const SHOWN_ALERTS = 12,
  SHOWN_RECENT = 10;

export function Counters() {
  const { counts, numbers, silentDevices } = beat.value,
    known = life.value.heard;
  const stale = life.value.stale ? "from-clickhouse stale" : "from-clickhouse";
  return html`<dl id="counters">${STATUSES.map(
    (status) => html`<${Counter} is=${status} label=${status}
    class=${status} value=${known ? (counts[status] ?? 0) : undefined} />`,
  )}
    <${Counter} is="silent_devices" label="silent_devices" value=${known ? silentDevices : undefined} />
    ${
      everywhere()
        ? html`<${Counter} is="passes_last_minute" label="passes_last_minute" class=${stale}
      value=${numbers.passes_last_minute} />
      ${
        sees("people")
          ? html`<${Counter} is="inside" label="inside" class=${stale}
        value=${numbers.inside} />`
          : null
      }
      <${Counter} is="reports_today" label="reports_today" class=${stale} value=${numbers.reports_today} />
      ${
        life.value.stale
          ? html`<div
        class="stale-note">${t("stale")} ${life.value.clickhouseMs ? html`<${Data}>${
          age(second.value - life.value.clickhouseMs)}<//>` : ""}</div>`
          : null
      }`
        : null
    }</dl>`;
}

export function RegionTable() {
  return html`<section id="regions"><h2>${t("regions")}</h2>
    <div class="scroll" tabindex="0" role="group" aria-label=${t("regions")}><table>
    <thead><tr><th scope="col">${t("region")}</th>${STATUSES.map(
      (status) => html`<th
      scope="col">${t(status)}</th>`,
    )}</tr></thead>
    <tbody>${regions(schools.value).map(
      ([region, row]) => html`<tr key=${region}><th scope="row">
      <${Link} to=${href("region", region)}><${Data}>${place(region)}<//><//></th>
      ${STATUSES.map(
        (status) => html`<td
        class=${status === "offline" && row[status] ? "bad" : ""}>${row[status]}</td>`,
      )}</tr>`,
    )}</tbody>
        </table></div></section>`;
}

export const Kinds = ({ of }) =>
  [...new Set(of.map((alert) => alert.kind))].map((kind, n) => html`${n ? ", " : ""}${t(kind)}`);

export function AlertLine({ group }) {
  const { first } = group,
    by = group.alerts.find((alert) => alert.acknowledged_by)?.acknowledged_by;
  return html`<li data-kind=${first.kind} data-severity=${first.severity}>
    <${Link} to=${href("alarm", first.id)}><${Kinds} of=${group.alerts} /> · <${Where} of=${first} />
    ${" · "}<${Age} since=${first.opened_ms} />${by ? html` · <${Data}>${by}<//>` : ""}${first.members_count
      ? html` · ${t("schools_n", first.members_count)}` : ""}<//></li>`;
}

export function Side() {
  const groups = grouped(alerts.value),
    ended = recent.value.filter(isPanic).slice(0, SHOWN_RECENT),
    more = groups.length - SHOWN_ALERTS;
  return html`<aside id="side"><h1 class="unseen">${t("country")}</h1><${Counters} />
    <section id="alerts"><h2><span>${t("alerts")}</span> <b id="alert-count"
      translate=${false}>${life.value.heard ? beat.value.alertsOpen : "–"}</b></h2>
      <ol>${groups.slice(0, SHOWN_ALERTS).map(
        (group) => html`<${AlertLine} key=${group.key}
        group=${group} />`,
      )}</ol>
      ${groups.length ? null : html`<${Empty} text=${beat.value.whole ? "none" : "loading"} />`}
      ${more > 0 ? html`<p><${Link} to="/alerts">${t("more", more)}<//></p>` : null}</section>
    <${RegionTable} />
    ${
      ended.length
        ? html`<section id="recent"><h2>${t("recent")}</h2>
      <ol>${ended.map(
        (a) => html`<li key=${a.id}><${Link} to=${href("alarm", a.id)}>
      <${Where} of=${a} /> · <${When} ms=${a.opened_ms} />
      ${" · "}${t(`state_${a.state}`)}${a.outcome ? html` ${t(`outcome_${a.outcome}`)}` : ""}${a.closed_by
        ? html` · <${Data}>${a.closed_by}<//>` : ""}<//></li>`,
      )}</ol></section>`
        : null
    }</aside>`;
}
