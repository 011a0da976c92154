// Numbers, the strip of panics, regions and alerts.
import { $, all, element } from "./dom.js";
import { alerts, newest, panics, recent, schools, serverNow, state, STATUSES } from "./state.js";
import { age, clock, language, moment, name, place, t } from "./words.js";

const SHOWN_PANICS = 60, SHOWN_ALERTS = 40;

export function drawNumbers() {
  $("#alert-count").textContent = state.alertsOpen;
  for (const node of all("[data-n]")) {
    const key = node.dataset.n;
    const value = STATUSES.includes(key) ? state.counts[key] ?? 0 : key === "silent_devices" ? state.silentDevices : state.numbers[key];
    node.textContent = value === undefined || value === null ? "–" : Number(value).toLocaleString(language());
  }
}

export function flags(panic) {
  return [
    panic.drill ? t("drill") : "", panic.count > 1 ? `${panic.count} ${t("presses")}` : "", panic.unidentified ? t("unidentified") : "",
    panic.late ? t("late_press") : "", panic.duress ? t("duress") : "", panic.score !== null && panic.score !== undefined ? `${t("score")} ${panic.score}` : "",
  ].filter(Boolean);
}

export function drawPanics(choose) {
  const open = panics.size;
  $("#panics").classList.toggle("open", open > 0);
  $("#panic-count").textContent = open;
  $("#no-panics").hidden = open > 0;
  document.title = open ? `(${open}) ${t("panic")} · Saqshy` : "Saqshy";
  const list = $("#panic-list"), there = new Map([...list.children].map((node) => [node.dataset.id, node]));
  for (const panic of newest(panics, SHOWN_PANICS).reverse()) {
    let item = there.get(panic.id);
    if (!item) {
      item = element("li", { className: "new" }); item.dataset.id = panic.id;
      const button = element("button", { type: "button" }); button.addEventListener("click", () => choose(panic.id));
      item.append(button); list.prepend(item);
    }
    there.delete(panic.id);
    const school = schools.get(panic.school), shown = `${language()} ${Boolean(school)}`;
    if (item.panic === panic && item.shown === shown) continue;
    Object.assign(item, { panic, shown });
    item.dataset.state = panic.state;
    const time = element("span", { className: "time" }); time.dataset.opened = panic.opened_ms; time.textContent = age(serverNow() - panic.opened_ms);
    const notes = [...flags(panic), panic.state === "open" ? "" : `${t(`state_${panic.state}`)} ${panic.acknowledged_by}`, panic.note].filter(Boolean).join(" · ");
    item.firstChild.replaceChildren(time, element("b", { textContent: school ? name(school) : panic.school }),
      element("small", { textContent: `${panic.school} · ${place(school?.district ?? "")} · ${clock(panic.opened_ms)}${notes ? ` · ${notes}` : ""}` }));
  }
  for (const node of there.values()) node.remove();
}

export function drawRegions() {
  const rows = new Map();
  for (const school of schools.values()) {
    const row = rows.get(school.region) ?? { online: 0, degraded: 0, offline: 0, unknown: 0 };
    row[STATUSES.includes(school.status) ? school.status : "unknown"] += 1; rows.set(school.region, row);
  }
  $("#regions tbody").replaceChildren(...[...rows].sort((a, b) => b[1].offline - a[1].offline || a[0].localeCompare(b[0])).map(([region, row]) =>
    element("tr", {}, element("td", { textContent: place(region), title: region }), ...STATUSES.map((status) =>
      element("td", { textContent: row[status], className: status === "offline" && row[status] ? "bad" : "" })))));
}

function listed(into, some, choose, text) {
  $(into).replaceChildren(...some.map((alert) => {
    const button = element("button", { type: "button", textContent: text(alert) });
    button.addEventListener("click", () => choose(alert.id));
    return element("li", {}, button);
  }));
}

export function drawAlerts(choose) {
  const where = (alert) => (alert.scope ? place(alert.scope) : alert.school ? name(schools.get(alert.school) ?? { id: alert.school }) : t("ours"));
  listed("#alerts ol", newest(alerts, SHOWN_ALERTS), choose, (a) => `${t(a.kind)} · ${where(a)} · ${moment(a.opened_ms, serverNow())}${a.acknowledged_by ? ` · ${a.acknowledged_by}` : ""}`);
  const ended = [...recent.values()].reverse().slice(0, 10);
  $("#recent").hidden = ended.length === 0;
  listed("#recent ol", ended, choose, (a) => `${where(a)} · ${moment(a.opened_ms, serverNow())} · ${t(`state_${a.state}`)}${a.outcome ? ` ${t(`outcome_${a.outcome}`)}` : ""}${a.closed_by ? ` · ${a.closed_by}` : ""}`);
}
