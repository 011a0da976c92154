// One school: what the registry, the devices and ClickHouse know of it.
import { get, post } from "./api.js";
import { $, element, row } from "./dom.js";
import { may, schools, serverNow, state } from "./state.js";
import { clock, moment, name, place, t } from "./words.js";

const DRILL_MIN = 30;
let fly = () => {};

export function startSchool(flyTo) { fly = flyTo; }

export function listSchools() {
  $("#schools").replaceChildren(...[...schools.values()].slice(0, 9000).map((school) => element("option", { value: school.id, label: name(school) })));
  const wanted = location.hash.match(/school=(KZ-\d\d-\d{5})/)?.[1];
  if (wanted && wanted !== state.selected && schools.has(wanted)) select(wanted);
}

export function select(id) {
  state.selected = id; history.replaceState(null, "", `#school=${id}`);
  const school = schools.get(id);
  if (school) fly(school);
  show(id, true);
}

export async function show(id, focus = false) {
  const panel = $("#school");
  const { status, body } = await get(`/api/schools/${id}`);
  if (status !== 200 || state.selected !== id) return;
  const school = body.school, equipment = body.equipment;
  const close = element("button", { type: "button", className: "close", textContent: t("close") });
  close.addEventListener("click", () => { panel.hidden = true; state.selected = ""; history.replaceState(null, "", "#"); });
  const list = (title, items) => [element("h2", { textContent: t(title) }), element("ol", {}, ...(items.length ? items : [element("li", { textContent: t("none") })]))];
  const since = (ms) => moment(ms, serverNow());
  const heard = (d) => (d.since_ms ? `${t(d.status)} · ${since(d.since_ms)}` : t("never_heard"));
  panel.replaceChildren(close, element("h3", { textContent: name(school) }),
    element("p", { textContent: `${school.id} · ${place(school.region)} · ${place(school.district)} · ${school.pupils} ${t("pupils")} · ${school.provider}` }),
    element("p", { className: school.status, textContent: `${t(school.status)}${school.since_ms ? ` ${t("since")} ${since(school.since_ms)}` : ""}` }),
    ...(may("drill") ? [drill(school)] : []),
    ...list("devices", Object.entries(body.devices).sort().map(([device, d]) => row(` ${[device, d.place].filter(Boolean).join(" · ")}`, heard(d), d.status))),
    ...(body.flow ? [element("h2", { textContent: t("flow") + (body.stale ? ` (${t("stale")})` : "") }), element("p", { textContent: `${t("inside_now")}: ${body.inside ?? "–"}` }), chart(body.flow)] : []),
    ...(equipment ? list("equipment", [row(t("turnstiles"), equipment.turnstiles), row(t("panic_buttons"), equipment.panic_buttons), row(t("police_link"), equipment.police_link ? "✓" : "—"), row(t("contract"), equipment.contract_number ? `${equipment.contract_number} → ${equipment.contract_expires}` : t("none"))]) : []),
    ...(body.reports?.length ? list("reports", body.reports.map(([at, type, category, , where, text]) => row(`${since(at)} ${category || type}`, [where, text].filter(Boolean).join(": ")))) : []),
    ...list("history", body.history.slice(0, 15).map(([device, status, , decided]) => row(device || t("school_itself"), `${t(status)} · ${since(decided)}`))));
  panel.hidden = false;
  if (focus) { panel.focus(); panel.scrollIntoView({ block: "start" }); }
}

function drill(school) {
  const minutes = element("input", { type: "number", min: 1, max: 60, value: DRILL_MIN, ariaLabel: t("minutes") });
  const said = element("span", { role: "status" });
  const button = element("button", { type: "button", textContent: t("declare_drill") });
  button.addEventListener("click", async () => {
    const starts = Math.round(serverNow());
    const { status, body } = await post("/api/drills", { school: school.id, starts_ms: starts, lasting_s: Number(minutes.value) * 60 });
    said.textContent = status === 200 ? `${t("drill_until")} ${clock(starts + minutes.value * 60000)}` : body.error ?? t("refused");
  });
  return element("p", { className: "drill" }, minutes, ` ${t("minutes")} `, button, " ", said);
}

function chart(flow) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), width = 360, height = 90, most = Math.max(1, ...flow.map(([, came, went]) => Math.max(came, went)));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`); svg.setAttribute("role", "img"); svg.setAttribute("aria-label", t("flow"));
  const bar = width / Math.max(24, flow.length);
  flow.forEach(([, came, went], at) => [["in", came, 0], ["out", went, bar / 2]].forEach(([kind, count, shift]) => {
    const rect = document.createElementNS(svg.namespaceURI, "rect"), tall = (count / most) * (height - 4);
    Object.entries({ x: at * bar + shift, y: height - tall, width: Math.max(1, bar / 2 - 1), height: tall, class: kind }).forEach(([key, value]) => rect.setAttribute(key, value));
    svg.append(rect);
  }));
  return svg;
}
