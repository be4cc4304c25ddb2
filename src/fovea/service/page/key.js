// The caller's key. Requests show it in a header. Pictures, films and saved files can show nothing, so the service gives
// a cookie for the key, which no script can read, which opens those alone, and which is renewed while the page is open.
// The key itself stays in the tabs of this page: a new one asks the others for it.

const NAME = "fovea.key";
const RENEW_AT = 0.7; // of a cookie's life
const ANSWER_MS = 150;

/** The tabs of this page. */
const tabs = new BroadcastChannel(NAME);
let timer = 0, renewAt = Infinity;

/** The key, for the header of a request; empty where none was asked for. */
export function key() {
  try {
    return sessionStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

/** Take a key, and the cookie that the service gives for it; says whether the service takes it. @param {string} text */
export async function enter(text) {
  if (!(await open(text))) return false;
  sessionStorage.setItem(NAME, text);
  return true;
}

/** The cookie for a key; says whether the service takes it. @param {string} text */
async function open(text) {
  const answer = await fetch("/v1/auth/session", { method: "POST", headers: { "X-API-Key": text } });
  if (answer.status === 401) return false;
  if (answer.ok) {
    const { expires_in: seconds } = await answer.json();
    const wait = RENEW_AT * 1000 * seconds;
    clearTimeout(timer);
    timer = window.setTimeout(renew, wait);
    renewAt = Date.now() + wait;
  }
  return true;
}

/** A new cookie for the key of this tab. */
async function renew() {
  const text = key();
  if (text) await open(text).catch(() => false);
}

/** Forget the key in every tab, with all that was shown for it, and take the cookie away. */
export async function forget() {
  clearTimeout(timer);
  sessionStorage.removeItem(NAME);
  tabs.postMessage({ forget: true });
  await fetch("/v1/auth/session", { method: "DELETE" }).catch(() => {});
  location.reload();
}

/** The key of this tab, or of another one of this page, at work from the first picture on. */
export async function begin() {
  tabs.addEventListener("message", ({ data }) => {
    if (data.ask && key()) tabs.postMessage({ key: key() });
    if (data.forget && key()) {
      sessionStorage.removeItem(NAME);
      location.reload();
    }
  });
  // Timers stand still while a machine sleeps.
  document.addEventListener("visibilitychange", () => { if (!document.hidden && Date.now() > renewAt) renew(); });
  if (!key()) await fromAnotherTab();
  await renew();
}

function fromAnotherTab() {
  return new Promise((done) => {
    const hear = (/** @type {MessageEvent} */ { data }) => { if (data.key) { sessionStorage.setItem(NAME, data.key); done(undefined); } };
    tabs.addEventListener("message", hear);
    tabs.postMessage({ ask: true });
    setTimeout(() => { tabs.removeEventListener("message", hear); done(undefined); }, ANSWER_MS);
  });
}
