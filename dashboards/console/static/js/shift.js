// Handing a shift over, and the supervisor's review of who saw and did what.
import { get, post } from "./api.js";
import { $, element } from "./dom.js";
import { may, panics, schools } from "./state.js";
import { clock, name, t } from "./words.js";

export function startShift() {
  $("#shift-open").addEventListener("click", async () => { await drawShift(); $("#shift").showModal(); });
  $("#shift-close").addEventListener("click", () => $("#shift").close());
  $("#shift-offer").addEventListener("click", async () => {
    const { status, body } = await post("/api/shift/offer", { note: $("#shift-note").value });
    $("#shift-said").textContent = status === 200 ? t("shift_offered") : body.error || t("refused");
    await drawShift();
  });
  $("#audit-open").addEventListener("click", async () => { await drawAudit(); $("#audit").showModal(); });
  $("#audit-close").addEventListener("click", () => $("#audit").close());
}

export function drawShiftButtons() { $("#shift-open").hidden = !may("shift"); $("#audit-open").hidden = !may("review"); }

const titles = (ids) => ids.map((id) => { const panic = panics.get(id); return panic ? `${name(schools.get(panic.school) ?? { id: panic.school })} · ${clock(panic.opened_ms)} · ${t(`state_${panic.state}`)}` : id; });
const items = (texts) => (texts.length ? texts.map((textContent) => element("li", { textContent })) : [element("li", { textContent: t("none") })]);

async function drawShift() {
  const { status, body } = await get("/api/shift");
  if (status !== 200) return;
  $("#shift-list").replaceChildren(...items(titles(body.open)));
  $("#shift-offers").replaceChildren(...(body.offers.length ? body.offers.map((offer) => {
    const button = element("button", { type: "button", textContent: t("shift_accept") });
    button.addEventListener("click", async () => {
      const said = await post("/api/shift/accept", { offer: offer.id });
      $("#shift-said").textContent = said.status === 200 ? t("shift_accepted") : said.body.error || t("refused");
      await drawShift();
    });
    return element("li", {}, element("span", { textContent: `${offer.by} · ${clock(offer.at_ms)} · ${offer.alerts.length}${offer.note ? ` · ${offer.note}` : ""} ` }), button, element("ol", {}, ...items(titles(offer.alerts))));
  }) : items([])));
}

async function drawAudit() {
  const { status, body } = await get("/api/audit");
  if (status !== 200) return;
  $("#audit-chain").textContent = body.broken ? `${t("audit_broken")} ${body.broken.line}: ${body.broken.what}` : `${t("audit_whole")} · ${body.count} · ${body.head}`;
  $("#audit-chain").className = body.broken ? "refused" : "";
  $("#audit-rows").replaceChildren(...body.entries.map((entry) => element("tr", {}, ...[entry.n, clock(entry.at_ms), entry.who, entry.did,
    ["alert", "school", "took", "outcome", "note", "login", "offer"].map((key) => entry[key]).filter(Boolean).join(" · ")].map((textContent) => element("td", { textContent })))));
}
