"use strict";
// Sorts a table by the column whose head is pressed; what has no value stays last.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const first = head.dataset.first;
      const order = now === "none" ? first : now === "ascending" ? "descending" : "ascending";
      const sign = order === "ascending" ? 1 : -1;
      const value = row => row.cells[column].dataset.value;
      const sorted = Array.from(body.rows).sort((a, b) => {
        const x = value(a), y = value(b);
        if (x === undefined || y === undefined) {
          if (x !== undefined || y !== undefined) return x === undefined ? 1 : -1;
          return sign * a.cells[column].textContent.localeCompare(b.cells[column].textContent);
        }
        return sign * (Number(x) - Number(y));
      });
      heads.forEach(h => h.setAttribute("aria-sort", h === head ? order : "none"));
      body.append(...sorted);
    });
  });
}
