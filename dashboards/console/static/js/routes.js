// Every place has an address. Pure.
const WITH_ID = new Set(["alarm", "school", "region"]);
const PAGES = new Set(["silent", "alerts", "shift", "audit", "components", "wall"]);

export function parse(path, search = "", hash = "") {
  const old = hash.match(/^#school=(KZ-\d\d-\d{5})$/); // an address of before
  if (old) return { page: "school", id: old[1], query: {} };
  const [page = "", id = "", ...rest] = path.split("/").slice(1).map(decoded);
  const query = Object.fromEntries(new URLSearchParams(search));
  if (!page && !id) return { page: "map", id: "", query };
  if (WITH_ID.has(page) && id && !rest.length) return { page, id, query };
  if (PAGES.has(page) && !id) return { page, id: "", query };
  return { page: "nowhere", id: "", query };
}

export function href(page, id = "", query = {}) {
  const path = page === "map" ? "/" : `/${page}${id ? `/${encodeURIComponent(id)}` : ""}`;
  const kept = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return kept ? `${path}?${kept}` : path;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
