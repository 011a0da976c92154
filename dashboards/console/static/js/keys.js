// Keys of the whole page. A dialog and a field own the keyboard; a key acts on the alarm that is shown.
import { act, alarm, dialog, go, leaveAlarm, may, nextAlarm, onWall, read, shown, touch } from "./store.js";
import { letters } from "./words.js";

const ACTS = { a: "acknowledged", d: "dispatched", r: "arrived", p: "promoted" };

export function startKeys() {
  for (const name of ["pointerdown", "input"]) document.addEventListener(name, touch, true);
  document.addEventListener("keydown", pressed);
}

function pressed(event) {
  if (onWall()) return;
  const target = event.target,
    id = shown();
  if (dialog.value || document.querySelector("dialog[open]")) {
    touch();
    return;
  }
  if (target.matches("input, select, textarea")) {
    touch();
    if (event.key === "Escape") target.blur(); // Escape does one thing
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key.length === 1 && !letters.value) {
    touch();
    return;
  }
  if (key === "/") {
    focus(event, "#search");
    return;
  }
  if (key === "n" || key === "j") nextAlarm();
  else if (key === "k") nextAlarm(-1);
  else if (key === "escape" && id) leaveAlarm();
  else if (key === "escape") go("/");
  else if (id && may("step") && !event.repeat) {
    if (key === "c") {
      if (alarm(id) && read(id, event.timeStamp))
        document.querySelector("#takeover-actions [data-took=closed]")?.click();
    } else if (key === "t") focus(event, "#takeover-note");
    else if (ACTS[key]) act(id, ACTS[key], event.timeStamp);
  }
  touch();
}

function focus(event, selector) {
  event.preventDefault();
  document.querySelector(selector)?.focus();
}
