// What may be done about one alarm. Each act carries the id of the alarm that its button was drawn for.
import { possible } from "./desk.js";
import { html, useState } from "./html.js";
import { sameCause } from "./order.js";
import { Data, Dialog, SchoolName, When, close } from "./parts.js";
import {
  act,
  actOnAll,
  answerOf,
  dialog,
  draftOf,
  may,
  me,
  nowMs,
  panics,
  read,
  settling,
  writeDraft,
} from "./store.js";
import { has, t } from "./words.js";

const HOUR_MS = 3_600_000,
  SILENCES_H = [1, 4, 8, 24],
  SCORES = [0, 1, 2, 3, 4];

export function Actions({ alert }) {
  const id = alert.id,
    can = possible(alert, me.value),
    changing = settling();
  const [person, assign] = useState(""),
    [score, rate] = useState("2"),
    [hours, silence] = useState("1");
  if (!may("step")) return html`<p id="takeover-actions" class="onlooker">${t("looks_on")}</p>`;
  const button = (took, more, kind = "") =>
    can[took]
      ? html`<button type="button" data-took=${took}
    class=${kind}
    onClick=${(event) => act(id, took, event.timeStamp, more?.())}>${t(`do_${took}`)}</button>`
      : null;
  const alike = alert.duress ? [] : sameCause(panics.value, alert),
    people = me.value.people ?? [];
  const first = can.acknowledged ? "acknowledged" : can.dispatched ? "dispatched" : "";
  const loud = (took) => (took === first ? "loud" : "firm");
  return html`<div id="takeover-actions" role="group" aria-label=${t("actions")}
    class=${changing ? "changing" : ""}>
    <div class="acts">${button("acknowledged", null, loud("acknowledged"))}${
      button("dispatched", null, loud("dispatched"))}${button("arrived")}
      ${
        can.closed
          ? html`<button type="button" data-took="closed"
        onClick=${(event) => {
          const { seen, number } = alert;
          if (read(id, event.timeStamp)) dialog.value = { kind: "close", id, seen, number };
        }}>${t("do_closed")}</button>`
          : null
      }
      ${button("promoted")}${button("reopened")}
      ${
        alike.length && may("step")
          ? html`<button type="button" id="takeover-alike"
        onClick=${(event) => actOnAll(id, event.timeStamp, [alert, ...alike])}>
        ${t("acknowledge_alike", alike.length + 1)}</button>`
          : null
      }</div>
    <div class="acts"><label class="grows"><span>${t("note")}</span>
      <input id="takeover-note" maxlength="1000" autocomplete="off" value=${draftOf(id)}
        onInput=${(event) => writeDraft(id, event.target.value)} /></label>
      ${button("noted")}</div>
    <div class="acts">
      ${
        can.assigned && people.length
          ? html`<label><span>${t("person")}</span>
        <select id="takeover-people" value=${person || people[0]} translate=${false}
        onChange=${(event) => assign(event.target.value)}>${people.map(
          (login) => html`<option
          value=${login}>${login}</option>`,
        )}</select></label>
        ${button("assigned", () => ({ target: person || people[0] }))}`
          : null
      }
      ${
        can.verified
          ? html`<label><span>${t("score")}</span>
        <select id="takeover-score" value=${score} onChange=${(event) => rate(event.target.value)}>
        ${SCORES.map((n) => html`<option value=${n}>${n}</option>`)}</select>
          </label>${button("verified", () => ({ score: Number(score) }))}`
          : null
      }
      ${
        can.silenced
          ? html`<label><span>${t("hours")}</span>
        <select id="takeover-hours" value=${hours} onChange=${(event) => silence(event.target.value)}>
        ${SILENCES_H.map((n) => html`<option value=${n}>${n}</option>`)}</select></label>
        ${button("silenced", () => ({ until_ms: Math.round(nowMs()) + Number(hours) * HOUR_MS }))}`
          : null
      }</div>
    <${Answer} id=${id} of=${alert} />
  </div>`;
}

// What came of an act, in the words of its own alarm.
export function Answer({ id, of }) {
  const answer = answerOf(id);
  return html`<p id="takeover-said" role="status" data-alert=${id}
    class=${answer && answer.status !== 200 ? "refused" : ""}>
    ${answer ? html`<${AnswerText} answer=${answer} of=${of} />` : ""}</p>`;
}
export function AnswerText({ answer, of }) {
  const { status, body, took } = answer;
  if (status === 200)
    return html`${t(`took_${took}`)} ✓${has(`kept_${body.kept}`) ? html` · ${t(`kept_${body.kept}`)}`
      : ""}`;
  if (status === 409 && body.by) {
    return html`${t("somebody_was_first")}: <${Data}>${body.by}<//> · ${t(`took_${body.took}`)} · <${When}
      ms=${body.ms} />
      ${of?.school ? html` · <${SchoolName} id=${of.school} />` : ""}`;
  }
  return html`${t("refused")}: ${t(has(`refused_${status}`) ? `refused_${status}` : "refused_0")}`;
}

// Only a close asks: what was it? Escape and "Cancel" do nothing to the alarm.
export function CloseDialog({ alert, seen, number }) {
  const outcomes = alert.kind === "panic" ? ["real", "false", "drill"] : ["none"];
  const decide = (outcome, at) => {
    close();
    act(alert.id, "closed", at, { seen, number, ...(outcome === "none" ? {} : { outcome }) });
  };
  return html`<${Dialog} id="close-dialog" title=${t("close_asks")} onClose=${close}>
    <p><b><${SchoolName} id=${alert.school} /></b></p>
    <div class="acts">${outcomes.map(
      (outcome) => html`<button type="button" data-outcome=${outcome}
      class="firm" onClick=${(event) => decide(outcome, event.timeStamp)}>
      ${t(`close_${outcome}`)}</button>`,
    )}<button type="button" id="close-cancel"
        onClick=${close}>${t("cancel")}</button></div><//>`;
}
