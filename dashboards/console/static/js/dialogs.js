// The one dialog that may be open, and answers to alarms that are not before one's eyes any more.
import { AnswerText, CloseDialog } from "./acts.js";
import { html } from "./html.js";
import { DrillDialog } from "./pages/school.js";
import { Link, SchoolName } from "./parts.js";
import { href } from "./routes.js";
import { alarm, answersElsewhere, dialog, forgetAnswer } from "./store.js";
import { t } from "./words.js";

export function Dialogs() {
  const open = dialog.value;
  if (open?.kind === "drill") return html`<${DrillDialog} id=${open.id} />`;
  const alert = open && alarm(open.id);
  return alert
    ? html`<${CloseDialog} key=${open.id} alert=${alert} seen=${open.seen}
    number=${open.number} />`
    : null;
}

// A refusal is told with the name of its school; what was done is told by the alarm itself.
export function AnswersElsewhere() {
  return answersElsewhere()
    .filter(([, answer]) => answer.status !== 200)
    .map(([id, answer]) => {
      const alert = alarm(id);
      return html`<div class="elsewhere" role="alert" key=${id} data-alert=${id}><b>
      <${Link} to=${href("alarm", id)}>
      ${alert ? html`<${SchoolName} id=${alert.school} />` : t("alarm")}<//>
        </b> <${AnswerText} answer=${answer} />
      <button type="button" onClick=${() => forgetAnswer(id)}>${t("understood")}</button></div>`;
    });
}
