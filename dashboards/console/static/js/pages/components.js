// Each part in each of its states, with made-up data: the style guide, and what the picture tests look at.
import { Answer, AnswerText } from "../acts.js";
import { Flow } from "../chart.js";
import { Devices, Reach } from "../facts.js";
import { Languages, Theme } from "../header.js";
import { html } from "../html.js";
import { Counter, Empty, Flags, Status, Timeline } from "../parts.js";
import { Waiting } from "../queue.js";
import { second, world } from "../store.js";
import { t } from "../words.js";
import { AlertLine } from "./map.js";
import { SilentSchool } from "./lists.js";

const MS = 1_700_000_000_000,
  SCHOOL = "KZ-75-00001";
const names = { kk: "№ 12 мектеп", ru: "Школа № 12", en: "School No. 12" };
const alert = (more = {}) => ({
  id: "example",
  kind: "panic",
  severity: "panic",
  school: SCHOOL,
  device: "button-1",
  places: [],
  scope: "",
  state: "open",
  drill: false,
  duress: false,
  late: false,
  unidentified: false,
  count: 1,
  score: 1,
  why: ["one press"],
  call: [],
  delivered_to: [],
  opened_ms: MS - 95_000,
  acknowledged_by: "",
  timeline: [],
  ...more,
});
const step = (took, actor = "aigerim", more = {}) => ({
  id: took + actor,
  took,
  actor,
  ms: MS,
  target: "",
  outcome: "",
  note: "",
  ...more,
});
const STATES = [
  {},
  { duress: true, score: 3, why: ["duress"] },
  { count: 4, why: ["pressed 4 times"] },
  { late: true, why: ["late or replayed: decide"] },
  { drill: true, why: ["inside a drill that saule answers for"] },
  { unidentified: true },
  { state: "acknowledged", acknowledged_by: "aigerim" },
  { state: "dispatched", acknowledged_by: "aigerim" },
  { state: "arrived", acknowledged_by: "aigerim" },
];
const device = (kind, status, place = "") => ({ kind, status, place, since_ms: MS - 60_000 });
const online = {
  "gateway-1": device("gateway", "online"),
  "button-1": device("panic_button", "online", "1"),
  "turnstile-1": device("turnstile", "offline"),
};
const silent = { ...online, "gateway-1": device("gateway", "offline") };
const flow = Array.from({ length: 36 }, (_, n) => [
  MS + n * 300_000,
  Math.round(40 * Math.exp(-((n - 6) ** 2) / 8)),
  Math.round(30 * Math.exp(-((n - 28) ** 2) / 12)),
]);
const body = {
  school: { id: SCHOOL, names, center: "KZ-75-C1", at: [76.9, 43.2] },
  devices: online,
  address: "Abai 1",
  coordinates: [43.2, 76.9],
  contacts: [
    { role: "duty", name: "A. Serik", phone: "+7 700 000 00 00", mobile: false },
    { role: "director", name: "B. Omar", phone: "+7 700 000 00 01", mobile: true },
  ],
  center: { name: "C1", phone: "112" },
};
const refused = [
  { status: 409, took: "closed", body: { by: "bolat", took: "acknowledged", ms: MS } },
  { status: 409, took: "closed", body: {} },
  { status: 503, took: "closed", body: {} },
  { status: 200, took: "acknowledged", body: { kept: "dispatch" } },
];
const GROUPS = ["school_offline", "panic_blind", "outage", "security"].map((kind) => {
  const scope = kind === "outage" ? "provider:caspian-link region:KZ-27" : "";
  const first = alert({ kind, severity: "warning", scope });
  return { key: kind, first, alerts: [first], members: [] };
});
const TOOK = [
  "sent",
  "delivered",
  "notified",
  "escalated",
  "failed",
  "acknowledged",
  "dispatched",
  "arrived",
  "assigned",
  "verified",
  "noted",
  "silenced",
  "promoted",
  "closed",
  "reopened",
];

export function Components() {
  second.value ||= MS;
  if (!world.schools.has(SCHOOL))
    world.schools.set(SCHOOL, {
      ...body.school,
      region: "KZ-75",
      district: "Almaly",
      status: "online",
      since_ms: MS,
      pupils: 900,
      provider: "steppe-net",
    });
  const part = (key, ...inside) => html`<section class="example"><h2>${t(key)}</h2>${inside}</section>`;
  return html`<main class="components"><h1>${t("components")}</h1><div class="tools"><${Languages} />
    <${Theme} /></div>
    ${part(
      "status",
      ["online", "degraded", "offline", "unknown", "late", "flapping", "maintenance", "retired"].map(
        (is) => html`<${Status} is=${is} /> `,
      ),
    )}
    ${part(
      "country",
      html`<dl class="acts"><${Counter} is="a" label="online" class="online"
      value=${7995} /><${Counter} is="b" label="offline" class="offline" value=${4} />
      <${Counter} is="c" label="inside" class="from-clickhouse stale" value=${575950} />
        <${Counter} is="d" label="unknown" class="unknown" /></dl>`,
    )}
    ${part(
      "panics",
      html`<ol id="panic-list">${STATES.map(
        (more, n) => html`<${Waiting} key=${n}
      panic=${alert({ ...more, id: `e${n}` })} current=${n === 1} />`,
      )}</ol>`,
    )}
    ${part(
      "why",
      STATES.map((more) => html`<${Flags} of=${alert(more)} />`),
    )}
    ${part(
      "actions",
      html`<div class="acts"><button type="button"
      class="loud">${t("do_acknowledged")}</button><button type="button"
      class="firm">${t("do_dispatched")}</button><button type="button">${t("do_arrived")}</button></div>`,
    )}
    ${part(
      "answers",
      html`<${Answer} id="nothing" of=${alert()} />`,
      refused.map(
        (answer) => html`<p
      class=${answer.status === 200 ? "" : "refused"}><${AnswerText} answer=${answer} of=${alert()} />
      </p>`,
      ),
    )}
    ${part(
      "timeline",
      html`<${Timeline}
      of=${alert({ timeline: [...TOOK.map((took) => step(took)),
        step("notified", "saqshy:notify", { note: "log" }), step("sent", "saqshy:dispatch"),
        step("closed", "bolat", { outcome: "real" })] })} />`,
    )}
    ${part("reach", html`<${Reach} body=${body} pressed=${["button-1"]} />`)}
    ${part("devices", html`<${Devices} of=${online} /><hr /><${Devices} of=${silent} />`)}
    ${part("alerts", html`<ol>${GROUPS.map((group) => html`<${AlertLine} group=${group} />`)}</ol>`)}
    ${part(
      "silent",
      html`<ol class="cards"><${SilentSchool}
      of=${{
        school: SCHOOL,
        since_ms: MS - 600_000,
        provider: "steppe-net",
        district: "Almaly",
        same_provider: 3,
        same_district: 1,
        devices: [
          { device: "gateway-1", state: "offline", last_heard_ms: MS - 600_000, period_s: 15, misses: 4 },
          { device: "button-1", state: "unknown", last_heard_ms: 0 },
        ],
      }} /></ol>`,
    )}
    ${part("flow", html`<${Flow} flow=${flow} expected=${flow.map(([ms, came]) => [ms, came * 0.8 + 1])} />`)}
    ${part(
      "empty",
      ["none", "loading", "no_panics", "none_silent", "nothing_found", "not_yours", "alarm_gone"].map(
        (key) => html`<${Empty} text=${key} />`,
      ),
    )}
    </main>`;
}
