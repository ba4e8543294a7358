"use strict";
(() => {
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; });

  const key = (cell, numeric) => {
    if (!numeric) return cell.textContent.trim().toLowerCase();
    const value = parseFloat(cell.dataset.value);
    return Number.isNaN(value) ? null : value;
  };
  const sort = (table, column, direction, numeric) => {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows).map((row) => [key(row.cells[column], numeric), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return (a < b ? -1 : a > b ? 1 : 0) * direction;
    });
    body.append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    table.querySelectorAll("thead th").forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const first = head.dataset.first || "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const next = head.getAttribute("aria-sort") === first ? other : first;
        table.querySelectorAll("th[aria-sort]").forEach((cell) => cell.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", next);
        sort(table, column, next === "ascending" ? 1 : -1, head.dataset.kind === "number");
      });
    });
  }

  const words = document.getElementById("filter");
  const controls = document.getElementById("controls");
  const apply = () => {
    const wanted = words.value.trim().toLowerCase();
    for (const row of document.querySelectorAll("tr[data-model]")) {
      const named = row.dataset.model.toLowerCase().includes(wanted);
      row.hidden = !named || (!controls.checked && row.dataset.role !== "model");
    }
  };
  if (words) {
    words.closest(".tools").hidden = false;
    words.addEventListener("input", apply);
    controls.addEventListener("change", apply);
  }

  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
})();
