"use strict";
// A trial that is pointed at lights up in every picture; a click keeps it lit; heads sort the table.
const all = new Map();
for (const one of document.querySelectorAll("[data-t]")) {
  const key = one.dataset.t;
  if (!all.has(key)) all.set(key, []);
  all.get(key).push(one);
  const title = one.querySelector("title");
  if (title) { one.dataset.words = title.textContent; title.remove(); }
}
const card = document.body.appendChild(document.createElement("div"));
card.className = "card";
card.hidden = true;
let kept = null;
const light = (key, on) => {
  for (const one of all.get(key) ?? []) one.classList.toggle("lit", on);
  document.body.classList.toggle("pointing", on || kept !== null);
};
const of = (event) => event.target.closest?.("[data-t]") ?? null;
document.addEventListener("pointerover", (event) => {
  const one = of(event);
  if (!one) return;
  light(one.dataset.t, true);
  const words = one.dataset.words ?? "";
  if (!words) return;
  const [first, ...rest] = words.split("\n");
  const strong = document.createElement("b");
  strong.textContent = first;
  card.replaceChildren(strong, document.createTextNode("\n" + rest.join("\n")));
  card.hidden = false;
  const wide = card.offsetWidth, high = card.offsetHeight;
  card.style.left = Math.min(event.clientX + 14, innerWidth - wide - 8) + "px";
  card.style.top = (event.clientY + high + 22 > innerHeight ? event.clientY - high - 10
    : event.clientY + 16) + "px";
});
document.addEventListener("pointerout", (event) => {
  const one = of(event);
  card.hidden = true;
  if (one && one.dataset.t !== kept) light(one.dataset.t, false);
});
document.addEventListener("click", (event) => {
  const one = of(event);
  if (!one || event.target.closest("a")) return;
  const former = kept;
  kept = former === one.dataset.t ? null : one.dataset.t;
  if (former !== null) light(former, false);
  if (kept !== null) light(kept, true);
});
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (!head) return;
    const at = head.cellIndex, down = head.dataset.way !== "down";
    for (const other of table.tHead.rows[0].cells) delete other.dataset.way;
    head.dataset.way = down ? "down" : "up";
    const value = (row) => row.cells[at].textContent;
    const rows = [...body.rows].sort((a, b) =>
      value(a).localeCompare(value(b), "en", { numeric: true }));
    const numbers = rows.every((row) => !value(row) || !isNaN(parseFloat(value(row))));
    if (numbers) rows.sort((a, b) => (parseFloat(value(a)) || 0) - (parseFloat(value(b)) || 0));
    body.append(...(down ? rows.reverse() : rows));
  });
}
