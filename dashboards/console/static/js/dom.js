// The page's elements, made and found.
export const $ = (selector) => document.querySelector(selector);
export const all = (selector) => document.querySelectorAll(selector);
export const element = (tag, attributes = {}, ...children) => { const made = Object.assign(document.createElement(tag), attributes); made.append(...children); return made; };
export const row = (left, right, className = "") => element("li", {}, element("span", { textContent: left, className }), element("span", { textContent: right }));
