// Who came and went: bars with an axis, a number for each, and the same as a table for who does not see
// them.
import { html } from "./html.js";
import { clock, number, t } from "./words.js";

const WIDTH = 360,
  HEIGHT = 120,
  LEFT = 34,
  BOTTOM = 20,
  TOP = 14,
  TICKS = 4;

export function Flow({ flow, expected = [] }) {
  const usual = new Map(expected.map(([ms, came]) => [ms, Math.round(came)]));
  const most = Math.max(1, ...usual.values(), ...flow.map(([, came, went]) => Math.max(came, went)));
  const first = flow[0]?.[0] ?? 0,
    last = flow.at(-1)?.[0] ?? 0,
    span = Math.max(1, last - first);
  const wide = Math.max(2, Math.min(12, (WIDTH - LEFT) / Math.max(1, flow.length) / 2 - 1));
  const x = (ms) => LEFT + ((ms - first) / span) * (WIDTH - LEFT - 2 * wide - 2);
  const tall = (count) => (count / most) * (HEIGHT - BOTTOM - TOP),
    floor = HEIGHT - BOTTOM;
  const bars = (kind, of, shift) =>
    flow.map(
      (row) => html`<rect class=${kind} x=${x(row[0]) + shift}
    y=${floor - tall(row[of])}
    width=${wide} height=${tall(row[of])}><title>${clock(row[0])} ${t(kind)} ${row[of]}</title></rect>`,
    );
  const steps = flow
    .filter(([ms]) => usual.has(ms))
    .map(([ms]) => `${x(ms)},${floor - tall(usual.get(ms))} h${2 * wide + 1}`);
  const total = (of) => flow.reduce((sum, row) => sum + row[of], 0);
  return html`<figure class="flow">
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img"
      aria-label=${`${t("flow")}: ${t("came_in")} ${total(1)}, ${t("went_out")} ${total(2)}`}>
      <line x1=${LEFT} x2=${WIDTH} y1=${floor} y2=${floor} />
        <line x1=${LEFT} x2=${WIDTH} y1=${TOP} y2=${TOP} class="grid" />
      <text x=${LEFT - 4} y=${TOP + 4} text-anchor="end">${number(most)}</text>
        <text x=${LEFT - 4} y=${floor} text-anchor="end">0</text>
      ${Array.from({ length: TICKS + 1 }, (_, n) => first + (span * n) / TICKS).map(
        (ms, n) => html`<text
        x=${x(ms) + wide} y=${HEIGHT - 5}
        text-anchor=${n === 0 ? "start" : n === TICKS ? "end" : "middle"}>${clock(ms).slice(0, 5)}</text>`,
      )}
      ${bars("came_in", 1, 0)}${bars("went_out", 2, wide + 1)}
      ${steps.length ? html`<path class="expected" d=${`M${steps.join(" M")}`} />` : null}</svg>
    <figcaption><span class="key came_in">${t("came_in")}: ${number(total(1))}</span> <span
      class="key went_out">${t("went_out")}: ${number(total(2))}</span> ${
        steps.length ? html`<span class="key expected">${t("flow_expected")}</span>` : null
      }</figcaption>
    <details><summary>${t("as_table")}</summary><table><thead><tr><th>${t("time")}</th>
      <th>${t("came_in")}</th><th>${t("went_out")}</th><th>${t("flow_expected")}</th></tr></thead>
      <tbody>${flow.map(
        ([ms, came, went]) => html`<tr><td translate=${false}>${clock(ms).slice(0, 5)}</td>
        <td>${came}</td><td>${went}</td><td>${usual.get(ms) ?? ""}</td></tr>`,
      )}</tbody></table></details>
  </figure>`;
}
