// Small parts that the pages are made of. What is data and not a word of ours is not to be translated.
import { html, useEffect, useRef } from "./html.js";
import { nextTo } from "./order.js";
import { href } from "./routes.js";
import { alarm, dialog, go, me, panics, presence, route, school, second, waiting } from "./store.js";
import { actor, age, has, moment, name, number, place, reason, scope, t } from "./words.js";

// A link within the page; a new tab, a copy of its address and back work as everywhere.
export function Link({ to, children, ...rest }) {
  const follow = (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(to);
  };
  return html`<a href=${to} onClick=${follow} ...${rest}>${children}</a>`;
}

export const Data = ({ children, ...rest }) => html`<span translate=${false} ...${rest}>${children}</span>`;
export const Age = ({ since }) => html`<time
  translate=${false}>${second.value ? age(second.value - since) : "–"}</time>`;
export const Ended = ({ since, at }) => html`<time translate=${false}>${age(at - since)}</time>`;
export const When = ({ ms }) => html`<time translate=${false}>${moment(ms, second.value || ms)}</time>`;
export const Status = ({ is }) => html`<span class="status ${is}">${t(is)}</span>`;
export const Empty = ({ text = "none" }) => html`<p class="empty">${t(text)}</p>`;
export const Row = ({ label, data, children, class: kind = "" }) => html`<li class="row ${kind}">
  <span>${data ? html`<${Data}>${label}<//>` : label}</span><span>${children}</span></li>`;

export const Town = ({ of }) =>
  html`${place(of?.district)}${of && of.district !== of.region ? ` · ${place(of.region)}` : ""}`;
export const SchoolName = ({ id }) => html`<${Data}>${name(school(id)) || id}<//>`;
export const SchoolLink = ({ id }) => html`<${Link} to=${href("school", id)}><${SchoolName} id=${id} />
  <//>`;

export function Tel({ phone }) {
  const dial = phone.replace(/[^\d+]/g, "");
  return dial.length > 2
    ? html`<a class="tel" href="tel:${dial}"
    translate=${false}>${phone}</a>`
    : html`<${Data}>${phone}<//>`;
}
// "the duty officer +7 7172 00 00 00": the number in it is a link.
export function ToCall({ text }) {
  const [phone] = text.match(/\+?\d[\d ()-]{4,}\d/) ?? [];
  return phone
    ? html`<${Data}>${text.slice(0, text.indexOf(phone))}<//><${Tel} phone=${phone} />
    <${Data}>${text.slice(text.indexOf(phone) + phone.length)}<//>`
    : html`<${Data}>${text}<//>`;
}

export function flags(alert) {
  const why = alert.why.map((text) => [reason(text), reason(text) === text]);
  const told = new Set(alert.duress ? [t("duress")] : []);
  return [
    alert.duress && [t("duress"), false, "bad"],
    alert.drill && [t("drill"), false],
    alert.count > 1 && [`${alert.count} ${t("presses")}`, false],
    alert.unidentified && [t("unidentified"), false, "bad"],
    alert.late && [t("late_press"), false, "bad"],
    alert.score !== null && alert.score !== undefined && [t("score_of", alert.score), false],
    ...why.filter(([text]) => !told.has(text)),
  ].filter(Boolean);
}
export const Flags = ({ of }) => html`<ul class="flags"
  id="takeover-flags">${flags(of).map(
    ([text, data, kind = ""]) => html`<li class=${kind} translate=${!data}>${text}</li>`,
  )}
  ${of.delivered_to.map((center) => html`<li>${t("delivered")} <${Data}>${center}<//></li>`)}</ul>`;

export const Looking = ({ id }) => {
  const people = presence.value.get(id)?.filter((name) => name !== me.value?.name);
  return people?.length
    ? html`<span class="looking">${t("looking")} <${Data}>${people.join(", ")}<//>
    </span>`
    : null;
};

// Where an alert is, in words.
export function Where({ of }) {
  if (of.scope && of.kind !== "outage") return html`<${Data}>${place(of.scope)}<//>`;
  if (of.scope) return html`<${Data}>${scope(of.scope)}<//>`;
  return of.school ? html`<${SchoolName} id=${of.school} />` : t("ours");
}

export function Timeline({ of }) {
  const first = of.kind === "panic" ? t("pressed") : t("state_open");
  return html`<ol id="takeover-timeline" class="rows">
    <${Row} label=${html`<${When} ms=${of.opened_ms} /> ${first}`}><${Data}>${of.device}<//><//>
    ${of.timeline.map(
      (step) => html`<${Row} key=${step.id} label=${html`<${When}
      ms=${step.ms} /> ${t(`took_${step.took}`)}`}>
      <${Said} step=${step} /><//>`,
    )}</ol>`;
}
function Said({ step }) {
  const who = actor(step.actor),
    ours = step.actor.startsWith("saqshy:");
  const target = step.target && step.target !== step.actor ? step.target : "";
  const parts = [
    ours ? html`<span>${who}</span>` : html`<${Data}>${who}<//>`,
    target && html`<${Data}>${target}<//>`,
    step.outcome && html`<span>${t(`outcome_${step.outcome}`)}</span>`,
    step.note && html`<${Data}>${step.note}<//>`,
  ].filter(Boolean);
  return parts.map((part, at) => html`${at ? " · " : ""}${part}`);
}

// A dialog owns the keyboard while it is open; what waits is announced within it, too.
export function Dialog({ id, title, onClose, children }) {
  const ref = useRef(null);
  useEffect(() => {
    const node = ref.current,
      before = document.activeElement;
    node.showModal();
    node.querySelector(".acts button")?.focus(); // and not what is announced above it
    return () => {
      node.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  return html`<dialog id=${id} ref=${ref} aria-labelledby="${id}-title"
    onCancel=${(event) => {
      event.preventDefault();
      onClose();
    }}>
    <${Announce} within=${true} /><h2 id="${id}-title">${title}</h2>${children}</dialog>`;
}
export const close = () => {
  dialog.value = null;
};

// Who else waits, wherever one looks.
export function Announce({ within = false }) {
  const onPage = route.value.page === "alarm" ? route.value.id : "";
  const others = waiting.value.filter((panic) => panic.id !== onPage);
  const next = alarm(nextTo(panics.value, onPage));
  if (!others.length || !next) return null;
  const at = school(next.school);
  return html`<div class="announce" id=${within ? "announce-within" : "announce"}
    role=${within ? "group" : "region"} aria-label=${t("more_wait", others.length)}>
    <span role="alert"><strong>${t("more_wait", others.length)}</strong> <${SchoolName} id=${next.school} />
      ${at ? html` · <${Data}><${Town} of=${at} /><//>` : ""}</span>
    <${Age} since=${next.opened_ms} />
    <${Link} to=${href("alarm", next.id)} onClickCapture=${close}>${t("go_there")}<//></div>`;
}

export const Counter = ({ is, label, value, class: kind = "" }) => html`<div class="counter ${kind}">
  <dt>${t(label)}</dt><dd data-n=${is} translate=${false}>${value === undefined ? "–" : number(value)}</dd>
    </div>`;
