// The caller's key. It is shown to the service once for a cookie that no script can read, which then opens everything,
// pictures and films, too; the key itself stays in this tab to ask for the next cookie.

const NAME = "fovea.key";

/** The key, for the header of a request; empty where none was asked for. */
export function key() {
  try {
    return sessionStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

let timer = 0;

/** Take a key, and the cookie that the service gives for it; says whether the service takes it. @param {string} text */
export async function enter(text) {
  const answer = await fetch("/v1/auth/token", {
    method: "POST", headers: { "X-API-Key": text, "Content-Type": "application/json" }, body: JSON.stringify({ cookie: true }),
  });
  if (answer.status === 401) return false;
  sessionStorage.setItem(NAME, text);
  if (answer.ok) {
    const { expires_in: seconds } = await answer.json();
    clearTimeout(timer);
    timer = window.setTimeout(renew, Math.min(800 * seconds, 2 ** 31 - 1)); // well before it ends
  }
  return true;
}

/** A new cookie for the key of this tab. */
export async function renew() {
  const text = key();
  if (text) await enter(text).catch(() => false);
}

/** Forget the key, and take the cookie away. */
export function forget() {
  sessionStorage.removeItem(NAME);
  clearTimeout(timer);
  return fetch("/v1/auth/token", { method: "DELETE" });
}
