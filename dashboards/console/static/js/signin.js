// Who is signed in, and the way in and out.
import { get, post } from "./api.js";
import { $ } from "./dom.js";
import { state } from "./state.js";
import { t } from "./words.js";

// `entered` is called when somebody is signed in, `left` when nobody is any more.
export async function startSignIn(entered, left) {
  $("#sign-in").addEventListener("cancel", (event) => event.preventDefault());
  $("#sign-in-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const { status, body } = await post("/api/sign-in", { login: $("#login").value.trim(), password: $("#password").value });
    $("#password").value = "";
    if (status === 200) await whoAmI(entered);
    else $("#sign-in-said").textContent = status === 401 ? t("wrong_password") : status === 429 ? `${t("too_many_tries")} ${body.retry_after_s} s` : body.error || t("refused");
  });
  $("#sign-out").addEventListener("click", async () => {
    const { body } = await post("/api/sign-out", {});
    left();
    if (body?.location) location.assign(body.location); // signed in there, too
  });
  if (!(await whoAmI(entered))) ask();
}

export function ask() {
  $("#who").hidden = true;
  if (!$("#sign-in").open) $("#sign-in").showModal();
}

async function whoAmI(entered) {
  const { status, body } = await get("/api/me");
  if (status !== 200) { $("#sign-in-oidc").hidden = !body.oidc; return false; }
  state.me = body;
  $("#sign-in-said").textContent = "";
  $("#who-name").textContent = `${body.name} · ${t(`role_${body.role}`)}`;
  $("#who").hidden = false;
  $("#sign-in").close();
  entered();
  return true;
}
