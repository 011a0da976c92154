// Over every page: where one can go, search, who one is; and what is wrong with the page itself.
import { html, useEffect, useRef, useState } from "./html.js";
import { found } from "./order.js";
import { Data, Link, SchoolName, Town } from "./parts.js";
import { href } from "./routes.js";
import { go, life, may, me, names, offers, route, school, second, signOut } from "./store.js";
import { heard, needsArming, armed, setVolume, test, volume } from "./sound.js";
import { LANGUAGES, clock, language, letters, speak, t, useLetters } from "./words.js";

const MOST_FOUND = 12;

export function Header() {
  return html`<header><${Link} class="brand" to="/" translate=${false}>Saqshy<//>
    <${Places} /><${Search} /><div class="tools">
    <${Languages} /><${Theme} /><${Letters} />
    <span id="clock" translate=${false}>${second.value ? `${clock(second.value)} UTC+5` : ""}</span>
    <span id="who"><b id="who-name"><${Data}>${me.value.name}<//> · ${t(`role_${me.value.role}`)}</b>
      <button id="sign-out" type="button" onClick=${signOut}>${t("sign_out")}</button></span></div>
        </header>`;
}

function Places() {
  const at = route.value.page,
    waiting = offers.value.length;
  const one = (page, id, text) => html`<li><${Link} id=${id} to=${href(page)}
    aria-current=${at === page ? "page" : undefined}>${text}<//></li>`;
  return html`<nav
    aria-label=${t("pages")}>
    <ul>${one("map", "map-open", t("to_map"))}${one("silent", "silent-open", t("silent"))}${
      one("alerts", "alerts-open", t("alerts"))}
    ${
      may("shift")
        ? one(
            "shift",
            "shift-open",
            html`${t("shift")}${
              waiting
                ? html` <b class="badge"
      translate=${false}>${waiting}</b>`
                : ""
            }`,
          )
        : null
    }
    ${may("review") ? one("audit", "audit-open", t("audit")) : null}</ul></nav>`;
}

export function Languages() {
  return html`<select id="language" aria-label=${t("language")} value=${language.value} translate=${false}
    onChange=${(event) => speak(event.target.value)}>
    ${Object.entries(LANGUAGES).map(
      ([code, own]) => html`<option value=${code}
      lang=${code}>${own}</option>`,
    )}</select>`;
}

export function Theme() {
  const turn = () => {
    const root = document.documentElement,
      next = root.dataset.theme === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    localStorage.setItem("theme", next);
    dispatchEvent(new Event("themed"));
  };
  return html`<button id="theme" type="button" aria-label=${t("theme")} title=${t("theme")} onClick=${turn}>
    <span aria-hidden="true" translate=${false}>◐</span></button>`;
}

export function Letters() {
  return html`<button id="letters" type="button" aria-pressed=${letters.value} title=${t("letters")}
    aria-label=${t("letters")} onClick=${() => useLetters(!letters.value)}>
    <span aria-hidden="true" translate=${false}>⌨</span></button>`;
}

// By any part of a name, a place or a number, in three languages, however it is typed.
export function Search() {
  const [typed, type] = useState(""),
    box = useRef(null);
  const ids = typed.trim() ? found(names.value, typed, MOST_FOUND) : [];
  const leave = () => type("");
  const links = () => [...box.current.querySelectorAll("a")];
  const moved = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") {
      leave();
      event.stopPropagation();
    }
    if (event.key === "Enter" && event.target.matches("input") && ids.length) {
      go(href("school", ids[0]));
      leave();
    }
    if (!step) return;
    event.preventDefault();
    const all = [box.current.querySelector("input"), ...links()];
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
  };
  useEffect(leave, [route.value.page, route.value.id]);
  return html`<div class="search" role="search" ref=${box} onKeyDown=${moved}>
    <input id="search" type="search" autocomplete="off" aria-label=${t("search")} placeholder=${t("search")}
      value=${typed} onInput=${(event) => type(event.target.value)} />
    ${
      typed.trim()
        ? html`<ul id="found">${ids.map(
            (id) => html`<li key=${id}>
      <${Link} to=${href("school", id)}><b><${SchoolName} id=${id} /></b>
      <small><${Data}>${id} · <${Town} of=${school(id)} /><//></small><//></li>`,
          )}</ul>
      <p id="found-count" role="status"
        class=${ids.length ? "unseen" : ""}>${ids.length ? t("found", ids.length) : t("nothing_found")}</p>`
        : null
    }</div>`;
}

// Silence never looks like peace.
export function NotLive() {
  const { dead, sinceMs } = life.value;
  if (!dead) return null;
  return html`<div id="not-live" role="alert"><strong>${t("not_live")}</strong> <span
    id="not-live-since">${sinceMs ? html`${t("since")} <${Data}>${clock(sinceMs)}<//>` : ""}</span>
    <p>${t("not_live_do")} <button type="button" onClick=${() => location.reload()}>${t("reload")}</button>
      </p></div>`;
}

export function Sound() {
  if (!needsArming()) return null;
  return html`<div id="sound-bar" role="status"><span id="sound-off">${t("sound_off")}</span>
    <button id="sound-arm" type="button" onClick=${test}>${t("sound_arm")}</button>
    ${
      armed.value === "testing"
        ? html`<span id="sound-asked">
      <label>${t("volume")} <input id="sound-volume" type="range" min="0.1" max="1" step="0.1"
      value=${volume.value} onInput=${(event) => setVolume(Number(event.target.value))} />
        </label> ${t("sound_heard")}
      <button id="sound-yes" type="button" onClick=${() => heard(true)}>${t("yes")}</button> <button
        id="sound-no" type="button" onClick=${() => heard(false)}>${t("no")}</button>
        </span>`
        : null
    }</div>`;
}
