// What each part of /components looks like, as lines: its boxes within its part, and their colours.
() => {
  const hex = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    const digits = [r, g, b].map((one) => Math.round(one).toString(16).padStart(2, "0")).join("");
    return a === 0 ? "-" : `${digits}${a === 1 ? "" : `@${a}`}`;
  };
  const lines = [];
  const within = (node, depth, { left, top }) => {
    if (!node.checkVisibility() || node.tagName === "OPTION") return;
    const box = node.getBoundingClientRect(), style = getComputedStyle(node);
    const name = [node.localName, ...[...node.classList].sort()].join(".");
    const place = [box.left - left, box.top - top, box.width, box.height].map(Math.round).join(" ");
    const border = parseFloat(style.borderLeftWidth) ? hex(style.borderLeftColor) : "-";
    const before = getComputedStyle(node, "::before");
    const sign = before.content === "none" || before.display === "none" ? ""
      : ` ${before.content} ${hex(before.color)}`;
    lines.push(`${"  ".repeat(depth)}${name} [${place}] ${hex(style.color)} ${hex(style.backgroundColor)}`
      + ` ${border} ${style.fontWeight}${sign}`);
    if (node.localName !== "svg") for (const child of node.children) within(child, depth + 1, { left, top });
  };
  for (const part of document.querySelectorAll(".components > *"))
    within(part, 0, part.getBoundingClientRect());
  return lines;
}
