// Asking the server, and telling it what was done. The cookie goes along by itself.
let csrf = "";
export function keepToken(token) {
  csrf = token ?? "";
}

// {status, body}; status 0 when nobody answers.
export async function get(path) {
  return answer(fetch(path));
}
export async function post(path, body) {
  const headers = { "content-type": "application/json", "x-csrf-token": csrf };
  return answer(fetch(path, { method: "POST", body: JSON.stringify(body), headers }));
}

async function answer(asked) {
  try {
    const said = await asked;
    return { status: said.status, body: (await said.json().catch(() => null)) ?? {} };
  } catch {
    return { status: 0, body: {} };
  }
}
