// A form from a JSON schema: one line a setting, groups folded away, a place to drop files for each input.
// `fovea.form(element, schema, choices)` gives { body(), complain(errors) }; only what was changed is in the body.
"use strict";
(() => {
  const { say } = fovea;

  function make(name, { text, ...properties } = {}, ...children) {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    for (const [key, value] of Object.entries(properties)) {
      if (key in element) element[key] = value;
      else element.setAttribute(key, value);
    }
    element.append(...children.filter(Boolean));
    return element;
  }

  // A node with its reference followed, and without the "or nothing" of an optional setting.
  function plain(node, definitions) {
    const { $ref, anyOf, allOf, ...rest } = node;
    const inner = $ref ? definitions[$ref.split("/").pop()]
      : allOf?.length === 1 ? allOf[0] : anyOf?.find((part) => part.type !== "null");
    return inner ? { ...plain(inner, definitions), ...rest } : node;
  }

  function entry(node) {
    const shown = node.default === undefined || node.default === null ? "" : node.default;
    if (node.enum) {
      const input = make("select", {}, ...node.enum.map((value) => make("option", { text: String(value), value: JSON.stringify(value) })));
      input.value = JSON.stringify(shown);
      return { input, value: () => JSON.parse(input.value) };
    }
    if (node.type === "boolean") {
      const input = make("input", { type: "checkbox", checked: shown === true });
      return { input, value: () => input.checked };
    }
    if (node.type === "integer" || node.type === "number") {
      const input = make("input", { type: "text", inputMode: "decimal", placeholder: shown === "" ? "" : String(Number(shown.toPrecision(6))) });
      return { input, value: () => (input.value.trim() === "" ? undefined : Number.isNaN(Number(input.value)) ? input.value : Number(input.value)) };
    }
    const isText = node.type === "string";
    const input = make("input", { type: "text", placeholder: isText ? shown : JSON.stringify(shown), spellcheck: false });
    const parsed = () => { try { return JSON.parse(input.value); } catch { return input.value; } };
    return { input, value: () => (input.value === "" ? undefined : isText ? input.value : parsed()) };
  }

  // Dropped folders come as entries that must be walked.
  async function filesOf(transfer) {
    const found = [];
    async function walk(item, path) {
      if (item.isFile) {
        const file = await new Promise((done, fail) => item.file(done, fail));
        found.push({ file, name: path + file.name });
        return;
      }
      const reader = item.createReader();
      for (;;) {
        const part = await new Promise((done, fail) => reader.readEntries(done, fail));
        if (!part.length) return;
        for (const inner of part) await walk(inner, `${path}${item.name}/`);
      }
    }
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    for (const item of entries) await walk(item, "");
    return found;
  }

  async function send(files) {
    const form = new FormData();
    for (const { file, name } of files) form.append("file", file, name);
    const answer = await fetch("/v1/uploads", { method: "POST", body: form });
    const about = await answer.json();
    if (!answer.ok) throw new Error(about.detail);
    return about;
  }

  function dropZone(path, node, choices) {
    let chosen;
    const select = make("select", { "aria-label": path });
    const note = make("small", { text: node.description ?? "" });
    const trouble = make("p", { className: "trouble" });
    const pick = (folder) => {
      const input = make("input", { type: "file", multiple: true });
      if (folder) input.setAttribute("webkitdirectory", "");
      input.addEventListener("change", () => take([...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }))));
      return make("label", { text: say(folder ? "pick_folder" : "pick_files") }, input);
    };
    const zone = make("div", { className: "drop" }, make("b", { text: path }), note,
      make("span", {}, `${say("drop_here")} `, pick(false), " · ", pick(true)), select, trouble);
    const options = () => select.replaceChildren(make("option", { text: say("or_choose"), value: "" }),
      ...choices(node.fovea?.artifact).map((one) => make("option", { text: one.label, value: one.name })));
    const set = (name, label) => {
      chosen = name || undefined;
      zone.classList.toggle("has", Boolean(name));
      if (name && ![...select.options].some((option) => option.value === name)) select.append(make("option", { text: label, value: name }));
      select.value = name;
    };
    async function take(files) {
      if (!files.length) return;
      trouble.textContent = "";
      note.textContent = say("sending");
      try {
        const about = await send(files);
        set(about.name, `${files.length === 1 ? files[0].name : `${about.files} ${say("files")}`} (${(about.size / 1e6).toFixed(1)} MB)`);
      } catch (error) {
        trouble.textContent = error.message;
      }
      note.textContent = node.description ?? "";
    }
    select.addEventListener("change", () => set(select.value));
    zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", async (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      take(await filesOf(event.dataTransfer));
    });
    options();
    return { element: zone, value: () => chosen, complain: (text) => { trouble.textContent = text; } };
  }

  function line(path, node) {
    const { input, value } = entry(node);
    input.id = `set-${path}`;
    const trouble = make("p", { className: "trouble" });
    const word = path.split(".").pop().replaceAll("_", " ");
    const element = make("label", { className: "field", htmlFor: input.id }, make("span", { text: word, title: path }), input,
      make("small", { text: node.description ?? "" }), trouble);
    return {
      element,
      value: () => (JSON.stringify(value()) === JSON.stringify(node.default) ? undefined : value()),
      complain: (text) => { trouble.textContent = text; input.setAttribute("aria-invalid", String(Boolean(text))); },
    };
  }

  fovea.form = (holder, schema, choices) => {
    const definitions = schema.$defs ?? {};
    const lines = new Map();

    function add(node, path, into) {
      const about = node.fovea ?? {};
      if (about.artifact || about.place) lines.set(path, dropZone(path, node, choices));
      else if (about.local_only) return;
      else if (node.properties && !node.oneOf) return void group(node, path, into);
      else lines.set(path, line(path, node));
      into.append(lines.get(path).element);
    }

    function group(node, path, into) {
      const body = make("div");
      const summary = make("summary", { text: `${path.split(".").pop()} ` }, make("small", { text: node.description ?? "" }));
      fill(node, path, body);
      into.append(make("details", {}, summary, body));
    }

    function fill(node, path, into) {
      const advanced = make("div");
      const parts = Object.entries(node.properties).map(([name, inner]) => [path ? `${path}.${name}` : name, plain(inner, definitions)]);
      // Inputs first, groups last.
      const rank = ([, inner]) => (inner.fovea?.artifact || inner.fovea?.place ? 0 : inner.properties ? 2 : 1);
      for (const [name, inner] of parts.sort((one, other) => rank(one) - rank(other))) {
        add(inner, name, inner.fovea?.advanced ? advanced : into);
      }
      if (advanced.childElementCount) into.append(make("details", {}, make("summary", { text: say("advanced") }), advanced));
    }

    holder.replaceChildren();
    fill(schema, "", holder);
    return {
      body() {
        const body = {};
        for (const [path, { value }] of lines) {
          if (value() === undefined) continue;
          const names = path.split(".");
          let into = body;
          for (const name of names.slice(0, -1)) into = into[name] ??= {};
          into[names.at(-1)] = value();
        }
        return body;
      },
      // Put each error beside its setting; gives those that have no line here.
      complain(errors) {
        for (const one of lines.values()) one.complain("");
        const left = [];
        for (const error of errors) {
          const found = lines.get(error.loc);
          found?.complain(error.message);
          for (let fold = found?.element.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
          if (!found) left.push(`${error.loc}: ${error.message}`);
        }
        return left;
      },
    };
  };
  fovea.make = make;
})();
