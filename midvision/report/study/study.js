(() => {
  for (const tools of document.querySelectorAll("section .tools")) {
    const words = tools.querySelector(".filter");
    const controls = tools.querySelector(".controls");
    if (!words) continue;
    tools.hidden = false;
    const rows = tools.nextElementSibling.querySelectorAll("tr[data-model]");
    const apply = () => {
      const wanted = words.value.trim().toLowerCase();
      for (const row of rows) {
        const text = (row.dataset.model + " " + row.cells[0].textContent).toLowerCase();
        row.hidden = !text.includes(wanted) || (!controls.checked && row.dataset.role !== "model");
      }
    };
    words.addEventListener("input", apply);
    controls.addEventListener("change", apply);
  }

  for (const chosen of document.querySelectorAll(".chosen")) {
    const chooser = chosen.querySelector(".chooser");
    const boxes = Array.from(chooser.querySelectorAll("input"));
    const shown = Array.from(chosen.querySelectorAll("[data-shown]"));
    const apply = () => {
      const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
      for (const one of shown) one.hidden = !wanted.has(one.dataset.shown);
    };
    chooser.hidden = false;
    chooser.addEventListener("change", apply);
    for (const button of chooser.querySelectorAll("button")) {
      button.addEventListener("click", () => {
        for (const box of boxes) box.checked = button.dataset.choose === "all";
        apply();
      });
    }
    apply();
  }
})();
