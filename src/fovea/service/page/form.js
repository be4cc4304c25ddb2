// A form from a JSON schema: inputs first, settings after them, groups folded away, errors beside what they are about.
//
// Only what somebody changed is in the body. A group with several forms (a union told apart by `kind`) shows the settings
// of the form that is chosen.

import { choice, choices } from "./choices.js";
import { make } from "./elements.js";
import { editor, plain } from "./fields.js";
import { say } from "./languages.js";

/** @typedef {import("./fields.js").Node} Node */
/** @typedef {{element: HTMLElement, read: () => any, set?: (value: any) => void, complain: (text: string) => void, isIn: () => boolean}} Line */

/** `min_depth_m` as one reads it. @param {string} path */
const wordOf = (path) => (path.split(".").pop() ?? "").replaceAll("_", " ");

export class Form {
  /**
   * @param {HTMLElement} holder
   * @param {Node} schema
   * @param {{samples?: string[]}} about the samples there are
   */
  constructor(holder, schema, { samples = [] } = {}) {
    this.definitions = schema.$defs ?? {};
    this.samples = samples;
    /** @type {Map<string, Line>} */
    this.lines = new Map();
    /** @type {Map<HTMLElement, HTMLElement>} */
    this.counts = new Map();
    this.holder = holder;
    holder.replaceChildren();
    this.fill(schema, "", holder);
    this.changed();
  }

  /** @param {Node} node @param {string} path @param {HTMLElement} into */
  fill(node, path, into) {
    const required = new Set(node.required ?? []);
    /** @type {[string, Node][]} */
    const parts = Object.entries(node.properties ?? {}).map(([name, inner]) => [
      path ? `${path}.${name}` : name, { ...plain(inner, this.definitions), isRequired: required.has(name) }]);
    const isGroup = (/** @type {Node} */ inner) => Boolean(inner.properties || inner.oneOf);
    const isPlace = (/** @type {Node} */ inner) => Boolean(inner.fovea?.artifact || inner.fovea?.place);
    const rank = (/** @type {Node} */ inner) => (inner.isRequired ? 0 : isPlace(inner) ? 1 : isGroup(inner) ? 3 : 2);
    const advanced = make("div", { className: "fields" });
    for (const [name, inner] of parts.sort(([, one], [, other]) => rank(one) - rank(other))) {
      if (inner.fovea?.local_only && !isPlace(inner)) continue; // chosen on the machine that runs it
      const target = inner.fovea?.advanced ? advanced : into;
      if (inner.oneOf && !isPlace(inner)) this.union(inner, name, target);
      else if (inner.properties && !isPlace(inner)) this.group(inner, name, target);
      else this.line(inner, name, target);
    }
    if (advanced.childElementCount) into.append(this.fold(say("form.advanced"), "", advanced));
  }

  /** @param {string} word @param {string} help @param {HTMLElement} body */
  fold(word, help, body) {
    const count = make("span", { className: "count" });
    this.counts.set(body, count);
    return make("details", {}, make("summary", {}, make("b", { text: word }), count, help && make("small", { text: help })), body);
  }

  /** @param {Node} node @param {string} path @param {HTMLElement} into */
  group(node, path, into) {
    const body = make("div", { className: "fields" });
    this.fill(node, path, body);
    if (!body.childElementCount) return;
    const isInputs = path === "vars"; // of a recipe
    const fold = this.fold(isInputs ? say("form.vars") : wordOf(path), node.description ?? "", body);
    fold.open = isInputs;
    into.append(fold);
  }

  /** @param {Node} node @param {string} path @param {HTMLElement} into */
  union(node, path, into) {
    const forms = node.oneOf.map((/** @type {Node} */ form) => plain(form, this.definitions));
    const name = node.discriminator?.propertyName ?? "kind";
    const kinds = forms.map((/** @type {Node} */ form) => form.properties[name].const ?? form.properties[name].enum?.[0]);
    const usual = node.default?.[name];
    const body = make("div", { className: "fields" });
    const bodies = forms.map(() => make("div", { className: "fields" }));
    this.line({ ...forms[0].properties[name], type: "string", const: undefined, enum: kinds, default: usual, description: node.description }, `${path}.${name}`, body);
    forms.forEach((/** @type {Node} */ form, /** @type {number} */ index) => {
      const { [name]: _, ...properties } = form.properties;
      this.fill({ ...form, properties }, path, bodies[index]);
    });
    const show = () => {
      const chosen = this.lines.get(`${path}.${name}`)?.read() ?? usual ?? kinds[0];
      bodies.forEach((/** @type {HTMLElement} */ one, /** @type {number} */ index) => { one.hidden = kinds[index] !== chosen; });
    };
    body.addEventListener("change", show);
    show();
    body.append(...bodies);
    into.append(this.fold(wordOf(path), node.description ?? "", body));
  }

