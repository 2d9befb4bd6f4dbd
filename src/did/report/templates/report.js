"use strict";
// Without this script the page is whole: tables are in their order, and all rows are shown.
(() => {
  const status = document.getElementById("status");
  const say = text => { status.textContent = text; };
  const key = cell => {
    const text = cell.dataset.key ?? cell.textContent.trim();
    const plain = text.replace(/\u2212/g, "-").replace(/^[<>=+ ]+/, "").replace(/,(?=\d{3})/g, "");
    return /^-?[\d.]+(e[+-]?\d+)?(?![\w-])/i.test(plain) ? parseFloat(plain) : text.toLowerCase();
  };
  // Numbers before words, and what is empty last whichever way the rest goes.
  const compare = (a, b, sign) => {
    if ((a === "") !== (b === "")) return a === "" ? 1 : -1;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en"));
  };
  const sort = (table, heading, place) => {
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, row => [key(row.cells[place]), row]);
    rows.sort((a, b) => compare(a[0], b[0], down ? -1 : 1));
    body.append(...rows.map(pair => pair[1]));
    say(`Sorted by ${heading.textContent}, ${down ? "descending" : "ascending"}.`);
  };
  const filter = (table, words) => {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every(word => text.includes(word));
      shown += !row.hidden;
    }
    say(`${shown} of ${table.tBodies[0].rows.length} rows shown.`);
  };
  for (const table of document.querySelectorAll("table")) {
    if (table.tBodies[0].rows.length > 1) {
      Array.from(table.tHead.rows[0].cells).forEach((heading, place) => {
        const button = document.createElement("button");
        button.type = "button";
        button.append(...heading.childNodes);
        heading.append(button);
        button.addEventListener("click", () => sort(table, heading, place));
      });
    }
    if (table.hasAttribute("data-filter")) {
      const box = document.createElement("div");
      const label = document.createElement("label");
      const input = document.createElement("input");
      box.className = "filter";
      input.type = "search";
      input.id = `${table.id}-filter`;
      label.htmlFor = input.id;
      label.textContent = "Show rows with";
      input.setAttribute("aria-describedby", `${table.id}-caption`);
      input.addEventListener("input", () => filter(table, input.value));
      box.append(label, input);
      table.closest(".scroll").before(box);
    }
  }
  // A link into something folded unfolds it.
  const reveal = () => {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { /* a lone % is no code: the name as it stands */ }
    const target = name && document.getElementById(name);
    for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
