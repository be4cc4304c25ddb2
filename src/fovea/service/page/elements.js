// Elements of the page: making them, small drawings for buttons, and a place for what the page has to say.

/** @typedef {Record<string, any>} Properties */

const SVG = "http://www.w3.org/2000/svg";

/** Strokes on a 24 x 24 grid. */
const DRAWINGS = {
  photo: "M4 5h16v14H4zM4 15l5-5 5 5 3-3 3 3M15 9.5h.01",
  jobs: "M4 6h3v3H4zM4 15h3v3H4zM11 7.5h9M11 16.5h9",
  add: "M12 5v14M5 12h14",
  study: "M5 19V5M5 19h14M8.5 15.5h.01M11 10.5h.01M14 13h.01M17 7h.01",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6z",
  hidden: "M4 4l16 16M9.9 5.8A9 9 0 0 1 12 5.5c6 0 9.5 6.5 9.5 6.500a16 16 0 0 1-3 3.700M6.5 7.700A16 16 0 0 0 2.5 12S6 18.5 12 18.500a9 9 0 0 0 4.2-1",
  trash: "M5 7h14M9.5 7V4.500h5V7M7 7l.8 12.500h8.400L17 7M10.3 10.500v6M13.7 10.500v6",
  film: "M4 6h11v12H4zM15 10.5 20.5 7v10L15 13.5",
  download: "M12 4v11M7.5 11 12 15.5 16.5 11M5 19.500h14",
  home: "M4 11.5 12 5l8 6.500M6.5 10v9h11v-9",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  sliders: "M5 7h8M17 7h2M5 12h2M11 12h8M5 17h9M18 17h1M13 5v4M7 10v4M14 15v4",
  stop: "M7 7h10v10H7z",
  again: "M5 12a7 7 0 1 0 2.2-5.100M5 4.500V8h3.5",
  open: "M13.5 5H19v5.500M19 5l-8 8M17 14v5H5V7h5",
  close: "M6 6l12 12M18 6 6 18",
  back: "M14.5 5.5 8 12l6.5 6.5",
  key: "M14.5 4.500a5 5 0 1 1-4.3 7.500L4 18.200V20h3v-2h2v-2h2M15.5 8.500h.01",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M18.7 5.300l-1.4 1.400M6.7 17.300l-1.4 1.4",
  moon: "M19.5 14.500A8 8 0 0 1 9.5 4.500a8 8 0 1 0 10 10z",
  file: "M6.5 3.500h7l4 4v13h-11zM13.5 3.500v4h4",
  folder: "M3.5 6.500h6l2 2h9v10h-17z",
  warning: "M12 4.5 21 19.500H3zM12 10v4.500M12 17h.01",
  edit: "M5 19h3.500L19 8.5 15.5 5 5 15.500z",
};

/**
 * An element; properties that it has are set, others become attributes, `on` listens.
 * @param {string} name
 * @param {Properties} [properties]
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {any}
 */
export function make(name, { text, on = {}, ...properties } = {}, ...children) {
  const element = /** @type {any} */ (document.createElement(name));
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key in element && key !== "list") element[key] = value;
    else element.setAttribute(key, value);
  }
  for (const [event, action] of Object.entries(on)) element.addEventListener(event, action);
  element.append(.../** @type {any[]} */ (children.filter((child) => child || child === "")));
  return element;
}

/** @param {keyof typeof DRAWINGS} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = svg.appendChild(document.createElementNS(SVG, "path"));
  path.setAttribute("d", DRAWINGS[name]);
  return svg;
}

/**
 * A button with a drawing, a word, or both; without a word `label` names it.
 * @param {{drawing?: keyof typeof DRAWINGS, word?: string, label?: string, className?: string, press: (event: Event) => void} & Properties} about
 */
export function button({ drawing, word, label, className = "quiet", press, ...more }) {
  return make("button", { type: "button", className, title: label, "aria-label": label, ...more, on: { click: press } },
    drawing && icon(drawing), word && make("span", { text: word }));
}

/**
 * Put rows into a list; those that say the same stay as they are, and the focus stays where it was. A row is known by `data-id`.
 * @param {HTMLElement} list @param {HTMLElement[]} rows
 */
export function showRows(list, rows) {
  const focused = /** @type {HTMLElement|null} */ (document.activeElement);
  const holder = focused && list.contains(focused) ? focused.closest("[data-id]") : null;
  const index = holder ? [...holder.querySelectorAll("a, button")].indexOf(/** @type {any} */ (focused)) : -1;
  const before = new Map([...list.children].map((row) => [row.getAttribute("data-id"), row]));
  const kept = rows.map((row) => {
    const old = before.get(row.dataset.id ?? "");
    return old?.outerHTML === row.outerHTML ? old : row;
  });
  if (kept.length === list.childElementCount && kept.every((row, place) => row === list.children[place])) return;
  list.replaceChildren(...kept);
  const again = holder && kept.find((row) => row.getAttribute("data-id") === holder.getAttribute("data-id"));
  if (again) /** @type {any} */ (again.querySelectorAll("a, button")[index])?.focus();
}

/** Ask before something that cannot be undone. @param {{title: string, text: string, yes: string, no: string}} words @returns {Promise<boolean>} */
export function sure({ title, text, yes, no }) {
  return new Promise((done) => {
    const form = make("form", { method: "dialog", className: "keyform" }, make("p", { text }),
      make("footer", {}, make("button", { type: "submit", value: "no", className: "quiet", text: no }),
        make("button", { type: "submit", value: "yes", className: "go grave", text: yes })));
    const opened = dialog(title, no, form);
    opened.addEventListener("close", () => done(opened.returnValue === "yes"));
  });
}

/** Put a sentence where it is seen and read aloud, for some seconds. @param {string} text */
export function tell(text, { isBad = false } = {}) {
  const toast = make("p", { className: isBad ? "toast bad" : "toast", text });
  document.getElementById("toasts")?.append(toast);
  setTimeout(() => toast.remove(), 7000);
}

/**
 * Open a dialog over the page; it goes by Escape, by its cross, or a press beside it.
 * @param {string} title
 * @param {string} closeWord
 * @param {...Node} children
 * @returns {HTMLDialogElement}
 */
export function dialog(title, closeWord, ...children) {
  const heading = make("h2", { text: title, id: `dialog-${Math.random().toString(36).slice(2)}` });
  const opened = make("dialog", { className: "dialog", "aria-labelledby": heading.id },
    make("header", {}, heading, button({ drawing: "close", label: closeWord, className: "bare", press: () => opened.close() })),
    ...children);
  opened.addEventListener("close", () => opened.remove());
  opened.addEventListener("click", (/** @type {Event} */ event) => { if (event.target === opened) opened.close(); });
  document.body.append(opened);
  opened.showModal();
  return opened;
}