  /** @param {Node} node @param {string} path @param {HTMLElement} into */
  line(node, path, into) {
    const changed = () => this.changed();
    const isPlace = node.fovea?.artifact || node.fovea?.place;
    const ask = node.type === "array" ? choices : choice;
    const made = isPlace ? ask({ path, kind: node.fovea.artifact, samples: this.samples, changed }) : editor(path, node, changed);
    const trouble = make("p", { className: "trouble", id: `trouble-${path}` });
    const help = isPlace && node.fovea.place ? say("form.place") : node.description ?? "";
    const small = make("small", { text: help, id: `help-${path}` });
    const control = made.element.id === made.id ? made.element : made.element.querySelector(`#${CSS.escape(made.id)}`) ?? made.element;
    control.setAttribute("aria-describedby", `${small.id} ${trouble.id}`);
    const label = make("label", { htmlFor: made.id, title: path }, make("span", { text: wordOf(path) }), node.isRequired && make("i", { text: say("form.required") }));
    if (control.localName === "div") control.setAttribute("aria-label", wordOf(path));
    const element = make("div", { className: `field${isPlace ? " wide" : ""}` }, label, made.element, small, trouble);
    this.lines.set(path, {
      element, read: made.read, set: made.set,
      complain: (text) => { trouble.textContent = text; control.setAttribute("aria-invalid", String(Boolean(text))); },
      isIn: () => !element.closest(".fields[hidden]"),
    });
    into.append(element);
  }

  /** Count what was changed in each fold. */
  changed() {
    for (const line of this.lines.values()) line.element.classList.toggle("set", line.read() !== undefined);
    for (const [body, count] of this.counts) {
      const number = body.querySelectorAll(".field.set").length;
      count.textContent = number ? String(number) : "";
    }
  }

  /** Show only the settings whose name or help has the text. @param {string} text */
  filter(text) {
    const wanted = text.trim().toLowerCase();
    for (const [path, { element }] of this.lines) {
      element.hidden = Boolean(wanted) && !`${path.replaceAll("_", " ")} ${element.textContent}`.toLowerCase().includes(wanted);
    }
    for (const fold of this.holder.querySelectorAll("details")) {
      fold.hidden = Boolean(wanted) && !fold.querySelector(".field:not([hidden])");
      if (wanted) fold.open = !fold.hidden;
    }
  }

  /** The settings that were made. */
  body() {
    /** @type {Record<string, any>} */
    const body = {};
    for (const [path, { read, isIn }] of this.lines) {
      const value = isIn() ? read() : undefined;
      if (value === undefined) continue;
      const names = path.split(".");
      let into = body;
      for (const name of names.slice(0, -1)) into = into[name] ??= {};
      into[names[names.length - 1]] = value;
    }
    return body;
  }

  /** Fill in settings, as another job had them. @param {any} body */
  put(body, path = "") {
    for (const [name, value] of Object.entries(body ?? {})) {
      const inner = path ? `${path}.${name}` : name;
      const line = this.lines.get(inner);
      if (line?.set) line.set(value);
      else if (value && typeof value === "object") this.put(value, inner);
    }
    this.changed();
  }

  /** Put each error beside its setting; gives those that have no line here.
   * @param {import("./api.js").SettingProblem[]} errors */
  complain(errors) {
    for (const line of this.lines.values()) line.complain("");
    const left = [];
    for (const error of errors) {
      const line = this.lines.get(error.loc);
      line?.complain(error.message);
      for (let fold = line?.element.closest("details"); fold; fold = fold.parentElement?.closest("details")) fold.open = true;
      if (!line) left.push(error.loc ? `${error.loc}: ${error.message}` : error.message);
    }
    const first = this.holder.querySelector("[aria-invalid=true]");
    if (first instanceof HTMLElement) first.focus();
    return left;
  }
}
