// Asking the server, and telling it what was done. The cookie goes along by itself.
import { state } from "./state.js";

export async function get(path) {
  const answer = await fetch(path);
  return { status: answer.status, body: await answer.json().catch(() => ({})) };
}

export async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST", body: JSON.stringify(body),
      headers: { "content-type": "application/json", "x-csrf-token": state.me?.csrf ?? "" },
    });
    return { status: answer.status, body: await answer.json().catch(() => ({})) };
  } catch {
    return { status: 0, body: { error: "" } };
  }
}
