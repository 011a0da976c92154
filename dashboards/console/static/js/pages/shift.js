// Handing a shift over, and the supervisor's review of who saw and did what.
import { get, post } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { urgent } from "../order.js";
import { Age, Data, Empty, Link, SchoolName, Town, When, Where } from "../parts.js";
import { href } from "../routes.js";
import { alarm, askShift, may, me, nowMs, offers, panics, put, route, school } from "../store.js";
import { clock, day, has, t } from "../words.js";

export function Shift() {
  const [note, write] = useState(""),
    [to, name] = useState(""),
    [said, tell] = useState("");
  useEffect(() => {
    askShift();
  }, []);
  if (!may("shift"))
    return html`<section class="page" id="shift"><h1>${t("shift")}</h1>
    <p>${t("not_for_role")}</p></section>`;
  const mine = (alert) => [alert.acknowledged_by, alert.assigned_to].includes(me.value.login),
    onlyMine = route.value.query.mine === "yes";
  const open = urgent(panics.value).filter((alert) => !onlyMine || mine(alert));
  const tried = async (path, body, done) => {
    const { status } = await post(path, body);
    tell(status === 200 ? t(done) : t(has(`refused_${status}`) ? `refused_${status}` : "refused"));
    await askShift();
    return status === 200;
  };
  const withdraw = (offer) => tried("/api/shift/withdraw", { offer }, "shift_withdrawn");
  const accept = (offer) => tried("/api/shift/accept", { offer }, "shift_accepted");
  const refuse = (offer) => tried("/api/shift/refuse", { offer }, "shift_refused");
  const offer = async () => {
    if (await tried("/api/shift/offer", { note, to }, "shift_offered")) write("");
  };
  const others = (me.value.people ?? []).filter((login) => login !== me.value.login);
  return html`<section class="page" id="shift"><h1>${t("shift")}</h1>
    <h2>${t("shift_offers")}</h2><ol class="cards" id="shift-offers">${offers.value.map(
      (one) => html`<li
      class="card" key=${one.id}><p><b translate=${false}>${one.by}</b> · <${When}
      ms=${one.at_ms} /> · ${t("alarms_n", one.alerts.length)}
      ${one.to ? html` · ${t("shift_to")} <${Data}>${one.to}<//>` : ""}
      ${one.note ? html` · <${Data}>${one.note}<//>` : ""}</p>${one.by === me.value.login
        ? html`<p class=${one.refused_by ? "bad" : ""}>${one.refused_by
            ? html`${t("shift_refused_by")} <${Data}>${one.refused_by}<//>`
            : t("shift_yours")}</p>
            <button type="button" onClick=${() => withdraw(one.id)}>${t("shift_withdraw")}</button>`
        : html`<button type="button" class="firm" onClick=${() => accept(one.id)}>
            ${t("shift_accept")}</button> ${one.to === me.value.login
            ? html`<button type="button" class="refuse" onClick=${() => refuse(one.id)}>
                ${t("shift_refuse")}</button>`
            : null}`}
      <details><summary>${t("shift_open")}</summary><${Titles}
        of=${one.alerts.map(alarm).filter(Boolean)} /></details>
        </li>`,
    )}</ol>${offers.value.length ? null : html`<${Empty} />`}
    <p id="shift-said" role="status">${said}</p>
    <h2>${t("shift_open")} <b translate=${false}>${open.length}</b></h2>
    <label class="check"><input type="checkbox" checked=${onlyMine}
      onChange=${(event) => put({ mine: event.target.checked ? "yes" : "" })} /> ${t("only_mine")}</label>
    <div id="shift-list"><${Titles} of=${open} /></div>
    <p class="acts"><label class="grows"><span>${t("note")}</span>
      <input id="shift-note" maxlength="1000" autocomplete="off" value=${note}
      onInput=${(event) => write(event.target.value)} /></label>
      <label><span>${t("shift_to")}</span><select id="shift-to" value=${to}
        onChange=${(event) => name(event.target.value)}><option value="">${t("shift_anybody")}</option>
        ${others.map((login) => html`<option value=${login} translate=${false}>${login}</option>`)}
        </select></label>
      <button id="shift-offer" type="button" class="firm" onClick=${offer}>${t("shift_offer")}</button></p>
        </section>`;
}
const Titles = ({ of }) =>
  of.length
    ? html`<ol class="rows">${of.map(
        (alert) => html`<li key=${alert.id}>
  <${Link} to=${href("alarm", alert.id)}><${SchoolName} id=${alert.school} /> · <${Data}>
  <${Town} of=${school(alert.school)} /><//>
  ${" · "}<${Age} since=${alert.opened_ms} /> · ${t(`state_${alert.state}`)}${
    alert.assigned_to ? html` · <${Data}>${alert.assigned_to}<//>` : ""}<//></li>`,
      )}</ol>`
    : html`<${Empty} />`;

const didKey = (did) => `did_${did.replace(/\W/g, "_")}`;
const AUDIT_OWN = new Set([
  "n",
  "at_ms",
  "who",
  "role",
  "from",
  "did",
  "before",
  "hash",
  "school",
  "alert",
]);
const about = (entry) =>
  Object.entries(entry)
    .filter(([key, value]) => !AUDIT_OWN.has(key) && ["string", "number", "boolean"].includes(typeof value))
    .map(([key, value]) => `${key}=${value}`)
    .join(" ");

export function Audit() {
  const [told, tell] = useState({ status: 0, body: {} }),
    { before = "", who = "", did = "", date = "" } = route.value.query;
  useEffect(() => {
    get(`/api/audit${before ? `?before=${before}` : ""}`).then(tell);
  }, [before]);
  if (!may("review"))
    return html`<section class="page" id="audit"><h1>${t("audit")}</h1>
    <p>${t("not_for_role")}</p></section>`;
  const { entries = [], broken, count, head } = told.body;
  const rows = entries.filter(
    (entry) =>
      (!who || `${entry.who} ${entry.school ?? ""} ${entry.alert ?? ""}`.includes(who)) &&
      (!did || entry.did === did) &&
      (!date || day(entry.at_ms) === date),
  );
  const named = (one) => (has(didKey(one)) ? t(didKey(one)) : one),
    kinds = [...new Set(entries.map((entry) => entry.did))].sort(),
    last = entries.at(-1)?.n;
  const field = (key, label, type) => html`<label><span>${t(label)}</span>
    <input name=${key} type=${type} value=${route.value.query[key] ?? ""}
    onInput=${(event) => put({ [key]: event.target.value })} /></label>`;
  return html`<section class="page" id="audit"><h1>${t("audit")}</h1>
    <p id="audit-chain"
      class=${broken ? "bad" : ""}>${told.status === 200 ? html`${broken ? html`${t("audit_broken")} <${
        Data}>${broken.line}: ${broken.what}<//>` : t("audit_whole")} <${Data}>· ${count} · ${
        head}<//>` : t(told.status ? "refused" : "loading")}</p>
    <div class="filters">${field("who", "who_or_where", "search")}${field("date", "day", "date")}
      <label><span>${t("what")}</span><select value=${did}
        onChange=${(event) => put({ did: event.target.value })}>
        <option value="">${t("all")}</option>${kinds.map(
          (one) => html`<option value=${one}
        translate=${has(didKey(one))}>${named(one)}</option>`,
        )}</select></label>
      <button type="button" id="audit-export" onClick=${() => save(rows, named)}>${t("export")}</button>
        </div>
    <div class="scroll" tabindex="0" role="group" aria-label=${t("audit")}><table><thead>
      <tr>${["number_short", "time", "who", "what", "where", "about"].map(
        (key) => html`<th
      scope="col">${t(key)}</th>`,
      )}</tr></thead>
      <tbody id="audit-rows">${rows.map(
        (entry) => html`<tr key=${entry.n}><td>${entry.n}</td>
        <td translate=${false}>${day(entry.at_ms)} ${clock(entry.at_ms)}</td>
        <td translate=${false}>${entry.who}</td>
        <td
          translate=${has(didKey(entry.did))}>${named(entry.did)}</td>
          <td>${
            entry.alert && alarm(entry.alert)
              ? html`<${Link} to=${href("alarm", entry.alert)}>
          <${Where} of=${alarm(entry.alert)} /><//>`
              : entry.school
                ? html`<${Link} to=${href("school", entry.school)}>
            <${SchoolName} id=${entry.school} /><//>`
                : ""
          }</td><td translate=${false}>${about(entry)}</td>
            </tr>`,
      )}</tbody></table></div>
    ${
      last > 1
        ? html`<p><button type="button" class="more"
      onClick=${() => put({ before: String(last) })}>${t("older")}</button></p>`
        : null
    }</section>`;
}

function save(rows, named) {
  const cell = (value) =>
    `"${String(value ?? "")
      .replace(/^[=+\-@\t\r]/, "'$&")
      .replaceAll('"', '""')}"`;
  const lines = rows.map((e) =>
    [e.n, `${day(e.at_ms)} ${clock(e.at_ms)}`, e.who, e.role, named(e.did), e.school, e.alert, about(e)]
      .map(cell)
      .join(","),
  );
  const link = Object.assign(document.createElement("a"), {
    href: URL.createObjectURL(new Blob([lines.join("\r\n")], { type: "text/csv" })),
    download: `saqshy-audit-${day(nowMs())}.csv`,
  });
  link.click();
  URL.revokeObjectURL(link.href);
}
