// An editor for each sort of value that a JSON schema can ask for. Each gives { element, id, read() }; what was left alone
// reads as undefined, so that the service's own defaults and presets stay in force.

import { button, make } from "./elements.js";
import { say } from "./languages.js";

/** @typedef {Record<string, any>} Node a schema, with references followed */
/** @typedef {{element: HTMLElement, id: string, read: () => any, set?: (value: any) => void}} Editor */

/** A schema with its reference followed, and without the "or nothing" of an optional setting.
 * @param {Node} node @param {Record<string, Node>} definitions @returns {Node} */
export function plain(node, definitions) {
  const { $ref, anyOf, allOf, ...rest } = node;
  const parts = anyOf?.filter((/** @type {Node} */ part) => part.type !== "null");
  const inner = $ref ? definitions[$ref.split("/").pop() ?? ""] : allOf?.length === 1 ? allOf[0] : parts?.length === 1 ? parts[0] : null;
  if (!inner) return anyOf ? { ...rest, anyOf: parts } : node;
  return { ...plain(inner, definitions), ...rest, isOptional: Boolean(anyOf) };
}

/** A value as one types it. @param {any} value @returns {string} */
function shown(value) {
  if (value === undefined || value === null || value === "") return "";
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  if (Array.isArray(value)) return value.map(shown).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What a text means where numbers, yes and no, or JSON are meant. @param {string} text */
function meant(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {Node} node */
function bounds(node) {
  const least = node.minimum ?? node.exclusiveMinimum, most = node.maximum ?? node.exclusiveMaximum;
  const open = node.exclusiveMinimum !== undefined ? ">" : "≥", closed = node.exclusiveMaximum !== undefined ? "<" : "≤";
  return [least !== undefined && `${open} ${shown(least)}`, most !== undefined && `${closed} ${shown(most)}`].filter(Boolean).join(", ");
}

/** @param {string} id @param {Node} node @param {() => void} changed @returns {Editor} */
function numberField(id, node, changed) {
  const input = make("input", {
    id, type: "text", inputMode: node.type === "integer" && !(node.minimum < 0) ? "numeric" : "decimal", autocomplete: "off",
    placeholder: shown(node.default), title: bounds(node), on: { input: changed },
  });
  const read = () => {
    const text = input.value.trim().replace(",", ".");
    if (text === "") return undefined;
    return Number.isNaN(Number(text)) ? text : Number(text);
  };
  return { element: input, id, read, set: (value) => { input.value = shown(value); } };
}

/** @param {string} id @param {Node} node @param {() => void} changed @returns {Editor} */
function textField(id, node, changed) {
  const isText = node.type === "string";
  const input = make("input", { id, type: "text", placeholder: shown(node.default), spellcheck: false, autocomplete: "off", on: { input: changed } });
  const read = () => (input.value === "" ? undefined : isText ? input.value : meant(input.value));
  return { element: input, id, read, set: (value) => { input.value = isText ? value : shown(value); } };
}

/** @param {string} id @param {Node} node @param {() => void} changed @returns {Editor} */
function choiceField(id, node, changed) {
  const usual = node.default === undefined || node.default === null ? "" : say("form.usual", { value: shown(node.default) });
  const select = make("select", { id, on: { change: changed } }, make("option", { value: "", text: usual || say("form.choose") }),
    ...node.enum.map((/** @type {any} */ value) => make("option", { value: JSON.stringify(value), text: shown(value) })));
  return {
    element: select, id, read: () => (select.value ? JSON.parse(select.value) : undefined),
    set: (value) => { select.value = JSON.stringify(value); },
  };
}

/** @param {string} id @param {Node} node @param {() => void} changed @returns {Editor} */
function switchField(id, node, changed) {
  if (node.isOptional) return choiceField(id, { ...node, enum: [true, false] }, changed);
  let isTouched = false;
  const input = make("input", { id, type: "checkbox", role: "switch", checked: node.default === true, on: { change: () => { isTouched = true; changed(); } } });
  return { element: input, id, read: () => (isTouched ? input.checked : undefined), set: (value) => { isTouched = true; input.checked = value; } };
}

/** Several values after each other, with commas. @param {string} id @param {Node} node @param {() => void} changed @returns {Editor} */
function listField(id, node, changed) {
  const input = make("input", { id, type: "text", placeholder: shown(node.default) || say("form.list"), spellcheck: false, autocomplete: "off", on: { input: changed } });
  const isText = node.items?.type === "string";
  const read = () => {
    const words = input.value.split(/[,，;]/).map((/** @type {string} */ word) => word.trim()).filter(Boolean);
    return words.length ? words.map((/** @type {string} */ word) => (isText ? word : meant(word))) : undefined;
  };
  return { element: input, id, read, set: (value) => { input.value = shown(value); } };
}

/** Any of a few words. @param {string} id @param {Node} node @param {() => void} changed @returns {Editor} */
function pickField(id, node, changed) {
  let isTouched = false;
  const boxes = node.items.enum.map((/** @type {any} */ value) => make("input", {
    type: "checkbox", value, checked: (node.default ?? []).includes(value), on: { change: () => { isTouched = true; changed(); } } }));
  const element = make("div", { id, className: "picks", role: "group" },
    ...boxes.map((/** @type {HTMLInputElement} */ box) => make("label", {}, box, make("span", { text: box.value }))));
  const read = () => (isTouched ? boxes.filter((/** @type {HTMLInputElement} */ box) => box.checked).map((/** @type {HTMLInputElement} */ box) => box.value) : undefined);
  return { element, id, read, set: (value) => { isTouched = true; for (const box of boxes) box.checked = value.includes(box.value); } };
}

/** A fixed number of values beside each other. @param {string} id @param {Node} node @param {() => void} changed @returns {Editor} */
function tupleField(id, node, changed) {
  const parts = node.prefixItems.map((/** @type {Node} */ part, /** @type {number} */ index) => {
    const inner = numberField(index ? `${id}-${index}` : id, { ...part, default: node.default?.[index] }, changed);
    inner.element.setAttribute("aria-label", `${index + 1}`);
    return inner;
  });
  const read = () => {
    const values = parts.map((/** @type {Editor} */ part) => part.read());
    if (values.every((/** @type {any} */ value) => value === undefined)) return undefined;
    return values.map((/** @type {any} */ value, /** @type {number} */ index) => value ?? node.default?.[index]);
  };
  return {
    element: make("div", { className: "tuple" }, ...parts.map((/** @type {Editor} */ part) => part.element)), id, read,
    set: (value) => parts.forEach((/** @type {Editor} */ part, /** @type {number} */ index) => part.set?.(value[index])),
  };
}

/** Names with values, as many as one likes. @param {string} id @param {Node} node @param {() => void} changed @returns {Editor} */
function mapField(id, node, changed) {
  const rows = make("div", { className: "rows" });
  const isText = node.additionalProperties?.type === "string";
  const add = (name = "", value = "") => {
    const number = rows.childElementCount + 1;
    const row = make("div", { className: "row" },
      make("input", { type: "text", value: name, placeholder: say("form.name"), "aria-label": `${say("form.name")} ${number}`, on: { input: changed } }),
      make("input", { type: "text", value, placeholder: say("form.value"), "aria-label": `${say("form.value")} ${number}`, on: { input: changed } }),
      button({ drawing: "close", label: say("form.less"), className: "bare", press: () => { row.remove(); changed(); } }));
    rows.append(row);
  };
  const element = make("div", { className: "map" }, rows, make("button", { id, type: "button", className: "quiet small", text: say("form.more"), on: { click: () => add() } }));
  const read = () => {
    const pairs = [...rows.children].map((row) => [...row.querySelectorAll("input")].map((input) => input.value)).filter(([name]) => name);
    return pairs.length ? Object.fromEntries(pairs.map(([name, value]) => [name, isText ? value : meant(value)])) : undefined;
  };
  return { element, id, read, set: (value) => Object.entries(value).forEach(([name, one]) => add(name, shown(one))) };
}

/** The editor that suits a schema. @param {string} path @param {Node} node @param {() => void} changed @returns {Editor} */
export function editor(path, node, changed) {
  const id = `set-${path}`;
  if (node.enum) return choiceField(id, node, changed);
  if (node.type === "boolean") return switchField(id, node, changed);
  if (node.type === "integer" || node.type === "number") return numberField(id, node, changed);
  if (node.type === "array" && node.prefixItems) return tupleField(id, node, changed);
  if (node.type === "array" && node.items?.enum) return pickField(id, node, changed);
  if (node.type === "array") return listField(id, node, changed);
  if (node.type === "object" && !node.properties) return mapField(id, node, changed);
  return textField(id, node, changed);
}
