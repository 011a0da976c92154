// What is known of one school, asked for anew when its status changes.
import { get } from "./api.js";
import { html, useEffect, useState } from "./html.js";
import { devicesOf } from "./order.js";
import { Data, Empty, Row, Status, Tel, When } from "./parts.js";
import { nowMs, school, sees } from "./store.js";
import { day, number, spot, t } from "./words.js";

// {status: 0 while it is asked for, body}. `alarm`: for whom more may be seen.
export function useSchool(id, alarm = "") {
  const [told, tell] = useState({ id: "", status: 0, body: {} });
  const known = school(id),
    status = known?.status;
  useEffect(() => {
    if (!id) return undefined;
    let wanted = true;
    get(`/api/schools/${encodeURIComponent(id)}${alarm ? `?for=${encodeURIComponent(alarm)}` : ""}`).then(
      (answer) => {
        if (wanted) tell({ id, ...answer });
      },
    );
    return () => {
      wanted = false;
    };
  }, [id, alarm, status, Boolean(known)]);
  return told.id === id ? told : { id, status: 0, body: {} };
}

export function Reach({ body, pressed = [], alarm = "" }) {
  const { contacts, address, coordinates, center, devices = {} } = body,
    code = body.school?.center;
  const buttons = Object.entries(devices).filter(
    ([device, d]) => d.kind?.includes("button") || pressed.includes(device),
  );
  return html`<section class="reach" id="takeover-reach"><h2>${t("reach")}</h2><ol class="rows">
    ${(contacts ?? []).map(
      (one) => html`<${Row}
      label=${html`${t(`contact_${one.role}`)} <${Data}>${one.name}<//>`}>
      ${one.phone ? html`<${Tel} phone=${one.phone} />` : null}<//>`,
    )}
    ${address ? html`<${Row} label=${t("address")}><${Data}>${address}<//><//>` : null}
    <${Coordinates} at=${coordinates ?? body.school?.at?.toReversed()} />
    <${Row} label=${t("center")}>${
      center?.phone
        ? html`<${Data}>${center.name}<//> <${Tel}
      phone=${center.phone} />`
        : code
          ? html`<${Data}>${code}<//>`
          : t("no_center")
    }<//>
    ${buttons.map(
      ([device, d]) => html`<${Row} label=${device} data=${true}
      class=${pressed.includes(device) ? "pressed" : ""}>
      <${Data}>${spot(d.place)}<//>
      ${pressed.includes(device) ? html` <b>${t("pressed_here")}</b>` : null}<//>`,
    )}
  </ol>${(body.floors ?? []).map(
    (floor) => html`<${Plan} key=${floor} floor=${floor} school=${body.school?.id} alarm=${alarm} />`,
  )}</section>`;
}

// Asked for only when it is opened: each look at it is in the audit log.
function Plan({ floor, school: id, alarm }) {
  const [open, turn] = useState(false);
  const of = `/api/schools/${encodeURIComponent(id)}/plans/${encodeURIComponent(floor)}`;
  const path = alarm ? `${of}?for=${encodeURIComponent(alarm)}` : of;
  return html`<details class="plan" onToggle=${(event) => turn(event.target.open)}>
    <summary>${t("plan")} <${Data}>${floor}<//></summary>
    ${open ? html`<img src=${path} alt=${t("plan_of", floor)} />` : null}</details>`;
}

function Coordinates({ at }) {
  const [copied, copy] = useState(false);
  if (!at) return null;
  const text = at.map((degrees) => degrees.toFixed(4)).join(", ");
  const take = async () => {
    await navigator.clipboard?.writeText(text);
    copy(true);
  };
  return html`<${Row} label=${t("coordinates")}><${Data}>${text}<//> <button type="button" class="small"
    onClick=${take}>
    ${copied ? t("copied") : t("copy")}</button><//>`;
}

export function Situation({ body }) {
  const { school: it, equipment, stale } = body;
  const old = stale ? ` (${t("stale")})` : "";
  return html`<ol class="rows" id="takeover-school">
    ${sees("people") ? html`<${Row} label=${t("inside_now") + old}>${number(body.inside)}<//>` : null}
    <${Row} label=${t("pupils")}>${number(it.pupils)}<//>
    <${Row} label=${t("status")}><${Status} is=${it.status} /><//>
    ${sees("security") && equipment ? html`<${Equipment} of=${equipment} />` : null}
    ${devicesOf(body.devices)
      .filter((d) => d.status !== "online" && !d.behind)
      .slice(0, 6)
      .map(
        (d) =>
          html`<${Row} label=${d.device} data=${true}
        class=${d.status}>${d.since_ms ? t(d.status) : t("never_heard")}<//>`,
      )}</ol>`;
}

export function Equipment({ of }) {
  const expired = of.contract_expires && of.contract_expires < day(nowMs());
  return html`<${Row} label=${t("panic_buttons")}>${of.panic_buttons}<//>
    <${Row} label=${t("police_link")}>${of.police_link ? t("yes") : t("no")}<//>
    <${Row} label=${t("contract")} class=${expired ? "bad" : ""}>${
      of.contract_company || of.contract_number
        ? html`<${Data}>${[of.contract_company, of.contract_number].filter(Boolean).join(" ")}<//>
        ${of.contract_expires ? html` <span>${t(expired ? "expired" : "until")} <${Data}>${
          of.contract_expires}<//></span>` : null}`
        : t("none")
    }<//>`;
}

export function Devices({ of }) {
  const devices = devicesOf(of);
  if (!devices.length) return html`<${Empty} />`;
  return html`<ol class="rows">${devices.map(
    (d) => html`<${Row} class=${d.status}
    label=${html`<${Data}>${[d.device, spot(d.place)].filter(Boolean).join(" · ")}<//>`}>
    ${
      !d.since_ms
        ? t("never_heard")
        : html`${t(d.status)}${d.behind ? ` · ${t("behind_gateway")}` : ""}
      ${
        d.status === "offline"
          ? html` · ${t("last_heard")} <${When}
        ms=${d.since_ms} />`
          : d.behind
            ? null
            : html` · ${t("since")} <${When}
        ms=${d.since_ms} />`
      }`
    }<//>`,
  )}</ol>`;
}
