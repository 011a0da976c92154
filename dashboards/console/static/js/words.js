// Words, names and times in the chosen language.
import { $, all } from "./dom.js";

let words = {}, places = {};
export const language = () => $("#language").value;
export const t = (key) => words[key] ?? key;
export const name = (school) => school?.names?.[language()] ?? school?.id ?? "?";
// A region or a district by its own name, where we have one.
export const place = (key) => places[key]?.[language()] ?? key;

// The whole country is on UTC+5 since March 2024; this zone says so whatever the browser's tables know.
const ZONE = "Etc/GMT-5";
// A device's clock may say more than a Date holds.
const date = (ms) => new Date(Math.min(ms, 8.64e15));
export const clock = (ms) => date(ms).toLocaleTimeString(language(), { hour12: false, timeZone: ZONE });
const day = (ms) => date(ms).toLocaleDateString(language(), { timeZone: ZONE });
export const moment = (ms, nowMs) => (day(ms) === day(nowMs) ? clock(ms) : `${day(ms)} ${clock(ms)}`);
const two = (n) => String(n).padStart(2, "0");
export const age = (ms) => { const s = Math.max(0, Math.floor(ms / 1000)); return s < 3600 ? `${two(Math.floor(s / 60))}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`; };

// What a lane's score rests on, in its own words, which are few.
const REASONS = [[/^one press$/, "why_one"], [/^pressed (\d+) times$/, "why_presses"], [/^(\d+) buttons/, "why_buttons"], [/^duress$/, "duress"],
  [/^the record could not/, "why_unread"], [/^late or replayed/, "why_late"], [/^inside a drill that (.+) answers for$/, "why_drill"]];
export function reason(text) {
  for (const [said, key] of REASONS) { const found = text.match(said); if (found) return t(key).replace("{}", found[1] ?? ""); }
  return text;
}

export async function speak(chosen) {
  const [said, named] = await Promise.all([fetch(`/static/i18n/${chosen}.json`), fetch("/static/i18n/places.json")]);
  words = await said.json(); places = await named.json();
  document.documentElement.lang = chosen;
  localStorage.setItem("language", chosen);
  for (const node of all("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of all("[data-t-placeholder]")) { node.placeholder = t(node.dataset.tPlaceholder); node.ariaLabel = t(node.dataset.tPlaceholder); }
  for (const node of all("[data-t-label]")) node.ariaLabel = t(node.dataset.tLabel);
}
