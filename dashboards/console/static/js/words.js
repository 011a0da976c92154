// Words, names and times in the chosen language. What reads them is drawn anew when the language changes.
import { signal } from "./html.js";

export const LANGUAGES = { kk: "Қазақша", ru: "Русский", en: "English" };
export const language = signal("ru");
const words = signal({}),
  places = signal({});

// Whether a single letter acts (WCAG 2.2, 2.1.4): who speaks to the machine, or rests a hand on it, can
// turn that off. Then no word tells of a key any more.
export const letters = signal(localStorage.getItem("letters") !== "off");
export function useLetters(on) {
  letters.value = on;
  localStorage.setItem("letters", on ? "on" : "off");
}
const KEY_TOLD = / \([A-Z]\)$/;

export const t = (key, ...values) => {
  const text = values.reduce((said, value) => said.replace("{}", value), words.value[key] ?? key);
  return letters.value ? text : text.replace(KEY_TOLD, "");
};
export const has = (key) => key in words.value;
export const name = (school) => school?.names?.[language.value] ?? school?.id ?? "";
export const place = (key) => places.value[key]?.[language.value] ?? key ?? "";
export const allPlaces = () => places.value;

export async function speak(chosen) {
  const [said, named] = await Promise.all([
    fetch(`/static/i18n/${chosen}.json`),
    fetch("/static/i18n/places.json"),
  ]);
  words.value = await said.json();
  places.value = await named.json();
  language.value = chosen;
  document.documentElement.lang = chosen;
  localStorage.setItem("language", chosen);
}

// The whole country is on UTC+5 since March 2024; this zone says so whatever the browser's tables know.
const ZONE = "Etc/GMT-5",
  LAST_MS = 8.64e15; // a device's clock may say more than a Date holds
const part = (ms, of) => new Date(Math.min(ms, LAST_MS)).toISOString().slice(...of);
const AHEAD_MS = 5 * 3_600_000;
export const clock = (ms) => part(ms + AHEAD_MS, [11, 19]);
export const day = (ms) => part(ms + AHEAD_MS, [0, 10]);
export const moment = (ms, nowMs) =>
  !ms ? "" : day(ms) === day(nowMs) ? clock(ms) : `${day(ms)} ${clock(ms)}`;
const two = (n) => String(n).padStart(2, "0");
export function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000)),
    days = Math.floor(s / 86_400),
    rest = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  if (s < 3600) return rest;
  return days ? t("days", days, Math.floor(s / 3600) % 24) : `${Math.floor(s / 3600)}:${rest}`;
}
export const number = (n) =>
  n === undefined || n === null ? "–" : String(n).replace(/\B(?=(\d{3})+$)/g, "\u00a0");
export const zone = () => ZONE;

// What a lane's score rests on, in its own words, which are few.
const REASONS = [
  [/^one press$/, "why_one"],
  [/^pressed (\d+) times$/, "why_presses"],
  [/^(\d+) buttons/, "why_buttons"],
  [/^duress$/, "duress"],
  [/^the record could not/, "why_unread"],
  [/^late or replayed/, "why_late"],
  [/^inside a drill that (.+) answers for$/, "why_drill"],
  [/^cancelled /, "why_cancelled"],
];
export function reason(text) {
  const known = REASONS.find(([said]) => said.test(text));
  return known ? t(known[1], text.match(known[0])[1] ?? "") : text;
}

// Where a button hangs, as registries write it. What is in no table is told as it is written.
const SPOTS = [
  [/^(\d+)[ -]?(?:этаж|қабат|floor)$/i, "spot_floor"],
  [/^(?:вахта|пост охраны|күзет орны|guard post)$/i, "spot_guard"],
  [/^(?:приёмная|приемная) директора$/i, "spot_director"],
  [/^(?:столовая|асхана|canteen)$/i, "spot_canteen"],
  [/^(?:спортзал|спортивный зал|спорт залы|gym)$/i, "spot_gym"],
  [/^(?:двор|аула|yard)$/i, "spot_yard"],
  [/^(?:коридор|дәліз|corridor)$/i, "spot_corridor"],
  [/^(?:ворота|қақпа|gate)$/i, "spot_gate"],
  [/^(?:лестница|баспалдақ|stairs)$/i, "spot_stairs"],
  [/^(?:кабинет|класс|сынып|classroom)$/i, "spot_classroom"],
];
export const spot = (text) =>
  (text ?? "")
    .split(/,\s*/)
    .map((one) => {
      const known = SPOTS.find(([written]) => written.test(one));
      return known ? t(known[1], one.match(known[0])[1] ?? "") : one;
    })
    .join(", ");

// An outage's scope is "provider:caspian-link region:KZ-27"; each part in words.
export function scope(text) {
  return text
    .split(" ")
    .map((one) => {
      const [, key, value] = one.match(/^(provider|region|district):(.+)$/) ?? [];
      return key === "provider" ? `${t("provider")} ${value}` : place(value ?? one);
    })
    .join(", ");
}

// Who did it: our own parts are named in words, people as they are.
export function actor(who) {
  if (!who?.startsWith("saqshy:")) return who ?? "";
  const key = `part_${who.slice(7).replace(/\W/g, "_")}`;
  return has(key) ? t(key) : t("part_other");
}
