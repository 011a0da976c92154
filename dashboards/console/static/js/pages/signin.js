// Before and after a session: this screen shows nothing, says so, and why.
import { Languages, Theme } from "../header.js";
import { html, useState } from "../html.js";
import { Data } from "../parts.js";
import { endedMs, oidc, session, signIn } from "../store.js";
import { clock, t } from "../words.js";

export function SignIn() {
  const [said, tell] = useState("");
  const enter = async (event) => {
    event.preventDefault();
    const { login, password } = event.target.elements,
      typed = password.value;
    password.value = "";
    tell(await signIn(login.value.trim(), typed));
  };
  return html`<main id="sign-in" class="out"><div class="tools"><${Languages} /><${Theme} /></div>
    <h1 translate=${false}>Saqshy</h1>
    ${
      session.value === "ended"
        ? html`<p id="ended"
      role="alert">${t("session_ended")} ${endedMs.value ? html`<${Data}>${clock(endedMs.value)}<//>`
        : ""}. ${t("shows_nothing")}</p>`
        : html`<p id="ended">${t("shows_nothing")}</p>`
    }
    <form id="sign-in-form" aria-labelledby="sign-in-title" onSubmit=${enter}>
      <h2 id="sign-in-title">${t("sign_in")}</h2>
      <label><span>${t("login")}</span><input id="login" name="login" autocomplete="username" required
        maxlength="64" /></label>
      <label><span>${t("password")}</span><input id="password" name="password" type="password"
        autocomplete="current-password" required maxlength="256" /></label>
      <button type="submit" class="firm">${t("sign_in")}</button>
      ${oidc.value ? html`<a id="sign-in-oidc" href="/oidc/begin">${t("sign_in_oidc")}</a>` : null}
      <p id="sign-in-said" role="alert">${said}</p></form></main>`;
}
